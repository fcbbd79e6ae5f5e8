import { filterHashOf } from '../disk/key-hash.js';
import type { StoredHead } from '../http/message.js';
import type { Selector } from './contract.js';

interface Selectable {
  readonly key: string;
  readonly head: StoredHead;
  readonly tags: readonly string[];
}

export function covers(selector: Selector, response: Selectable): boolean {
  if ('key' in selector) return response.key === selector.key;
  if ('tag' in selector) return response.tags.includes(selector.tag);
  if ('prefix' in selector) return response.head.url.startsWith(selector.prefix);
  const host = hostOfUrl(response.head.url);
  const wanted = selector.host.toLowerCase();
  return host === wanted || host.replace(/:\d+$/, '') === wanted;
}

/** Host and port of an absolute URI, in lower case; empty if it has none. */
export function hostOfUrl(url: string): string {
  return /^[a-z][a-z0-9+.-]*:\/\/(?:[^/?#@]*@)?([^/?#@]+)/i.exec(url)?.[1]?.toLowerCase() ?? '';
}

/** The host and port that every URI with this prefix has; `undefined` if they may differ. */
export function hostOfPrefix(prefix: string): string | undefined {
  return /^[^/?#]*:\/\/[^/?#]+[/?#]/.test(prefix) ? hostOfUrl(prefix) : undefined;
}

/** A bit for each tag: what lacks a tag's bit lacks the tag. */
export function tagBitsOf(tags: readonly string[]): number {
  let bits = 0;
  for (const tag of tags) bits |= 1 << (filterHashOf(tag) & 31);
  return bits >>> 0;
}
