import { Readable } from 'node:stream';
import { publish } from '../diagnostics.js';
import { CacheError } from '../errors.js';
import type { EntryWriter } from '../store/contract.js';
import type { OriginResponse } from './messages.js';
import type { BodySink } from './tap.js';

export interface RecordingOptions {
  readonly key: string;
  readonly url: string;
  readonly expectedBytes: number | undefined;
  /** Finish without a reader when at most this many bytes are missing. */
  readonly finishAbandonedBytes: number;
}

/** A response on its way into the store: committed when its body is whole, gone without a trace when it is not. */
export class Recording implements BodySink {
  readonly #writer: EntryWriter;
  /** Until it is over: a response that waits for the disk would hold all of its client's objects. */
  #origin: OriginResponse | undefined;
  readonly #options: RecordingOptions;
  #onFinished: (() => void)[] = [];
  #isFinished = false;
  #bytes = 0;
  #followers = 0;
  #isOver = false;
  #isRefused = false;

  constructor(writer: EntryWriter, origin: OriginResponse, options: RecordingOptions) {
    this.#writer = writer;
    this.#origin = origin;
    this.#options = options;
  }

  /** Calls back when the response is stored, declined or given up. */
  onceFinished(callback: () => void): void {
    if (this.#isFinished) callback();
    else this.#onFinished.push(callback);
  }

  /** Resolves when the response is stored, declined or given up; never rejects. */
  get finished(): Promise<void> {
    return new Promise((resolve) => this.onceFinished(resolve));
  }

  /** No more bytes will come: it is being committed, or given up. */
  get isOver(): boolean {
    return this.#isOver;
  }

  /** It came as a whole, and the store did not keep it. */
  get isRefused(): boolean {
    return this.#isRefused;
  }

  /** Nothing will come of it, so that what has gone by may be had from nowhere. */
  get isDeclined(): boolean {
    return this.#writer.declined !== undefined;
  }

  write(chunk: Uint8Array, isLent: boolean): boolean {
    if (this.#isOver) return true;
    this.#bytes += chunk.byteLength;
    return this.#writer.write(chunk, isLent);
  }

  ready(): Promise<void> {
    return this.#writer.ready();
  }

  end(isComplete: boolean): void {
    if (this.#isOver) return;
    this.#isOver = true;
    if (isComplete) this.#commit();
    else void this.#abort('incomplete');
  }

  openBody(start: number): Readable {
    return this.#writer.openBody({ start });
  }

  /** Others wait for the rest, or so little is missing that it is not worth losing. */
  isWanted(): boolean {
    const { expectedBytes, finishAbandonedBytes } = this.#options;
    if (this.#isOver) return false;
    return this.#followers > 0 || (expectedBytes !== undefined && expectedBytes - this.#bytes <= finishAbandonedBytes);
  }

  /** Reads along, from the first byte and at its own pace. Once it is over, that fails: the store has it by then, or nobody. */
  follow(): Readable {
    if (this.#isOver) return broken('the body was read along with too late');
    this.#followers += 1;
    this.#origin?.body.share();
    const body = this.#writer.openBody();
    body.once('close', () => {
      this.#followers -= 1;
    });
    return body;
  }

  #commit(): void {
    const trailers = this.#origin?.trailers() ?? [];
    this.#origin = undefined;
    const committed = this.#writer.commit(trailers.length > 0 ? { trailers } : undefined);
    void committed.then((result) => {
      const { key, url } = this.#options;
      if (result.outcome === 'stored') publish('store', { key, url, bytes: this.#bytes });
      else {
        this.#isRefused = true;
        publish('skip', { key, url, reason: result.reason });
      }
      this.#finish();
    });
  }

  async #abort(reason: string): Promise<void> {
    await this.#writer.abort();
    publish('skip', { key: this.#options.key, url: this.#options.url, reason });
    this.#finish();
  }

  #finish(): void {
    this.#isFinished = true;
    for (const callback of this.#onFinished.splice(0)) callback();
  }
}

function broken(message: string): Readable {
  return new Readable({
    read() {
      this.destroy(new CacheError('ERR_CACHE_ABORTED', message));
    },
  });
}
