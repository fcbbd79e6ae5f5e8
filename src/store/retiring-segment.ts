import type { DiskIndex } from '../disk/index-table.js';
import type { KeyHash } from '../disk/key-hash.js';
import { recordHeaderBytes } from '../disk/record.js';
import { movedCostOf } from '../disk/slot-row.js';
import type { MoveAnswer, MoveTask } from '../protocol/messages.js';
import type { DiskSpace, Segment } from './disk-space.js';

export interface RetiringHost {
  readonly index: DiskIndex;
  readonly space: DiskSpace;
  /** Of the log that is being written. */
  readonly writer: number;
  /** Whether something that was queued removes it already. */
  isLeaving(sequence: number): boolean;
  newSequence(): number;
  /** Says in the log that a response is gone which the index no longer has. */
  noteGone(hash: KeyHash, sequence: number): void;
}

/** What is being copied, and the space that was taken for it. */
interface Flight {
  readonly positions: readonly number[];
  readonly sequences: readonly number[];
  readonly hashes: readonly KeyHash[];
  readonly end: number;
  readonly reservedBytes: number;
}

/** Copied by one batch at the most: commits of the next one wait for it. */
export const maxMoveBytes = 2 * 1024 * 1024;

/** A segment that is about to go, and what of it is copied to the end of the log before. */
export class RetiringSegment {
  readonly segment: Segment;
  readonly #host: RetiringHost;
  readonly #slots: readonly number[];
  #next = 0;
  /** What the copies may still take. */
  #leftBytes: number;
  #flight: Flight | undefined;
  /** Its file goes with the batch after the one that copies from it. */
  isCondemned = false;

  /** `slots`: of what is to be kept; what has a higher priority comes first. */
  constructor(host: RetiringHost, segment: Segment, slots: number[]) {
    const { index } = host;
    this.#host = host;
    this.segment = segment;
    slots.sort((a, b) => index.priorityOf(b) - index.priorityOf(a) || a - b);
    // What left a slot and came back is listed twice.
    this.#slots = slots.filter((slot, i) => slot !== slots[i - 1]);
    this.#leftBytes = segment.bytes / 2;
  }

  get isCopying(): boolean {
    return this.#flight !== undefined;
  }

  get hasMore(): boolean {
    return this.#next < this.#slots.length;
  }

  /** What the next batch is to copy; `undefined`: there is nothing left, or no room for it. */
  nextTask(): MoveTask | undefined {
    const { index, space, newSequence } = this.#host;
    const limitBytes = Math.floor(Math.min(maxMoveBytes, this.#leftBytes, space.roomBytes));
    const places: number[] = [];
    const positions: number[] = [];
    const sequences: number[] = [];
    const hashes: KeyHash[] = [];
    let at = this.#next;
    for (let bytes = 0; at < this.#slots.length && bytes < limitBytes; at += 1) {
      const slot = this.#slots[at] ?? 0;
      const { segment, offset, recordBytes, sequence } = index.placeOf(slot);
      if (!index.isIn(slot, this.segment.ordinal) || this.#host.isLeaving(sequence)) continue;
      bytes += movedCostOf(recordBytes);
      if (positions.length > 0 && bytes > limitBytes) break;
      places.push(segment.writer, segment.number, offset, recordBytes, sequence);
      positions.push(at);
      sequences.push(sequence);
      hashes.push(index.hashOf(slot));
    }
    if (positions.length === 0) return undefined;
    const reservedBytes = limitBytes + positions.length * recordHeaderBytes;
    space.reserveRecords(reservedBytes);
    this.#flight = { positions, sequences, hashes, end: at, reservedBytes };
    return { from: this.segment, limitBytes, sequence: newSequence(), places };
  }

  /** Takes in what came of the task. `undefined`: nobody knows what was copied. */
  settle(answer: MoveAnswer | undefined): { readonly moved: number; readonly damaged: number } {
    const flight = this.#flight;
    this.#flight = undefined;
    if (flight !== undefined) this.#host.space.reserveRecords(-flight.reservedBytes);
    if (flight !== undefined && answer?.outcome === 'moved') return this.#apply(flight, answer);
    this.#next = this.#slots.length;
    return { moved: 0, damaged: 0 };
  }

  #apply(
    flight: Flight,
    { segment: number, places }: Extract<MoveAnswer, { outcome: 'moved' }>,
  ): { readonly moved: number; readonly damaged: number } {
    const { index, space, writer } = this.#host;
    const done = places.length / 2;
    let moved = 0;
    let damaged = 0;
    for (let i = 0; i < done; i += 1) {
      const offset = places[2 * i] ?? 0;
      const recordBytes = places[2 * i + 1] ?? 0;
      if (recordBytes === 0) {
        damaged += offset === 0 ? 1 : 0;
        continue;
      }
      const name = { writer, number };
      const ordinal = index.ordinalOf(name);
      const cost = movedCostOf(recordBytes);
      space.reserveRecords(cost);
      space.settle(name, ordinal, recordBytes, cost);
      this.#leftBytes -= cost;
      const slot = this.#slots[flight.positions[i] ?? -1] ?? -1;
      const sequence = flight.sequences[i] ?? 0;
      const hash = flight.hashes[i];
      if (index.sequenceOf(slot) === sequence && index.isIn(slot, this.segment.ordinal)) {
        index.move(slot, ordinal, offset, recordBytes);
        moved += 1;
      } else if (hash !== undefined && !index.isKnown(hash, sequence)) {
        // It was removed meanwhile, by a record that may lie in another log and be dropped before what was just copied.
        this.#host.noteGone(hash, sequence);
      }
    }
    this.#next = flight.positions[done] ?? flight.end;
    return { moved, damaged };
  }
}
