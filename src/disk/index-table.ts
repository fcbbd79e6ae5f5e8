import { type EntriesParts, IndexEntries } from './index-entries.js';
import type { KeyHash } from './key-hash.js';
import type { BodyFile, LogPlace } from './places.js';
import { RecentChanges, type RecentChangesParts } from './recent-changes.js';
import { bodyPlaces, exactRemoval, type RecordHeader, recordTypes } from './record.js';
import { rowPlaces } from './slot-row.js';
import type { PlacedRows } from './slot-table.js';

export type { BodyFile, LogPlace, SegmentName } from './places.js';

/** What came of applying a record. */
export interface Applied {
  /** Where the record's response is now; `undefined` when there is none. */
  readonly place: LogPlace | undefined;
  /** How many stored responses it removed. */
  readonly removed: number;
}

/** The arrays of an index, to move it between threads. */
export interface IndexParts {
  readonly entries: EntriesParts;
  readonly lastSequence: number;
  readonly recent: RecentChangesParts;
}

/**
 * What is stored, as the records say. It is a function of the logs, those of several writers too: the same records give the same index whether they are
 * applied as they are acknowledged, as another writer's log is followed, or read back at opening, also when the oldest segments are gone by then. What
 * one writer decided on without knowing of another's record, the sequences decide (`FORMAT.md`).
 */
export class DiskIndex extends IndexEntries {
  readonly #newest: { lastSequence: number };
  readonly recent: RecentChanges;

  /** Of `parts` that came from another thread, or empty with room for so many responses; `placed`: with rows of hints, which nobody finds yet. */
  constructor(parts?: IndexParts, slots = 0, placed?: PlacedRows) {
    super(parts?.entries, slots, placed);
    this.#newest = { lastSequence: parts?.lastSequence ?? 0 };
    this.recent = new RecentChanges(parts?.recent);
  }

