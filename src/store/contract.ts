import type { Readable } from 'node:stream';
import type { StoredHead } from '../http/message.js';

/**
 * Where responses live. Streaming first and only; knows nothing of freshness or `Vary`. The contract suite in
 * `test/contract/` runs over every implementation.
 *
 * What every store keeps:
 * - a response is invisible before its `commit` and appears as a whole, head and body in one step;
 * - a response that is on its way in (`create` to `commit`) while something that covers it is invalidated or cleared is
 *   declined with `superseded`: what it holds may be from before;
 * - a `ref` names one stored response and is its compare-and-set token: once it is replaced, freshened, removed or
 *   invalidated, whatever still carries the old ref changes nothing;
 * - a head with a `version` is declined with `version-mismatch` when it is committed while one with the same `selecting` is stored under
 *   its key whose version is not lower (`isOutversioned`);
 * - a failure of the store is a miss, a decline or `undefined`, never an exception out of `lookup` or `commit`.
 */
export interface ResponseStore extends AsyncDisposable {
  /** Every variant's head under a key, last committed first; opens no body file. `[]` is the cheap answer for a key never seen. */
  lookup(key: string, options?: LookupOptions): Promise<readonly StoredResponse[]>;
  /** Starts to store a response. Nothing is visible until `commit`. */
  create(key: string, head: StoredHead, options?: CreateOptions): EntryWriter;
  /** Gives a stored response a new head (RFC 9111 §4.3.4); the body stays. `undefined` when `ref` is out of date. */
  updateHead(ref: StoreRef, head: StoredHead, options?: UpdateOptions): Promise<StoredResponse | undefined>;
  /** Removes one stored response. `false` when `ref` is out of date. */
  remove(ref: StoreRef): Promise<boolean>;
  /**
   * Makes every response that the selector covers unusable, durably: removes it, or, if `softMs` is given, gives it a head with that
   * `invalidatedMs` unless it has one. Resolves to how many that were. Rejects only with what a `where` threw.
   */
  invalidate(selector: Selector, options?: InvalidateOptions): Promise<number>;
  /** What is stored, in no particular order; opens no body. */
  entries(selector?: Selector): AsyncIterable<StoredResponse>;
  stats(): Promise<StoreStats>;
  /** Compares everything that is stored with its checksums, a little at a time. For stores that have any. */
  verify?(options?: { readonly repair?: boolean }): Promise<VerifyReport>;
  /** Gives back what is of no use any more. For stores that have to. */
  maintain?(): Promise<MaintainReport>;
  /** Whether a lookup would find something, told without I/O. A store that cannot tell leaves it out, or says `maybe`. */
  has?(key: string, options?: PresenceOptions): Presence;
  /**
   * The right to ask the origin for what is under a key, for stores that several processes share: one of them asks, the others wait for what
   * comes of it. `undefined`: there is nobody to wait for.
   */
  lease?(key: string): Lease | undefined;
  /** Which namespaces hold something, told without I/O: how many besides the empty one, and whether this is one of them. */
  namespaces?(namespace: string): { readonly count: number; readonly isUsed: boolean };
  /** Resolves when everything committed, updated, removed or invalidated before the call is durable. */
  flush(): Promise<void>;
  /** Removes everything. */
  clear(): Promise<void>;
  /** Flushes, then releases every handle. Twice is fine; after it, lookups find nothing and writers decline. */
  close(): Promise<void>;
}

/** Opaque to all but the store that made it. */
export interface StoreRef {
  readonly key: string;
  /** A safe integer; not negative in a store that is to be a tier of another. */
  readonly sequence: number;
}

export interface StoredResponse {
  readonly ref: StoreRef;
  readonly head: StoredHead;
  /** Length of the body as stored by `write`, in bytes. */
  readonly bodyBytes: number;
  /** Which tier answered. */
  readonly tier: 'memory' | 'disk';
  /** The whole verified body, when the lookup read it along with the head. Do not write to it unless it is your own. */
  readonly inlineBody: Uint8Array | undefined;
  /** `inlineBody` is nobody else's: it may be handed to a user, who may do with the bytes as they please. @default false */
  readonly isInlineBodyOwn?: boolean;
  /**
   * The body, or the bytes `start` to `end` (inclusive, as `fs.createReadStream` counts) of it. Every byte is verified
   * before it is handed out. Emits `ERR_CACHE_CORRUPT` or `ERR_CACHE_ACCESS` when it cannot be; a range outside the
   * body is a `RangeError`, thrown. The chunks are the reader's own: writing over them spoils nothing.
   */
  openBody(options?: { readonly start?: number; readonly end?: number }): Readable;
}

export interface LookupOptions {
  /** Whether the memory tier takes what is found on disk; for stores that have one. */
  readonly admission?: Admission;
}

/** What goes to a memory tier: everything, what is asked for a second time, nothing. */
export type Admission = 'always' | 'auto' | 'never';

export interface CreateOptions {
  /** Stored responses that this one takes the place of, in the same step in which it becomes visible. */
  readonly replaces?: readonly StoreRef[];
  /** Length of the body if known (`Content-Length`); a body of another length is declined with `length-mismatch`. */
  readonly expectedBytes?: number | undefined;
  /** A longer body is declined with `too-large`, though the store would take it. */
  readonly maxBytes?: number | undefined;
  /** When it is useless even as stale, ms since the epoch: eviction may take it first. */
  readonly expiresMs?: number;
  readonly tags?: readonly string[];
  /** Who is evicted last: higher stays longer. Default 0. */
  readonly priority?: number;
  /** Whether the memory tier takes it as well; for stores that have one. */
  readonly admission?: Admission | undefined;
}

