import type { Candidate } from '../store/contract.js';

const maxRemembered = 64;

interface Invalidation {
  readonly number: number;
  readonly covers: (candidate: Candidate) => boolean;
}

/** The invalidations of late: an answer that was asked for before one of them is not stored after it. */
export class Invalidations {
  #count = 0;
  #recent: Invalidation[] = [];

  /** How many there were: to remember when something is asked for. */
  get count(): number {
    return this.#count;
  }

  note(covers: (candidate: Candidate) => boolean): void {
    this.#count += 1;
    this.#recent.push({ number: this.#count, covers });
    if (this.#recent.length > maxRemembered) this.#recent.shift();
  }

  /** Whether one since `count` covered it; of those that are forgotten, any may have. */
  covered(candidate: Candidate, count: number): boolean {
    if (count === this.#count) return false;
    const [oldest] = this.#recent;
    if (oldest === undefined || count < oldest.number - 1) return true;
    return this.#recent.some(({ number, covers }) => number > count && covers(candidate));
  }
}
