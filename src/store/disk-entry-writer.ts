import type { Readable } from 'node:stream';
import { CacheError } from '../errors.js';
import type { StoredHead } from '../http/message.js';
import type { BodyAnswer } from '../protocol/messages.js';
import type { WriteQueue } from '../protocol/write-queue.js';
import type { CommitResult, CreateOptions, DeclineReason, EntryWriter } from './contract.js';
import { ChunkWindow } from './disk-chunks.js';
import type { ReadHandle } from './disk-files.js';
import { createRunningStream, type RunningSource } from './disk-running-body.js';

/** The body of a response that is about to be committed. */
export type WrittenBody =
  | { readonly place: 'memory'; chunks: readonly Uint8Array[]; readonly areLent: boolean; readonly bytes: number }
  | {
      readonly place: 'file';
      readonly file: number;
      readonly bytes: number;
      readonly crcs: Uint32Array;
      readonly content: number;
    };

/** What a writer needs of its store. */
export interface WriterHost {
  readonly queue: WriteQueue;
  readonly maxEntryBytes: number;
  /** Calls `store` when it is its turn among those of a key, unless its version is too low by then. */
  inTurn(key: string, head: StoredHead, store: () => Promise<CommitResult>): Promise<CommitResult>;
  /** Why nothing can be stored now; `undefined` when all is well. */
  refusal(): DeclineReason | undefined;
  newFile(): number;
  openUnfinished(file: number): Promise<ReadHandle>;
  /** Takes space for a body file, or gives it back. */
  reserveFile(bytes: number): void;
  /** Counts bytes that writers hold in memory; `false` when they are too many. */
  holdBytes(change: number): boolean;
  /** Writers hold so little that they need not wait; `room` resolves when that is so again. */
  isRoomy(): boolean;
  room(): Promise<void>;
  reasonOf(failure: { readonly code: string; readonly message: string }): DeclineReason;
  commit(key: string, head: StoredHead, options: CreateOptions, body: WrittenBody): Promise<CommitResult>;
  forget(writer: DiskEntryWriter, isDeclined: boolean): void;
}

/** Bodies up to this long go into the log along with their record. */
const maxLogBodyBytes = 1024 * 1024;
const alwaysLogBytes = 64 * 1024;
/** What may wait for a slab before writers are asked to wait, and before they are given up. */
const waitAboveBytes = 4 * 1024 * 1024;
const giveUpAboveBytes = 32 * 1024 * 1024;
/** What is kept for readers of a body that is not stored. */
const maxWindowBytes = 1024 * 1024;

/** One response on its way to the disk: in memory at first, in a file of its own if it grows long. */
export class DiskEntryWriter implements EntryWriter, RunningSource {
  readonly #host: WriterHost;
  readonly key: string;
  readonly head: StoredHead;
  readonly options: CreateOptions;
  readonly #maxBytes: number;
  readonly #window = new ChunkWindow();
  /** Made for the first one: most bodies are read by nobody else. */
  #readers: Set<object> | undefined;
  #heldBytes = 0;
  #file: number | undefined;
  #fileBytes = 0;
  #reservedBytes = 0;
  #onFinished: ((answer: BodyAnswer) => void) | undefined;
  #refused: DeclineReason | undefined;
  #result: Promise<CommitResult> | undefined;
  #isQueued = false;
  /** The one chunk in the window is the caller's again when this is committed or abandoned. */
  #isLent = false;
  #isComplete = false;
  #failure: Error | undefined;
  #watchers: (() => void)[] = [];

