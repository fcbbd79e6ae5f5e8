/**
 * Field lines in the order received: name, value, name, value, … (the shape of Node's `rawHeaders`).
 * Repeated names keep every line. Strings hold one byte per character (latin1), so bytes survive as they came.
 */
export type FieldLines = readonly string[];

/** What a client asks for. `url` is the absolute target URI without a fragment; `method` is case-sensitive (RFC 9110 §9.1). */
export interface RequestHead {
  readonly method: string;
  readonly url: string;
  readonly fields: FieldLines;
}

/** Status line and fields of a response. `httpVersion` is `'1.1'`, `'2.0'`, …. */
export interface ResponseHead {
  readonly status: number;
  readonly statusText: string;
  readonly httpVersion: string;
  readonly fields: FieldLines;
}

/**
 * The head of a stored response (RFC 9111 §3): what the origin said, and what is needed to judge it later.
 * Immutable; a 304 makes a new one.
 */
export interface StoredHead extends ResponseHead {
  /** Target URI and method of the original request. */
  readonly url: string;
  readonly method: string;
  /** The original request's selecting header fields (RFC 9111 §4.1), names in lower case and values normalised; whose answer it is, as a hash, among them. */
  readonly selecting: FieldLines;
  /** When the request that got this response was sent, and when its head arrived: ms since the epoch. */
  readonly requestTimeMs: number;
  readonly responseTimeMs: number;
  /** Trailer field lines, when the origin sent any. */
  readonly trailers?: FieldLines;
  /** A freshness lifetime that the user set in place of the response's own, in ms. */
  readonly ttlMs?: number;
  /** When it stops being fresh, as the user said, in ms since the epoch. */
  readonly expiresAtMs?: number;
  /** The part of its freshness lifetime that counts (`ttlJitter`). */
  readonly lifetimeFraction?: number;
  /** It is gone when it was not used for so long, in ms, and when it was used last, as far as that was written down. */
  readonly idleTtlMs?: number;
  readonly lastUsedMs?: number;
  /** The user's number: stored only in place of a lower one. */
  readonly version?: number;
  /** When it was soft-invalidated (counts as stale from then on), ms since the epoch. */
  readonly invalidatedMs?: number;
  /** The user's own metadata: anything that msgpack can carry. */
  readonly metadata?: unknown;
}
