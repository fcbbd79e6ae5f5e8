import { Readable } from 'node:stream';
import { publish } from '../diagnostics.js';
import { CacheError } from '../errors.js';
import type { StoredHead } from '../http/message.js';
import type {
  CommitResult,
  CreateOptions,
  DeclineReason,
  EntryWriter,
  Lease,
  LookupOptions,
  ResponseStore,
  Selector,
  StoredResponse,
  StoreRef,
  UpdateOptions,
} from '../store/contract.js';
import { TimeLimit } from './time-limit.js';

/** How long a store of the user's may take for what a request waits for, and for making a response durable, in ms. */
const limitMs = 5_000;
const commitLimitMs = 60_000;

/** For a store that may never answer. */
class Limits {
  readonly #short = new TimeLimit(limitMs);
  readonly #long = new TimeLimit(commitLimitMs);

  settle<T>(work: Promise<T>, during: string): Promise<T> {
    const limit = during === 'commit' ? this.#long : this.#short;
    return limit.settle(
      work,
      () =>
        new CacheError('ERR_CACHE_TIMEOUT', `The store did not answer \`${during}\`. The request goes on without it.`),
    );
  }
}

/** Nobody has to wait for our own: they bound what they wait for themselves. */
const unlimited: Pick<Limits, 'settle'> = { settle: (work) => work };

/**
 * The store as exchanges see it: whatever it throws or rejects with is nothing found, nothing kept or nothing changed, and an event; so is
 * an answer of the user's own store that does not come. Stores promise most of that themselves; a request must not depend on it.
 */
export class GuardedStore {
  readonly #store: ResponseStore;
  readonly #limits: Pick<Limits, 'settle'>;

  constructor(store: ResponseStore, isUsers: boolean) {
    this.#store = store;
    this.#limits = isUsers ? new Limits() : unlimited;
  }

  /** `undefined`: the store failed. */
  async lookup(key: string, options?: LookupOptions): Promise<readonly StoredResponse[] | undefined> {
    try {
      return await this.#limits.settle(this.#store.lookup(key, options), 'lookup');
    } catch (error) {
      publish('error', { error, during: 'lookup' });
      return undefined;
    }
  }

  /** A lookup would find nothing for sure, which the store can tell at once. */
  isAbsent(key: string): boolean {
    try {
      return this.#store.has?.(key, asLastSeen) === 'absent';
    } catch (error) {
      publish('error', { error, during: 'has' });
      return false;
    }
  }

  /** `undefined`: nobody else may be asking for the same. */
  lease(key: string): Lease | undefined {
    try {
      const lease = this.#store.lease?.(key);
      return lease === undefined || this.#limits === unlimited ? lease : new GuardedLease(lease, this.#limits);
    } catch (error) {
      publish('error', { error, during: 'lease' });
      return undefined;
    }
  }

  /** `undefined`: the store failed. */
  create(key: string, head: StoredHead, options: CreateOptions): EntryWriter | undefined {
    try {
      return new GuardedWriter(this.#store.create(key, head, options), this.#limits);
    } catch (error) {
      publish('error', { error, during: 'create' });
      return undefined;
    }
  }

  async updateHead(ref: StoreRef, head: StoredHead, options: UpdateOptions): Promise<StoredResponse | undefined> {
    try {
      return await this.#limits.settle(this.#store.updateHead(ref, head, options), 'updateHead');
    } catch (error) {
      publish('error', { error, during: 'updateHead' });
      return undefined;
    }
  }

  async remove(ref: StoreRef): Promise<void> {
    try {
      await this.#limits.settle(this.#store.remove(ref), 'remove');
    } catch (error) {
      publish('error', { error, during: 'remove' });
    }
  }

  async invalidate(selector: Selector): Promise<void> {
    try {
      const entries = await this.#limits.settle(this.#store.invalidate(selector), 'invalidate');
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
  readonly #limits: Pick<Limits, 'settle'>;
  #isBroken = false;

  constructor(writer: EntryWriter, limits: Pick<Limits, 'settle'>) {
    this.#writer = writer;
    this.#limits = limits;
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

  write(chunk: Uint8Array, isLent: boolean): boolean {
    if (this.#isBroken) return true;
    try {
      if (this.#limits === unlimited) return this.#writer.write(chunk, isLent);
      return this.#writer.write(isLent ? Buffer.from(chunk) : chunk);
    } catch (error) {
      this.#break(error, 'write');
      return true;
    }
  }

  async ready(): Promise<void> {
    try {
      await this.#limits.settle(this.#writer.ready(), 'ready');
    } catch (error) {
      this.#break(error, 'ready');
    }
  }

  commit(options?: { readonly trailers?: readonly string[] }): Promise<CommitResult> {
    if (this.#isBroken) return Promise.resolve(unavailable);
    try {
      const committed = this.#writer.commit(options);
      // Our own never reject.
      return this.#limits === unlimited ? committed : this.#limits.settle(committed, 'commit').catch(commitFailed);
    } catch (error) {
      return Promise.resolve(commitFailed(error));
    }
  }

  async abort(): Promise<void> {
    try {
      await this.#limits.settle(this.#writer.abort(), 'abort');
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

/** Of a user's own store. */
class GuardedLease implements Lease {
  readonly #lease: Lease;
  readonly #limits: Pick<Limits, 'settle'>;

  constructor(lease: Lease, limits: Pick<Limits, 'settle'>) {
    this.#lease = lease;
    this.#limits = limits;
  }

  get isGranted(): boolean {
    return this.#lease.isGranted;
  }

  async first(): Promise<boolean> {
    try {
      return await this.#limits.settle(this.#lease.first(), 'lease');
    } catch (error) {
      publish('error', { error, during: 'lease' });
      return true;
    }
  }

  async next(): Promise<'go' | 'look'> {
    try {
      return await this.#limits.settle(this.#lease.next(), 'lease');
    } catch (error) {
      publish('error', { error, during: 'lease' });
      return 'go';
    }
  }

  release(how: 'look' | 'apart'): void {
    try {
      this.#lease.release(how);
    } catch (error) {
      publish('error', { error, during: 'lease' });
    }
  }
}

const unavailable: CommitResult = Object.freeze({ outcome: 'declined', reason: 'unavailable' });

function commitFailed(error: unknown): CommitResult {
  publish('error', { error, during: 'commit' });
  return unavailable;
}

const asLastSeen = Object.freeze({ asLastSeen: true });