  /** The arrays, which are this index's no more once they were passed on. */
  toParts(): IndexParts {
    return { entries: this.entriesToParts(), lastSequence: this.#newest.lastSequence, recent: this.recent.toParts() };
  }

  get lastSequence(): number {
    return this.#newest.lastSequence;
  }

  /** Whether a response is there, under whatever head by now. */
  isKnown(hash: KeyHash, sequence: number): boolean {
    const current = this.recent.currentOf(sequence);
    return current !== undefined && this.slotOf(hash, current) >= 0;
  }

  /** From now on a namespace holds nothing older than this, and the slots of what it held wait for `sweep`. Returns how many those are. */
  flushNamespace(namespaceHash: number, sequence: number): number {
    return this.names.flush(namespaceHash, sequence);
  }

  /** Takes back the slots of flushed namespaces among so many, from `slot` on. Returns where to go on; -1 when there are none left. */
  sweep(slot: number, slots: number): number {
    const end = Math.min(this.slotEnd, slot + slots);
    for (let at = slot; at < end && this.names.flushedCount > 0; at += 1) {
      if (!this.slots.isLinked(at)) continue;
      const sequence = this.slots.sequenceOf(at);
      const id = this.slots.namespaceIdOf(at);
      if (this.isFlushed(at)) this.removeEntry(at);
      else if (!this.names.isGood(id)) {
        const flushedAt = this.names.flushedAtOf(id);
        if (this.recent.isOlder(sequence, flushedAt)) this.#removeFor(at, flushedAt);
        else this.#enterAnew(at, id);
      }
    }
    return this.names.flushedCount > 0 && end < this.slotEnd ? end : -1;
  }

  /** Takes in a record. `place` in the answer is `undefined` when something newer has overtaken it. */
  apply(header: RecordHeader, segment: number, offset: number): Applied {
    const isNewest = this.#noteNewest(header.sequence);
    switch (header.type) {
      case recordTypes.stored: {
        const removed = header.replaces > 0 ? this.#takeAway(header) : 0;
        const place = this.#insertUnlessOvertaken(header, segment, offset);
        if (place === undefined && header.place === bodyPlaces.file && !this.#hasNewerHead(header.sequence)) {
          this.files.free(fileOf(header));
        }
        return { place, removed };
      }
      case recordTypes.freshened:
        return this.#freshen(header, segment, offset);
      case recordTypes.moved:
        return { place: this.#insertUnlessOvertaken(header, segment, offset), removed: 0 };
      case recordTypes.removed:
        return { place: undefined, removed: this.#takeAway(header) };
      case recordTypes.keyInvalidated:
        return { place: undefined, removed: this.#invalidateKey(header) };
      case recordTypes.cleared:
        return { place: undefined, removed: isNewest ? this.#clear(header) : this.#clearOlder(header) };
      case recordTypes.namespaceFlushed:
        return { place: undefined, removed: this.flushNamespace(header.namespaceHash, header.sequence) };
      default:
        return { place: undefined, removed: 0 };
    }
  }

  /** Copies rows of a hint into slots, from the returned one on. Nobody finds them before they are applied; those that are not to be are released. */
  placeRows(rows: Uint8Array): number {
    return this.slots.place(rows);
  }

  releaseRow(slot: number): void {
    this.slots.release(slot);
  }

  /** Of a slot with a row that was placed. */
  rowSequenceOf(slot: number): number {
    return this.slots.sequenceOf(slot);
  }

  /** Of a slot with a row that was placed. */
  rowOffsetOf(slot: number): number {
    return this.slots.wordOf(slot, rowPlaces.offset);
  }

  /** Where a run of placed rows ends of which each is not newer than `limit`, and lies before `endOffset` in its segment. */
  runEnd(from: number, to: number, limit: number, endOffset: number): number {
    return this.slots.runEnd(from, to, limit, endOffset);
  }

  /** Takes in records that only add a response, and of which the rows are placed already: nearly all are such, and opening reads them all. */
  applyRows(from: number, to: number, segment: number): void {
    for (let slot = from; slot < to; ) {
      const after = Math.max(this.recent.newestConcerned, this.names.lastFlushOf(0));
      slot = this.insertRun(slot, to, after, { segment, tally: this.#newest });
      if (slot === to) return;
      this.#applyRow(slot, segment);
      slot += 1;
    }
  }

  #applyRow(slot: number, segment: number): void {
    const sequence = this.slots.sequenceOf(slot);
    this.#noteNewest(sequence);
    if (this.#isRowOvertaken(slot, sequence)) {
      this.slots.release(slot);
      return;
    }
    // Of a response that was moved, the row in an older segment may still be there.
    const older = this.slots.firstFor(slot) < 0 ? -1 : this.slotOf(this.slots.hashOf(slot), sequence);
    if (older >= 0) this.removeEntry(older);
    const namespaceId = this.names.enter(0, sequence);
    if (namespaceId === undefined) this.slots.release(slot);
    else this.insertRow(slot, segment, namespaceId);
  }

  #noteNewest(sequence: number): boolean {
    if (sequence <= this.#newest.lastSequence) return false;
    this.#newest.lastSequence = sequence;
    return true;
  }

  #isRowOvertaken(slot: number, sequence: number): boolean {
    if (this.recent.isIrrelevantTo(sequence)) return false;
    return this.recent.isCovered(this.slots.hashOf(slot), sequence) || this.recent.currentOf(sequence) !== sequence;
  }

  #hasBody(header: RecordHeader): boolean {
    return header.place !== bodyPlaces.log || this.segments.isKnown(header.bodyWriter, header.bodyNumber);
  }

  /** Removes what a record names, under whatever head it is known by now unless the record says otherwise. */
  #takeAway({ type, hash, replaces, sequence, bodyOffset }: RecordHeader): number {
    if (type === recordTypes.removed && bodyOffset === exactRemoval) return this.#removeExactly(hash, replaces);
    const current = this.recent.currentOf(replaces);
    if (current === undefined) return 0;
    this.recent.noteGone(current, sequence);
    return this.#removeExactly(hash, current);
  }

  #removeExactly(hash: KeyHash, sequence: number): number {
    const slot = this.slotOf(hash, sequence);
    if (slot < 0) return 0;
    this.removeEntry(slot);
    return 1;
  }

  #freshen(header: RecordHeader, segment: number, offset: number): Applied {
    const { hash, sequence, replaces } = header;
    const current = this.recent.currentOf(replaces);
    const isCovered = (at: number): boolean =>
      this.recent.isCovered(hash, at) || this.names.wasFlushed(header.namespaceHash, at);
    if (current === undefined || isCovered(current)) {
      // By somebody who did not know of this record.
      this.recent.noteGone(sequence, sequence);
      return { place: undefined, removed: 0 };
    }
    if (current > sequence) {
      this.recent.noteOvertaken(sequence, current);
      return { place: undefined, removed: 0 };
    }
    this.recent.noteSuccessor(current, sequence, sequence);
    const old = this.slotOf(hash, current);
    // Who was validated was used.
    const wasUsed = old >= 0 && this.wasUsed(old);
    if (old >= 0) {
      // The file goes over to the new head.
      if (header.place === bodyPlaces.file) this.dropFile(old);
      this.removeEntry(old);
    }
    const place = this.#hasBody(header) ? this.#insertUnlessOvertaken(header, segment, offset) : undefined;
    if (wasUsed && place !== undefined) this.touch(this.slotOf(hash, sequence));
    return { place, removed: old < 0 ? 0 : 1 };
  }

  #invalidateKey({ hash, sequence, replaces }: RecordHeader): number {
    const before = replaces > 0 ? replaces : sequence;
    this.recent.noteInvalidated(hash, before, sequence);
    const covered: number[] = [];
    let removed = 0;
    for (let slot = this.slots.first(hash); slot >= 0; slot = this.slots.next(slot)) {
      if (!this.recent.isOlder(this.slots.sequenceOf(slot), before)) continue;
      covered.push(slot);
      if (!this.isFlushed(slot)) removed += 1;
    }
    for (const slot of covered) this.#removeFor(slot, sequence);
    return removed;
  }

