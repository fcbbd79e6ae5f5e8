import { IndexFiles } from './index-files.js';
import { IndexSegments, type SegmentsParts } from './index-segments.js';
import type { KeyHash } from './key-hash.js';
import { type NamespaceParts, NamespaceTable } from './namespace-table.js';
import type { BodyFile, LogPlace, SegmentName } from './places.js';
import { expiryOf, rowPlaces } from './slot-row.js';
import { type PlacedRows, type RunOptions, type SlotParts, SlotTable } from './slot-table.js';

/** The arrays of what is stored, to move it between threads. */
export interface EntriesParts {
  readonly slots: SlotParts;
  readonly segments: SegmentsParts;
  readonly bodyFiles: ReadonlyMap<number, BodyFile>;
  readonly namespaces: NamespaceParts;
  readonly priorities: Uint32Array<ArrayBuffer>;
}

/** What is to be known of a response. */
export interface NewEntry {
  readonly hash: KeyHash;
  readonly sequence: number;
  readonly segment: number;
  readonly bodySegment: number;
  readonly offset: number;
  readonly recordBytes: number;
  readonly hostHash: number;
  readonly tagBits: number;
  readonly priority: number;
  readonly expiresMs: number;
  readonly file: BodyFile | undefined;
}

const priorities = 256;
const wasUsedBit = 1;

/** Where every stored response is, and what can be told of it without reading it: 48 bytes a response, 8 to 16 of table, and some more for what few have. */
export class IndexEntries {
  protected readonly slots: SlotTable;
  protected readonly segments: IndexSegments;
  protected readonly files: IndexFiles;
  protected readonly names: NamespaceTable;
  /** By priority, from the lowest: how many responses have it. */
  readonly #priorities: Uint32Array<ArrayBuffer>;

  constructor(parts?: EntriesParts, slots = 0, placed?: PlacedRows) {
    this.slots = new SlotTable(parts?.slots, slots, placed);
    this.segments = new IndexSegments(parts?.segments);
    this.files = new IndexFiles(parts?.bodyFiles);
    this.names = new NamespaceTable(parts?.namespaces);
    this.#priorities = parts?.priorities ?? new Uint32Array(priorities);
    for (const slot of this.files.slots()) this.#countFile(slot, 1);
  }

  protected entriesToParts(): EntriesParts {
    return {
      slots: this.slots.toParts(),
      segments: this.segments.toParts(),
      bodyFiles: this.files.toParts(),
      namespaces: this.names.toParts(),
      priorities: this.#priorities,
    };
  }

  get count(): number {
    return this.slots.count - this.names.flushedCount;
  }

  /** Which namespaces hold something. */
  get namespaces(): Pick<NamespaceTable, 'usedCount' | 'isUsed' | 'countOf'> {
    return this.names;
  }

  /** Slots are numbered from 0 to this; not all of them are in use. */
  get slotEnd(): number {
    return this.slots.end;
  }

  /** A small number for a segment, the same as long as this index lives. */
  ordinalOf(name: SegmentName): number {
    return this.segments.ordinalOf(name);
  }

  /** Whether anything that can be found is in a segment. */
  isLive(segment: number): boolean {
    return this.segments.isLive(segment);
  }

  /** The first slot of a key's chain, or -1. */
  find(hash: KeyHash): number {
    return this.#unlessFlushed(this.slots.first(hash));
  }

  /** The next slot with the same hash, or -1. */
  nextOf(slot: number): number {
    return this.#unlessFlushed(this.slots.next(slot));
  }

  /** The slot of one stored response, or -1. */
  slotOf(hash: KeyHash, sequence: number): number {
    for (let slot = this.find(hash); slot >= 0; slot = this.nextOf(slot)) {
      if (this.slots.sequenceOf(slot) === sequence) return slot;
    }
    return -1;
  }

  /** 0 for a slot that is not in use, or whose namespace was flushed. */
  sequenceOf(slot: number): number {
    return this.isFlushed(slot) ? 0 : this.slots.sequenceOf(slot);
  }

  hashOf(slot: number): KeyHash {
    return this.slots.hashOf(slot);
  }

  namespaceOf(slot: number): number {
    return this.names.hashOf(this.slots.namespaceIdOf(slot));
  }

  placeOf(slot: number): LogPlace {
    const ordinal = this.slots.wordOf(slot, rowPlaces.segment);
    return {
      slot,
      ordinal,
      segment: this.segments.nameOf(ordinal),
      offset: this.slots.wordOf(slot, rowPlaces.offset),
      recordBytes: this.slots.wordOf(slot, rowPlaces.recordBytes),
      sequence: this.sequenceOf(slot),
    };
  }

