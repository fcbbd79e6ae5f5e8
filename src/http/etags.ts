/** The entity tags of an `If-None-Match` or `If-Match` value; `'*'` stands for any. */
export function parseEntityTags(value: string): readonly string[] | '*' {
  if (value.trim() === '*') return '*';
  const tags: string[] = [];
  let at = 0;
  while (at < value.length) {
    const quote = value.indexOf('"', at);
    const comma = value.indexOf(',', at);
    let end = comma === -1 ? value.length : comma;
    if (quote !== -1 && quote < end) {
      // A comma may stand inside the quotes.
      const close = value.indexOf('"', quote + 1);
      if (close === -1) {
        tags.push(value.slice(at).trim());
        break;
      }
      const next = value.indexOf(',', close + 1);
      end = next === -1 ? value.length : next;
    }
    const tag = value.slice(at, end).trim();
    if (tag !== '') tags.push(tag);
    at = end + 1;
  }
  return tags;
}

export function isWeak(tag: string): boolean {
  return tag.startsWith('W/');
}

function opaqueOf(tag: string): string {
  return isWeak(tag) ? tag.slice(2) : tag;
}

/** RFC 9110 §8.8.3.2. Tags that lack their quotes are compared as they are. */
export function matchesWeakly(one: string, other: string): boolean {
  return opaqueOf(one.trim()) === opaqueOf(other.trim());
}

/** RFC 9110 §8.8.3.2: the same, and neither is weak. */
export function matchesStrongly(one: string, other: string): boolean {
  const tag = one.trim();
  return tag === other.trim() && tag !== '' && !isWeak(tag);
}
