/** Heuristically cacheable (RFC 9110 §15.1), but for 206, which is not stored. */
const heuristicallyCacheable: ReadonlySet<number> = new Set([200, 203, 204, 300, 301, 308, 404, 405, 410, 414, 501]);

/** Statuses whose rules for caching this cache knows and keeps (RFC 9111 §5.2.2.3): the above, and the other redirects. */
const understood: ReadonlySet<number> = new Set([...heuristicallyCacheable, 302, 303, 307]);

export function isHeuristicallyCacheable(status: number): boolean {
  return heuristicallyCacheable.has(status);
}

export function isUnderstood(status: number): boolean {
  return understood.has(status);
}

/**
 * Final, and an answer to the target URI itself. 206 is a part; 304, 412 and 416 answer the conditions of one request;
 * 401 and 407 the credentials of one.
 */
export function mayBeStored(status: number): boolean {
  if (!Number.isInteger(status) || status < 200 || status > 599) return false;
  return status !== 206 && status !== 304 && status !== 401 && status !== 407 && status !== 412 && status !== 416;
}

/** What RFC 5861 §4 calls an error. */
export function isServerError(status: number): boolean {
  return status === 500 || status === 502 || status === 503 || status === 504;
}