  hostHashOf(slot: number): number {
    return this.slots.wordOf(slot, rowPlaces.host);
  }

  tagBitsOf(slot: number): number {
    return this.slots.tagsOf(slot);
  }

  priorityOf(slot: number): number {
    return this.slots.priorityOf(slot);
  }

  /** Whether a response is of no use any more. */
  isExpired(slot: number, nowMs: number): boolean {
    const expiry = this.slots.wordOf(slot, rowPlaces.expiry);
    return expiry > 0 && 1000 * expiry <= nowMs;
  }

  /** The lowest priority that `part` of all responses or more do not exceed. */
  commonPriority(part: number): number {
    let count = 0;
    for (let i = 0; i < priorities; i += 1) {
      count += this.#priorities[i] ?? 0;
      if (count > 0 && count >= part * this.slots.count) return i - 128;
    }
    return 0;
  }

  /** Marks that the response at `slot` was used since it was written. */
  touch(slot: number): void {
    this.slots.setWord(slot, rowPlaces.use, this.slots.wordOf(slot, rowPlaces.use) | wasUsedBit);
  }

  wasUsed(slot: number): boolean {
    return (this.slots.wordOf(slot, rowPlaces.use) & wasUsedBit) !== 0;
  }

  /** As if it had not been used. */
  forgetUse(slot: number): void {
    this.slots.setWord(slot, rowPlaces.use, this.slots.wordOf(slot, rowPlaces.use) & ~wasUsedBit);
  }

  bodyFileOf(slot: number): BodyFile | undefined {
    return this.files.of(slot);
  }

  bodyFiles(): IterableIterator<BodyFile> {
    return this.files.all();
  }

  /** Slots of responses with a body file, in order of arrival but for those that were put last. */
  fileSlots(): IterableIterator<number> {
    return this.files.slots();
  }

  /** Makes a response with a body file the last of `fileSlots`. */
  putFileLast(slot: number): void {
    this.files.putLast(slot);
  }

  /** Whether the head of a response with a body file is in a segment. */
  holdsFileHeads(segment: number): boolean {
    return this.segments.holdsFileHeads(segment);
  }

  /** Body files that nothing refers to any more, since this was last asked. */
  takeFreedFiles(): readonly BodyFile[] {
    return this.files.takeFreed();
  }

  /** Slots that had their head or body in a segment, in the order of the log; `isIn` tells which still have. */
  membersOf(segment: number): Iterable<number> {
    return this.segments.membersOf(segment);
  }

  /** Whether a slot is in use, and its head or body in a segment. */
  isIn(slot: number, segment: number): boolean {
    return this.sequenceOf(slot) !== 0 && this.#isPlacedIn(slot, segment);
  }

  isHeadIn(slot: number, segment: number): boolean {
    return this.sequenceOf(slot) > 0 && this.slots.wordOf(slot, rowPlaces.segment) === segment;
  }

  /** Forgets one response, as if a record had removed it. */
  forget(slot: number): void {
    if (this.sequenceOf(slot) > 0) this.removeEntry(slot);
  }

  /** A response is now, head and body, in another place of the log. */
  move(slot: number, segment: number, offset: number, recordBytes: number): void {
    this.#countLive(slot, -1);
    if (this.files.has(slot)) this.#countFile(slot, -1);
    this.slots.setWord(slot, rowPlaces.offset, offset);
    this.slots.setWord(slot, rowPlaces.recordBytes, recordBytes);
    this.slots.setSegments(slot, segment, segment);
    this.forgetUse(slot);
    this.#countLive(slot, 1);
    if (this.files.has(slot)) this.#countFile(slot, 1);
    this.segments.list(slot, segment, segment);
  }

