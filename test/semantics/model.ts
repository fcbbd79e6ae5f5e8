import type { Rules } from '../../src/semantics/decisions.js';

/**
 * RFC 9111 and RFC 5861 as they are written, slowly, over what a message means and not over its text: `print.ts`
 * writes the text that the code under test gets to read. Times in seconds; offsets are from noon.
 */
export interface Meaning {
  readonly shared: boolean;
  readonly status: number;
  readonly directives: readonly Directive[];
  readonly expires: number | 'bad' | undefined;
  readonly date: number | 'bad' | undefined;
  readonly age: number | 'bad' | undefined;
  readonly lastModified: number | undefined;
  readonly hasEtag: boolean;
  readonly hasSetCookie: boolean;
  /** Of the request that got the response. */
  readonly isAuthorized: boolean;
  /** Whole ms. */
  readonly delayMs: number;
  readonly elapsedMs: number;
  /** Of the request that comes later. */
  readonly asks: readonly Directive[];
}

/** Without a value, with a number of seconds, or with something that is none. */
export interface Directive {
  readonly name: string;
  readonly value?: number | 'bad';
}

export function modelStorage(m: Meaning): 'store' | 'pass-through' {
  return mayStore(m) && isOfUse(m) ? 'store' : 'pass-through';
}

/** §3, bullet by bullet, for GET. */
function mayStore(m: Meaning): boolean {
  // "the response status code is final": 401, 407, 412, 416 and 206 are left out, see docs/semantics.md.
  if ([206, 304, 401, 407, 412, 416].includes(m.status)) return false;
  // "if the response status code is 206 or 304, or the must-understand cache directive is present, the cache understands the code"
  const understands = [200, 203, 204, 300, 301, 302, 303, 307, 308, 404, 405, 410, 414, 501].includes(m.status);
  if (has(m, 'must-understand') && !understands) return false;
  // "the no-store cache directive is not present in the response"; §5.2.2.3: must-understand lifts it
  if (has(m, 'no-store') && !has(m, 'must-understand')) return false;
  if (m.shared) {
    // "if the cache is shared: the private response directive is not present"
    if (has(m, 'private')) return false;
    // "if the cache is shared: the Authorization header field is not present in the request or §3.5"
    const isShareable = has(m, 'must-revalidate') || has(m, 'public') || has(m, 's-maxage');
    if (m.isAuthorized && !isShareable) return false;
    // Not of the RFC: without a word on its lifetime it may be meant for one user.
    const isExplicit = has(m, 'max-age') || has(m, 's-maxage') || m.expires !== undefined;
    if (m.hasSetCookie && !has(m, 'public') && !isExplicit) return false;
  }
  // "the response contains at least one of the following"
  return (
    has(m, 'public') ||
    (!m.shared && has(m, 'private')) ||
    m.expires !== undefined ||
    has(m, 'max-age') ||
    (m.shared && has(m, 's-maxage')) ||
    isHeuristicallyCacheable(m)
  );
}

function isHeuristicallyCacheable(m: Meaning): boolean {
  return [200, 203, 204, 300, 301, 308, 404, 405, 410, 414, 501].includes(m.status);
}

/** Not of the RFC: what can never be used again is not kept. */
function isOfUse(m: Meaning): boolean {
  if (hasValidator(m)) return true;
  if (has(m, 'no-cache')) return false;
  const onArrival = { ...m, elapsedMs: 0 };
  const left = lifetime(m) - currentAge(onArrival);
  const windows = forbidsStale(m)
    ? [0]
    : [0, seconds(m.directives, 'stale-while-revalidate') ?? 0, seconds(m.directives, 'stale-if-error') ?? 0];
  return left + Math.max(...windows) > 0;
}

