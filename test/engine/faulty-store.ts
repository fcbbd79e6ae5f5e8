import type { Readable } from 'node:stream';
import type {
  CommitResult,
  CreateOptions,
  EntryWriter,
  ResponseStore,
  Selector,
  StoredHead,
  StoredResponse,
  StoreRef,
  StoreStats,
  UpdateOptions,
} from '../../src/index.js';

/** What may go wrong, by the method it goes wrong in. */
export type Fault =
  | 'lookup'
  | 'create'
  | 'updateHead'
  | 'remove'
  | 'invalidate'
  | 'write'
  | 'ready'
  | 'commit'
  | 'abort'
  | 'openBody'
  | 'openRunningBody';

export class StoreFault extends Error {}

/** A store that keeps none of the contract's promises where it is told not to: it throws, or rejects. */
export class FaultyStore implements ResponseStore {
  readonly faults = new Set<Fault>();
  /** Throw at once in place of rejecting. */
  throws = false;
  /** Never settle in place of rejecting. Told when somebody begins to wait. */
  onHang: (() => void) | undefined;
  readonly #inner: ResponseStore;

  constructor(inner: ResponseStore) {
    this.#inner = inner;
  }

  fail(fault: Fault): void {
    if (this.faults.has(fault)) throw new StoreFault(fault);
  }

  #failOrReject<T>(fault: Fault, work: () => Promise<T>): Promise<T> {
    if (!this.faults.has(fault)) return work();
    if (this.onHang !== undefined) {
      this.onHang();
      return new Promise(() => undefined);
    }
    if (this.throws) throw new StoreFault(fault);
    return Promise.reject(new StoreFault(fault));
  }

  lookup(key: string): Promise<readonly StoredResponse[]> {
    return this.#failOrReject('lookup', async () =>
      (await this.#inner.lookup(key)).map((response) => ({
        ...copyOf(response),
        openBody: (range): Readable => {
          this.fail('openBody');
          return response.openBody(range);
        },
      })),
    );
  }

  create(key: string, head: StoredHead, options?: CreateOptions): EntryWriter {
    this.fail('create');
    const writer = this.#inner.create(key, head, options);
    return {
      write: (chunk): boolean => {
        this.fail('write');
        return this.faults.has('ready') ? false : writer.write(chunk);
      },
      ready: () => this.#failOrReject('ready', () => writer.ready()),
      commit: (commitOptions): Promise<CommitResult> =>
        this.#failOrReject('commit', () => writer.commit(commitOptions)),
      abort: () => this.#failOrReject('abort', () => writer.abort()),
      openBody: (bodyOptions): Readable => {
        this.fail('openRunningBody');
        return writer.openBody(bodyOptions);
      },
    };
  }

  updateHead(ref: StoreRef, head: StoredHead, options?: UpdateOptions): Promise<StoredResponse | undefined> {
    return this.#failOrReject('updateHead', () => this.#inner.updateHead(ref, head, options));
  }

  remove(ref: StoreRef): Promise<boolean> {
    return this.#failOrReject('remove', () => this.#inner.remove(ref));
  }

  invalidate(selector: Selector): Promise<number> {
    return this.#failOrReject('invalidate', () => this.#inner.invalidate(selector));
  }

  entries(selector?: Selector): AsyncIterable<StoredResponse> {
    return this.#inner.entries(selector);
  }

  stats(): Promise<StoreStats> {
    return this.#inner.stats();
  }

  flush(): Promise<void> {
    return this.#inner.flush();
  }

  clear(): Promise<void> {
    return this.#inner.clear();
  }

  close(): Promise<void> {
    return this.#inner.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

/** The body at hand is left out, so that it has to be opened. */
function copyOf({ ref, head, bodyBytes, tier }: StoredResponse): Omit<StoredResponse, 'openBody'> {
  return { ref, head, bodyBytes, tier, inlineBody: undefined };
}