  constructor(host: WriterHost, key: string, head: StoredHead, options: CreateOptions) {
    this.#host = host;
    this.key = key;
    this.head = head;
    this.options = options;
    this.#refused = host.refusal();
    this.#maxBytes = Math.min(host.maxEntryBytes, options.maxBytes ?? host.maxEntryBytes);
    if ((options.expectedBytes ?? 0) > this.#maxBytes) this.#refused ??= 'too-large';
  }

  get declined(): DeclineReason | undefined {
    return this.#refused;
  }

  write(chunk: Uint8Array, isLent = false): boolean {
    if (this.#result !== undefined || this.#failure !== undefined || chunk.byteLength === 0) return true;
    // Most bodies are one chunk, which goes from the socket's buffer into the batch. Of what comes in several, copies are taken.
    const isFirst = this.#window.endByte === 0;
    if (!isFirst) this.#own();
    this.#isLent = isLent && isFirst;
    const kept = isLent && !isFirst ? Buffer.from(chunk) : chunk;
    this.#window.append(kept);
    const bytes = this.#window.endByte;
    if (bytes > (this.options.expectedBytes ?? Infinity)) this.#refuse('length-mismatch');
    else if (bytes > this.#maxBytes) this.#refuse('too-large');
    else if (this.#refused === undefined) this.#keep(kept);
    if (this.#refused !== undefined) this.#window.dropBefore(this.#isRead() ? bytes - maxWindowBytes : bytes);
    this.#changed();
    if (this.#refused !== undefined) return true;
    return this.#file === undefined ? this.#host.isRoomy() : this.#host.queue.waitingBytes <= waitAboveBytes;
  }

  async ready(): Promise<void> {
    if (this.#refused !== undefined) return;
    await (this.#file === undefined ? this.#host.room() : this.#host.queue.room());
  }

  commit(options: { readonly trailers?: readonly string[] } = {}): Promise<CommitResult> {
    this.#result ??= this.#commit(options.trailers);
    return this.#result;
  }

  async abort(): Promise<void> {
    if (this.#result !== undefined) return;
    this.#result = Promise.resolve({ outcome: 'declined', reason: this.#refused ?? 'unavailable' });
    this.#refuse('unavailable');
    if (this.#isRead()) this.#own();
    this.#fail('the response was abandoned while it was being stored');
    this.#end();
  }

  openBody(options: { readonly start?: number } = {}): Readable {
    return createRunningStream(this, options.start ?? 0);
  }

  /** Stores nothing, whatever comes; readers go on. Too late once its record is queued: then the log's order decides. */
  supersede(reason: 'superseded' | 'closed'): void {
    if (!this.#isQueued) this.#refuse(reason);
  }

  /** Resolves when its commit is over, at once if none is under way. */
  async settled(): Promise<void> {
    await this.#result;
  }

  get isComplete(): boolean {
    return this.#isComplete;
  }

  get failure(): Error | undefined {
    return this.#failure;
  }

  get fileBytes(): number {
    return this.#fileBytes;
  }

  bufferedAt(position: number): Uint8Array | undefined {
    return this.#window.at(position);
  }

  isLost(position: number): boolean {
    const isElsewhere = this.#refused === undefined && this.#file !== undefined;
    return !isElsewhere && this.#window.isForgotten(position);
  }

  openFile(): Promise<ReadHandle> {
    if (this.#file === undefined) return Promise.reject(new Error('the body has no file'));
    return this.#host.openUnfinished(this.#file);
  }

  onceChanged(callback: () => void): void {
    this.#watchers.push(callback);
  }

  attach(reader: object): void {
    this.#readers ??= new Set();
    this.#readers.add(reader);
  }

  detach(reader: object): void {
    this.#readers?.delete(reader);
  }

  #isRead(): boolean {
    return this.#readers !== undefined && this.#readers.size > 0;
  }

  /** Takes a copy of what is lent. */
  #own(): void {
    if (!this.#isLent) return;
    this.#isLent = false;
    this.#window.ownFirst();
  }

  #keep(chunk: Uint8Array): void {
    const { queue } = this.#host;
    if (this.#file === undefined) {
      const hasRoom = this.#hold();
      const bytes = this.#window.endByte;
      // A short body costs far less in the log than as a file, however much is waiting.
      if (bytes <= alwaysLogBytes || (hasRoom && bytes <= maxLogBodyBytes)) return;
      this.#own();
      this.#file = this.#host.newFile();
      queue.openBody(this.#file, (answer) => this.#onFile(answer));
      for (const earlier of this.#window.chunks) queue.appendBody(this.#file, earlier);
      this.#reserve(this.#window.endByte);
    } else {
      queue.appendBody(this.#file, chunk);
      this.#reserve(chunk.byteLength);
    }
    if (queue.waitingBytes > giveUpAboveBytes) this.#refuse('overloaded');
    else this.#hold();
  }

  #commit(trailers: readonly string[] | undefined): Promise<CommitResult> {
    const bytes = this.#window.endByte;
    if (this.#isRead() || this.head.version !== undefined) this.#own();
    if (bytes !== (this.options.expectedBytes ?? bytes)) {
      this.#refuse('length-mismatch');
      this.#fail(`the body has ${bytes} bytes and not ${this.options.expectedBytes} as announced`);
    }
    // Readers need not wait for the disk.
    this.#isComplete = true;
    this.#changed();
    const reason = this.#refused ?? this.#host.refusal();
    const head = trailers === undefined || trailers.length === 0 ? this.head : { ...this.head, trailers };
    if (reason === undefined) return this.#store(head, bytes).then((result) => this.#conclude(result));
    return Promise.resolve(this.#conclude({ outcome: 'declined', reason }));
  }

  #conclude(result: CommitResult): CommitResult {
    if (result.outcome === 'declined') this.#refuse(result.reason);
    this.#end();
    return result;
  }

  #store(head: StoredHead, bytes: number): Promise<CommitResult> {
    if (head.version === undefined) return this.#append(head, bytes);
    return this.#host.inTurn(this.key, head, async () =>
      this.#refused === undefined ? this.#append(head, bytes) : { outcome: 'declined', reason: this.#refused },
    );
  }

  #append(head: StoredHead, bytes: number): Promise<CommitResult> {
    if (this.#file !== undefined) return this.#appendFile(this.#file, head, bytes);
    this.#isQueued = true;
    const body: WrittenBody = { place: 'memory', chunks: this.#window.chunks, areLent: this.#isLent, bytes };
    const committed = this.#host.commit(this.key, head, this.options, body);
    // They are in the batch by now, or on their way there: what lives on until the disk has confirmed it costs the garbage collector.
    body.chunks = [];
    if (!this.#isRead()) this.#window.dropBefore(bytes);
    return committed;
  }

  async #appendFile(file: number, head: StoredHead, bytes: number): Promise<CommitResult> {
    const answer = await new Promise<BodyAnswer>((resolve) => {
      this.#onFinished = resolve;
      this.#host.queue.finishBody(file);
    });
    if (this.#refused !== undefined) return { outcome: 'declined', reason: this.#refused };
    if (answer.outcome !== 'finished' || answer.bytes !== bytes) return { outcome: 'declined', reason: 'unavailable' };
    // From here on the space belongs to the record.
    this.#reserve(-this.#reservedBytes);
    this.#isQueued = true;
    const { crcs, content } = answer;
    return this.#host.commit(this.key, head, this.options, { place: 'file', file, bytes, crcs, content });
  }

  #onFile(answer: BodyAnswer): void {
    if (answer.outcome === 'failed') {
      this.#refuse(this.#host.reasonOf(answer.failure));
    } else {
      this.#fileBytes = answer.bytes;
      this.#window.dropBefore(answer.bytes);
      this.#hold();
    }
    if (answer.outcome !== 'written') this.#onFinished?.(answer);
    this.#changed();
  }

  /** From here on nothing is kept but what readers still need. */
  #refuse(reason: DeclineReason): void {
    if (this.#refused !== undefined) return;
    this.#refused = reason;
    if (this.#file !== undefined && !this.#isQueued) {
      this.#host.queue.abandonBody(this.#file);
      this.#onFinished?.({ file: this.#file, outcome: 'failed', failure: { code: '', message: reason } });
    }
    this.#reserve(-this.#reservedBytes);
    this.#hold();
  }

  #end(): void {
    this.#host.forget(this, this.#refused !== undefined);
    this.#host.holdBytes(-this.#heldBytes);
    this.#heldBytes = 0;
    this.#changed();
  }

  #hold(): boolean {
    const change = this.#window.heldBytes - this.#heldBytes;
    this.#heldBytes += change;
    return this.#host.holdBytes(change);
  }

  #reserve(bytes: number): void {
    this.#reservedBytes += bytes;
    this.#host.reserveFile(bytes);
  }

  #fail(message: string): void {
    this.#failure ??= new CacheError('ERR_CACHE_ABORTED', message);
  }

  #changed(): void {
    if (this.#watchers.length === 0) return;
    for (const callback of this.#watchers.splice(0)) callback();
  }
}
