import type { KeyHash } from './key-hash.js';
import { hasNextBit, isLinkedBit, priorityIn, rowBytes, rowDoubles, rowPlaces, rowWords, useOf } from './slot-row.js';

type SharedWords = Uint32Array<SharedArrayBuffer>;

/** The arrays of a table, to pass it on to another thread, which costs nothing: one thread at a time uses them. */
export interface SlotParts {
  readonly rows: SharedArrayBuffer;
  readonly positions: SharedWords;
  readonly next: SharedWords;
  readonly bodySegments: SharedWords;
  readonly tags: SharedWords;
  readonly used: number;
  readonly count: number;
  readonly free: number;
}

/** Rows of hints that were read to where they stay: nobody finds them yet. */
export interface PlacedRows {
  readonly rows: SharedArrayBuffer;
  readonly used: number;
}

/** What rows of one segment have in common, and what is counted of them. */
export interface RunOptions {
  readonly segment: number;
  readonly namespaceId: number;
  readonly priorities: Uint32Array;
  readonly tally: { lastSequence: number };
}

const leastSlots = 1024;
const { hash: hashWord, sequence: sequenceWord, offset: offsetWord, use: useWord, segment: segmentWord } = rowPlaces;
const sequenceDouble = sequenceWord / 2;

/**
 * Rows in slots, found by their hash: an open-addressing table over typed arrays, so that a million of them are nothing to the garbage collector.
 * Rows of one hash are chained. What few rows have (a next one, a body elsewhere, tags) is in arrays of zeros, which take no memory as
 * long as nobody writes to them.
 */
export class SlotTable {
  #words: SharedWords;
  #doubles: Float64Array<SharedArrayBuffer>;
  /** By the low bits of a hash: 1 more than the first slot of its chain. */
  #positions: SharedWords;
  /** 1 more than the next slot of the chain, of those that have one, or of those that are free. */
  #next: SharedWords;
  /** 1 more than the segment that the body is in, if it is not the head's. */
  #bodySegments: SharedWords;
  #tags: SharedWords;
  #used = 0;
  #count = 0;
  /** 1 more than the first free slot. */
  #free = 0;
  /** Rows that were placed, and neither linked nor released yet. */
  #pending: number;

  /** Of `parts` that came from another thread; or empty but for rows that were placed, with room for so many. */
  constructor(parts?: SlotParts, slots = 0, placed?: PlacedRows) {
    const rows = parts?.rows ?? placed?.rows ?? new SharedArrayBuffer(roomFor(slots) * rowBytes);
    const room = Math.floor(rows.byteLength / rowBytes);
    this.#words = new Uint32Array(rows, 0, room * rowWords);
    this.#doubles = new Float64Array(rows, 0, room * rowDoubles);
    this.#positions = parts?.positions ?? newWords(2 ** Math.ceil(Math.log2(2 * Math.max(leastSlots, slots))));
    this.#next = parts?.next ?? newWords(room);
    this.#bodySegments = parts?.bodySegments ?? newWords(room);
    this.#tags = parts?.tags ?? newWords(room);
    this.#used = parts?.used ?? placed?.used ?? 0;
    this.#pending = placed?.used ?? 0;
    this.#count = parts?.count ?? 0;
    this.#free = parts?.free ?? 0;
  }

  /** The arrays, which are this table's no more once they were passed on. */
  toParts(): SlotParts {
    return {
      rows: this.#words.buffer,
      positions: this.#positions,
      next: this.#next,
      bodySegments: this.#bodySegments,
      tags: this.#tags,
      used: this.#used,
      count: this.#count,
      free: this.#free,
    };
  }

  /** How many rows can be found. */
  get count(): number {
    return this.#count;
  }

  /** Slots are numbered from 0 to this; not all of them are in use. */
  get end(): number {
    return this.#used;
  }

