/**
 * A pure function that remembers what it made of the texts it was given of late: messages say the same over and over. Its results are
 * shared, so they must not be changed. Memory is bounded: at most 2 × `maxTexts` texts, and none longer than `maxLength`.
 */
export function remembering<Result>(
  compute: (text: string) => Result,
  maxTexts = 256,
  maxLength = 256,
): (text: string) => Result {
  let recent = new Map<string, Result>();
  let older = new Map<string, Result>();
  return (text) => {
    const known = recent.get(text);
    if (known !== undefined || text.length > maxLength) return known ?? compute(text);
    const result = older.get(text) ?? compute(text);
    if (recent.size >= maxTexts) {
      older = recent;
      recent = new Map();
    }
    recent.set(text, result);
    return result;
  };
}
