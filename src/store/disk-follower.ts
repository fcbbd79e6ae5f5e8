import { boardBytes, type LogEnd, readArrivals, readBoardSlot } from '../disk/board.js';
import type { SegmentName } from '../disk/index-table.js';
import { lanes } from '../disk/sequences.js';
import type { DiskFiles, ReadHandle } from './disk-files.js';
import { ForeignLog, type ForeignRecord } from './foreign-log.js';

/** What a look has read and not applied yet, and how far that goes in each log. */
interface Gathered {
  readonly records: ForeignRecord[];
  readonly ends: Map<number, LogEnd>;
  /** Whose logs have ended, and were read to the end. */
  readonly gone: Set<number>;
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
  readonly #log: ForeignLog;
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
    this.#log = new ForeignLog(host.files, (segment) => host.ordinalOf(segment));
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
    const gathered: Gathered = { records: [], ends: new Map(), gone: new Set() };
    const present = new Set<number>();
    const failures: unknown[] = [];
    let isWhole = true;
    let isFirst = true;
    for (let lane = 0; lane < lanes; lane += 1) {
      const end = readBoardSlot(board, lane);
      if (end === 'torn') isWhole = false;
      if (typeof end === 'string' || end.writer === this.#host.writer) continue;
      present.add(end.writer);
      this.#host.onSeen(end.writer);
      if (lane < this.#host.lane) isFirst = false;
      // A log that cannot be read keeps nobody from reading the others.
      await this.#readTo(end, gathered).catch((error: unknown) => failures.push(error));
    }
    this.#isFirst = isFirst;
    const arrivals = isWhole ? readArrivals(board) : 'torn';
    if (isWhole)
      await this.#readOfThoseGone(present, arrivals, gathered).catch((error: unknown) => failures.push(error));
    this.#apply(gathered);
    if (failures.length > 0) throw failures[0];
    if (arrivals !== 'torn') this.#arrivals = arrivals;
  }

  async #readOfThoseGone(present: ReadonlySet<number>, arrivals: number | 'torn', gathered: Gathered): Promise<void> {
    for (const [writer, end] of this.#ends) {
      if (present.has(writer)) continue;
      await this.#readToTheLast(end, await this.#host.files.segmentsOf(writer), gathered);
    }
    if (arrivals === 'torn' || arrivals === this.#arrivals) return;
    this.#hadOthers = true;
    for (const [writer, numbers] of await this.#host.files.segments()) {
      if (this.#known.has(writer) || present.has(writer)) continue;
      await this.#readToTheLast({ writer, segment: 0, usedBytes: 0 }, numbers, gathered);
    }
  }

  async #readTo(end: LogEnd, gathered: Gathered): Promise<void> {
    const known = this.#ends.get(end.writer) ?? { writer: end.writer, segment: 0, usedBytes: 0 };
    const take = (record: ForeignRecord): void => this.#gather(record, gathered);
    let from = known.usedBytes;
    for (let number = Math.max(1, known.segment); number < end.segment; number += 1) {
      await this.#log.readSealed({ writer: end.writer, number }, from, take);
      from = 0;
    }
    if (end.segment > 0 && (end.segment > known.segment || end.usedBytes > known.usedBytes)) {
      await this.#log.readOpen({ writer: end.writer, number: end.segment }, from, end.usedBytes, take);
    }
    gathered.ends.set(end.writer, end);
  }

  /** The writer is gone: its log has ended. */
  async #readToTheLast(
    { writer, segment, usedBytes }: LogEnd,
    numbers: readonly number[],
    gathered: Gathered,
  ): Promise<void> {
    for (const number of numbers) {
      if (number < segment) continue;
      const from = number === segment ? usedBytes : 0;
      await this.#log.readSealed({ writer, number }, from, (record) => this.#gather(record, gathered));
    }
    gathered.gone.add(writer);
  }

  #noteEnd(end: LogEnd): void {
    this.#ends.set(end.writer, end);
    this.#known.add(end.writer);
    this.#hadOthers = true;
  }

  #gather(record: ForeignRecord, gathered: Gathered): void {
    if (gathered.records.length >= maxGathered) this.#apply(gathered);
    gathered.records.push(record);
    const { segment, offset, header } = record;
    const end = { writer: segment.writer, segment: segment.number, usedBytes: offset + header.recordBytes };
    gathered.ends.set(segment.writer, end);
  }

  /** What was applied is not read again, whatever fails after. */
  #apply({ records, ends, gone }: Gathered): void {
    if (this.#isClosed) return;
    const sorted = records.splice(0).sort((a, b) => a.header.sequence - b.header.sequence);
    if (sorted.length > 0) this.#host.apply(sorted);
    for (const end of ends.values()) this.#noteEnd(end);
    for (const writer of gone) {
      this.#ends.delete(writer);
      this.#known.add(writer);
    }
    ends.clear();
    gone.clear();
  }
}
