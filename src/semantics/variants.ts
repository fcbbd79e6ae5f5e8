import type { StoredHead } from '../http/message.js';
import { storedValueOf } from '../http/vary.js';
import { selectingNamesOf } from './credentials.js';
import type { Rules } from './decisions.js';

/**
 * Positions of the stored heads that a new one takes the place of: those that no request can select any more, because
 * whatever selects them selects the new one as well; and the oldest, when there would be more than `maxVariants`.
 */
export function variantsReplacedBy(
  head: StoredHead,
  stored: readonly StoredHead[],
  maxVariants: number,
  rules: Rules,
): number[] {
  const replaced: number[] = [];
  const kept: number[] = [];
  for (const [index, other] of stored.entries()) (isShadowed(other, head, rules) ? replaced : kept).push(index);
  const surplus = kept.length + 1 - Math.max(1, maxVariants);
  if (surplus > 0) {
    kept.sort((a, b) => (stored[a]?.responseTimeMs ?? 0) - (stored[b]?.responseTimeMs ?? 0));
    replaced.push(...kept.slice(0, surplus));
  }
  return replaced.sort((a, b) => a - b);
}

/** Every request that selects `other` selects `head` too: `head` depends on no more, and agrees in all of it. */
function isShadowed(other: StoredHead, head: StoredHead, rules: Rules): boolean {
  // The answer to HEAD has no body to give to a GET.
  if (other.method !== head.method && !(other.method === 'HEAD' && head.method === 'GET')) return false;
  const names = selectingNamesOf(head, rules);
  const otherNames = selectingNamesOf(other, rules);
  if (otherNames === '*') return true;
  if (names === '*') return false;
  return names.every(
    (name) => otherNames.includes(name) && storedValueOf(head.selecting, name) === storedValueOf(other.selecting, name),
  );
}
