import type { DiskIndex, SegmentName } from '../disk/index-table.js';
import { recordCostOf, recordHeaderBytes } from '../disk/record.js';
import type { SegmentInfo } from '../protocol/messages.js';

/** File systems give out space in blocks of this length, mostly. */
const blockBytes = 4096;
/** Evicted sequences that are remembered: a response that replaces an evicted one is not late. */
const maxEvictedRemembered = 4096;

interface Segment extends SegmentName {
  readonly ordinal: number;
  bytes: number;
}

export interface Eviction {
  readonly segments: readonly Segment[];
  readonly entries: number;
  readonly bytes: number;
}

/**
 * What the store takes on the disk. Space is counted from the moment that it is asked for, so that the directory is
 * never larger than the budget. Segments go oldest first and in no other order: a segment may say that something in an
 * older one is gone.
 */
export class DiskSpace {
  readonly maxBytes: number;
  /** What the device has room for, if that is less. */
  #limitBytes: number;
  readonly #index: DiskIndex;
  /** Oldest first. */
  readonly #segments: Segment[] = [];
  readonly #evicted = new Set<number>();
  #usedBytes = 0;

  constructor(maxBytes: number, index: DiskIndex, segments: readonly SegmentInfo[]) {
    this.maxBytes = maxBytes;
    this.#limitBytes = maxBytes;
    this.#index = index;
    for (const { writer, number, bytes } of segments) this.#add({ writer, number }, bytes);
    for (const file of index.bodyFiles()) this.#usedBytes += fileCostOf(file.bytes);
  }

  get usedBytes(): number {
    return this.#usedBytes;
  }

  get isOver(): boolean {
    return this.#usedBytes > this.#limitBytes;
  }

  /** Takes space for what will be written, or gives it back. */
  reserve(bytes: number): void {
    this.#usedBytes += bytes;
  }

  release(bytes: number): void {
    this.#usedBytes -= bytes;
  }

  /** The device is full: from here on, no more than this much less than now. Grows again with every segment begun. */
  shrink(bytes: number): void {
    this.#limitBytes = Math.max(0, Math.min(this.#limitBytes, this.#usedBytes - bytes));
  }

  /** A record for which space was reserved is now in a segment. */
  settle(name: SegmentName, ordinal: number, recordBytes: number): void {
    const last = this.#segments.at(-1);
    const isNew = last?.ordinal !== ordinal;
    if (isNew) this.#limitBytes = Math.min(this.maxBytes, this.#limitBytes + Math.ceil(this.maxBytes / 64));
    const segment = isNew ? this.#add(name, 0) : last;
    segment.bytes += recordCostOf(recordBytes);
  }

  wasEvicted(sequence: number): boolean {
    return this.#evicted.has(sequence);
  }

  /**
   * Takes the oldest segments out of the index until the rest fits, and dead ones whatever fits. The newest stays, for it
   * may still be written. `undefined` when there is nothing to take.
   */
  evict(): Eviction | undefined {
    const segments: Segment[] = [];
    let entries = 0;
    let bytes = 0;
    while (this.#segments.length > 1) {
      const oldest = this.#segments[0];
      if (oldest === undefined || (!this.isOver && this.#index.isLive(oldest.ordinal))) break;
      this.#segments.shift();
      for (const sequence of this.#index.dropSegment(oldest.ordinal)) {
        entries += 1;
        this.#remember(sequence);
      }
      this.#usedBytes -= oldest.bytes;
      bytes += oldest.bytes;
      segments.push(oldest);
    }
    return segments.length === 0 ? undefined : { segments, entries, bytes };
  }

  #add(name: SegmentName, fileBytes: number): Segment {
    const bytes = Math.max(fileBytes, recordCostOf(recordHeaderBytes)) + blockBytes;
    const segment = { ...name, ordinal: this.#index.ordinalOf(name), bytes };
    this.#segments.push(segment);
    this.#usedBytes += bytes;
    return segment;
  }

  #remember(sequence: number): void {
    this.#evicted.add(sequence);
    const [first] = this.#evicted;
    if (this.#evicted.size > maxEvictedRemembered && first !== undefined) this.#evicted.delete(first);
  }
}

export function fileCostOf(bytes: number): number {
  return Math.ceil(bytes / blockBytes) * blockBytes;
}
