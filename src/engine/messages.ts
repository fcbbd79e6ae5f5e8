import type { Readable } from 'node:stream';
import type { FieldLines, RequestHead, ResponseHead } from '../http/message.js';
import type { ForwardReason } from '../semantics/decisions.js';
import type { Tap } from './tap.js';

/** An answer off the wire: head, and the body as it comes, its content coding untouched. */
export interface OriginResponse {
  readonly head: ResponseHead;
  readonly body: Tap;
  /** Trailer field lines; complete once the body is. */
  trailers(): FieldLines;
  /** The request's field lines as they went out, if something below the client may have added some. */
  readonly sent?: FieldLines | undefined;
}

/**
 * How the engine reaches the origin, supplied by an interceptor for one request. `fields` are the field lines to send in place of
 * the client's, if anything is to be different. `own` is the client's own request and comes at most once; `separate` is one that the
 * client does not see. Rejects with what the client would have thrown.
 */
export type Forward = (fields: FieldLines | undefined, kind: 'own' | 'separate') => Promise<OriginResponse>;

/** What an answer has to do with the cache. */
export interface CacheInfo {
  /**
   * - `hit`: a fresh stored response. `stale`: a stored response past its lifetime, reused by permission.
   * - `revalidated`: a stored response that the origin confirmed (304). `updated`: the origin had a newer one.
   * - `miss`: the origin answered. `collapsed`: the answer to another request's origin request.
   * - `bypass`: the cache had no part in it.
   */
  readonly status: 'hit' | 'stale' | 'revalidated' | 'updated' | 'miss' | 'collapsed' | 'bypass';
  /** Why the origin was asked, in RFC 9211's words; absent if it was not. */
  readonly forward?: ForwardReason;
  /** The finer reason: why it was not reused or not stored, or what went wrong in the cache. */
  readonly reason?: string;
  /** The answer is stored, or is being stored. */
  readonly stored: boolean;
  /** Its age, and how long it is still fresh (negative: how long it has been stale), in seconds. */
  readonly ageSeconds?: number;
  readonly ttlSeconds?: number;
  /** A stale answer: how much is left of the window (stale-while-revalidate, stale-if-error) in which it may be one, in seconds. */
  readonly staleRemainingSeconds?: number;
  readonly key: string;
  readonly tier?: 'memory' | 'disk';
  /** When the origin's answer was received, ms since the epoch. */
  readonly storedAtMs?: number;
  /** The user's own data, as given when it was stored. */
  readonly metadata?: unknown;
}

/** What the engine answers with. */
export interface CacheResponse {
  readonly head: ResponseHead;
  /** A stored response's trailer field lines, if it had any. */
  readonly trailers?: FieldLines;
  readonly info: CacheInfo;
  readonly body:
    | { readonly from: 'origin'; readonly tap: Tap }
    /** `inline` is the whole of it when it is at hand, to be handed to a user only if it `isOwn`, else a copy of it; `open` works in any case, once. */
    | { readonly from: 'cache'; readonly inline: Uint8Array | undefined; readonly isOwn: boolean; open(): Readable };
}

/** What a request is, besides its head. */
export interface Presented {
  readonly request: RequestHead;
  /** The request has content: its answer is only cacheable if `bodyHash` says what the content is. */
  readonly hasBody: boolean;
  /** SHA-256 of the content, in hex. */
  readonly bodyHash?: string;
  /** Where the request really goes when it is not where its URI says (a proxy, a socket path): part of the key. */
  readonly via?: string;
  /**
   * Called when the request begins to wait for the answer to another's. When the promise resolves, it waits no longer and goes out itself.
   * By default it waits for as long as the other does.
   */
  patience?(): Promise<void>;
}
