import type { KeyHash } from './key-hash.js';
import { type NamespaceParts, NamespaceTable } from './namespace-table.js';
import { RecentChanges, type RecentChangesParts } from './recent-changes.js';
import {
  bodyPlaces,
  exactRemoval,
  headerPlaces,
  isPlainAddition,
  type RecordHeader,
  recordTypes,
  sequenceAt,
} from './record.js';
import { SegmentMembers } from './segment-members.js';

export interface SegmentName {
  readonly writer: number;
  readonly number: number;
}

/** A body that has a file of its own. */
export interface BodyFile {
  readonly writer: number;
  readonly number: number;
  readonly bytes: number;
  /** See `contentOf`. */
  readonly content: number;
}

/** Where a stored response is in the log. */
export interface LogPlace {
  /** Where it is in the index, as long as `sequence` is there. */
  readonly slot: number;
  /** The segment's number in the index. */
  readonly ordinal: number;
  readonly segment: SegmentName;
  readonly offset: number;
  readonly recordBytes: number;
  readonly sequence: number;
}

/** What came of applying a record. */
export interface Applied {
  /** Where the record's response is now; `undefined` when there is none. */
  readonly place: LogPlace | undefined;
  /** How many stored responses it removed. */
  readonly removed: number;
}

/** The arrays of an index, to move it between threads. */
export interface IndexParts {
  readonly table: Uint32Array<ArrayBuffer>;
  readonly hash: Uint32Array<ArrayBuffer>;
  readonly sequence: Float64Array<ArrayBuffer>;
  readonly columns: Uint32Array<ArrayBuffer>;
  readonly used: number;
  readonly count: number;
  readonly free: number;
  readonly lastSequence: number;
  readonly segments: readonly SegmentName[];
  readonly live: readonly number[];
  readonly bodyFiles: ReadonlyMap<number, BodyFile>;
  readonly namespaces: NamespaceParts;
  readonly recent: RecentChangesParts;
  readonly members: readonly Uint32Array<ArrayBuffer>[];
  readonly priorities: Uint32Array<ArrayBuffer>;
}

const none = 0xffffffff;
const noSegment: SegmentName = { writer: 0, number: 0 };
/** Words of a slot in `columns`. */
const words = 9;
const segmentWord = 0;
const offsetWord = 1;
const lengthWord = 2;
const nextWord = 3;
const bodySegmentWord = 4;
const hostWord = 5;
const tagWord = 6;
const useWord = 7;
const expiryWord = 8;
const priorities = 256;

/**
 * Where every stored response is: an open-addressing hash table over slots in typed arrays, 64 bytes a slot, 4 for the list of its segment and 8 to
 * 16 of table, so that a million of them are nothing to the garbage collector. Variants of a key are chained.
 *
 * It is a function of the logs, those of several writers too: the same records give the same index whether they are applied as they are
 * acknowledged, as another writer's log is followed, or read back at opening, also when the oldest segments are gone by then. What
 * one writer decided on without knowing of another's record, the sequences decide (`FORMAT.md`).
 */
export class DiskIndex {
  #table: Uint32Array<ArrayBuffer>;
  #hash: Uint32Array<ArrayBuffer>;
  #sequence: Float64Array<ArrayBuffer>;
  #columns: Uint32Array<ArrayBuffer>;
  #used = 0;
  #count = 0;
  #free = none;
  #lastSequence = 0;
  readonly #segments: SegmentName[] = [];
  readonly #ordinals = new Map<string, number>();
  /** By segment: how many heads and bodies of responses are in it. */
  readonly #live: number[] = [];
  readonly #bodyFiles = new Map<number, BodyFile>();
  readonly #namespaces: NamespaceTable;
  readonly recent: RecentChanges;
  readonly #members: SegmentMembers;
  /** By priority, from the lowest: how many responses have it. */
  readonly #priorities: Uint32Array<ArrayBuffer>;
  /** By segment: how many responses with a body file have their head in it. */
  readonly #fileHeads: number[] = [];
  #freed: BodyFile[] = [];

