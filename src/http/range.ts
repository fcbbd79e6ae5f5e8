export type RangeRequest =
  /** Not a range of ours: the whole is the answer (RFC 9110 §14.2). */
  | { readonly kind: 'whole' }
  /** First and last byte, inclusive. */
  | { readonly kind: 'part'; readonly start: number; readonly end: number }
  | { readonly kind: 'unsatisfiable' };

const oneRange = /^bytes=[ \t]*(?:(\d{1,15})-(\d{0,15})|-(\d{1,15}))[ \t]*$/i;

/** What a `Range` value selects of a body of `bodyBytes`. Several ranges are answered with the whole. */
export function parseRange(value: string, bodyBytes: number): RangeRequest {
  if (value.length > 64) return { kind: 'whole' };
  const match = oneRange.exec(value.trim());
  if (match === null) return { kind: 'whole' };
  const [, first, last, suffix] = match;
  if (suffix !== undefined) {
    if (Number(suffix) === 0) return { kind: 'unsatisfiable' };
    // Satisfiable, but no Content-Range can say "nothing".
    if (bodyBytes === 0) return { kind: 'whole' };
    return { kind: 'part', start: Math.max(0, bodyBytes - Number(suffix)), end: bodyBytes - 1 };
  }
  const start = Number(first);
  const end = last === undefined || last === '' ? Number.POSITIVE_INFINITY : Number(last);
  if (end < start) return { kind: 'whole' };
  if (start >= bodyBytes) return { kind: 'unsatisfiable' };
  return { kind: 'part', start, end: Math.min(end, bodyBytes - 1) };
}
