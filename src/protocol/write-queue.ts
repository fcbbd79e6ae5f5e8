import type { HeadRow } from '../disk/head-codec.js';
import { firstRowMark, textMark } from '../disk/head-draft.js';
import type { Applied, BodyFile, SegmentName } from '../disk/index-table.js';
import { type RecordHeader, readHeader } from '../disk/record.js';
import { recordCostOf } from '../disk/slot-row.js';
import { failureOf } from './failure.js';
import type {
  BatchAnswer,
  BatchTask,
  BodyAnswer,
  LogAnswer,
  MoveAnswer,
  MoveTask,
  WriterFailure,
  WriterSession,
} from './messages.js';
import type { WriterPool } from './pool.js';
import { retryOf, type Slab, SlabPool, type Unit } from './slabs.js';

export type RecordResult =
  /** `costBytes`: what the records took on the disk. */
  | { readonly outcome: 'written'; readonly applied: Applied; readonly costBytes: number }
  /** `later`: it was given up, and may be written after all. */
  | { readonly outcome: 'failed'; readonly failure: WriterFailure; readonly later?: Promise<RecordResult> };

export interface WriteQueueOptions {
  readonly pool: WriterPool;
  readonly session: WriterSession;
  readonly slabBytes: number;
  readonly maxSlabs: number;
  /** A batch that takes longer fails, and so does all that waits for it. */
  readonly stallMs: number;
  /** Calls back once after so many ms without keeping the process alive; the result cancels it. */
  readonly after: (ms: number, callback: () => void) => () => void;
  /** Called for every record that became durable, in log order. */
  readonly apply: (header: RecordHeader, segment: SegmentName, offset: number) => Applied;
  /** What is to be moved with the batch that is about to go; called for one if `requestMoves` was. */
  readonly takeMoves: () => MoveTask | undefined;
  /** What came of it; `undefined` when that is not known. */
  readonly onMoved: (answer: MoveAnswer | undefined) => void;
  /** Whether batches are to tell how much room the device has; `onFree` is called for each that could. */
  readonly measureFree: boolean;
  readonly onFree: (bytes: number) => void;
  /** No space was left for a batch. `true`: room was made, it is worth another try. */
  readonly onFull: () => boolean;
  /** Something could not be written or removed; called once for a batch. */
  readonly onFailure: (failure: WriterFailure) => void;
  /** The worker was lost with a batch. */
  readonly onWorkerLost: (error: unknown) => void;
}

/** Records that belong together, on their way into a slab. */
export interface Append extends Unit {
  readonly bytes: number;
  /** Goes along with the slab, if the slab cannot carry it. */
  readonly row: HeadRow | undefined;
  /** Writes all of the records but their checksums, and drafts for their heads; `mark` is what the draft is to be marked with. */
  fill(bytes: Uint8Array, view: DataView, at: number, mark: number): void;
  /** Called if it has to wait for that: takes copies of what it does not own. */
  own?(): void;
}

/** Something that waits for a slab. */
interface Step {
  /** Whether it is done. */
  run(): boolean;
  fail(failure: WriterFailure): void;
}

interface Flight {
  readonly logs: readonly Slab[];
  readonly bodies: readonly Slab[];
  readonly moves: MoveTask | undefined;
}

/**
 * Gathers what is to be written into slabs and sends one batch at a time. What comes up while a batch is under way goes
 * with the next: the batches grow with the load by themselves. The slabs come back with the answer, so memory is bounded
 * by their number; when all are in use, what comes next waits in line.
 */
export class WriteQueue {
  readonly #options: WriteQueueOptions;
  readonly #slabs: SlabPool;
  #session: WriterSession;
  #logs: Slab[] = [];
  #bodies: Slab[] = [];
  #finish: number[] = [];
  #abandon: number[] = [];
  #removeFiles: Pick<BodyFile, 'writer' | 'number'>[] = [];
  #dropSegments: SegmentName[] = [];
  #seal = false;
  #wantsMoves = false;
  #waiting: Step[] = [];
  #waitingBytes = 0;
  readonly #bodyListeners = new Map<number, (answer: BodyAnswer) => void>();
  #flight: Flight | undefined;
  #isScheduled = false;
  #isStalled = false;
  #idle: (() => void)[] = [];
  #room: (() => void)[] = [];

  constructor(options: WriteQueueOptions) {
    this.#options = options;
    this.#session = options.session;
    this.#slabs = new SlabPool(options.slabBytes, options.maxSlabs);
  }

  get session(): WriterSession {
    return this.#session;
  }

