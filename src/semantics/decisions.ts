import type { FieldLines, RequestHead, ResponseHead, StoredHead } from '../http/message.js';

/** fetch()'s cache modes, and `ignore-rules`: store and reuse whatever the response says. */
export type CacheMode =
  | 'default'
  | 'no-store'
  | 'reload'
  | 'no-cache'
  | 'force-cache'
  | 'only-if-cached'
  | 'ignore-rules';

/** What the user wants of the decisions about one request. Complete: defaults are filled in above. */
export interface Rules {
  readonly mode: CacheMode;
  /** A shared cache (RFC 9111 §1): obeys `private`, `s-maxage`, `proxy-revalidate`, and §3.5 for Authorization. */
  readonly shared: boolean;
  /** Never forward: what is not stored is a 504. */
  readonly offline: boolean;
  /** Methods whose responses may be stored, in upper case. HEAD is answered from GET besides. */
  readonly methods: readonly string[];
  /** The share of the time since Last-Modified that counts as fresh (RFC 9111 §4.2.2); 0 turns heuristics off. */
  readonly heuristicFraction: number;
  /** The longest heuristic lifetime, in ms. */
  readonly maxHeuristicMs: number;
  /** The lifetime to use in place of the response's own, in ms. */
  readonly ttlMs: number | undefined;
  /** When the response stops being fresh, in place of its own lifetime, in ms since the epoch. */
  readonly expiresAtMs: number | undefined;
  /** Lifetimes are shorter by up to this fraction, 0 to 1. */
  readonly ttlJitter: number;
  /** No response is fresh for longer than this, in ms. */
  readonly maxTtlMs: number | undefined;
  /** Targeted Cache-Control fields (RFC 9213) to obey, first one present wins; lower case. */
  readonly cacheControlTargets: readonly string[];
  /** Windows in seconds for responses that name none themselves (RFC 5861). 0: none. */
  readonly staleWhileRevalidateSeconds: number;
  readonly staleIfErrorSeconds: number;
  /**
   * Request fields, in lower case, that tell users apart: they select what is not said to be for everyone as if `Vary` named them, unless the
   * key holds them.
   */
  readonly credentialFields: readonly string[];
  readonly keyHoldsCredentials: boolean;
}

/** RFC 9211's words for why a request went to the origin. */
export type ForwardReason = 'bypass' | 'method' | 'uri-miss' | 'vary-miss' | 'miss' | 'request' | 'stale' | 'partial';

export type RequestDecision =
  | {
      readonly action: 'forward';
      readonly reason: ForwardReason;
      readonly detail?: string;
      /** Fields to set on the request that goes out (modes `reload` and `no-store` speak to the caches on the way). */
      readonly fields?: FieldLines;
    }
  | {
      readonly action: 'reuse';
      /** Which of the stored heads that were given. */
      readonly index: number;
      readonly ageSeconds: number;
      /** Remaining freshness in seconds (RFC 9211 `ttl`); negative when stale. */
      readonly ttlSeconds: number;
      readonly isStale: boolean;
      /** Validate in the background (RFC 5861 §3). `staleSeconds` of the window remain. */
      readonly background: false | { readonly conditional: FieldLines; readonly remainingSeconds: number };
    }
  | {
      readonly action: 'validate';
      readonly index: number;
      /**
       * Fields for the request that goes out: `validationFields` puts them in the place of the client's own conditions.
       * Empty when there is no validator to ask with; the stored response may then still stand in for an error.
       */
      readonly conditional: FieldLines;
      readonly reason: ForwardReason;
    }
  | { readonly action: 'gateway-timeout'; readonly detail: string };

/** What came back: when it was asked for and when the head arrived, in ms since the epoch. */
export interface Exchange {
  readonly response: ResponseHead;
  readonly requestTimeMs: number;
  readonly responseTimeMs: number;
  /** The request's field lines as they went out, if others were added after it was presented. */
  readonly sent?: FieldLines | undefined;
}

export type StorageDecision =
  /** `useUntilMs`: after this it is useless even as a stale response, unless it can be validated (`Infinity`). */
  | { readonly action: 'store'; readonly head: StoredHead; readonly useUntilMs: number }
  | { readonly action: 'pass-through'; readonly reason: StorageRefusal };

/** Why a response is not stored (RFC 9111 §3). */
export type StorageRefusal =
  | 'mode'
  | 'method'
  | 'status'
  | 'no-store-request'
  | 'no-store'
  | 'private'
  | 'authorization'
  | 'vary-star'
  | 'set-cookie'
  | 'cookie'
  | 'credentials-unseen'
  | 'partial'
  | 'not-explicit'
  | 'no-use';

export type ValidationDecision =
  /** A 304 for this stored response: the body stays. When `useUntilMs` is past, it answers this request and is forgotten. */
  | { readonly action: 'freshen'; readonly head: StoredHead; readonly useUntilMs: number }
  /**
   * A full answer: decide storage, and answer with it. `isOutdated`: it is not stored in the place of the old one (it
   * answers HEAD), and yet shows that the old one is to be invalidated.
   */
  | { readonly action: 'replace'; readonly isOutdated?: true }
  /** Error, and the stored response may stand in (RFC 5861 §4). */
  | {
      readonly action: 'reuse-stale';
      readonly ageSeconds: number;
      readonly ttlSeconds: number;
      /** Seconds of the stale-if-error window that are left. */
      readonly remainingSeconds: number;
    }
  /** A 304 for some other response: ask again without conditions, and forget the stored one. */
  | { readonly action: 'refetch' }
  /** The error, or the 5xx, is the answer. */
  | { readonly action: 'fail' };

/** What the client is handed of a stored response: whole, a part of it, or just the word that its own copy is good. */
export type Presentation =
  | { readonly kind: 'whole'; readonly head: ResponseHead }
  | { readonly kind: 'head-only'; readonly head: ResponseHead }
  | { readonly kind: 'not-modified'; readonly head: ResponseHead }
  | { readonly kind: 'part'; readonly head: ResponseHead; readonly start: number; readonly end: number }
  | { readonly kind: 'unsatisfiable'; readonly head: ResponseHead };

/**
 * The pure heart (RFC 9111). No I/O, no clock: time comes in. No input, however hostile, makes one of these throw.
 * Implemented by the functions of the same names in this folder.
 */
export interface Semantics {
  /** §4: may one of the stored responses answer, and how? */
  decideRequest(request: RequestHead, stored: readonly StoredHead[], rules: Rules, nowMs: number): RequestDecision;
  /** §3: may this answer be stored? */
  decideStorage(request: RequestHead, exchange: Exchange, rules: Rules): StorageDecision;
  /** §4.3.3-4.3.4, RFC 5861 §4: what the answer to our conditional request means. `undefined`: there was none (network error, time-out). */
  decideValidation(
    request: RequestHead,
    stored: StoredHead,
    exchange: Exchange | undefined,
    rules: Rules,
    nowMs: number,
  ): ValidationDecision;
  /** §4.4: the URIs that are no longer valid after this. */
  decideInvalidation(request: RequestHead, response: ResponseHead): readonly string[];
  /** Positions of the stored heads that a new one takes the place of: same selecting fields, or one too many. */
  variantsReplacedBy(
    head: StoredHead,
    stored: readonly StoredHead[],
    maxVariants: number,
    rules: Rules,
  ): readonly number[];
  /** Preconditions (RFC 9110 §13), ranges (§14) and `Age` for an answer out of the cache. */
  present(request: RequestHead, stored: StoredHead, bodyBytes: number, ageSeconds: number, rules: Rules): Presentation;
}
