import { boardBytes, type LogEnd, readArrivals, readBoardSlot } from '../disk/board.js';
import { isHintIntact, RowCursor } from '../disk/hint.js';
import type { SegmentName } from '../disk/index-table.js';
import { type RecordHeader, readHeader, recordHeaderBytes } from '../disk/record.js';
import { lanes } from '../disk/sequences.js';
import type { DiskFiles, ReadHandle } from './disk-files.js';

/** A record of another process's log. */
export interface ForeignRecord {
  readonly header: RecordHeader;
  readonly segment: SegmentName;
  readonly offset: number;
}

export interface FollowerHost {
  readonly files: DiskFiles;
  /** The writer that this process is. */
  readonly writer: number;
  readonly lane: number;
  /** ms since any moment, never going back. */
  readonly monotonicMs: () => number;
  ordinalOf(segment: SegmentName): number;
  /** By the clock from which sequences are made. */
  readonly nowMs: () => number;
  /** What others have written since the last time, in the order of its sequences. */
  apply(records: readonly ForeignRecord[]): void;
  /** Somebody else has the directory open. Told with every look. */
  onSeen(writer: number): void;
  /** Everything that others had written at `startMs` has been applied; `isAlone`: there was nobody else. */
  onLooked(startMs: number, isAlone: boolean): void;
  onFailure(error: unknown): void;
}

/** A look that is not older than this is as good as a new one, in ms. */
const recentMs = 15;
/** What is older than this does not count: whoever needs to know waits for a new look, in ms. */
const staleMs = 40;
const readBytes = 256 * 1024;
/**
 * What is older than this does not count even if nobody else was there, and nothing but a request to the origin is at stake, in ms. A busy event
 * loop takes longer than `staleMs` for a look.
 */
const lastSeenMs = 250;
/** Records that are gathered before they are applied. */
const maxGathered = 32 * 1024;

/**
 * Reads what other processes append to their logs. There is no timer: who asks the store for something makes it look, at most every
 * 15 ms and behind the scenes; only when the last look is more than 40 ms ago does anybody wait for it. A look is one short read of the
 * board, which says how far all logs are, and the headers of what is new.
 */
export class DiskFollower {
  readonly #host: FollowerHost;
  readonly #ends = new Map<number, LogEnd>();
  readonly #known: Set<number>;
  #arrivals: number;
  #hadOthers = false;
  #isFirst = true;
  #board: Promise<ReadHandle> | undefined;
  #running: Promise<void> | undefined;
  /** When the last look that is done began. */
  #lookedAtMs = -Infinity;
  /** When something was heard that a look from before cannot know of. */
  #outdatedAtMs = -Infinity;
  #isClosed = false;

  /** `writers`: those whose logs are known, to their ends or up to `others`. */
  constructor(
    host: FollowerHost,
    known: { readonly writers: Iterable<number>; readonly others: readonly LogEnd[]; readonly arrivals: number },
  ) {
    this.#host = host;
    this.#known = new Set(known.writers).add(host.writer);
    this.#arrivals = known.arrivals;
    for (const end of known.others) this.#noteEnd(end);
    this.#isFirst = known.others.length === 0;
  }

  /** Whether there has been anybody else since this process came. */
  get hadOthers(): boolean {
    return this.#hadOthers;
  }

  /** Whether somebody else had the directory open when this was last looked at. */
  get hasOthers(): boolean {
    return this.#ends.size > 0;
  }

  /** Of all who were here at the last look, this process came first, or took the place of one that did. */
  get isFirst(): boolean {
    return this.#isFirst;
  }

  /** Segments that others may still write to. */
  isOpenElsewhere({ writer, number }: SegmentName): boolean {
    const end = this.#ends.get(writer);
    return end !== undefined && number >= end.segment;
  }

