import type { Candidate } from '../store/contract.js';

const maxRemembered = 64;
/** A power of two. */
const slots = 65_536;

interface Invalidation {
  readonly number: number;
  readonly covers: (candidate: Candidate) => boolean;
}

/** The invalidations of late: an answer that was asked for before one of them is not stored after it. */
export class Invalidations {
  #count = 0;
  #recent: Invalidation[] = [];
  /** The number of the last one that was dropped from these. */
  #forgotten = 0;
  /** Those of one key, which a program that writes makes all the time: by a hash of the key the number of the last one. */
  #ofKeys: Uint32Array | undefined;

  /** How many there were: to remember when something is asked for. */
  get count(): number {
    return this.#count;
  }

  note(covers: (candidate: Candidate) => boolean): void {
    this.#count += 1;
    this.#recent.push({ number: this.#count, covers });
    if (this.#recent.length > maxRemembered) this.#forgotten = this.#recent.shift()?.number ?? 0;
  }

  /** The same for all that is stored under one key. */
  noteKey(key: string): void {
    this.#count += 1;
    this.#ofKeys ??= new Uint32Array(slots);
    this.#ofKeys[slotOf(key)] = this.#count;
  }

  /** Whether one since `count` covered it; of those that are forgotten or cannot be told apart, any may have. */
  covered(candidate: Candidate, count: number): boolean {
    if (count === this.#count) return false;
    if ((this.#ofKeys?.[slotOf(candidate.key)] ?? 0) > count) return true;
    if (count < this.#forgotten) return true;
    return this.#recent.some(({ number, covers }) => number > count && covers(candidate));
  }
}

/** FNV-1a. Two keys of one slot cost a response that is not stored, and nothing else. */
function slotOf(key: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < key.length; i += 1) hash = Math.imul(hash ^ key.charCodeAt(i), 0x01000193);
  return (hash ^ (hash >>> 16)) & (slots - 1);
}
