import { publish } from '../diagnostics.js';
import type { CommitResult, EntryWriter } from '../store/contract.js';
import type { OriginResponse } from './messages.js';
import type { BodySink } from './tap.js';

/** A response on its way into the store: committed when its body is whole, gone without a trace when it is not. */
export class Recording implements BodySink {
  readonly writer: EntryWriter;
  /** Settles when the response is stored, declined or given up; never rejects. `undefined`: nothing was kept. */
  readonly finished: Promise<CommitResult | undefined>;
  readonly #origin: OriginResponse;
  readonly #key: string;
  readonly #url: string;
  #settle: (result: CommitResult | undefined) => void = () => undefined;
  #isCanceled = false;
  /** No more bytes will come: it is being committed, or given up. */
  isOver = false;
  bytes = 0;

  constructor(writer: EntryWriter, origin: OriginResponse, key: string, url: string) {
    this.writer = writer;
    this.#origin = origin;
    this.#key = key;
    this.#url = url;
    this.finished = new Promise((resolve) => {
      this.#settle = resolve;
    });
  }

  write(chunk: Uint8Array): boolean {
    if (this.isOver) return true;
    this.bytes += chunk.byteLength;
    return this.writer.write(chunk);
  }

  ready(): Promise<void> {
    return this.writer.ready();
  }

  end(isComplete: boolean): void {
    if (this.isOver) return;
    this.isOver = true;
    if (isComplete && !this.#isCanceled) void this.#commit();
    else void this.#abort('incomplete');
  }

  /** What it holds is no longer valid: it never becomes visible. */
  cancel(): void {
    this.#isCanceled = true;
    if (this.isOver) return;
    this.isOver = true;
    void this.#abort('invalidated');
  }

  async #commit(): Promise<void> {
    const trailers = this.#origin.trailers();
    const result = await this.writer.commit(trailers.length > 0 ? { trailers } : undefined);
    if (result.outcome === 'stored') publish('store', { key: this.#key, url: this.#url, bytes: this.bytes });
    else publish('skip', { key: this.#key, url: this.#url, reason: result.reason });
    this.#settle(result);
  }

  async #abort(reason: string): Promise<void> {
    await this.writer.abort();
    publish('skip', { key: this.#key, url: this.#url, reason });
    this.#settle(undefined);
  }
}