  /** `undefined`: what is known of the others is recent enough. Otherwise wait. */
  refresh(): Promise<void> | undefined {
    const ageMs = this.#ageMs();
    if (ageMs < staleMs || this.#isClosed) return undefined;
    this.#running ??= this.#look();
    return this.#untilRecent(this.#running);
  }

  /** Whether what is known of the others is recent enough, or, with nobody else there, nearly so. */
  isRecent({ asLastSeen }: { readonly asLastSeen: boolean }): boolean {
    return this.#ageMs() < (asLastSeen && !this.hasOthers ? lastSeenMs : staleMs) || this.#isClosed;
  }

  /** How old the last look is. Begins another behind the scenes if it is time for that. */
  #ageMs(): number {
    const isOutdated = this.#lookedAtMs < this.#outdatedAtMs;
    const ageMs = isOutdated ? Infinity : this.#host.monotonicMs() - this.#lookedAtMs;
    if (ageMs >= recentMs && !this.#isClosed) this.#running ??= this.#look();
    return ageMs;
  }

  /** Somebody has stored something: no later than it would be seen by itself, it is worth a look. */
  noteStored(): void {
    this.#ageMs();
  }

  /** Something that is known may not be so any more: what was seen up to now does not count. */
  noteChanged(): void {
    if (this.#isClosed) return;
    this.#outdatedAtMs = this.#host.monotonicMs();
    void this.look();
  }

  /** Resolves when everything that others had written before the call is known. */
  async look(): Promise<void> {
    await this.#running;
    if (this.#isClosed) return;
    this.#running ??= this.#look();
    await this.#running;
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#running;
    const board = await this.#board?.catch(() => undefined);
    board?.close();
  }

  async #untilRecent(running: Promise<void>): Promise<void> {
    await running;
    const isOutdated = this.#lookedAtMs < this.#outdatedAtMs;
    if (isOutdated || this.#host.monotonicMs() - this.#lookedAtMs >= staleMs) await this.look();
  }

  async #look(): Promise<void> {
    const startedAtMs = this.#host.monotonicMs();
    const startMs = this.#host.nowMs();
    try {
      const board = await this.#readBoard();
      await this.#follow(board);
      this.#host.onLooked(startMs, this.#ends.size === 0);
    } catch (error) {
      if (!this.#isClosed) this.#host.onFailure(error);
    }
    this.#lookedAtMs = startedAtMs;
    this.#running = undefined;
  }

  async #readBoard(): Promise<Uint8Array> {
    this.#board ??= this.#host.files.openBoard();
    const opening = this.#board;
    try {
      return await (await opening).read(0, boardBytes);
    } catch (error) {
      this.#board = undefined;
      throw error;
    }
  }

  async #follow(board: Uint8Array): Promise<void> {
    const gathered: ForeignRecord[] = [];
    const present = new Set<number>();
    let isWhole = true;
    let isFirst = true;
    for (let lane = 0; lane < lanes; lane += 1) {
      const end = readBoardSlot(board, lane);
      if (end === 'torn') isWhole = false;
      if (typeof end === 'string' || end.writer === this.#host.writer) continue;
      present.add(end.writer);
      this.#host.onSeen(end.writer);
      if (lane < this.#host.lane) isFirst = false;
      await this.#readTo(end, gathered);
    }
    this.#isFirst = isFirst;
    if (isWhole) await this.#readOfThoseGone(present, readArrivals(board), gathered);
    this.#apply(gathered);
  }

  async #readOfThoseGone(
    present: ReadonlySet<number>,
    arrivals: number | 'torn',
    gathered: ForeignRecord[],
  ): Promise<void> {
    for (const [writer, end] of this.#ends) {
      if (present.has(writer)) continue;
      await this.#readToTheLast(end, await this.#host.files.segmentsOf(writer), gathered);
      this.#ends.delete(writer);
    }
    if (arrivals === 'torn' || arrivals === this.#arrivals) return;
    this.#hadOthers = true;
    for (const [writer, numbers] of await this.#host.files.segments()) {
      if (this.#known.has(writer)) continue;
      this.#known.add(writer);
      await this.#readToTheLast({ writer, segment: 0, usedBytes: 0 }, numbers, gathered);
    }
    this.#arrivals = arrivals;
  }

  async #readTo(end: LogEnd, gathered: ForeignRecord[]): Promise<void> {
    const known = this.#ends.get(end.writer) ?? { writer: end.writer, segment: 0, usedBytes: 0 };
    let from = known.usedBytes;
    for (let number = Math.max(1, known.segment); number < end.segment; number += 1) {
      await this.#readSealed({ writer: end.writer, number }, from, gathered);
      from = 0;
    }
    if (end.segment > 0 && (end.segment > known.segment || end.usedBytes > known.usedBytes)) {
      await this.#readOpen({ writer: end.writer, number: end.segment }, from, end.usedBytes, gathered);
    }
    this.#noteEnd(end);
  }

  /** The writer is gone: its log has ended. */
  async #readToTheLast(
    { writer, segment, usedBytes }: LogEnd,
    numbers: readonly number[],
    gathered: ForeignRecord[],
  ): Promise<void> {
    for (const number of numbers) {
      if (number < segment) continue;
      await this.#readSealed({ writer, number }, number === segment ? usedBytes : 0, gathered);
    }
  }

  #noteEnd(end: LogEnd): void {
    this.#ends.set(end.writer, end);
    this.#known.add(end.writer);
    this.#hadOthers = true;
  }

  async #readSealed(segment: SegmentName, from: number, gathered: ForeignRecord[]): Promise<void> {
    const hint = await this.#host.files.readHint(segment).catch(ifGone);
    if (hint === undefined || !isHintIntact(hint, Infinity)) return;
    const rows = new RowCursor(hint);
    for (; !rows.isAtEnd; rows.advance()) {
      const { header, offset } = rows;
      if (header === undefined) return;
      if (offset >= from) this.#gather({ header, segment, offset }, gathered);
    }
  }

  async #readOpen(segment: SegmentName, from: number, end: number, gathered: ForeignRecord[]): Promise<void> {
    const ordinal = this.#host.ordinalOf(segment);
    for (let at = from; at < end; ) {
      const length = Math.min(readBytes, end - at);
      const bytes = await this.#host.files.readSegment(ordinal, segment, at, length).catch(ifGone);
      if (bytes === undefined) return;
      const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
      const start = at;
      while (at - start + recordHeaderBytes <= bytes.byteLength) {
        const header = readHeader(view, at - start);
        if (header === undefined) throw new Error('the log of another process cannot be read');
        this.#gather({ header, segment, offset: at }, gathered);
        at += header.recordBytes;
      }
      if (at === start) return;
    }
  }

  #gather(record: ForeignRecord, gathered: ForeignRecord[]): void {
    if (gathered.length >= maxGathered) this.#apply(gathered.splice(0));
    gathered.push(record);
  }

  #apply(records: ForeignRecord[]): void {
    if (records.length === 0 || this.#isClosed) return;
    this.#host.apply(records.sort((a, b) => a.header.sequence - b.header.sequence));
  }
}

/** Dropped meanwhile: there is nothing to know of it. */
function ifGone(error: unknown): undefined {
  if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
  throw error;
}
