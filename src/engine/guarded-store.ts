import { Readable } from 'node:stream';
import { publish } from '../diagnostics.js';
import type { StoredHead } from '../http/message.js';
import type {
  CommitResult,
  CreateOptions,
  DeclineReason,
  EntryWriter,
  LookupOptions,
  ResponseStore,
  Selector,
  StoredResponse,
  StoreRef,
  UpdateOptions,
} from '../store/contract.js';

/**
 * The store as exchanges see it: whatever it throws or rejects with is nothing found, nothing kept or nothing changed, and an event.
 * Stores promise most of that themselves; a request must not depend on it.
 */
export class GuardedStore {
  readonly #store: ResponseStore;

  constructor(store: ResponseStore) {
    this.#store = store;
  }

  /** `undefined`: the store failed. */
  async lookup(key: string, options?: LookupOptions): Promise<readonly StoredResponse[] | undefined> {
    try {
      return await this.#store.lookup(key, options);
    } catch (error) {
      publish('error', { error, during: 'lookup' });
      return undefined;
    }
  }

  /** A lookup would find nothing for sure, which the store can tell at once. */
  isAbsent(key: string): boolean {
    try {
      return this.#store.has?.(key) === 'absent';
    } catch (error) {
      publish('error', { error, during: 'has' });
      return false;
    }
  }

  /** `undefined`: the store failed. */
  create(key: string, head: StoredHead, options: CreateOptions): EntryWriter | undefined {
    try {
      return new GuardedWriter(this.#store.create(key, head, options));
    } catch (error) {
      publish('error', { error, during: 'create' });
      return undefined;
    }
  }

  async updateHead(ref: StoreRef, head: StoredHead, options: UpdateOptions): Promise<StoredResponse | undefined> {
    try {
      return await this.#store.updateHead(ref, head, options);
    } catch (error) {
      publish('error', { error, during: 'updateHead' });
      return undefined;
    }
  }

  async remove(ref: StoreRef): Promise<void> {
    try {
      await this.#store.remove(ref);
    } catch (error) {
      publish('error', { error, during: 'remove' });
    }
  }

  async invalidate(selector: Selector): Promise<void> {
    try {
      const entries = await this.#store.invalidate(selector);
      if (entries > 0) publish('invalidate', { entries });
    } catch (error) {
      publish('error', { error, during: 'invalidate' });
    }
  }
}

/** A body of a stored response, or of one that is being stored; what is thrown instead comes as the stream's error. */
export function openGuarded(open: () => Readable): Readable {
  try {
    return open();
  } catch (error) {
    publish('error', { error, during: 'openBody' });
    return new Readable({
      read() {
        this.destroy(error instanceof Error ? error : new Error(String(error)));
      },
    });
  }
}

class GuardedWriter implements EntryWriter {
  readonly #writer: EntryWriter;
  #isBroken = false;

  constructor(writer: EntryWriter) {
    this.#writer = writer;
  }

  get declined(): DeclineReason | undefined {
    if (this.#isBroken) return 'unavailable';
    try {
      return this.#writer.declined;
    } catch (error) {
      this.#break(error, 'declined');
      return 'unavailable';
    }
  }

  write(chunk: Uint8Array): boolean {
    if (this.#isBroken) return true;
    try {
      return this.#writer.write(chunk);
    } catch (error) {
      this.#break(error, 'write');
      return true;
    }
  }

  async ready(): Promise<void> {
    try {
      await this.#writer.ready();
    } catch (error) {
      this.#break(error, 'ready');
    }
  }

  async commit(options?: { readonly trailers?: readonly string[] }): Promise<CommitResult> {
    if (this.#isBroken) return { outcome: 'declined', reason: 'unavailable' };
    try {
      return await this.#writer.commit(options);
    } catch (error) {
      publish('error', { error, during: 'commit' });
      return { outcome: 'declined', reason: 'unavailable' };
    }
  }

  async abort(): Promise<void> {
    try {
      await this.#writer.abort();
    } catch (error) {
      publish('error', { error, during: 'abort' });
    }
  }

  openBody(options?: { readonly start?: number }): Readable {
    return openGuarded(() => this.#writer.openBody(options));
  }

  #break(error: unknown, during: string): void {
    if (this.#isBroken) return;
    this.#isBroken = true;
    publish('error', { error, during });
    void this.abort();
  }
}
