import type { Applied, BodyFile, SegmentName } from '../disk/index-table.js';
import { type RecordHeader, readHeader } from '../disk/record.js';
import type { BatchAnswer, BodyAnswer, WriterFailure, WriterSession } from './messages.js';
import type { WriterPool } from './pool.js';

export type RecordResult =
  | { readonly outcome: 'written'; readonly applied: Applied }
  | { readonly outcome: 'failed'; readonly failure: WriterFailure };

export interface WriteQueueOptions {
  readonly pool: WriterPool;
  readonly session: WriterSession;
  readonly slabBytes: number;
  readonly maxSlabs: number;
  /** Called for every record that became durable, in log order. */
  readonly apply: (header: RecordHeader, segment: SegmentName, offset: number) => Applied;
  readonly onProblem: (failure: WriterFailure) => void;
  /** Called when the worker was lost with a batch. */
  readonly onWorkerLost: (error: unknown) => void;
}

type Settle = (result: RecordResult) => void;

/** Records that were appended together. */
interface Unit {
  readonly records: number;
  readonly settle: Settle;
}

interface Slab {
  readonly buffer: ArrayBuffer;
  readonly bytes: Uint8Array;
  readonly view: DataView;
  usedBytes: number;
  readonly units: Unit[];
  readonly pieces: number[];
}

/**
 * Gathers what is to be written into slabs and sends one batch at a time. What comes up while a batch is under way goes
 * with the next: the batches grow with the load by themselves. The slabs come back with the answer, so memory is bounded
 * by their number; when all are in use, what comes next waits in line.
 */
export class WriteQueue {
  readonly #options: WriteQueueOptions;
  #session: WriterSession;
  readonly #free: ArrayBuffer[] = [];
  #allocated = 0;
  #logs: Slab[] = [];
  #bodies: Slab[] = [];
  #finish: number[] = [];
  #abandon: number[] = [];
  #removeFiles: Pick<BodyFile, 'writer' | 'number'>[] = [];
  #dropSegments: SegmentName[] = [];
  #seal = false;
  /** Steps that found no slab, in order. A step returns whether it is done. */
  readonly #waiting: (() => boolean)[] = [];
  #waitingBytes = 0;
  readonly #bodyListeners = new Map<number, (answer: BodyAnswer) => void>();
  #inFlight = false;
  #scheduled = false;
  #idle: (() => void)[] = [];
  #room: (() => void)[] = [];

  constructor(options: WriteQueueOptions) {
    this.#options = options;
    this.#session = options.session;
  }

  get session(): WriterSession {
    return this.#session;
  }

  /** Bytes of bodies that wait for a slab. */
  get waitingBytes(): number {
    return this.#waitingBytes;
  }

  get isCrowded(): boolean {
    return this.#waiting.length > 0;
  }

