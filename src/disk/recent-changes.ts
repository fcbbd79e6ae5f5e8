import type { KeyHash } from './key-hash.js';

/** What another thread needs to go on. */
export interface RecentChangesParts {
  readonly clearedBefore: number;
  readonly successors: ReadonlyMap<number, number>;
  readonly invalidations: ReadonlyMap<number, number>;
}

/** In place of the sequence of a successor: there is none. */
const gone = 0;

interface Generation {
  readonly successors: Map<number, number>;
  /** By the sequence of a new head: that of the one whose place it took. */
  readonly predecessors: Map<number, number>;
  readonly invalidations: Map<number, number>;
  /** The newest record that is remembered here. */
  newest: number;
}

/**
 * What the last records took away, freshened or invalidated: logs of several writers are read one after the other, so that a record may
 * come after one that is newer. With this the index is the same in whatever order they come, as long as none is later than what is
 * remembered.
 */
export class RecentChanges {
  #clearedBefore: number;
  #young: Generation;
  #old: Generation = emptyGeneration();
  #isOff = false;
  /** No key was invalidated for longer than up to this sequence. */
  #lastInvalidated = 0;
  /** Nothing newer was taken away or got a new head. */
  #lastChanged = 0;

  constructor(parts?: RecentChangesParts) {
    this.#clearedBefore = parts?.clearedBefore ?? 0;
    this.#young = emptyGeneration();
    if (parts === undefined) return;
    for (const [sequence, successor] of parts.successors) {
      this.#young.successors.set(sequence, successor);
      this.#lastChanged = Math.max(this.#lastChanged, sequence);
      if (successor !== gone) this.#young.predecessors.set(successor, sequence);
      this.#young.newest = Math.max(this.#young.newest, sequence, successor);
    }
    for (const [hash, sequence] of parts.invalidations) {
      this.#young.invalidations.set(hash, sequence);
      this.#lastInvalidated = Math.max(this.#lastInvalidated, sequence);
      this.#young.newest = Math.max(this.#young.newest, sequence);
    }
  }

  toParts(): RecentChangesParts {
    return {
      clearedBefore: this.#clearedBefore,
      successors: new Map([...this.#old.successors, ...this.#young.successors]),
      invalidations: new Map([...this.#old.invalidations, ...this.#young.invalidations]),
    };
  }

  get size(): number {
    return [this.#old, this.#young].reduce((sum, each) => sum + each.successors.size + each.invalidations.size, 0);
  }

  /** Nothing that is remembered has a say in whether a newer response is there. */
  get newestConcerned(): number {
    return Math.max(this.#clearedBefore, this.#lastInvalidated, this.#lastChanged);
  }

  /** Nothing that is remembered has a say in whether a response is there. It may say `false` where that is so. */
  isIrrelevantTo(sequence: number): boolean {
    if (sequence < this.#clearedBefore || sequence < this.#lastInvalidated) return false;
    if (sequence > this.#lastChanged) return true;
    return !this.#young.successors.has(sequence) && !this.#old.successors.has(sequence);
  }

  /** There is one log only, so nothing ever comes late. */
  turnOff(): void {
    this.#isOff = true;
    this.#old = emptyGeneration();
    this.#young = emptyGeneration();
  }

  /** Forgets what was noted by records older than this, sooner or later. */
  forgetBefore(sequence: number): void {
    if (this.#old.newest >= sequence) return;
    if (this.#young.newest === 0 && this.#old.newest === 0) return;
    this.#old = this.#young;
    this.#young = emptyGeneration();
  }

  /** Something took a response away. */
  noteGone(sequence: number, by: number): void {
    this.#note(sequence, gone, by);
  }

  /** A new head took a response's place. */
  noteSuccessor(sequence: number, successor: number, by: number): void {
    this.#note(sequence, successor, by);
    if (!this.#isOff) this.#young.predecessors.set(successor, sequence);
  }

  /** A new head came when there was a newer one. */
  noteOvertaken(sequence: number, current: number): void {
    this.#note(sequence, current, current);
  }

  /** What has become of a response: the same sequence, that of its newest head, or `undefined` if it was taken away. */
  currentOf(sequence: number): number | undefined {
    if (this.#young.successors.size === 0 && this.#old.successors.size === 0) return sequence;
    let current = sequence;
    for (;;) {
      const next = this.#young.successors.get(current) ?? this.#old.successors.get(current);
      if (next === undefined) return current;
      if (next === gone) return undefined;
      current = next;
    }
  }

  /** Whether what was there before a sequence includes a response: under an older head, it may have been there before. */
  isOlder(sequence: number, before: number): boolean {
    if (sequence < before) return true;
    const { predecessors } = this.#young;
    if (predecessors.size === 0 && this.#old.predecessors.size === 0) return false;
    let first = sequence;
    for (;;) {
      const earlier = predecessors.get(first) ?? this.#old.predecessors.get(first);
      if (earlier === undefined) return first < before;
      first = earlier;
    }
  }

  noteInvalidated(hash: KeyHash, before: number, by: number): void {
    if (this.#isOff) return;
    const key = keyOf(hash);
    this.#lastInvalidated = Math.max(this.#lastInvalidated, before);
    this.#young.invalidations.set(key, Math.max(before, this.#invalidatedBefore(key)));
    this.#young.newest = Math.max(this.#young.newest, by);
  }

  noteCleared(before: number): void {
    this.#clearedBefore = Math.max(this.#clearedBefore, before);
  }

  /** Whether something newer took away whatever of this age there was under a key. */
  isCovered(hash: KeyHash, sequence: number): boolean {
    if (sequence < this.#clearedBefore) return true;
    if (this.#young.invalidations.size === 0 && this.#old.invalidations.size === 0) return false;
    return sequence < this.#invalidatedBefore(keyOf(hash));
  }

  #note(sequence: number, successor: number, by: number): void {
    if (this.#isOff) return;
    this.#young.successors.set(sequence, successor);
    this.#lastChanged = Math.max(this.#lastChanged, sequence);
    this.#young.newest = Math.max(this.#young.newest, by);
  }

  #invalidatedBefore(key: number): number {
    return this.#young.invalidations.get(key) ?? this.#old.invalidations.get(key) ?? 0;
  }
}

function emptyGeneration(): Generation {
  return { successors: new Map(), predecessors: new Map(), invalidations: new Map(), newest: 0 };
}

/** 53 bits: of two keys that have them in common, one is a miss more than it need be, for a while. */
function keyOf({ a, b }: KeyHash): number {
  return a * 2 ** 21 + (b >>> 11);
}