export interface UpdateOptions {
  readonly expiresMs?: number;
}

export interface InvalidateOptions {
  /** When they count as stale from, in ms since the epoch, in place of being removed. */
  readonly softMs?: number;
}

/** A request for the right to ask the origin for what is under a key. */
export interface Lease {
  /** It is there already: `next` would say `go`. */
  readonly isGranted: boolean;
  /** Asks for it. Resolves to whether it was had without waiting for anybody, within a bounded time; never rejects. */
  first(): Promise<boolean>;
  /**
   * Resolves within a bounded time, and never rejects. `go`: ask the origin. `look`: something may be stored by now that was not before; look
   * it up, and call again if nothing answers the request.
   */
  next(): Promise<'go' | 'look'>;
  /**
   * To be called when the request is over, or will not be made. `look`: what came of it is stored, or others may try. `apart`: its answer is of
   * no use to others, who need not wait for each other's. Twice is fine.
   */
  release(how: 'look' | 'apart'): void;
}

export interface PresenceOptions {
  /** What others did to the store a moment ago need not count: all that is at stake is a request to the origin too many. */
  readonly asLastSeen?: boolean;
}

/** `present`: a lookup finds something, unless it turns out to be damaged. `absent`: it finds nothing. `maybe`: who knows. */
export type Presence = 'present' | 'absent' | 'maybe';

/** One response on its way in. Not for concurrent use; order of writes is the order of bytes. */
export interface EntryWriter {
  /** Why nothing will be stored, as soon as that is certain: nobody who is not reading along already should begin to. */
  readonly declined?: DeclineReason | undefined;
  /**
   * Takes the next bytes of the body. They are never changed by the caller after, unless they are lent: then they are his again once `commit`
   * or `abort` has returned, and may change. Only the package's own stores are lent chunks.
   * `false` asks the caller to wait for `ready()` (the disk is behind); what was passed is taken all the same.
   */
  write(chunk: Uint8Array, isLent?: boolean): boolean;
  /** Resolves when more bytes are welcome. */
  ready(): Promise<void>;
  /** Makes the response visible and durable. Never rejects. Only the first call of `commit` or `abort` counts. */
  commit(options?: { readonly trailers?: readonly string[] }): Promise<CommitResult>;
  /** Leaves no trace. Twice is fine, and after `commit` it does nothing. */
  abort(): Promise<void>;
  /**
   * The body while it is being written: from `start` (default 0) to wherever it is, and on until `commit` ends it; `abort`
   * destroys it with an error. May be called any number of times before `commit` or `abort`; a reader opened before
   * goes on after. Memory is bounded however slow the reader is: where the body is kept nowhere (too large, declined),
   * one that is far behind is destroyed with an error. A body of the wrong length never ends: its readers fail.
   */
  openBody(options?: { readonly start?: number }): Readable;
}

export type DeclineReason =
  | 'too-large'
  | 'length-mismatch'
  | 'no-space'
  | 'superseded'
  | 'version-mismatch'
  | 'overloaded'
  | 'unavailable'
  | 'closed';

export type CommitResult =
  | { readonly outcome: 'stored'; readonly response: StoredResponse }
  | { readonly outcome: 'declined'; readonly reason: DeclineReason };

/** What an invalidation or a listing covers. `createMatcher` knows how to read it. */
export type Selector =
  | { readonly key: string }
  /** Responses whose target URI starts with this. */
  | { readonly prefix: string }
  /** Responses whose target URI has this host (and port, if given). */
  | { readonly host: string }
  /** Responses that carry the tag, or any of several. */
  | { readonly tag: string | readonly string[] }
  /** Responses whose key begins with this and a blank; `''` also covers keys without a blank. */
  | { readonly namespace: string }
  /** What the function says yes to. */
  | { readonly where: (candidate: Candidate) => boolean };

/** What selectors look at, of a stored response or of one on its way in. */
export interface Candidate {
  readonly key: string;
  readonly tags: readonly string[];
  readonly head: StoredHead;
}

export interface StoreStats {
  /** Stored responses that a lookup can find. */
  readonly entries: number;
  /** Bytes in use, as the file system counts them (disk) or as measured (memory). */
  readonly bytes: number;
  readonly maxBytes: number;
  /** Monotonic counters since opening, by name: what they are is in `docs/stats.md`. */
  readonly counters: Readonly<Record<string, number>>;
}

/** What `verify` found. */
export interface VerifyReport {
  /** Responses that were read. */
  readonly checked: number;
  /** Responses that are not as they were stored: a record or a body that does not match its checksum, a file that is gone. */
  readonly damaged: number;
  /** Damaged responses and orphans that were removed. 0 without `repair`. */
  readonly repaired: number;
  /** Bytes that were read. */
  readonly bytes: number;
  /** Files of bodies that no response refers to, and that are older than ten minutes. */
  readonly orphans: number;
  readonly orphanBytes: number;
}

/** What `maintain` did. */
export interface MaintainReport {
  /** Expired responses that were removed. */
  readonly expired: number;
  /** Responses that were copied out of the way. */
  readonly moved: number;
  /** Files of the log that were removed. */
  readonly droppedSegments: number;
  /** How much less the store takes, in bytes. */
  readonly freedBytes: number;
}

/** How a store tells of what it did on its own: the engine publishes it. */
export type StoreEvent =
  | { readonly type: 'evict'; readonly entries: number; readonly bytes: number }
  | { readonly type: 'corrupt'; readonly key: string; readonly detail: string }
  | { readonly type: 'error'; readonly error: Error }
  /** The store can no longer keep anything; lookups miss and writers decline. */
  | { readonly type: 'down'; readonly error: Error };

export type StoreListener = (event: StoreEvent) => void;
