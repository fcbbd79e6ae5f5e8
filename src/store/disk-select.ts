import { filterHashOf } from '../disk/key-hash.js';

/** What hosts are compared by before a head is read: host without port, in lower case; empty if there is none. */
function hostOfUrl(url: string): string {
  return /^[a-z][a-z0-9+.-]*:\/\/(?:[^/?#]*@)?(\[[^\]]*\]|[^/?#:]*)/i.exec(url)?.[1]?.toLowerCase() ?? '';
}

/** Hosts are few: by scheme and authority, as they stand in URIs. */
const recentHashes = new Map<string, number>();
const maxRecent = 1024;

/** The filter hash of a URI's host. */
export function hostHashOf(url: string): number {
  const end = url.indexOf('/', url.indexOf('://') + 3);
  const origin = end < 0 ? url : url.slice(0, end);
  const known = recentHashes.get(origin);
  if (known !== undefined) return known;
  if (recentHashes.size >= maxRecent) recentHashes.clear();
  const made = filterHashOf(hostOfUrl(url));
  recentHashes.set(origin, made);
  return made;
}

/** The host that every URI with this prefix has; `undefined` if they may differ. */
export function hostOfPrefix(prefix: string): string | undefined {
  return /^[^/?#]*:\/\/[^/?#]+[/?#]/.test(prefix) ? hostOfUrl(prefix) : undefined;
}

/** The host that a selector's host, with or without a port, stands for. */
export function hostOfSelector(host: string): string {
  return host.toLowerCase().replace(/:\d*$/, '');
}

/** A bit for each tag: what lacks a tag's bit lacks the tag. */
export function tagBitsOf(tags: readonly string[]): number {
  let bits = 0;
  for (const tag of tags) bits |= 1 << (filterHashOf(tag) & 31);
  return bits >>> 0;
}