  /** Forgets every response whose head or body is in a segment. Returns their sequences. */
  dropSegment(segment: number): readonly number[] {
    const removed: number[] = [];
    this.segments.forgetName(segment);
    if (this.isLive(segment)) {
      for (const slot of this.segments.membersOf(segment)) {
        const sequence = this.slots.sequenceOf(slot);
        if (sequence === 0 || !this.#isPlacedIn(slot, segment)) continue;
        if (!this.isFlushed(slot)) removed.push(sequence);
        this.removeEntry(slot);
      }
    }
    this.segments.forgetMembers(segment);
    return removed;
  }

  protected isFlushed(slot: number): boolean {
    if (this.names.flushedCount === 0) return false;
    return this.names.isFlushed(this.slots.namespaceIdOf(slot), this.slots.sequenceOf(slot));
  }

  /** `namespaceId`: as it was entered. */
  protected insertEntry(entry: NewEntry, namespaceId: number): LogPlace {
    const { slots } = this;
    const known = this.slotOf(entry.hash, entry.sequence);
    if (known >= 0) {
      this.#countOut(known);
      this.dropFile(known);
    }
    const slot = known >= 0 ? known : slots.add(entry.hash, entry.sequence);
    slots.setWord(slot, rowPlaces.offset, entry.offset);
    slots.setWord(slot, rowPlaces.recordBytes, entry.recordBytes);
    slots.setWord(slot, rowPlaces.host, entry.hostHash);
    slots.setWord(slot, rowPlaces.expiry, expiryOf(entry.expiresMs));
    slots.setUse(slot, entry.priority, namespaceId);
    slots.setTags(slot, entry.tagBits);
    slots.setSegments(slot, entry.segment, entry.bodySegment);
    this.#countIn(slot);
    if (entry.file !== undefined) {
      this.files.set(slot, entry.file);
      this.#countFile(slot, 1);
    }
    return this.placeOf(slot);
  }

  /** Makes a row of a hint, which was placed in a slot, one that is found. */
  protected insertRow(slot: number, segment: number, namespaceId: number): void {
    const { slots } = this;
    slots.setTags(slot, slots.wordOf(slot, rowPlaces.segment));
    slots.setSegments(slot, segment, segment);
    if (namespaceId !== 0) slots.setNamespaceId(slot, namespaceId);
    slots.link(slot);
    this.#countIn(slot);
  }

  /** The same with the rows of slots that follow each other, as far as `linkRun` goes. Returns where that was. */
  protected insertRun(
    from: number,
    to: number,
    after: number,
    { segment, tally }: Pick<RunOptions, 'segment' | 'tally'>,
  ): number {
    const namespaceId = this.names.enterMany(0, after, to - from);
    if (namespaceId === undefined) return from;
    const end = this.slots.linkRun(from, to, after, { segment, namespaceId, priorities: this.#priorities, tally });
    this.names.leaveMany(namespaceId, to - end);
    this.segments.listRun(from, end, segment);
    return end;
  }

  protected removeEntry(slot: number): void {
    const file = this.dropFile(slot);
    if (file !== undefined) this.files.free(file);
    this.#countOut(slot);
    this.slots.remove(slot);
  }

  /** The file is no longer this response's; whether it is anybody's is the caller's business. */
  protected dropFile(slot: number): BodyFile | undefined {
    const file = this.files.take(slot);
    if (file !== undefined) this.#countFile(slot, -1);
    return file;
  }

  protected clearEntries(): void {
    this.files.freeAll();
    this.slots.clear();
    this.segments.clear();
    this.#priorities.fill(0);
    this.names.clear();
  }

  #isPlacedIn(slot: number, segment: number): boolean {
    return this.slots.wordOf(slot, rowPlaces.segment) === segment || this.slots.bodySegmentOf(slot) === segment;
  }

  /** The slot itself, or the next of its chain that is still good. */
  #unlessFlushed(slot: number): number {
    if (this.names.flushedCount === 0) return slot;
    let at = slot;
    while (at >= 0 && this.isFlushed(at)) at = this.slots.next(at);
    return at;
  }

  #countIn(slot: number): void {
    this.#countLive(slot, 1);
    this.#countPriority(slot, 1);
    this.segments.list(slot, this.slots.wordOf(slot, rowPlaces.segment), this.slots.bodySegmentOf(slot));
  }

  #countOut(slot: number): void {
    this.#countLive(slot, -1);
    this.#countPriority(slot, -1);
    this.names.leave(this.slots.namespaceIdOf(slot));
  }

  #countLive(slot: number, change: number): void {
    this.segments.countLive(this.slots.wordOf(slot, rowPlaces.segment), this.slots.bodySegmentOf(slot), change);
  }

  #countFile(slot: number, change: number): void {
    this.segments.countFileHead(this.slots.wordOf(slot, rowPlaces.segment), change);
  }

  #countPriority(slot: number, change: number): void {
    const at = this.priorityOf(slot) + 128;
    this.#priorities[at] = (this.#priorities[at] ?? 0) + change;
  }
}
