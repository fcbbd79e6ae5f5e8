import type { Readable } from 'node:stream';
import { CacheError } from '../errors.js';
import type { StoredHead } from '../http/message.js';
import type { CommitResult, CreateOptions, DeclineReason, EntryWriter } from './contract.js';
import { MemoryBody } from './memory-body.js';

/** What a writer needs of its store. */
export interface WriterHost {
  readonly maxEntryBytes: number;
  /** Accounts for memory that a body on its way in took or (negative) gave back. Why there is no room for it, if so. */
  reserve(bytes: number, priority: number): DeclineReason | undefined;
  /** Why what is being written cannot be kept, whatever comes. */
  refusal(writer: MemoryWriter): DeclineReason | undefined;
  /** Makes it visible; synchronous, so that one step is one step. */
  keep(writer: MemoryWriter, head: StoredHead): CommitResult;
  decline(reason: DeclineReason): CommitResult;
  leave(writer: MemoryWriter): void;
}

export class MemoryWriter implements EntryWriter {
  readonly key: string;
  readonly head: StoredHead;
  readonly options: CreateOptions;
  readonly body = new MemoryBody();
  readonly #host: WriterHost;
  #reservedBytes = 0;
  /** Why the body is not kept, though readers may still follow it. */
  #dropped: DeclineReason | undefined;
  #result: CommitResult | undefined;

  constructor(host: WriterHost, key: string, head: StoredHead, options: CreateOptions) {
    this.#host = host;
    this.key = key;
    this.options = options;
    const own = ownHead(head);
    this.head = own ?? head;
    if (own === undefined) this.#dropped = 'unavailable';
  }

  get declined(): DeclineReason | undefined {
    if (this.#result !== undefined) return this.#result.outcome === 'declined' ? this.#result.reason : undefined;
    const isTooLarge = (this.options.expectedBytes ?? 0) > this.#maxBytes;
    return this.#dropped ?? (isTooLarge ? 'too-large' : this.#host.refusal(this));
  }

  /** Copies what it keeps, lent or not. */
  write(chunk: Uint8Array): boolean {
    if (this.#result !== undefined || chunk.length === 0) return true;
    this.body.append(chunk, this.options.expectedBytes);
    if (this.body.bytes > this.#maxBytes) this.#dropped ??= 'too-large';
    else this.#dropped ??= this.#host.refusal(this);
    if (this.#dropped !== undefined) this.body.keepLast(this.#host.maxEntryBytes);
    const reason = this.#reserve();
    if (reason !== undefined) {
      this.#dropped ??= reason;
      this.body.keepLast(0);
      this.#reserve();
    }
    return true;
  }

  ready(): Promise<void> {
    return Promise.resolve();
  }

  async commit(options: { readonly trailers?: readonly string[] } = {}): Promise<CommitResult> {
    this.#result ??= this.#commit(options.trailers);
    return this.#result;
  }

  async abort(): Promise<void> {
    if (this.#result !== undefined) return;
    this.#result = { outcome: 'declined', reason: 'unavailable' };
    this.#leave(new CacheError('ERR_CACHE_ABORTED', 'the response was abandoned while it was being stored'));
  }

  openBody({ start = 0 }: { readonly start?: number } = {}): Readable {
    return this.body.open(start, Number.POSITIVE_INFINITY);
  }

  #commit(trailers: readonly string[] | undefined): CommitResult {
    const { expectedBytes } = this.options;
    if (expectedBytes !== undefined && expectedBytes !== this.body.bytes) {
      this.#leave(
        new CacheError(
          'ERR_CACHE_ABORTED',
          `the body has ${this.body.bytes} bytes and not ${expectedBytes} as announced`,
        ),
      );
      return this.#host.decline(this.#host.refusal(this) ?? 'length-mismatch');
    }
    this.body.finish();
    const reason = this.#host.refusal(this) ?? this.#dropped;
    this.#leave(undefined);
    if (reason !== undefined) return this.#host.decline(reason);
    return this.#host.keep(this, trailers === undefined ? this.head : { ...this.head, trailers });
  }

  #leave(error: Error | undefined): void {
    if (error !== undefined) this.body.fail(error);
    this.#host.reserve(-this.#reservedBytes, 0);
    this.#reservedBytes = 0;
    this.#host.leave(this);
  }

  get #maxBytes(): number {
    return Math.min(this.#host.maxEntryBytes, this.options.maxBytes ?? this.#host.maxEntryBytes);
  }

  #reserve(): DeclineReason | undefined {
    const bytes = this.body.costBytes - this.#reservedBytes;
    this.#reservedBytes = this.body.costBytes;
    return this.#host.reserve(bytes, this.options.priority ?? 0);
  }
}

/** The metadata is the user's own object, who may go on with it. `undefined` if it holds what cannot be cloned. */
export function ownHead(head: StoredHead): StoredHead | undefined {
  if (head.metadata === undefined) return head;
  try {
    return { ...head, metadata: structuredClone(head.metadata) };
  } catch {
    return undefined;
  }
}
