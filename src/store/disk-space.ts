import type { BodyFile, DiskIndex, SegmentName } from '../disk/index-table.js';
import { recordHeaderBytes } from '../disk/record.js';
import type { SegmentInfo } from '../protocol/messages.js';
import { BodyContents } from './body-contents.js';

/** File systems give out space in blocks of this length, mostly. */
const blockBytes = 4096;
/** Evicted sequences that are remembered: a response that replaces an evicted one is not late. */
const maxEvictedRemembered = 4096;

export interface Segment extends SegmentName {
  readonly ordinal: number;
  /** What the file and its hint take. */
  bytes: number;
  /** What of it is the hint, which is not on the disk before the segment is sealed. */
  hintBytes: number;
}

export interface SpaceOthers {
  /** Whether a segment may still be written, by this process or another. */
  isOpen(name: SegmentName): boolean;
  /** How far beyond its limits to go before doing what another process is to do first. */
  slackBytes(): number;
}

export interface SpaceLimits {
  readonly maxBytes: number;
  /** Room to be had from here on below the budget, so that there is time to copy what is to be kept. */
  readonly headroomBytes: number;
  /** What other users of the device are to find free. */
  readonly minFreeBytes: number;
}

/**
 * What the store takes on the disk. Space is counted from the moment that it is asked for, so that the directory is
 * never larger than the budget. Segments go oldest first and in no other order: a segment may say that something in an
 * older one is gone.
 */
export class DiskSpace {
  readonly #limits: SpaceLimits;
  /** What the device was found to have room for, if that is less than the budget. */
  #shrunkBytes: number;
  /** What leaves `minFreeBytes` to others. */
  #deviceBytes = Infinity;
  readonly #index: DiskIndex;
  /** Oldest first. */
  readonly #segments: Segment[] = [];
  readonly #byOrdinal = new Map<number, Segment>();
  readonly #others: SpaceOthers;
  readonly #contents = new BodyContents();
  readonly #evicted = new Set<number>();
  #usedBytes = 0;
  /** The part of it that is for records that are not written yet. */
  #pendingBytes = 0;

  constructor(limits: SpaceLimits, index: DiskIndex, segments: readonly SegmentInfo[], others: SpaceOthers) {
    this.#others = others;
    this.#limits = limits;
    this.#shrunkBytes = limits.maxBytes;
    this.#index = index;
    for (const { writer, number, bytes } of segments) this.#add({ writer, number }, bytes);
    for (const file of index.bodyFiles()) this.addFile(file);
  }

  get usedBytes(): number {
    return this.#usedBytes;
  }

  /** What the file system shows: not what was only taken so far. */
  get shownBytes(): number {
    const last = this.#segments.at(-1);
    return this.#usedBytes - this.#pendingBytes - (last === undefined ? 0 : last.hintBytes + blockBytes / 2);
  }

  /** What may be taken now; negative when too much is in use. */
  get roomBytes(): number {
    return Math.min(this.#shrunkBytes, this.#deviceBytes) + this.#others.slackBytes() - this.#usedBytes;
  }

  get isOver(): boolean {
    return this.roomBytes < 0;
  }

  get isNearlyOver(): boolean {
    // Where the device leaves little, the headroom must not be most of it.
    const limitBytes = Math.min(this.#shrunkBytes, this.#deviceBytes);
    return this.roomBytes < Math.min(this.#limits.headroomBytes, limitBytes / 16);
  }

  /** Others need so much of the device that nothing more can be taken, and nothing is left to give up for it. */
  get isStarved(): boolean {
    return this.#deviceBytes < this.#usedBytes && !this.hasSealed;
  }

  /** The oldest segment that is not written any more, or else the oldest one. */
  get oldest(): Segment | undefined {
    return this.#segments.find((segment) => !this.#others.isOpen(segment)) ?? this.#segments[0];
  }

  get hasSealed(): boolean {
    return this.#segments.some((segment) => !this.#others.isOpen(segment));
  }

  segments(): readonly Segment[] {
    return this.#segments;
  }

  /** Takes space for a body file that is being written, or gives it back. */
  reserve(bytes: number): void {
    this.#usedBytes += bytes;
  }

  /** Counts a body file that is whole. */
  addFile(file: BodyFile): void {
    if (this.#contents.add(file)) this.#usedBytes += fileCostOf(file.bytes);
  }

  /** A body file that was counted is gone, or will be. */
  removeFile(file: BodyFile): void {
    if (this.#contents.remove(file)) this.#usedBytes -= fileCostOf(file.bytes);
  }

  /** Takes space for records that will be written, or gives it back. */
  reserveRecords(bytes: number): void {
    this.#usedBytes += bytes;
    this.#pendingBytes += bytes;
  }

  /** The device is full: from here on, no more than this much less than now. Grows again with every segment begun. */
  shrink(bytes: number): void {
    this.#shrunkBytes = Math.max(0, Math.min(this.#shrunkBytes, this.#usedBytes - bytes));
  }

  /** The device has so much room left. */
  noteFree(freeBytes: number): void {
    const written = this.#usedBytes - this.#pendingBytes;
    this.#deviceBytes = Math.max(0, written + freeBytes - this.#limits.minFreeBytes);
  }

  /** A record for which space was reserved is now in a segment. `costBytes`: with its part of the hint. */
  settle(name: SegmentName, ordinal: number, recordBytes: number, costBytes: number): void {
    const known = this.#byOrdinal.get(ordinal);
    if (known === undefined) {
      const { maxBytes } = this.#limits;
      this.#shrunkBytes = Math.min(maxBytes, this.#shrunkBytes + Math.ceil(maxBytes / 64));
    }
    const segment = known ?? this.#add(name, 0);
    segment.bytes += costBytes;
    segment.hintBytes += costBytes - recordBytes;
    this.#pendingBytes -= costBytes;
  }

  /** Gives up a segment. Twice is fine. */
  drop(segment: Segment): void {
    const at = this.#segments.indexOf(segment);
    if (at < 0) return;
    this.#segments.splice(at, 1);
    this.#byOrdinal.delete(segment.ordinal);
    this.#usedBytes -= segment.bytes;
  }

  /** Another process has dropped it. */
  forget(ordinal: number): void {
    const segment = this.#byOrdinal.get(ordinal);
    if (segment !== undefined) this.drop(segment);
  }

  wasEvicted(sequence: number): boolean {
    return this.#evicted.has(sequence);
  }

  noteEvicted(sequence: number): void {
    this.#evicted.add(sequence);
    const [first] = this.#evicted;
    if (this.#evicted.size > maxEvictedRemembered && first !== undefined) this.#evicted.delete(first);
  }

  /** It was not evicted after all. */
  forgetEvicted(sequence: number): void {
    this.#evicted.delete(sequence);
  }

  #add(name: SegmentName, fileBytes: number): Segment {
    const bytes = Math.max(fileBytes, 2 * recordHeaderBytes) + blockBytes;
    const segment = { ...name, ordinal: this.#index.ordinalOf(name), bytes, hintBytes: 0 };
    this.#segments.push(segment);
    this.#byOrdinal.set(segment.ordinal, segment);
    this.#usedBytes += bytes;
    return segment;
  }
}

function fileCostOf(bytes: number): number {
  return Math.ceil(bytes / blockBytes) * blockBytes;
}