/** For a response that was stored, and mode `default`. */
export function modelRequest(
  m: Meaning,
): 'reuse' | 'stale' | 'background' | 'validate' | 'forward' | 'gateway-timeout' {
  const age = currentAge(m);
  const fresh = lifetime(m) - age;
  const maxAge = seconds(m.asks, 'max-age');
  const minFresh = has(m, 'min-fresh', m.asks) ? minFreshOf(m) : undefined;
  const asksForAge = maxAge !== undefined || minFresh !== undefined;
  // §5.2.1
  const requestObjects =
    has(m, 'no-cache', m.asks) ||
    (maxAge !== undefined && age > maxAge) ||
    (minFresh !== undefined && fresh < minFresh);
  if (!requestObjects && !has(m, 'no-cache')) {
    // §4.2: response_is_fresh = (freshness_lifetime > current_age)
    if (fresh > 0) return 'reuse';
    if (!forbidsStale(m) && has(m, 'max-stale', m.asks) && -fresh <= maxStaleOf(m)) return 'stale';
  }
  if (has(m, 'only-if-cached', m.asks)) return 'gateway-timeout';
  const swr = seconds(m.directives, 'stale-while-revalidate') ?? 0;
  if (!requestObjects && !asksForAge && !forbidsStale(m) && fresh + swr > 0) return 'background';
  const sie = seconds(m.directives, 'stale-if-error') ?? seconds(m.asks, 'stale-if-error') ?? 0;
  if (hasValidator(m) || (!forbidsStale(m) && fresh + sie > 0)) return 'validate';
  return 'forward';
}

/** Whether the stored response may stand in for an error (RFC 5861 §4). */
export function modelError(m: Meaning): 'reuse-stale' | 'fail' {
  if (has(m, 'no-cache', m.asks) || forbidsStale(m)) return 'fail';
  const window = seconds(m.directives, 'stale-if-error') ?? seconds(m.asks, 'stale-if-error') ?? 0;
  return lifetime(m) - currentAge(m) + window > 0 ? 'reuse-stale' : 'fail';
}

/** §4.2.4 */
function forbidsStale(m: Meaning): boolean {
  const always = has(m, 'no-cache') || has(m, 'must-revalidate');
  return always || (m.shared && (has(m, 'proxy-revalidate') || has(m, 's-maxage')));
}

/** §4.2.1 */
export function lifetime(m: Meaning): number {
  if (has(m, 'no-cache') || (has(m, 'private') && m.shared)) return 0;
  if (m.shared && has(m, 's-maxage')) return seconds(m.directives, 's-maxage') ?? 0;
  if (has(m, 'max-age')) return seconds(m.directives, 'max-age') ?? 0;
  const date = typeof m.date === 'number' ? m.date : 0;
  if (m.expires === 'bad') return 0;
  if (m.expires !== undefined) return Math.max(0, m.expires - date);
  // §4.2.2: heuristics, 10 %
  if (m.lastModified === undefined || !(isHeuristicallyCacheable(m) || has(m, 'public'))) return 0;
  return Math.max(0, Math.floor((date - m.lastModified) / 10));
}

/** §4.2.3; the response arrives at noon. */
export function currentAge(m: Meaning): number {
  const apparentAge = Math.max(0, typeof m.date === 'number' ? -m.date : 0);
  const responseDelay = m.delayMs / 1000;
  const ageValue = typeof m.age === 'number' ? m.age : 0;
  const correctedAgeValue = ageValue + responseDelay;
  const correctedInitialAge = Math.max(apparentAge, correctedAgeValue);
  // In ms, where floating point is exact.
  return Math.floor((Math.round(correctedInitialAge * 1000) + m.elapsedMs) / 1000);
}

function hasValidator(m: Meaning): boolean {
  return m.hasEtag || m.lastModified !== undefined;
}

function has(m: Meaning, name: string, directives = m.directives): boolean {
  return directives.some((directive) => directive.name === name);
}

/** §4.2.1: of several values that differ, and of an invalid one, the response is considered stale. */
function seconds(directives: readonly Directive[], name: string): number | undefined {
  const values = directives.filter((directive) => directive.name === name).map(({ value }) => value);
  if (values.length === 0) return undefined;
  const [first] = values;
  return typeof first === 'number' && values.every((value) => value === first) ? first : 0;
}

function minFreshOf(m: Meaning): number {
  const values = m.asks.filter(({ name }) => name === 'min-fresh').map(({ value }) => value);
  return Math.max(...values.map((value) => (typeof value === 'number' ? value : Number.POSITIVE_INFINITY)));
}

function maxStaleOf(m: Meaning): number {
  const values = m.asks.filter(({ name }) => name === 'max-stale').map(({ value }) => value);
  return Math.min(
    ...values.map((value) => (value === undefined ? Number.POSITIVE_INFINITY : value === 'bad' ? 0 : value)),
  );
}

export function rulesOf(m: Meaning, base: Rules): Rules {
  return { ...base, shared: m.shared };
}
