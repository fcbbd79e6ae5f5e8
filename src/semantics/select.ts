import type { FieldLines, RequestHead, StoredHead } from '../http/message.js';
import { matchesSelecting, varyOf } from '../http/vary.js';
import { credentialsOf, isFor } from './credentials.js';
import type { Rules } from './decisions.js';
import { dateOf } from './freshness.js';
import { viewResponse } from './views.js';

export type Selection =
  | { readonly kind: 'selected'; readonly index: number; readonly head: StoredHead }
  | { readonly kind: 'none'; readonly reason: 'uri-miss' | 'vary-miss' };

/** The stored response that a request selects (RFC 9111 §4, §4.1): of several the most recent one. */
export function selectStored(request: RequestHead, stored: readonly StoredHead[], rules: Rules): Selection {
  let selected: { readonly kind: 'selected'; readonly index: number; readonly head: StoredHead } | undefined;
  let reason: 'uri-miss' | 'vary-miss' = 'uri-miss';
  if (stored.length === 0) return { kind: 'none', reason };
  const credentials = credentialsOf(request.fields, rules);
  for (let index = 0; index < stored.length; index += 1) {
    const head = stored[index];
    if (head === undefined || !mayAnswer(head.method, request.method)) continue;
    if (!matches(request.fields, credentials, head, rules)) {
      reason = 'vary-miss';
      continue;
    }
    if (selected === undefined || isNewer(head, selected.head)) selected = { kind: 'selected', index, head };
  }
  return selected ?? { kind: 'none', reason };
}

function mayAnswer(storedMethod: string, method: string): boolean {
  return storedMethod === method || (method === 'HEAD' && storedMethod === 'GET');
}

function matches(request: FieldLines, credentials: FieldLines, head: StoredHead, rules: Rules): boolean {
  const names = varyOf(head.fields);
  const isSelected =
    names === '*'
      ? rules.mode === 'ignore-rules'
      : names.length === 0 || matchesSelecting(names, head.selecting, request);
  return isSelected && isFor(credentials, head, names, rules);
}

/** By Date (RFC 9111 §4); of the same second, by receipt. */
function isNewer(one: StoredHead, other: StoredHead): boolean {
  const difference = originated(one) - originated(other);
  return difference === 0 ? one.responseTimeMs > other.responseTimeMs : difference > 0;
}

function originated(head: StoredHead): number {
  return dateOf(viewResponse(head.fields, []), head.responseTimeMs);
}