  /** Of `parts` that came from another thread, or empty with room for so many responses. */
  constructor(parts?: IndexParts, slots = 0) {
    const room = Math.max(1024, slots);
    this.#table = parts?.table ?? new Uint32Array(2 ** Math.ceil(Math.log2(2 * room)));
    this.#hash = parts?.hash ?? new Uint32Array(4 * room);
    this.#sequence = parts?.sequence ?? new Float64Array(room);
    this.#columns = parts?.columns ?? new Uint32Array(words * room);
    this.#namespaces = new NamespaceTable(parts?.namespaces);
    this.recent = new RecentChanges(parts?.recent);
    this.#members = new SegmentMembers(parts?.members);
    this.#priorities = parts?.priorities ?? new Uint32Array(priorities);
    if (parts === undefined) return;
    this.#used = parts.used;
    this.#count = parts.count;
    this.#free = parts.free;
    this.#lastSequence = parts.lastSequence;
    for (const name of parts.segments) this.ordinalOf(name);
    this.#live = [...parts.live];
    this.#bodyFiles = new Map(parts.bodyFiles);
    for (const slot of this.#bodyFiles.keys()) this.#countFile(slot, 1);
  }

  /** The arrays, which are this index's no more once they were transferred. */
  toParts(): IndexParts {
    return {
      table: this.#table,
      hash: this.#hash,
      sequence: this.#sequence,
      columns: this.#columns,
      used: this.#used,
      count: this.#count,
      free: this.#free,
      lastSequence: this.#lastSequence,
      segments: this.#segments,
      live: this.#live,
      bodyFiles: this.#bodyFiles,
      namespaces: this.#namespaces.toParts(),
      recent: this.recent.toParts(),
      members: this.#members.toLists(this.#segments.length),
      priorities: this.#priorities,
    };
  }

  get count(): number {
    return this.#count - this.#namespaces.flushedCount;
  }

  /** Which namespaces hold something. */
  get namespaces(): Pick<NamespaceTable, 'usedCount' | 'isUsed' | 'countOf'> {
    return this.#namespaces;
  }

  /** Slots are numbered from 0 to this; not all of them are in use. */
  get slotEnd(): number {
    return this.#used;
  }

  get memoryBytes(): number {
    return this.#table.byteLength + this.#hash.byteLength + this.#sequence.byteLength + this.#columns.byteLength;
  }

  get lastSequence(): number {
    return this.#lastSequence;
  }

  /** A small number for a segment, the same as long as this index lives. */
  ordinalOf({ writer, number }: SegmentName): number {
    const key = `${writer}-${number}`;
    const known = this.#ordinals.get(key);
    if (known !== undefined) return known;
    const ordinal = this.#segments.push({ writer, number }) - 1;
    this.#live.push(0);
    this.#ordinals.set(key, ordinal);
    return ordinal;
  }

  /** Whether anything that can be found is in a segment. */
  isLive(ordinal: number): boolean {
    return (this.#live[ordinal] ?? 0) > 0;
  }

  /** The first slot of a key's chain, or -1. */
  find(hash: KeyHash): number {
    return this.#unlessFlushed(this.#first(hash));
  }

  /** The next slot with the same hash, or -1. */
  nextOf(slot: number): number {
    return this.#unlessFlushed(this.#next(slot));
  }

  /** 0 for a slot that is not in use, or whose namespace was flushed. */
  sequenceOf(slot: number): number {
    return this.#isFlushed(slot) ? 0 : (this.#sequence[slot] ?? 0);
  }

  namespaceOf(slot: number): number {
    return this.#namespaces.hashOf(this.#namespaceIdOf(slot));
  }

  placeOf(slot: number): LogPlace {
    const ordinal = this.#word(slot, segmentWord);
    return {
      slot,
      ordinal,
      segment: this.#segments[ordinal] ?? noSegment,
      offset: this.#word(slot, offsetWord),
      recordBytes: this.#word(slot, lengthWord),
      sequence: this.sequenceOf(slot),
    };
  }

  hashOf(slot: number): KeyHash {
    const at = 4 * slot;
    const all = this.#hash;
    return { a: all[at] ?? 0, b: all[at + 1] ?? 0, c: all[at + 2] ?? 0, d: all[at + 3] ?? 0 };
  }

  hostHashOf(slot: number): number {
    return this.#word(slot, hostWord);
  }

  tagBitsOf(slot: number): number {
    return this.#word(slot, tagWord);
  }

  bodyFileOf(slot: number): BodyFile | undefined {
    return this.#bodyFiles.get(slot);
  }

  bodyFiles(): IterableIterator<BodyFile> {
    return this.#bodyFiles.values();
  }

  /** Whether a response is there, under whatever head by now. */
  isKnown(hash: KeyHash, sequence: number): boolean {
    const current = this.recent.currentOf(sequence);
    return current !== undefined && this.slotOf(hash, current) >= 0;
  }

  /** Slots of responses with a body file, in order of arrival but for those that were put last. */
  fileSlots(): IterableIterator<number> {
    return this.#bodyFiles.keys();
  }

  /** Makes a response with a body file the last of `fileSlots`. */
  putFileLast(slot: number): void {
    const file = this.#bodyFiles.get(slot);
    if (file === undefined) return;
    this.#bodyFiles.delete(slot);
    this.#bodyFiles.set(slot, file);
  }

  /** Whether the head of a response with a body file is in a segment. */
  holdsFileHeads(segment: number): boolean {
    return (this.#fileHeads[segment] ?? 0) > 0;
  }

  /** Forgets one response, as if a record had removed it. */
  forget(slot: number): void {
    if (this.sequenceOf(slot) > 0) this.#remove(slot);
  }

  /** The slot of one stored response, or -1. */
  slotOf(hash: KeyHash, sequence: number): number {
    for (let slot = this.find(hash); slot >= 0; slot = this.nextOf(slot)) {
      if (this.#sequence[slot] === sequence) return slot;
    }
    return -1;
  }

  /** Marks that the response at `slot` was used since it was written. */
  touch(slot: number): void {
    const at = slot * words + useWord;
    this.#columns[at] = (this.#columns[at] ?? 0) | 1;
  }

  wasUsed(slot: number): boolean {
    return (this.#word(slot, useWord) & 1) !== 0;
  }

  priorityOf(slot: number): number {
    return (this.#word(slot, useWord) << 16) >> 24;
  }

  /** From now on a namespace holds nothing older than this, and the slots of what it held wait for `sweep`. Returns how many those are. */
  flushNamespace(namespaceHash: number, sequence: number): number {
    return this.#namespaces.flush(namespaceHash, sequence);
  }

  /** Takes back the slots of flushed namespaces among so many, from `slot` on. Returns where to go on; -1 when there are none left. */
  sweep(slot: number, slots: number): number {
    const end = Math.min(this.#used, slot + slots);
    for (let at = slot; at < end && this.#namespaces.flushedCount > 0; at += 1) {
      if (this.#sequence[at] === 0) continue;
      const id = this.#namespaceIdOf(at);
      if (this.#isFlushed(at)) this.#remove(at);
      else if (!this.#namespaces.isGood(id)) {
        const flushedAt = this.#namespaces.flushedAtOf(id);
        if (this.recent.isOlder(this.#sequence[at] ?? 0, flushedAt)) this.#removeFor(at, flushedAt);
        else this.#enterAnew(at, id);
      }
    }
    return this.#namespaces.flushedCount > 0 && end < this.#used ? end : -1;
  }

  /** As if it had not been used. */
  forgetUse(slot: number): void {
    const at = slot * words + useWord;
    this.#columns[at] = (this.#columns[at] ?? 0) & ~1;
  }

  /** Whether a response is of no use any more. */
  isExpired(slot: number, nowMs: number): boolean {
    const expiry = this.#word(slot, expiryWord);
    return expiry > 0 && 1000 * expiry <= nowMs;
  }

  /** The lowest priority that `part` of all responses or more do not exceed. */
  commonPriority(part: number): number {
    let count = 0;
    for (let i = 0; i < priorities; i += 1) {
      count += this.#priorities[i] ?? 0;
      if (count > 0 && count >= part * this.#count) return i - 128;
    }
    return 0;
  }

  /** Slots that had their head or body in a segment, in the order of the log; `isIn` tells which still have. */
  membersOf(segment: number): Uint32Array {
    return this.#members.of(segment);
  }

  /** Whether a slot is in use, and its head or body in a segment. */
  isIn(slot: number, segment: number): boolean {
    if (this.sequenceOf(slot) === 0) return false;
    return this.#word(slot, segmentWord) === segment || this.#word(slot, bodySegmentWord) === segment;
  }

  isHeadIn(slot: number, segment: number): boolean {
    return this.sequenceOf(slot) > 0 && this.#word(slot, segmentWord) === segment;
  }

  /** A response is now, head and body, in another place of the log. */
  move(slot: number, segment: number, offset: number, recordBytes: number): void {
    const hasFile = this.#bodyFiles.has(slot);
    this.#countLive(slot, -1);
    if (hasFile) this.#countFile(slot, -1);
    const at = slot * words;
    this.#columns[at + segmentWord] = segment;
    this.#columns[at + offsetWord] = offset;
    this.#columns[at + lengthWord] = recordBytes;
    this.#columns[at + bodySegmentWord] = segment;
    this.forgetUse(slot);
    this.#countLive(slot, 1);
    if (hasFile) this.#countFile(slot, 1);
    this.#members.add(segment, slot);
  }

  /** Body files that nothing refers to any more, since this was last asked. */
  takeFreedFiles(): readonly BodyFile[] {
    const freed = this.#freed;
    this.#freed = [];
    return freed;
  }

  /** Takes in a record. `place` in the answer is `undefined` when something newer has overtaken it. */
  apply(header: RecordHeader, segment: number, offset: number): Applied {
    const isNewest = header.sequence > this.#lastSequence;
    if (isNewest) this.#lastSequence = header.sequence;
    switch (header.type) {
      case recordTypes.stored: {
        const removed = header.replaces > 0 ? this.#takeAway(header) : 0;
        const place = this.#insertUnlessOvertaken(header, segment, offset);
        if (place === undefined && header.place === bodyPlaces.file && !this.#hasNewerHead(header.sequence)) {
          this.#freed.push(fileOf(header));
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

  /**
   * Takes in a record that only adds a response, straight from its row in a hint: nearly all are such, and opening reads them all.
   * `false`: it is not as simple as that, and nothing was done.
   */
  applyPlain(view: DataView, at: number, segment: number, offset: number): boolean {
    const sequence = sequenceAt(view, at);
    if (!isPlainAddition(view, at) || !this.recent.isIrrelevantTo(sequence)) return false;
    if (2 * this.#count >= this.#table.length) this.#growTable();
    const hashAt = at + headerPlaces.hash;
    const a = view.getUint32(hashAt, true);
    const b = view.getUint32(hashAt + 4, true);
    const c = view.getUint32(hashAt + 8, true);
    const d = view.getUint32(hashAt + 12, true);
    const position = this.#positionOfWords(a, b, c, d);
    if (this.#table[position] !== 0) return false;
    const namespace = this.#namespaces.enter(0, sequence);
    if (namespace === undefined) return false;
    const slot = this.#takeSlot();
    this.#table[position] = slot + 1;
    const hash = 4 * slot;
    this.#hash[hash] = a;
    this.#hash[hash + 1] = b;
    this.#hash[hash + 2] = c;
    this.#hash[hash + 3] = d;
    this.#sequence[slot] = sequence;
    const column = slot * words;
    const columns = this.#columns;
    columns[column + nextWord] = none;
    columns[column + segmentWord] = segment;
    columns[column + offsetWord] = offset;
    columns[column + lengthWord] = view.getUint32(at + headerPlaces.recordBytes, true);
    columns[column + bodySegmentWord] = segment;
    columns[column + hostWord] = view.getUint32(at + headerPlaces.hostHash, true);
    columns[column + tagWord] = view.getUint32(at + headerPlaces.tagBits, true);
    columns[column + useWord] = (namespace << 16) | (view.getUint8(at + headerPlaces.priority) << 8);
    columns[column + expiryWord] = expiryOf(view.getFloat64(at + headerPlaces.expiresMs, true));
    this.#countIn(slot);
    this.#count += 1;
    if (sequence > this.#lastSequence) this.#lastSequence = sequence;
    return true;
  }

  /** Forgets every response whose head or body is in a segment. Returns their sequences. */
  dropSegment(segment: number): readonly number[] {
    const removed: number[] = [];
    const name = this.#segments[segment];
    if (name !== undefined) this.#ordinals.delete(`${name.writer}-${name.number}`);
    if (this.isLive(segment)) {
      for (const slot of this.#members.of(segment)) {
        const isIn = this.#word(slot, segmentWord) === segment || this.#word(slot, bodySegmentWord) === segment;
        if (this.#sequence[slot] === 0 || !isIn) continue;
        if (!this.#isFlushed(slot)) removed.push(this.#sequence[slot] ?? 0);
        this.#remove(slot);
      }
    }
    this.#members.drop(segment);
    return removed;
  }

  #hasBody(header: RecordHeader): boolean {
    return header.place !== bodyPlaces.log || this.#ordinals.has(`${header.bodyWriter}-${header.bodyNumber}`);
  }

  /** Removes what a record names, under whatever head it is known by now unless the record says otherwise. */
  #takeAway({ type, hash, replaces, sequence, bodyOffset }: RecordHeader): number {
    if (type === recordTypes.removed && bodyOffset === exactRemoval) return this.#removeExactly(hash, replaces);
    const current = this.recent.currentOf(replaces);
    if (current === undefined) return 0;
    this.recent.noteGone(current, sequence);
    const slot = this.slotOf(hash, current);
    if (slot < 0) return 0;
    this.#remove(slot);
    return 1;
  }

  #removeExactly(hash: KeyHash, sequence: number): number {
    const slot = this.slotOf(hash, sequence);
    if (slot < 0) return 0;
    this.#remove(slot);
    return 1;
  }

  #freshen(header: RecordHeader, segment: number, offset: number): Applied {
    const { hash, sequence, replaces } = header;
    const current = this.recent.currentOf(replaces);
    const isCovered = (at: number): boolean =>
      this.recent.isCovered(hash, at) || this.#namespaces.wasFlushed(header.namespaceHash, at);
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
      if (header.place === bodyPlaces.file) this.#dropFile(old);
      this.#remove(old);
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
    for (let slot = this.#first(hash); slot >= 0; slot = this.#next(slot)) {
      if (!this.recent.isOlder(this.#sequence[slot] ?? 0, before)) continue;
      covered.push(slot);
      if (!this.#isFlushed(slot)) removed += 1;
    }
    for (const slot of covered) this.#removeFor(slot, sequence);
    return removed;
  }

  #clear({ sequence, replaces }: RecordHeader): number {
    if (replaces > 0) return this.#clearOlder({ sequence, replaces });
    this.recent.noteCleared(sequence);
    const removed = this.count;
    for (const file of this.#bodyFiles.values()) this.#freed.push(file);
    this.#bodyFiles.clear();
    this.#table.fill(0);
    this.#sequence.fill(0);
    this.#live.fill(0);
    this.#fileHeads.fill(0);
    this.#members.clear();
    this.#priorities.fill(0);
    this.#used = 0;
    this.#count = 0;
    this.#free = none;
    this.#namespaces.clear();
    return removed;
  }

  /** Something newer is there already. */
  #clearOlder({ sequence, replaces }: Pick<RecordHeader, 'sequence' | 'replaces'>): number {
    const before = replaces > 0 ? replaces : sequence;
    this.recent.noteCleared(before);
    let removed = 0;
    for (let slot = 0; slot < this.#used; slot += 1) {
      const stored = this.#sequence[slot] ?? 0;
      if (stored === 0 || !this.recent.isOlder(stored, before)) continue;
      if (!this.#isFlushed(slot)) removed += 1;
      this.#removeFor(slot, sequence);
    }
    return removed;
  }

  /** Removes a response on account of a record: a new head for it that comes later comes too late. */
  #removeFor(slot: number, by: number): void {
    this.recent.noteGone(this.#sequence[slot] ?? 0, by);
    this.#remove(slot);
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
    const { hash } = header;
    const namespace = this.#namespaces.enter(header.namespaceHash, header.sequence);
    if (namespace === undefined) {
      if (header.place === bodyPlaces.file) this.#freed.push(fileOf(header));
      return undefined;
    }
    const known = this.slotOf(hash, header.sequence);
    if (known >= 0) {
      this.#countLive(known, -1);
      this.#namespaces.leave(this.#namespaceIdOf(known));
      this.#countPriority(known, -1);
      this.#dropFile(known);
    }
    const slot = known >= 0 ? known : this.#link(hash);
    this.#sequence[slot] = header.sequence;
    const at = slot * words;
    const columns = this.#columns;
    columns[at + segmentWord] = segment;
    columns[at + offsetWord] = offset;
    columns[at + lengthWord] = header.recordBytes;
    columns[at + hostWord] = header.hostHash;
    columns[at + tagWord] = header.tagBits;
    columns[at + useWord] = (namespace << 16) | ((header.priority & 0xff) << 8);
    columns[at + expiryWord] = expiryOf(header.expiresMs);
    columns[at + bodySegmentWord] =
      header.place === bodyPlaces.log
        ? this.ordinalOf({ writer: header.bodyWriter, number: header.bodyNumber })
        : segment;
    this.#countIn(slot);
    if (header.place === bodyPlaces.file) {
      this.#bodyFiles.set(slot, fileOf(header));
      this.#countFile(slot, 1);
    }
    return this.placeOf(slot);
  }

  #first(hash: KeyHash): number {
    return (this.#table[this.#positionOf(hash)] ?? 0) - 1;
  }

  #next(slot: number): number {
    const next = this.#word(slot, nextWord);
    return next === none ? -1 : next;
  }

  /** The slot itself, or the next of its chain that is still good. */
  #unlessFlushed(slot: number): number {
    if (this.#namespaces.flushedCount === 0) return slot;
    let at = slot;
    while (at >= 0 && this.#isFlushed(at)) at = this.#next(at);
    return at;
  }

  #isFlushed(slot: number): boolean {
    if (this.#namespaces.flushedCount === 0) return false;
    return this.#namespaces.isFlushed(this.#namespaceIdOf(slot), this.#sequence[slot] ?? 0);
  }

  #namespaceIdOf(slot: number): number {
    return this.#word(slot, useWord) >>> 16;
  }

  /** What was stored after the flush that took its namespace's id, but came to us before. */
  #enterAnew(slot: number, id: number): void {
    const namespace = this.#namespaces.enter(this.#namespaces.hashOf(id), this.#sequence[slot] ?? 0);
    if (namespace === undefined) {
      this.#remove(slot);
      return;
    }
    const at = slot * words + useWord;
    this.#columns[at] = ((this.#columns[at] ?? 0) & 0xffff) | (namespace << 16);
    this.#namespaces.leave(id);
  }

  #countIn(slot: number): void {
    const segment = this.#word(slot, segmentWord);
    const bodySegment = this.#word(slot, bodySegmentWord);
    this.#countLive(slot, 1);
    this.#countPriority(slot, 1);
    this.#members.add(segment, slot);
    if (bodySegment !== segment) this.#members.add(bodySegment, slot);
  }

  #countLive(slot: number, change: number): void {
    const segment = this.#word(slot, segmentWord);
    const bodySegment = this.#word(slot, bodySegmentWord);
    this.#live[segment] = (this.#live[segment] ?? 0) + change;
    if (bodySegment !== segment) this.#live[bodySegment] = (this.#live[bodySegment] ?? 0) + change;
  }

  #countFile(slot: number, change: number): void {
    const segment = this.#word(slot, segmentWord);
    this.#fileHeads[segment] = (this.#fileHeads[segment] ?? 0) + change;
  }

  /** The file is no longer this response's; whether it is anybody's is the caller's business. */
  #dropFile(slot: number): BodyFile | undefined {
    const file = this.#bodyFiles.get(slot);
    if (file === undefined) return undefined;
    this.#bodyFiles.delete(slot);
    this.#countFile(slot, -1);
    return file;
  }

  #countPriority(slot: number, change: number): void {
    const at = this.priorityOf(slot) + 128;
    this.#priorities[at] = (this.#priorities[at] ?? 0) + change;
  }

  /** Takes a free slot and makes it the first of its key's chain. */
  #link(hash: KeyHash): number {
    if (2 * this.#count >= this.#table.length) this.#growTable();
    const slot = this.#takeSlot();
    const position = this.#positionOf(hash);
    const first = this.#table[position] ?? 0;
    this.#columns[slot * words + nextWord] = first === 0 ? none : first - 1;
    this.#table[position] = slot + 1;
    this.#hash[4 * slot] = hash.a;
    this.#hash[4 * slot + 1] = hash.b;
    this.#hash[4 * slot + 2] = hash.c;
    this.#hash[4 * slot + 3] = hash.d;
    this.#count += 1;
    return slot;
  }

  #remove(slot: number): void {
    const position = this.#positionOf(this.hashOf(slot));
    const next = this.#next(slot);
    let before = (this.#table[position] ?? 0) - 1;
    if (before === slot) {
      if (next >= 0) this.#table[position] = next + 1;
      else this.#closeGap(position);
    } else {
      while (this.#next(before) !== slot) before = this.#next(before);
      this.#columns[before * words + nextWord] = next < 0 ? none : next;
    }
    const file = this.#dropFile(slot);
    if (file !== undefined) this.#freed.push(file);
    this.#countLive(slot, -1);
    this.#namespaces.leave(this.#namespaceIdOf(slot));
    this.#countPriority(slot, -1);
    this.#sequence[slot] = 0;
    this.#columns[slot * words + nextWord] = this.#free;
    this.#free = slot;
    this.#count -= 1;
  }

  // Linear probing without tombstones: what follows a gap moves up if it would not be found otherwise.
  #closeGap(position: number): void {
    const mask = this.#table.length - 1;
    let gap = position;
    for (let at = (gap + 1) & mask; this.#table[at] !== 0; at = (at + 1) & mask) {
      const home = (this.#hash[4 * ((this.#table[at] ?? 0) - 1)] ?? 0) & mask;
      if (((at - home) & mask) >= ((at - gap) & mask)) {
        this.#table[gap] = this.#table[at] ?? 0;
        gap = at;
      }
    }
    this.#table[gap] = 0;
  }

  /** The position in the table that holds a hash's chain, or the empty one where it would be. */
  #positionOf({ a, b, c, d }: KeyHash): number {
    return this.#positionOfWords(a, b, c, d);
  }

  #positionOfWords(a: number, b: number, c: number, d: number): number {
    const table = this.#table;
    const all = this.#hash;
    const mask = table.length - 1;
    let position = a & mask;
    for (;;) {
      const slot = (table[position] ?? 0) - 1;
      if (slot < 0) return position;
      const at = 4 * slot;
      if (all[at] === a && all[at + 1] === b && all[at + 2] === c && all[at + 3] === d) return position;
      position = (position + 1) & mask;
    }
  }

  #takeSlot(): number {
    if (this.#free !== none) {
      const slot = this.#free;
      this.#free = this.#word(slot, nextWord);
      return slot;
    }
    if (this.#used === this.#sequence.length) {
      this.#hash = grown(this.#hash, new Uint32Array(2 * this.#hash.length));
      this.#sequence = grown(this.#sequence, new Float64Array(2 * this.#sequence.length));
      this.#columns = grown(this.#columns, new Uint32Array(2 * this.#columns.length));
    }
    this.#used += 1;
    return this.#used - 1;
  }

  #growTable(): void {
    const old = this.#table;
    const table = new Uint32Array(2 * old.length);
    const mask = table.length - 1;
    for (const entry of old) {
      if (entry === 0) continue;
      let position = (this.#hash[4 * (entry - 1)] ?? 0) & mask;
      while (table[position] !== 0) position = (position + 1) & mask;
      table[position] = entry;
    }
    this.#table = table;
  }

  #word(slot: number, word: number): number {
    return this.#columns[slot * words + word] ?? 0;
  }
}

/** The body of a record that is in a file. */
export function fileOf(header: RecordHeader): BodyFile {
  const { bodyWriter: writer, bodyNumber: number, bodyBytes: bytes, bodyOffset: content } = header;
  return { writer, number, bytes, content };
}

/** In seconds, rounded up; 0 for never. What is beyond the year 2106 is never. */
function expiryOf(expiresMs: number): number {
  const seconds = Math.max(1, Math.ceil(expiresMs / 1000));
  return expiresMs === 0 || !(seconds <= 0xffff_ffff) ? 0 : seconds;
}

function grown<T extends Uint32Array | Float64Array>(from: T, to: T): T {
  to.set(from);
  return to;
}