  #clear({ sequence, replaces }: RecordHeader): number {
    if (replaces > 0) return this.#clearOlder({ sequence, replaces });
    this.recent.noteCleared(sequence);
    const removed = this.count;
    this.clearEntries();
    return removed;
  }

  /** Something newer is there already. */
  #clearOlder({ sequence, replaces }: Pick<RecordHeader, 'sequence' | 'replaces'>): number {
    const before = replaces > 0 ? replaces : sequence;
    this.recent.noteCleared(before);
    let removed = 0;
    const end = this.slots.count === 0 ? 0 : this.slotEnd;
    for (let slot = 0; slot < end; slot += 1) {
      const stored = this.slots.sequenceOf(slot);
      if (!this.slots.isLinked(slot) || !this.recent.isOlder(stored, before)) continue;
      if (!this.isFlushed(slot)) removed += 1;
      this.#removeFor(slot, sequence);
    }
    return removed;
  }

  /** Removes a response on account of a record: a new head for it that comes later comes too late. */
  #removeFor(slot: number, by: number): void {
    this.recent.noteGone(this.slots.sequenceOf(slot), by);
    this.removeEntry(slot);
  }

  #insertUnlessOvertaken(header: RecordHeader, segment: number, offset: number): LogPlace | undefined {
    const { hash, sequence } = header;
    if (!this.recent.isCovered(hash, sequence) && this.recent.currentOf(sequence) === sequence) {
      return this.#insert(header, segment, offset);
    }
    return undefined;
  }

  #hasNewerHead(sequence: number): boolean {
    const current = this.recent.currentOf(sequence);
    return current !== undefined && current > sequence;
  }

  #insert(header: RecordHeader, segment: number, offset: number): LogPlace | undefined {
    const namespaceId = this.names.enter(header.namespaceHash, header.sequence);
    const file = header.place === bodyPlaces.file ? fileOf(header) : undefined;
    if (namespaceId === undefined) {
      if (file !== undefined) this.files.free(file);
      return undefined;
    }
    const { bodyWriter: writer, bodyNumber: number } = header;
    const bodySegment = header.place === bodyPlaces.log ? this.ordinalOf({ writer, number }) : segment;
    return this.insertEntry({ ...header, segment, bodySegment, offset, file }, namespaceId);
  }

  /** What was stored after the flush that took its namespace's id, but came to us before. */
  #enterAnew(slot: number, id: number): void {
    const namespaceId = this.names.enter(this.names.hashOf(id), this.slots.sequenceOf(slot));
    if (namespaceId === undefined) {
      this.removeEntry(slot);
      return;
    }
    this.slots.setNamespaceId(slot, namespaceId);
    this.names.leave(id);
  }
}

/** The body of a record that is in a file. */
export function fileOf(header: RecordHeader): BodyFile {
  const { bodyWriter: writer, bodyNumber: number, bodyBytes: bytes, bodyOffset: content } = header;
  return { writer, number, bytes, content };
}
