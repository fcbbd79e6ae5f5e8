import type { Readable } from 'node:stream';
import { CacheError } from '../errors.js';
import type { StoredHead } from '../http/message.js';
import type { BodyAnswer } from '../protocol/messages.js';
import type { WriteQueue } from '../protocol/write-queue.js';
import type { CommitResult, CreateOptions, DeclineReason, EntryWriter } from './contract.js';
import type { ReadHandle } from './disk-files.js';
import { createRunningStream, type RunningSource } from './disk-running-body.js';

/** The body of a response that is about to be committed. */
export type WrittenBody =
  | { readonly place: 'memory'; readonly chunks: readonly Uint8Array[]; readonly bytes: number }
  | { readonly place: 'file'; readonly file: number; readonly bytes: number; readonly crcs: Uint32Array };

/** What a writer needs of its store. */
export interface WriterHost {
  readonly queue: WriteQueue;
  readonly maxEntryBytes: number;
  /** Why nothing can be stored now; `undefined` when all is well. */
  refusal(): DeclineReason | undefined;
  newFile(): number;
  openUnfinished(file: number): Promise<ReadHandle>;
  /** Counts bytes that writers hold in memory; `false` when they are too many. */
  holdBytes(change: number): boolean;
  reasonOf(failure: { readonly code: string; readonly message: string }): DeclineReason;
  commit(key: string, head: StoredHead, options: CreateOptions, body: WrittenBody): Promise<CommitResult>;
  forget(writer: DiskEntryWriter): void;
}

/** Bodies up to this long go into the log along with their record. */
export const maxLogBodyBytes = 1024 * 1024;
/** What may wait for a slab before writers are asked to wait, and before they are given up. */
const waitAboveBytes = 4 * 1024 * 1024;
const giveUpAboveBytes = 32 * 1024 * 1024;

export class DiskEntryWriter implements EntryWriter, RunningSource {
  readonly #host: WriterHost;
  readonly key: string;
  readonly head: StoredHead;
  readonly options: CreateOptions;
  #chunks: Uint8Array[] = [];
  #bytes = 0;
  #file: number | undefined;
  #fileBytes = 0;
  #fileAnswer: ((answer: BodyAnswer) => void) | undefined;
  #refused: DeclineReason | undefined;
  #state: 'writing' | 'committing' | 'ended' = 'writing';
  #isComplete = false;
  #failure: Error | undefined;
  #watchers: (() => void)[] = [];

  constructor(host: WriterHost, key: string, head: StoredHead, options: CreateOptions) {
    this.#host = host;
    this.key = key;
    this.head = head;
    this.options = options;
    this.#refused = host.refusal();
    if ((options.expectedBytes ?? 0) > host.maxEntryBytes) this.#refused ??= 'too-large';
  }

