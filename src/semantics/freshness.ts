import type { CacheControl } from '../http/cache-control.js';
import { parseHttpDate, printHttpDate } from '../http/dates.js';
import { maxDeltaSeconds, parseAge } from '../http/delta-seconds.js';
import type { FieldLines } from '../http/message.js';
import type { Rules } from './decisions.js';
import { givenLifetimeMs } from './given-lifetime.js';
import { askPolicy, isSafeToGuess } from './policy.js';
import { isUnderstood } from './statuses.js';
import { namesEssential } from './stored-fields.js';
import { type ResponseView, viewResponse } from './views.js';

/** A response that is stored or may be. */
export interface Judged {
  readonly method: string;
  readonly status: number;
  readonly fields: FieldLines;
  readonly requestTimeMs: number;
  readonly responseTimeMs: number;
  readonly ttlMs?: number | undefined;
  readonly expiresAtMs?: number;
  readonly lifetimeFraction?: number;
  readonly invalidatedMs?: number;
}

/** How fresh a response is at one moment, and what may be done with it once it is stale. */
export interface Freshness {
  readonly view: ResponseView;
  readonly cacheControl: CacheControl;
  /** RFC 9111 §3 as far as status and directives go; `Vary`, `Set-Cookie` and the like are for the caller. */
  readonly isStorable: boolean;
  /** RFC 9111 §4.2.3, in whole seconds. */
  readonly ageSeconds: number;
  /** Remaining freshness in whole seconds; 0 or less when stale. */
  readonly ttlSeconds: number;
  readonly isFresh: boolean;
  /** The lifetime is the response's or the user's word, not a guess (§4.2.2). */
  readonly isExplicit: boolean;
  /** Unqualified `no-cache`: no reuse without validation, fresh or not. */
  readonly mustValidate: boolean;
  /** Once stale, nothing but a validation makes it usable (§4.2.4). */
  readonly forbidsStale: boolean;
}

export function judgeFreshness(response: Judged, rules: Rules, nowMs: number, isAuthorized = false): Freshness {
  const view = viewResponse(response.fields, rules.cacheControlTargets);
  const cacheControl = readDirectives(view.cacheControl, response.status, givenLifetime(response, rules));
  const { responseTimeMs } = response;
  const dateMs = dateOf(view, responseTimeMs);
  const hasSeconds = cacheControl.maxAge !== undefined || (rules.shared && cacheControl.sMaxage !== undefined);
  const expires = hasSeconds || view.isTargeted ? undefined : view.expires;
  const isHeuristic = !hasSeconds && expires === undefined;
  const answer = askPolicy(
    {
      method: response.method,
      status: response.status,
      cacheControl,
      isAuthorized,
      shared: rules.shared,
      heuristicFraction: isHeuristic && isSafeToGuess(response.method) ? rules.heuristicFraction : 0,
      // Dates are read again over there, and slowly: not when the lifetime is a number of seconds.
      date: hasSeconds ? undefined : dateText(view.date, responseTimeMs),
      expires: expiresText(expires, responseTimeMs),
      lastModified: isHeuristic ? usableDate(view.lastModified, responseTimeMs) : undefined,
      initialAgeSeconds: initialAge(view, dateMs, response),
      responseTimeMs,
    },
    nowMs,
  );
  const ageSeconds = wholeSeconds(answer.ageSeconds);
  const remainingMs = remaining(answer.lifetimeSeconds, isHeuristic, ageSeconds, response, rules, nowMs);
  return {
    view,
    cacheControl,
    isStorable: answer.isStorable,
    ageSeconds,
    ttlSeconds: remainingMs > 0 ? Math.ceil(remainingMs / 1000) : Math.floor(remainingMs / 1000) + 0,
    isFresh: remainingMs > 0,
    isExplicit: !isHeuristic,
    mustValidate: cacheControl.noCache,
    forbidsStale:
      cacheControl.noCache ||
      cacheControl.mustRevalidate ||
      (rules.shared && (cacheControl.proxyRevalidate || cacheControl.sMaxage !== undefined)),
  };
}

/**
 * Directives as they apply: `must-understand` lifts `no-store` (§5.2.2.3), the user's lifetime is explicit, and a list of
 * fields that names one which cannot be left out says the same as none.
 */
