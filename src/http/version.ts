import type { StoredHead } from './message.js';

/** For stores: another head of the same variant (the same selecting fields) has the version that one has, or a higher one: then that is not stored. */
export function isOutversioned({ version, selecting }: StoredHead, other: StoredHead): boolean {
  if (version === undefined || other.version === undefined || other.version < version) return false;
  return selecting.length === other.selecting.length && selecting.every((text, i) => text === other.selecting[i]);
}
