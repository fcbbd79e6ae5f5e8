import type { SegmentName } from '../disk/index-table.js';
import type { KeyHash } from '../disk/key-hash.js';
import { movedCostOf } from '../disk/slot-row.js';
import type { MoveAnswer, MoveTask } from '../protocol/messages.js';
import type { Segment } from './disk-space.js';
import { EntryHand, FileHand, type Turn } from './eviction-hands.js';
import { maxMoveBytes, type RetiringHost, RetiringSegment } from './retiring-segment.js';

export interface EvictorHost extends RetiringHost {
  readonly maxEntries: number;
  readonly nowMs: () => number;
  /** Removes the files of a segment with the next batch. */
  dropSegment(segment: SegmentName): void;
  /** Nothing of it will be read any more. */
  forgetSegment(ordinal: number): void;
  requestMoves(): void;
  seal(): void;
  /** Body files may have been freed in the index. */
  freeFiles(): void;
  onEvicted(entries: number, bytes: number): void;
  onMoved(entries: number, damaged: number): void;
}

export interface Victim {
  readonly hash: KeyHash;
  readonly replaces: number;
}

/** What has a higher priority than so many have is kept as if it had been used. */
const lowPart = 1 / 8;
const maxVictims = 8;

/**
 * Keeps the store within its limits. The oldest segment goes first; when there is time (from the headroom below the
 * budget on), what was used since it was written or has a high priority is copied to the end of the log before, by the
 * worker and half of the segment at the most, so that every segment that goes gives room. When there is no time, it goes
 * as it is: nothing that is stored waits for room. Bodies in files go one by one.
 */
export class DiskEvictor {
  readonly #host: EvictorHost;
  readonly #files: FileHand;
  readonly #entries: EntryHand;
  #retiring: RetiringSegment | undefined;
  #evictedEntries = 0;
  #evictedBytes = 0;
  #isMakingRoom = false;
  /** Segments that went, and responses that were copied, since it was opened. */
  dropped = 0;
  moved = 0;

  constructor(host: EvictorHost) {
    this.#host = host;
    this.#files = new FileHand(host.index);
    this.#entries = new EntryHand(host.index, host.space);
  }

