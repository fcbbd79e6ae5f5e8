import { setImmediate as nextTurn } from 'node:timers/promises';
import type { DiskIndex, LogPlace } from '../disk/index-table.js';
import type { KeyHash } from '../disk/key-hash.js';
import { recordTypes } from '../disk/record.js';
import type { CheckAnswer, WriterFailure } from '../protocol/messages.js';
import type { WriterPool } from '../protocol/pool.js';
import type { MaintainReport, VerifyReport } from './contract.js';
import type { DiskEvictor } from './disk-evictor.js';
import type { RecordWriter } from './disk-record-writer.js';
import type { DiskSpace } from './disk-space.js';

export interface UpkeepParts {
  readonly directory: string;
  readonly index: DiskIndex;
  readonly space: DiskSpace;
  readonly pool: WriterPool;
  readonly records: RecordWriter;
  readonly evictor: DiskEvictor;
  readonly nowMs: () => number;
  isOff(): boolean;
  /** Everything that was appended is durable, and moved what is to be. */
  settled(): Promise<void>;
  /** Removes a damaged response. */
  heal(key: string, hash: KeyHash, sequence: number, detail: string): void;
  onFailure(failure: WriterFailure): void;
}

/** Read by one task of the worker: what is to be stored meanwhile waits for so much. */
const bytesPerTask = 4 * 1024 * 1024;
const placesPerTask = 1024;
const slotsPerTurn = 16_384;
const removalsAtOnce = 512;
const bodyFolders = 256;

/** What is done for the store as a whole now and then, a little at a time, while it goes on. */
export class DiskUpkeep {
  readonly #parts: UpkeepParts;

  constructor(parts: UpkeepParts) {
    this.#parts = parts;
  }

  /** Compares everything that is stored with its checksums. */
  async verify(isRepair: boolean): Promise<VerifyReport> {
    const report = { checked: 0, damaged: 0, repaired: 0, bytes: 0, orphans: 0, orphanBytes: 0 };
    const { index, isOff } = this.#parts;
    let places: LogPlace[] = [];
    for (let slot = 0; slot < index.slotEnd && !isOff(); slot += 1) {
      if (index.sequenceOf(slot) !== 0) places.push(index.placeOf(slot));
      if (places.length < placesPerTask) continue;
      await this.#verifyPlaces(places, isRepair, report);
      places = [];
    }
    await this.#verifyPlaces(places, isRepair, report);
    for (let folder = 0; folder < bodyFolders && !isOff(); folder += 1)
      await this.#findOrphans(folder, isRepair, report);
    await this.#parts.settled();
    return report;
  }

  /** Removes what is expired, and segments that hold nothing any more; the oldest ones also if they hold little. */
  async maintain(): Promise<MaintainReport> {
    const { space, evictor, isOff } = this.#parts;
    const before = { bytes: space.shownBytes, segments: evictor.dropped, moved: evictor.moved };
    const expired = await this.#removeExpired();
    while (!isOff() && evictor.compactOldest()) await this.#parts.settled();
    await this.#parts.settled();
    return {
      expired,
      moved: evictor.moved - before.moved,
      droppedSegments: evictor.dropped - before.segments,
      freedBytes: Math.max(0, before.bytes - space.shownBytes),
    };
  }

  async #removeExpired(): Promise<number> {
    const { index, records, nowMs, isOff } = this.#parts;
    let removed = 0;
    let removals: Promise<boolean>[] = [];
    const settle = async (): Promise<void> => {
      for (const isRemoved of await Promise.all(removals)) if (isRemoved) removed += 1;
      removals = [];
    };
    for (let slot = 0; slot < index.slotEnd && !isOff(); slot += 1) {
      const sequence = index.sequenceOf(slot);
      if (sequence !== 0 && index.isExpired(slot, nowMs()) && !records.isLeaving(sequence)) {
        const removal = records.note({ type: recordTypes.removed, hash: index.hashOf(slot), replaces: sequence });
        removals.push(removal.then((result) => result.outcome === 'written' && result.applied.removed > 0));
      }
      if (removals.length >= removalsAtOnce) await settle();
      else if (slot % slotsPerTurn === slotsPerTurn - 1) await nextTurn();
    }
    await settle();
    return removed;
  }

  async #verifyPlaces(places: readonly LogPlace[], isRepair: boolean, report: Mutable<VerifyReport>): Promise<void> {
    const { directory, pool, isOff } = this.#parts;
    let rest = places;
    let startByte = 0;
    while (rest.length > 0 && !isOff()) {
      const numbers = rest.flatMap(({ segment, offset, recordBytes, sequence }) => [
        segment.writer,
        segment.number,
        offset,
        recordBytes,
        sequence,
      ]);
      const task = { kind: 'check', directory, places: numbers, startByte, limitBytes: bytesPerTask } as const;
      const answer = await pool.check(task);
      report.checked += answer.done;
      report.bytes += answer.bytes;
      for (const found of answer.damaged) this.#noteDamage(rest[found.place], found, isRepair, report);
      rest = rest.slice(answer.done);
      startByte = answer.startByte;
    }
  }

  #noteDamage(
    place: LogPlace | undefined,
    { key, detail }: CheckAnswer['damaged'][number],
    isRepair: boolean,
    report: Mutable<VerifyReport>,
  ): void {
    const { index, heal } = this.#parts;
    if (place === undefined || index.sequenceOf(place.slot) !== place.sequence) return;
    // It was moved while it was read.
    if (!index.isHeadIn(place.slot, place.ordinal)) return;
    report.damaged += 1;
    if (!isRepair) return;
    heal(key, index.hashOf(place.slot), place.sequence, detail);
    report.repaired += 1;
  }

  async #findOrphans(folder: number, remove: boolean, report: Mutable<VerifyReport>): Promise<void> {
    const { index, directory, pool, onFailure } = this.#parts;
    const referred: number[] = [];
    for (const { writer, number } of index.bodyFiles()) {
      if ((number & (bodyFolders - 1)) === folder) referred.push(writer, number);
    }
    const answer = await pool.orphans({ kind: 'orphans', directory, folder, referred, remove });
    report.orphans += answer.files;
    report.orphanBytes += answer.bytes;
    if (remove) report.repaired += answer.files;
    for (const problem of answer.problems) onFailure(problem);
  }
}

type Mutable<T> = { -readonly [Name in keyof T]: T[Name] };