  /** The first slot of a hash's chain, or -1. */
  first(hash: KeyHash): number {
    return (this.#positions[this.#positionOf(hash.a, hash.b, hash.c, hash.d)] ?? 0) - 1;
  }

  /** The first slot of the chain that a placed row would come into, or -1. */
  firstFor(slot: number): number {
    return (this.#positions[this.#positionFor(slot)] ?? 0) - 1;
  }

  /** The next slot of the chain, or -1. */
  next(slot: number): number {
    // A page of zeros that was never touched takes as long to read as a hit takes for all the rest.
    return (this.wordOf(slot, useWord) & hasNextBit) === 0 ? -1 : (this.#next[slot] ?? 0) - 1;
  }

  /** Whether a slot is in use and its row can be found. */
  isLinked(slot: number): boolean {
    return this.sequenceOf(slot) !== 0 && (this.wordOf(slot, useWord) & isLinkedBit) !== 0;
  }

  /** 0 for a slot that is not in use. */
  sequenceOf(slot: number): number {
    return this.#doubles[slot * rowDoubles + sequenceDouble] ?? 0;
  }

  hashOf(slot: number): KeyHash {
    const at = slot * rowWords + hashWord;
    const all = this.#words;
    return { a: all[at] ?? 0, b: all[at + 1] ?? 0, c: all[at + 2] ?? 0, d: all[at + 3] ?? 0 };
  }

  /** One of `rowPlaces`, but for hash and sequence. */
  wordOf(slot: number, place: number): number {
    return this.#words[slot * rowWords + place] ?? 0;
  }

  setWord(slot: number, place: number, value: number): void {
    this.#words[slot * rowWords + place] = value;
  }

  priorityOf(slot: number): number {
    return priorityIn(this.wordOf(slot, useWord));
  }

  namespaceIdOf(slot: number): number {
    return this.wordOf(slot, useWord) >>> 16;
  }

  setUse(slot: number, priority: number, namespaceId: number): void {
    const chain = this.wordOf(slot, useWord) & hasNextBit;
    this.setWord(slot, useWord, (namespaceId << 16) | useOf(priority) | isLinkedBit | chain);
  }

  setNamespaceId(slot: number, id: number): void {
    this.setWord(slot, useWord, (this.wordOf(slot, useWord) & 0xffff) | (id << 16));
  }

  bodySegmentOf(slot: number): number {
    const elsewhere = this.#bodySegments[slot] ?? 0;
    return elsewhere === 0 ? this.wordOf(slot, segmentWord) : elsewhere - 1;
  }

  /** Where head and body are. */
  setSegments(slot: number, segment: number, bodySegment: number): void {
    this.setWord(slot, segmentWord, segment);
    const elsewhere = segment === bodySegment ? 0 : bodySegment + 1;
    // What is a zero already is not written to.
    if (this.#bodySegments[slot] !== elsewhere) this.#bodySegments[slot] = elsewhere;
  }

  tagsOf(slot: number): number {
    return this.#tags[slot] ?? 0;
  }

  setTags(slot: number, tags: number): void {
    if (this.#tags[slot] !== tags) this.#tags[slot] = tags;
  }

  /** Takes a free slot and makes it the first of its hash's chain. */
  add(hash: KeyHash, sequence: number): number {
    const slot = this.#takeSlot();
    const at = slot * rowWords + hashWord;
    this.#words[at] = hash.a;
    this.#words[at + 1] = hash.b;
    this.#words[at + 2] = hash.c;
    this.#words[at + 3] = hash.d;
    this.#doubles[slot * rowDoubles + sequenceDouble] = sequence;
    this.#link(slot);
    return slot;
  }

  /** Copies rows into slots that nobody finds yet, one after the other from the returned one on. */
  place(rows: Uint8Array): number {
    const first = this.#used;
    const count = rows.byteLength / rowBytes;
    this.#used += count;
    this.#pending += count;
    while (this.#used * rowBytes > this.#words.byteLength) this.#growRows();
    new Uint8Array(this.#words.buffer).set(rows, first * rowBytes);
    return first;
  }

  /** The bytes of rows that were placed. */
  bytesOf(first: number, count: number): Uint8Array {
    return new Uint8Array(this.#words.buffer, first * rowBytes, count * rowBytes);
  }

  /** Makes a placed row the first of its hash's chain. */
  link(slot: number): void {
    this.#link(slot);
    this.setWord(slot, useWord, this.wordOf(slot, useWord) | isLinkedBit);
    this.#pending -= 1;
  }

  /**
   * Makes placed rows that come one after the other the first of their chains, as long as each is the only one of its hash and of a higher sequence
   * than `after`. Returns where that ended: opening comes by here with all that is stored.
   */
  linkRun(from: number, to: number, after: number, { segment, namespaceId, priorities, tally }: RunOptions): number {
    while (2 * (this.#count + to - from) >= this.#positions.length) this.#growPositions();
    const words = this.#words;
    const doubles = this.#doubles;
    const positions = this.#positions;
    const mask = positions.length - 1;
    const bits = (namespaceId << 16) | isLinkedBit;
    let slot = from;
    for (; slot < to; slot += 1) {
      const at = slot * rowWords;
      const sequence = doubles[slot * rowDoubles + sequenceDouble] ?? 0;
      if (sequence <= after) break;
      const a = words[at] ?? 0;
      let position = a & mask;
      let other = positions[position] ?? 0;
      while (other !== 0 && words[(other - 1) * rowWords] !== a) {
        position = (position + 1) & mask;
        other = positions[position] ?? 0;
      }
      if (other !== 0) break;
      positions[position] = slot + 1;
      const use = words[at + useWord] ?? 0;
      words[at + useWord] = use | bits;
      const priority = (priorityIn(use) + 128) & 0xff;
      priorities[priority] = (priorities[priority] ?? 0) + 1;
      const tags = words[at + segmentWord] ?? 0;
      if (tags !== 0) this.#tags[slot] = tags;
      words[at + segmentWord] = segment;
      if (sequence > tally.lastSequence) tally.lastSequence = sequence;
    }
    this.#count += slot - from;
    this.#pending -= slot - from;
    return slot;
  }

  /** Where a run of placed rows ends of which each has a sequence of at most `limit`, and lies before `endOffset` in its segment. */
  runEnd(from: number, to: number, limit: number, endOffset: number): number {
    const doubles = this.#doubles;
    const words = this.#words;
    let slot = from;
    while (
      slot < to &&
      (doubles[slot * rowDoubles + sequenceDouble] ?? 0) <= limit &&
      (words[slot * rowWords + offsetWord] ?? 0) < endOffset
    ) {
      slot += 1;
    }
    return slot;
  }

  /** Nobody finds a row any more, and its slot is free. */
  remove(slot: number): void {
    const position = this.#positionFor(slot);
    const next = this.next(slot) + 1;
    let before = (this.#positions[position] ?? 0) - 1;
    if (before === slot) {
      if (next > 0) this.#positions[position] = next;
      else this.#closeGap(position);
    } else {
      while (this.next(before) !== slot) before = this.next(before);
      this.#setNext(before, next);
    }
    this.#count -= 1;
    this.#setFree(slot);
  }

  /** A placed row is given up that was not linked. */
  release(slot: number): void {
    this.#pending -= 1;
    this.#setFree(slot);
  }

  /** Removes all that can be found. */
  clear(): void {
    if (this.#pending > 0) {
      for (let slot = 0; slot < this.#used && this.#count > 0; slot += 1) if (this.isLinked(slot)) this.remove(slot);
      return;
    }
    this.#positions.fill(0);
    this.#words.fill(0, 0, this.#used * rowWords);
    this.#next.fill(0, 0, this.#used);
    this.#used = 0;
    this.#count = 0;
    this.#free = 0;
  }

  #link(slot: number): void {
    if (2 * this.#count >= this.#positions.length) this.#growPositions();
    const position = this.#positionFor(slot);
    const first = this.#positions[position] ?? 0;
    if (first !== 0) this.#setNext(slot, first);
    this.#positions[position] = slot + 1;
    this.#count += 1;
  }

  /** `next`: 1 more than the slot, or 0 for none. */
  #setNext(slot: number, next: number): void {
    const use = this.wordOf(slot, useWord);
    this.setWord(slot, useWord, next === 0 ? use & ~hasNextBit : use | hasNextBit);
    this.#next[slot] = next;
  }

  #setFree(slot: number): void {
    this.#doubles[slot * rowDoubles + sequenceDouble] = 0;
    this.#next[slot] = this.#free;
    this.#free = slot + 1;
  }

  // Linear probing without tombstones: what follows a gap moves up if it would not be found otherwise.
  #closeGap(position: number): void {
    const mask = this.#positions.length - 1;
    let gap = position;
    for (let at = (gap + 1) & mask; this.#positions[at] !== 0; at = (at + 1) & mask) {
      const home = this.#homeOf(this.#positions[at] ?? 0, mask);
      if (((at - home) & mask) >= ((at - gap) & mask)) {
        this.#positions[gap] = this.#positions[at] ?? 0;
        gap = at;
      }
    }
    this.#positions[gap] = 0;
  }

  /** Where a chain would be if nothing was in its way. `entry`: 1 more than its first slot. */
  #homeOf(entry: number, mask: number): number {
    return (this.#words[(entry - 1) * rowWords + hashWord] ?? 0) & mask;
  }

  /** The position that holds a hash's chain, or the empty one where it would be. */
  #positionOf(a: number, b: number, c: number, d: number): number {
    const positions = this.#positions;
    const all = this.#words;
    const mask = positions.length - 1;
    let position = a & mask;
    for (;;) {
      const slot = (positions[position] ?? 0) - 1;
      if (slot < 0) return position;
      const at = slot * rowWords + hashWord;
      if (all[at] === a && all[at + 1] === b && all[at + 2] === c && all[at + 3] === d) return position;
      position = (position + 1) & mask;
    }
  }

  #positionFor(slot: number): number {
    const at = slot * rowWords + hashWord;
    const all = this.#words;
    return this.#positionOf(all[at] ?? 0, all[at + 1] ?? 0, all[at + 2] ?? 0, all[at + 3] ?? 0);
  }

  #takeSlot(): number {
    if (this.#free > 0) {
      const slot = this.#free - 1;
      this.#free = this.#next[slot] ?? 0;
      this.setWord(slot, useWord, 0);
      return slot;
    }
    if (this.#used === this.#next.length) this.#growRows();
    this.#used += 1;
    return this.#used - 1;
  }

  #growRows(): void {
    const room = 2 * this.#next.length;
    const rows = new SharedArrayBuffer(room * rowBytes);
    const words = new Uint32Array(rows);
    words.set(this.#words);
    this.#words = words;
    this.#doubles = new Float64Array(rows);
    this.#next = grown(this.#next, room);
    this.#bodySegments = grown(this.#bodySegments, room);
    this.#tags = grown(this.#tags, room);
  }

  #growPositions(): void {
    const positions = newWords(2 * this.#positions.length);
    const mask = positions.length - 1;
    for (const entry of this.#positions) {
      if (entry === 0) continue;
      let position = this.#homeOf(entry, mask);
      while (positions[position] !== 0) position = (position + 1) & mask;
      positions[position] = entry;
    }
    this.#positions = positions;
  }
}

/** For so many rows and half as many again: room that is not used takes no memory, and to grow takes time. */
export function roomFor(slots: number): number {
  return Math.max(leastSlots, Math.ceil(1.5 * slots));
}

function newWords(length: number): SharedWords {
  return new Uint32Array(new SharedArrayBuffer(4 * length));
}

function grown(from: Uint32Array, length: number): SharedWords {
  const to = newWords(length);
  // Pages of zeros are left alone.
  from.forEach((value, i) => {
    if (value !== 0) to[i] = value;
  });
  return to;
}