  /** The longest that can be appended at once. */
  get maxAppendBytes(): number {
    return this.#options.slabBytes;
  }

  /** Bytes of bodies that wait for a slab. */
  get waitingBytes(): number {
    return this.#waitingBytes;
  }

  /** The disk has not answered for long; until it does, everything fails at once. */
  get isStalled(): boolean {
    return this.#isStalled;
  }

  /** Queues records that belong together. */
  append(append: Append): void {
    try {
      // Nearly always there is room, and nobody before it in line: no more is made of it then.
      if (!this.#isStalled && this.#waiting.length === 0 && this.#fill(append)) {
        this.#schedule();
        return;
      }
      append.own?.();
    } catch (error) {
      append.settle({ outcome: 'failed', failure: failureOf(error) });
      return;
    }
    this.#inOrder({
      run: () => this.#fill(append),
      fail: (failure) => append.settle({ outcome: 'failed', failure }),
    });
  }

  #fill(append: Append): boolean {
    const { bytes, row } = append;
    const slab = this.#slabs.slabFor(this.#logs, bytes);
    if (slab === undefined) return false;
    const mark = row === undefined ? textMark : firstRowMark + slab.rows.length;
    append.fill(slab.bytes, slab.view, slab.usedBytes, mark);
    if (row !== undefined) slab.rows.push(row);
    slab.usedBytes += bytes;
    slab.units.push(append);
    return true;
  }

  /** Whatever becomes of a body file is told to its listener, until it is finished, abandoned or failed. */
  openBody(file: number, listener: (answer: BodyAnswer) => void): void {
    this.#bodyListeners.set(file, listener);
  }

  appendBody(file: number, chunk: Uint8Array): void {
    let done = 0;
    this.#waitingBytes += chunk.byteLength;
    this.#inOrder({
      run: () => {
        while (done < chunk.byteLength) {
          const slab = this.#slabs.slabFor(this.#bodies, 1);
          if (slab === undefined) return false;
          const length = Math.min(chunk.byteLength - done, this.#options.slabBytes - slab.usedBytes);
          slab.bytes.set(chunk.subarray(done, done + length), slab.usedBytes);
          slab.pieces.push(file, slab.usedBytes, length);
          slab.usedBytes += length;
          done += length;
          this.#waitingBytes -= length;
        }
        return true;
      },
      fail: () => {
        this.#waitingBytes -= chunk.byteLength - done;
      },
    });
  }

  finishBody(file: number): void {
    this.#inOrder({
      run: () => {
        this.#finish.push(file);
        return true;
      },
      fail: () => {},
    });
  }

  abandonBody(file: number): void {
    this.#bodyListeners.delete(file);
    this.#abandon.push(file);
    this.#schedule();
  }

  removeFiles(files: readonly Pick<BodyFile, 'writer' | 'number'>[]): void {
    if (files.length === 0) return;
    this.#removeFiles.push(...files);
    this.#schedule();
  }

  dropSegments(segments: readonly SegmentName[]): void {
    this.#dropSegments.push(...segments);
    this.#schedule();
  }

  /** What is appended from now on goes into a new segment. */
  seal(): void {
    this.#seal = true;
    this.#schedule();
  }

  /** The next batch takes along what is to be moved. */
  requestMoves(): void {
    this.#wantsMoves = true;
    this.#schedule();
  }

  /** Resolves when everything that was appended before the call is durable, or has failed. */
  written(): Promise<void> {
    return new Promise((resolve) => {
      const [settle, giveUp] = [() => resolve(), () => resolve()];
      this.append({ bytes: 0, records: 0, row: undefined, fill: () => {}, settle, giveUp });
    });
  }

  /** There is something to do, and the disk answers. */
  get isBusy(): boolean {
    return !this.#isStalled && (this.#flight !== undefined || this.#hasWork());
  }

  /** Resolves when there is nothing left to do. */
  async drained(): Promise<void> {
    while (this.isBusy) {
      await new Promise<void>((resolve) => this.#idle.push(resolve));
    }
  }

  /** Resolves when nothing waits for a slab. */
  async room(): Promise<void> {
    while (this.#waiting.length > 0) await new Promise<void>((resolve) => this.#room.push(resolve));
  }

  #inOrder(step: Step): void {
    if (this.#isStalled) {
      step.fail(stalled);
      return;
    }
    if (this.#waiting.length > 0 || !this.#isDone(step)) this.#waiting.push(step);
    this.#schedule();
  }

  #hasWork(): boolean {
    return (
      this.#logs.length > 0 ||
      this.#bodies.length > 0 ||
      this.#waiting.length > 0 ||
      this.#finish.length > 0 ||
      this.#abandon.length > 0 ||
      this.#removeFiles.length > 0 ||
      this.#dropSegments.length > 0 ||
      this.#wantsMoves ||
      this.#seal
    );
  }

  #schedule(): void {
    if (this.#flight !== undefined || this.#isScheduled) return;
    this.#isScheduled = true;
    setImmediate(() => {
      this.#isScheduled = false;
      void this.#send();
    });
  }

  async #send(): Promise<void> {
    if (this.#flight !== undefined || !this.#hasWork()) return;
    const { flight, task } = this.#takeBatch();
    const cancel = this.#options.after(this.#options.stallMs, () => this.#stall());
    try {
      this.#settle(flight, await this.#options.pool.batch(task));
    } catch (error) {
      this.#attempt(() => this.#lose(flight, error));
    }
    cancel();
    this.#isStalled = false;
    this.#flight = undefined;
    this.#advance();
    if (this.#hasWork()) void this.#send();
    else this.#wakeIdle();
  }

  /** What goes wrong with one batch must not be the end of all that follow. */
  #attempt<T>(work: () => T): T | undefined {
    try {
      return work();
    } catch (error) {
      this.#options.onFailure(failureOf(error));
      return undefined;
    }
  }

  #takeBatch(): { readonly flight: Flight; readonly task: BatchTask } {
    // Half of the slabs at most: the other half fills up meanwhile.
    const half = Math.max(1, this.#options.maxSlabs >> 1);
    const bodies = this.#bodies.splice(0, half);
    const logs = this.#logs.splice(0, Math.max(0, half - bodies.length));
    // A body may only be finished by the batch that brings its last bytes, or a later one.
    const isAll = this.#bodies.length === 0;
    // May drop segments.
    const wantsMoves = this.#wantsMoves;
    this.#wantsMoves = false;
    const moves = wantsMoves ? this.#attempt(() => this.#options.takeMoves()) : undefined;
    const task: BatchTask = {
      kind: 'batch',
      session: this.#session,
      dropSegments: this.#dropSegments.splice(0),
      removeFiles: this.#removeFiles.splice(0),
      bodies: bodies.map(({ buffer, pieces }) => ({ buffer, pieces })),
      finish: isAll ? this.#finish.splice(0) : [],
      abandon: isAll ? this.#abandon.splice(0) : [],
      seal: this.#seal,
      logs: logs.map(({ buffer, usedBytes, rows, isRetry }) => ({ buffer, usedBytes, rows, isPacked: isRetry })),
      moves,
      measureFree: this.#options.measureFree,
    };
    this.#seal = false;
    this.#flight = { logs, bodies, moves };
    return { flight: this.#flight, task };
  }

  #settle(flight: Flight, answer: BatchAnswer): void {
    const failures = [...answer.problems];
    for (const { segment: number, offset, usedBytes } of answer.carried) {
      this.#session = { ...this.#session, last: { number, usedBytes: offset + usedBytes } };
    }
    const again: Slab[] = [];
    for (const [i, slab] of flight.logs.entries()) {
      const buffer = answer.buffers[i];
      const answered = answer.logs[i];
      if (buffer === undefined || answered === undefined) throw new Error('the writer answered for another batch');
      if (answered.outcome === 'written') {
        this.#applyAll(slab, buffer, answered);
      } else if (isFull(answered.failure) && !slab.isRetry && (again.length > 0 || this.#options.onFull())) {
        again.push(retryOf(slab, buffer, answered.usedBytes));
        continue;
      } else {
        failures.push(answered.failure);
        for (const unit of slab.units) unit.settle({ outcome: 'failed', failure: answered.failure });
      }
      this.#slabs.giveBack(buffer);
    }
    if (flight.moves !== undefined) {
      this.#settleMoves(answer.moved, failures);
    }
    if (answer.freeBytes !== undefined) this.#options.onFree(answer.freeBytes);
    // Before what was queued meanwhile: the order of the log is the order in which things happened.
    this.#logs.unshift(...again);
    for (const buffer of answer.buffers.slice(flight.logs.length)) this.#slabs.giveBack(buffer);
    for (const body of answer.bodies) {
      if (body.outcome === 'failed') {
        failures.push(body.failure);
        if (isFull(body.failure)) this.#options.onFull();
      }
      const listener = this.#bodyListeners.get(body.file);
      if (body.outcome !== 'written') this.#bodyListeners.delete(body.file);
      listener?.(body);
    }
    const [failure] = failures;
    if (failure !== undefined) this.#options.onFailure(failure);
  }

  #settleMoves(moved: MoveAnswer | undefined, failures: WriterFailure[]): void {
    if (moved?.outcome === 'failed') failures.push(moved.failure);
    if (moved?.outcome === 'moved') {
      const { segment: number, places } = moved;
      let usedBytes = 0;
      for (let i = 0; i < places.length; i += 2) {
        usedBytes = Math.max(usedBytes, (places[i] ?? 0) + (places[i + 1] ?? 0));
      }
      if (usedBytes > 0) this.#session = { ...this.#session, last: { number, usedBytes } };
    }
    this.#options.onMoved(moved);
  }

  #applyAll(
    slab: Slab,
    buffer: ArrayBuffer,
    { segment: number, offset, usedBytes }: Extract<LogAnswer, { outcome: 'written' }>,
  ): void {
    const segment = { writer: this.#session.writer, number };
    const view = new DataView(buffer, 0, usedBytes);
    if (usedBytes > 0) this.#session = { ...this.#session, last: { number, usedBytes: offset + usedBytes } };
    let at = 0;
    for (const unit of slab.units) {
      const { records } = unit;
      let applied: Applied = { place: undefined, removed: 0 };
      let costBytes = 0;
      for (let i = 0; i < records; i += 1) {
        const header = readHeader(view, at);
        if (header === undefined) throw new Error('a slab came back damaged');
        const { place, removed } = this.#options.apply(header, segment, offset + at);
        applied = { place, removed: applied.removed + removed };
        at += header.recordBytes;
        costBytes += recordCostOf(header);
      }
      unit.settle({ outcome: 'written', applied, costBytes });
    }
  }

  /** The worker is gone, and with it the slabs and every body file that was being written. */
  #lose(flight: Flight, error: unknown): void {
    this.#slabs.writeOff(flight.logs.length + flight.bodies.length);
    const message = error instanceof Error ? error.message : String(error);
    this.#failBodies({ code: 'ERR_CACHE_WORKER', message });
    failUnits(flight.logs, { code: 'ERR_CACHE_WORKER', message });
    if (flight.moves !== undefined) this.#options.onMoved(undefined);
    this.#options.onWorkerLost(error);
  }

  /** The batch under way takes too long. What it writes counts if it comes back after all; nobody waits for it. */
  #stall(): void {
    if (this.#flight === undefined) return;
    this.#isStalled = true;
    this.#options.onFailure(stalled);
    for (const { units } of this.#flight.logs) for (const unit of units) unit.giveUp(stalled);
    failUnits(this.#logs, stalled);
    for (const step of this.#waiting.splice(0)) step.fail(stalled);
    for (const { buffer } of [...this.#logs.splice(0), ...this.#bodies.splice(0)]) this.#slabs.giveBack(buffer);
    this.#finish = [];
    this.#abandon.push(...this.#bodyListeners.keys());
    this.#failBodies(stalled);
    this.#advance();
    this.#wakeIdle();
  }

  #failBodies(failure: WriterFailure): void {
    const listeners = [...this.#bodyListeners];
    this.#bodyListeners.clear();
    for (const [file, listener] of listeners) listener({ file, outcome: 'failed', failure });
  }

  #advance(): void {
    for (let step = this.#waiting[0]; step !== undefined && this.#isDone(step); step = this.#waiting[0]) {
      this.#waiting.shift();
    }
    if (this.#waiting.length === 0) for (const resolve of this.#room.splice(0)) resolve();
  }

  /** A step that cannot be done is over too: those behind it have their turn. */
  #isDone(step: Step): boolean {
    try {
      return step.run();
    } catch (error) {
      step.fail(failureOf(error));
      return true;
    }
  }

  #wakeIdle(): void {
    for (const resolve of this.#idle.splice(0)) resolve();
  }
}

const stalled: WriterFailure = { code: 'ETIMEDOUT', message: 'the disk does not answer' };

function failUnits(slabs: readonly Slab[], failure: WriterFailure): void {
  for (const { units } of slabs) for (const unit of units) unit.settle({ outcome: 'failed', failure });
}

/** No space is left on the device: less on it may help. */
function isFull({ code }: WriterFailure): boolean {
  return code === 'ENOSPC' || code === 'EDQUOT';
}

/** Calls back when it is known what became of a record that was not written in time. */
export function onceKnown(
  result: Extract<RecordResult, { outcome: 'failed' }>,
  callback: (final: RecordResult) => void,
): void {
  if (result.later === undefined) callback(result);
  else void result.later.then(callback);
}
