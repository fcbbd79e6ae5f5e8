import { hash } from 'node:crypto';

/** The first 128 bits of a key's SHA-256, as four little-endian words. */
export interface KeyHash {
  readonly a: number;
  readonly b: number;
  readonly c: number;
  readonly d: number;
}

/** A request asks for one key several times: looked up, looked up again below, stored. */
const recent = new Map<string, KeyHash>();
const maxRecent = 512;

/** Where a key is looked for. Two keys with one hash are told apart by the full key in the record. */
export function hashOfKey(key: string): KeyHash {
  const known = recent.get(key);
  if (known !== undefined) return known;
  if (recent.size >= maxRecent) recent.clear();
  const made = makeHash(key);
  recent.set(key, made);
  return made;
}

export function isSameHash(one: KeyHash, other: KeyHash): boolean {
  return one.a === other.a && one.b === other.b && one.c === other.c && one.d === other.d;
}

function makeHash(key: string): KeyHash {
  const digest = hash('sha256', key, 'binary');
  return { a: wordOf(digest, 0), b: wordOf(digest, 4), c: wordOf(digest, 8), d: wordOf(digest, 12) };
}

function wordOf(digest: string, at: number): number {
  return (
    (digest.charCodeAt(at) |
      (digest.charCodeAt(at + 1) << 8) |
      (digest.charCodeAt(at + 2) << 16) |
      (digest.charCodeAt(at + 3) << 24)) >>>
    0
  );
}

/** A 32-bit FNV-1a of a host or a tag: a filter, never an identity. */
export function filterHashOf(text: string): number {
  let value = 0x811c9dc5;
  for (let i = 0; i < text.length; i += 1) value = Math.imul(value ^ text.charCodeAt(i), 0x01000193);
  return value >>> 0;
}

/** A namespace's identity in records: 53 bits of a SHA-256, and 0 for the empty one. */
export function namespaceHashOf(namespace: string): number {
  if (namespace === '') return 0;
  const { a, b } = hashOfKey(`namespace ${namespace}`);
  // 0 is taken.
  return (a & 0x1fffff) * 2 ** 32 + b || 1;
}