  /** Queues records that belong together: `fill` writes all of them but their checksums. */
  append(
    { bytes, records }: { readonly bytes: number; readonly records: number },
    fill: (bytes: Uint8Array, view: DataView, at: number) => void,
    settle: Settle,
  ): void {
    this.#inOrder(() => {
      const slab = this.#slabFor(this.#logs, bytes);
      if (slab === undefined) return false;
      fill(slab.bytes, slab.view, slab.usedBytes);
      slab.usedBytes += bytes;
      slab.units.push({ records, settle });
      return true;
    });
  }

  /** Whatever becomes of a body file is told to its listener, until it is finished, abandoned or failed. */
  openBody(file: number, listener: (answer: BodyAnswer) => void): void {
    this.#bodyListeners.set(file, listener);
  }

  appendBody(file: number, chunk: Uint8Array): void {
    let done = 0;
    this.#waitingBytes += chunk.byteLength;
    this.#inOrder(() => {
      while (done < chunk.byteLength) {
        const slab = this.#slabFor(this.#bodies, 1);
        if (slab === undefined) return false;
        const length = Math.min(chunk.byteLength - done, this.#options.slabBytes - slab.usedBytes);
        slab.bytes.set(chunk.subarray(done, done + length), slab.usedBytes);
        slab.pieces.push(file, slab.usedBytes, length);
        slab.usedBytes += length;
        done += length;
        this.#waitingBytes -= length;
      }
      return true;
    });
  }

  finishBody(file: number): void {
    this.#inOrder(() => {
      this.#finish.push(file);
      return true;
    });
  }

  abandonBody(file: number): void {
    this.#bodyListeners.delete(file);
    this.#inOrder(() => {
      this.#abandon.push(file);
      return true;
    });
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

  /** Resolves when nothing that was queued before the call is still on its way. */
  async drained(): Promise<void> {
    while (this.#inFlight || this.#hasWork()) await new Promise<void>((resolve) => this.#idle.push(resolve));
  }

  /** Resolves when nothing waits for a slab. */
  async room(): Promise<void> {
    while (this.#waiting.length > 0) await new Promise<void>((resolve) => this.#room.push(resolve));
  }

  #inOrder(step: () => boolean): void {
    if (this.#waiting.length > 0 || !step()) this.#waiting.push(step);
    this.#schedule();
  }

  #slabFor(list: Slab[], bytes: number): Slab | undefined {
    const last = list.at(-1);
    if (last !== undefined && last.usedBytes + bytes <= this.#options.slabBytes) return last;
    if (bytes > this.#options.slabBytes) throw new RangeError(`a record of ${bytes} bytes is larger than a slab`);
    let buffer = this.#free.pop();
    if (buffer === undefined) {
      if (this.#allocated >= this.#options.maxSlabs) return undefined;
      this.#allocated += 1;
      buffer = new ArrayBuffer(this.#options.slabBytes);
    }
    const slab: Slab = {
      buffer,
      bytes: new Uint8Array(buffer),
      view: new DataView(buffer),
      usedBytes: 0,
      units: [],
      pieces: [],
    };
    list.push(slab);
    return slab;
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
      this.#seal
    );
  }

  #schedule(): void {
    if (this.#inFlight || this.#scheduled) return;
    this.#scheduled = true;
    setImmediate(() => {
      this.#scheduled = false;
      void this.#send();
    });
  }

  async #send(): Promise<void> {
    if (this.#inFlight || !this.#hasWork()) return;
    this.#inFlight = true;
    const half = Math.max(1, this.#options.maxSlabs >> 1);
    const bodies = this.#bodies.splice(0, half);
    const logs = this.#logs.splice(0, Math.max(0, half - bodies.length));
    const isAll = this.#bodies.length === 0;
    const batch = {
      kind: 'batch',
      session: this.#session,
      bodies: bodies.map(({ buffer, pieces }) => ({ buffer, pieces })),
      // A body may only be finished by the batch that brings its last bytes, or a later one.
      finish: isAll ? this.#finish.splice(0) : [],
      abandon: isAll ? this.#abandon.splice(0) : [],
      logs: logs.map(({ buffer, usedBytes }) => ({ buffer, usedBytes })),
      seal: this.#seal,
      removeFiles: this.#removeFiles.splice(0),
      dropSegments: this.#dropSegments.splice(0),
    } as const;
    this.#seal = false;
    try {
      this.#settle(logs, await this.#options.pool.batch(batch));
    } catch (error) {
      this.#lose(logs, bodies.length, error);
    }
    this.#inFlight = false;
    this.#advance();
    if (this.#hasWork()) void this.#send();
    else for (const resolve of this.#idle.splice(0)) resolve();
  }

  #settle(logs: readonly Slab[], answer: BatchAnswer): void {
    const { apply } = this.#options;
    for (const [i, { usedBytes, units }] of logs.entries()) {
      const buffer = answer.buffers[i];
      const answered = answer.logs[i];
      if (buffer === undefined || answered === undefined) throw new Error('the writer answered for another batch');
      if (answered.outcome === 'failed') {
        for (const { settle } of units) settle(answered);
        continue;
      }
      const segment = { writer: this.#session.writer, number: answered.segment };
      if (answered.segment >= this.#session.nextSegment) {
        this.#session = { ...this.#session, nextSegment: answered.segment + 1 };
      }
      const view = new DataView(buffer, 0, usedBytes);
      let at = 0;
      for (const { records, settle } of units) {
        let applied: Applied = { place: undefined, removed: 0 };
        for (let i = 0; i < records; i += 1) {
          const header = readHeader(view, at);
          if (header === undefined) throw new Error('a slab came back damaged');
          const last = apply(header, segment, answered.offset + at);
          applied = { place: last.place, removed: applied.removed + last.removed };
          at += header.recordBytes;
        }
        settle({ outcome: 'written', applied });
      }
    }
    for (const body of answer.bodies) {
      const listener = this.#bodyListeners.get(body.file);
      if (body.outcome !== 'written') this.#bodyListeners.delete(body.file);
      listener?.(body);
    }
    for (const problem of answer.problems) this.#options.onProblem(problem);
    this.#free.push(...answer.buffers);
  }

  /** The worker is gone, and with it the slabs and every body file that was being written. */
  #lose(logs: readonly Slab[], bodySlabs: number, error: unknown): void {
    this.#allocated -= logs.length + bodySlabs;
    const failure = { code: 'ERR_CACHE_WORKER', message: error instanceof Error ? error.message : String(error) };
    for (const { units } of logs) for (const { settle } of units) settle({ outcome: 'failed', failure });
    const listeners = [...this.#bodyListeners];
    this.#bodyListeners.clear();
    for (const [file, listener] of listeners) listener({ file, outcome: 'failed', failure });
    this.#options.onWorkerLost(error);
  }

  #advance(): void {
    while (this.#waiting[0]?.() === true) this.#waiting.shift();
    if (this.#waiting.length === 0) for (const resolve of this.#room.splice(0)) resolve();
  }
}