  /** Called whenever space was taken. Returns whether anything was evicted. */
  makeRoom(): boolean {
    const { space, index } = this.#host;
    const { oldest } = space;
    if (oldest === undefined || this.#isMakingRoom) return false;
    if (!space.isNearlyOver && (index.isLive(oldest.ordinal) || !space.hasSealed)) return false;
    this.#isMakingRoom = true;
    while (this.#step());
    if (space.isOver) this.#host.seal();
    this.#isMakingRoom = false;
    return this.#tell();
  }

  /** Something is to be copied, or is being copied. */
  get isMoving(): boolean {
    return this.#retiring !== undefined;
  }

  /**
   * Copies what is left in the oldest segment if that is so little that it pays, and there is room for it. `false`: it is not;
   * `true`: look again when it is done.
   */
  compactOldest(): boolean {
    const { index, space } = this.#host;
    this.makeRoom();
    if (this.isMoving) return true;
    const { oldest } = space;
    if (oldest === undefined || !space.hasSealed) return false;
    const slots: number[] = [];
    let bytes = 0;
    for (const slot of index.membersOf(oldest.ordinal)) {
      if (!index.isIn(slot, oldest.ordinal)) continue;
      // How long a body behind another head is, only the record says.
      if (!index.isHeadIn(slot, oldest.ordinal)) return false;
      bytes += movedCostOf(index.placeOf(slot).recordBytes);
      slots.push(slot);
    }
    if (bytes > oldest.bytes / 2 || bytes + maxMoveBytes > space.roomBytes) return false;
    this.#begin(oldest, slots);
    return true;
  }

  /** What the batch that is about to go is to copy. */
  takeMoves(): MoveTask | undefined {
    for (;;) {
      const retiring = this.#retiring;
      if (retiring === undefined || retiring.isCopying) return undefined;
      const task = retiring.nextTask();
      if (task !== undefined) return task;
      this.#drop(retiring.segment);
      this.#tell();
      this.makeRoom();
    }
  }

  /** `undefined`: nobody knows what was copied. */
  settleMoves(answer: MoveAnswer | undefined): void {
    const retiring = this.#retiring;
    if (retiring?.isCopying !== true) return;
    const { moved, damaged } = retiring.settle(answer);
    this.moved += moved;
    if (moved + damaged > 0) this.#host.onMoved(moved, damaged);
    if (retiring.isCondemned) this.#forget(retiring.segment);
    else if (retiring.hasMore) this.#host.requestMoves();
    else this.#drop(retiring.segment);
    this.#tell();
    this.makeRoom();
  }

  /** What is to go so that there are no more than `maxEntries`. `coming`: responses on their way in, less those on their way out. */
  takeVictims(coming: number): Victim[] {
    const { index, space, maxEntries, isLeaving } = this.#host;
    const victims: Victim[] = [];
    if (index.count + coming <= maxEntries) return victims;
    const taken = new Set<number>();
    const turn = this.#turn((sequence) => taken.has(sequence) || isLeaving(sequence));
    while (victims.length < maxVictims && index.count + coming - victims.length > maxEntries) {
      const slot = this.#entries.next(turn);
      if (slot < 0) break;
      const sequence = index.sequenceOf(slot);
      taken.add(sequence);
      space.noteEvicted(sequence);
      victims.push({ hash: index.hashOf(slot), replaces: sequence });
    }
    return victims;
  }

  /** Whether it did something, and may have more to do. */
  #step(): boolean {
    const { space, index } = this.#host;
    const { oldest } = space;
    if (oldest === undefined) return false;
    const { hasSealed } = space;
    if (hasSealed && !index.isLive(oldest.ordinal) && this.#retiring?.segment !== oldest) this.#drop(oldest);
    else if (!space.isNearlyOver) return false;
    else if (this.#evictFile(oldest)) return true;
    else if (!hasSealed) return false;
    else if (space.isOver) this.#drop(oldest);
    else if (this.#retiring !== undefined || this.#retire(oldest)) return false;
    else this.#drop(oldest);
    return true;
  }

  #turn(isGoing: (sequence: number) => boolean): Turn {
    const { index, nowMs } = this.#host;
    return { nowMs: nowMs(), commonPriority: index.commonPriority(lowPart), isGoing };
  }

  /** One whose head is in the oldest segment; if there is no time to copy heads, any. */
  #evictFile(oldest: Segment): boolean {
    const { index, space, isLeaving } = this.#host;
    const isAnyDue = space.isOver && index.holdsFileHeads(oldest.ordinal);
    const isDue = (slot: number): boolean => isAnyDue || index.isIn(slot, oldest.ordinal);
    const slot = this.#files.next(this.#turn(isLeaving), isDue);
    if (slot < 0) return false;
    const sequence = index.sequenceOf(slot);
    const hash = index.hashOf(slot);
    const { usedBytes } = space;
    this.#evictedEntries += 1;
    index.forget(slot);
    space.noteEvicted(sequence);
    this.#host.freeFiles();
    this.#evictedBytes += usedBytes - space.usedBytes;
    this.#host.noteGone(hash, sequence);
    return true;
  }

  /** Chooses what of a segment is to be kept; `false` if there is nothing. */
  #retire(segment: Segment): boolean {
    const { index, isLeaving } = this.#host;
    const { nowMs, commonPriority } = this.#turn(isLeaving);
    const slots: number[] = [];
    for (const slot of index.membersOf(segment.ordinal)) {
      if (!index.isIn(slot, segment.ordinal) || index.isExpired(slot, nowMs)) continue;
      const priority = index.priorityOf(slot);
      // Whether a file goes is decided before its head's segment does.
      const isFile = index.bodyFileOf(slot) !== undefined;
      if (isFile || priority > commonPriority || (priority === commonPriority && index.wasUsed(slot))) slots.push(slot);
    }
    if (slots.length === 0) return false;
    this.#begin(segment, slots);
    return true;
  }

  #begin(segment: Segment, slots: number[]): void {
    this.#retiring = new RetiringSegment(this.#host, segment, slots);
    this.#host.requestMoves();
  }

  /** Gives up the oldest segment. What is being copied from it stays in the index until that is done. */
  #drop(segment: Segment): void {
    const { space } = this.#host;
    space.drop(segment);
    this.dropped += 1;
    this.#evictedBytes += segment.bytes;
    this.#host.dropSegment(segment);
    if (this.#retiring?.segment === segment && this.#retiring.isCopying) this.#retiring.isCondemned = true;
    else this.#forget(segment);
  }

  #forget(segment: Segment): void {
    const { index, space } = this.#host;
    if (this.#retiring?.segment === segment) this.#retiring = undefined;
    for (const sequence of index.dropSegment(segment.ordinal)) {
      this.#evictedEntries += 1;
      space.noteEvicted(sequence);
    }
    this.#host.forgetSegment(segment.ordinal);
    this.#host.freeFiles();
  }

  #tell(): boolean {
    const entries = this.#evictedEntries;
    const bytes = this.#evictedBytes;
    this.#evictedEntries = 0;
    this.#evictedBytes = 0;
    if (entries > 0 || bytes > 0) this.#host.onEvicted(entries, bytes);
    return bytes > 0;
  }
}
