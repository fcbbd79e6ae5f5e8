/** RFC 9111 §1.2.2: the largest number of seconds that a cache has to tell from a larger one; 68 years. */
export const maxDeltaSeconds = 2 ** 31;

/** A non-negative whole number of seconds, clamped; `undefined` if the text is anything else. */
export function parseDeltaSeconds(text: string): number | undefined {
  if (text.length === 0) return undefined;
  let seconds = 0;
  for (let i = 0; i < text.length; i += 1) {
    const digit = text.charCodeAt(i) - 48;
    if (digit < 0 || digit > 9) return undefined;
    seconds = Math.min(seconds * 10 + digit, maxDeltaSeconds);
  }
  return seconds;
}

/**
 * The value of `Age` (RFC 9111 §5.1) from the value of its first line: the first member counts, an invalid one is as
 * if it were absent.
 */
export function parseAge(line: string): number | undefined {
  const comma = line.indexOf(',');
  return parseDeltaSeconds((comma === -1 ? line : line.slice(0, comma)).trim());
}