  write(chunk: Uint8Array): boolean {
    if (this.#state !== 'writing' || this.#refused !== undefined || chunk.byteLength === 0) return true;
    this.#bytes += chunk.byteLength;
    if (this.#bytes > this.#host.maxEntryBytes) return this.refuse('too-large');
    if (this.#bytes > (this.options.expectedBytes ?? Infinity)) return this.refuse('length-mismatch');
    if (this.#file === undefined) {
      this.#chunks.push(chunk);
      const hasRoom = this.#host.holdBytes(chunk.byteLength);
      if (hasRoom && this.#bytes <= maxLogBodyBytes) {
        this.#changed();
        return true;
      }
      this.#spill();
    } else {
      this.#host.queue.appendBody(this.#file, chunk);
    }
    if (this.#host.queue.waitingBytes > giveUpAboveBytes) return this.refuse('overloaded');
    return this.#host.queue.waitingBytes <= waitAboveBytes;
  }

  async ready(): Promise<void> {
    if (this.#refused === undefined && this.#file !== undefined) await this.#host.queue.room();
  }

  async commit(options: { readonly trailers?: readonly string[] } = {}): Promise<CommitResult> {
    if (this.#state !== 'writing') return { outcome: 'declined', reason: this.#refused ?? 'closed' };
    if (this.#bytes !== (this.options.expectedBytes ?? this.#bytes)) this.refuse('length-mismatch');
    this.#refused ??= this.#host.refusal();
    this.#state = 'committing';
    const result = await this.#finish(options.trailers);
    this.#state = 'ended';
    if (result.outcome === 'declined') {
      this.#refused = result.reason;
      this.#fail(`the response was not stored: ${result.reason}`);
    } else {
      this.#isComplete = true;
    }
    this.#host.forget(this);
    this.#letGo();
    this.#changed();
    return result;
  }

  async abort(): Promise<void> {
    if (this.#state !== 'writing') return;
    this.#state = 'ended';
    this.#host.forget(this);
    this.#drop();
    this.#fail('the response was given up before it was whole');
    this.#changed();
  }

  openBody(options: { readonly start?: number } = {}): Readable {
    return createRunningStream(this, options.start ?? 0);
  }

  /** It was invalidated while it was being written. */
  supersede(): void {
    if (this.#state === 'writing') this.refuse('superseded');
  }

  /** Keeps no more bytes; `commit` will say why. */
  refuse(reason: DeclineReason): true {
    if (this.#refused === undefined && this.#state !== 'ended') {
      this.#refused = reason;
      this.#drop();
      this.#fail(`the response is not stored: ${reason}`);
      this.#changed();
    }
    return true;
  }

  get readableBytes(): number {
    return this.#file === undefined ? this.#bytes : this.#fileBytes;
  }

  get isComplete(): boolean {
    return this.#isComplete;
  }

  get failure(): Error | undefined {
    return this.#failure;
  }

  bufferedAt(position: number): Uint8Array | undefined {
    let start = 0;
    for (const chunk of this.#chunks) {
      if (position < start + chunk.byteLength) return chunk.subarray(position - start);
      start += chunk.byteLength;
    }
    return undefined;
  }

  openFile(): Promise<ReadHandle> {
    return this.#file === undefined
      ? Promise.reject(new Error('the body has no file'))
      : this.#host.openUnfinished(this.#file);
  }

  onceChanged(callback: () => void): void {
    this.#watchers.push(callback);
  }

  async #finish(trailers: readonly string[] | undefined): Promise<CommitResult> {
    if (this.#refused !== undefined) return { outcome: 'declined', reason: this.#refused };
    const head = trailers === undefined || trailers.length === 0 ? this.head : { ...this.head, trailers };
    const bytes = this.#bytes;
    if (this.#file === undefined) {
      return this.#host.commit(this.key, head, this.options, { place: 'memory', chunks: this.#chunks, bytes });
    }
    const file = this.#file;
    const answer = await new Promise<BodyAnswer>((resolve) => {
      this.#fileAnswer = resolve;
      this.#host.queue.finishBody(file);
    });
    if (answer.outcome !== 'finished') return { outcome: 'declined', reason: this.#refused ?? 'unavailable' };
    if (answer.bytes !== bytes) return { outcome: 'declined', reason: 'unavailable' };
    return this.#host.commit(this.key, head, this.options, { place: 'file', file, bytes, crcs: answer.crcs });
  }

  /** From here on the body goes to a file of its own. */
  #spill(): void {
    const file = this.#host.newFile();
    this.#file = file;
    this.#host.queue.openBody(file, (answer) => this.#onFile(answer));
    for (const chunk of this.#chunks) this.#host.queue.appendBody(file, chunk);
    this.#letGo();
  }

  #onFile(answer: BodyAnswer): void {
    switch (answer.outcome) {
      case 'failed':
        this.refuse(this.#host.reasonOf(answer.failure));
        this.#fileAnswer?.(answer);
        break;
      case 'written':
        this.#fileBytes = answer.bytes;
        break;
      case 'finished':
        this.#fileBytes = answer.bytes;
        this.#fileAnswer?.(answer);
        break;
    }
    this.#changed();
  }

  #drop(): void {
    this.#letGo();
    if (this.#file !== undefined) this.#host.queue.abandonBody(this.#file);
  }

  /** Holds the chunks no longer, but for readers of a complete body, which keep this writer alive by themselves. */
  #letGo(): void {
    let held = 0;
    for (const chunk of this.#chunks) held += chunk.byteLength;
    this.#host.holdBytes(-held);
    if (!this.#isComplete) this.#chunks = [];
  }

  #fail(message: string): void {
    this.#failure ??= new CacheError('ERR_CACHE_ACCESS', message);
  }

  #changed(): void {
    for (const callback of this.#watchers.splice(0)) callback();
  }
}
