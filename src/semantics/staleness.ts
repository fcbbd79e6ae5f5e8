import type { CacheControl } from '../http/cache-control.js';
import type { Rules } from './decisions.js';
import type { Freshness } from './freshness.js';

/** Seconds that are left in which a stale response may answer while it is validated (RFC 5861 §3); 0: none. */
export function staleWhileRevalidateLeft(freshness: Freshness, rules: Rules): number {
  const window = freshness.cacheControl.staleWhileRevalidate ?? rules.staleWhileRevalidateSeconds;
  return windowLeft(freshness, window);
}

/**
 * Seconds that are left in which a response may stand in for an error (RFC 5861 §4); 0: none. The response's own
 * directive comes first, then the request's, then the user's.
 */
export function staleIfErrorLeft(freshness: Freshness, request: Readonly<CacheControl>, rules: Rules): number {
  const window = freshness.cacheControl.staleIfError ?? request.staleIfError ?? rules.staleIfErrorSeconds;
  return windowLeft(freshness, window);
}

function windowLeft(freshness: Freshness, windowSeconds: number): number {
  if (freshness.forbidsStale || !freshness.isStorable) return 0;
  return Math.max(0, windowSeconds + freshness.ttlSeconds);
}