function readDirectives(received: CacheControl, status: number, ttlMs: number | undefined): CacheControl {
  const lifts = received.mustUnderstand && received.noStore && isUnderstood(status);
  const noCache = namesEssential(received.noCacheFields);
  const isPrivate = namesEssential(received.privateFields);
  if (!lifts && !noCache && !isPrivate && ttlMs === undefined) return received;
  const given = ttlMs === undefined ? undefined : Math.min(Math.max(0, Math.ceil(ttlMs / 1000)), maxDeltaSeconds);
  return {
    ...received,
    noStore: received.noStore && !lifts,
    noCache: received.noCache || noCache,
    private: received.private || isPrivate,
    maxAge: given ?? received.maxAge,
    sMaxage: received.sMaxage === undefined ? undefined : (given ?? received.sMaxage),
  };
}

/** The user's lifetime, which makes no error storable that would not be without it. */
function givenLifetime(response: Judged, rules: Rules): number | undefined {
  return isUnderstood(response.status) ? givenLifetimeMs(response, rules) : undefined;
}

/** ms of freshness that are left: the least of what the response, the user and an invalidation say. */
function remaining(
  lifetimeSeconds: number,
  isHeuristic: boolean,
  ageSeconds: number,
  response: Judged,
  rules: Rules,
  nowMs: number,
): number {
  const ttlMs = givenLifetime(response, rules);
  const residentMs = Math.max(0, nowMs - response.responseTimeMs);
  let lifetimeMs = Math.floor(lifetimeSeconds) * 1000;
  if (isHeuristic) lifetimeMs = Math.min(lifetimeMs, rules.maxHeuristicMs);
  lifetimeMs = Math.min(lifetimeMs, rules.maxTtlMs ?? lifetimeMs);
  // The user's lifetime counts from the receipt: what was spent in caches on the way is not the user's business.
  const fraction = response.lifetimeFraction ?? 1;
  let left = lifetimeMs * fraction - ageSeconds * 1000;
  if (ttlMs !== undefined && lifetimeMs > 0) left = Math.min(ttlMs, rules.maxTtlMs ?? ttlMs) * fraction - residentMs;
  if (response.invalidatedMs !== undefined) left = Math.min(left, response.invalidatedMs - nowMs);
  return Number.isNaN(left) ? -maxDeltaSeconds * 1000 : left;
}

/** §4.2.3. Date has no fraction of a second, so the apparent age must not have one either. */
function initialAge(view: ResponseView, dateMs: number, { requestTimeMs, responseTimeMs }: Judged): number {
  const apparent = Math.max(0, Math.floor((responseTimeMs - dateMs) / 1000));
  const delay = Math.max(0, (responseTimeMs - requestTimeMs) / 1000);
  const corrected = (view.age === undefined ? 0 : (parseAge(view.age) ?? 0)) + delay;
  return Math.min(Math.max(apparent, corrected), maxDeltaSeconds);
}

/** When the response was made, in ms: `Date`, or the time of receipt (RFC 9110 §6.6.1). */
export function dateOf(view: ResponseView, responseTimeMs: number): number {
  return (view.date == null ? undefined : parseHttpDate(view.date, responseTimeMs)) ?? responseTimeMs;
}

/** Without a usable `Date`, the second of the receipt: an `Expires` has no fraction to be measured against. */
function dateText(text: string | null | undefined, responseTimeMs: number): string {
  return usableDate(text, responseTimeMs) ?? safeDate(Math.floor(responseTimeMs / 1000) * 1000);
}

function expiresText(text: string | null | undefined, nowMs: number): string | undefined {
  return text === undefined ? undefined : (usableDate(text, nowMs) ?? 'invalid');
}

function usableDate(text: string | null | undefined, nowMs: number): string | undefined {
  const ms = text == null ? undefined : parseHttpDate(text, nowMs);
  return ms === undefined || text == null ? undefined : canonical(text, ms);
}

/** Text that the library's `Date.parse` understands as we do: an IMF-fixdate. */
function canonical(text: string, ms: number): string {
  return text.length === 29 ? text : safeDate(ms);
}

function safeDate(ms: number): string {
  return printHttpDate(Number.isFinite(ms) ? Math.min(Math.max(ms, 0), 8.64e15) : 0);
}

function wholeSeconds(seconds: number): number {
  return Number.isFinite(seconds) ? Math.min(Math.max(0, Math.floor(seconds)), maxDeltaSeconds) : maxDeltaSeconds;
}
