import CachePolicy from 'http-cache-semantics';
import type { CacheControl } from '../http/cache-control.js';
import { isHeuristicallyCacheable } from './statuses.js';

/** What the rule engine is asked about: read by our own parsers, so that nothing of a message reaches it as it came. */
export interface PolicyQuestion {
  readonly method: string;
  readonly status: number;
  readonly cacheControl: CacheControl;
  /** The request had `Authorization`. */
  readonly isAuthorized: boolean;
  readonly shared: boolean;
  readonly heuristicFraction: number;
  /** HTTP-dates that parse. Without a usable `Date`, the time of receipt. */
  readonly date: string;
  /** `'invalid'` counts as past (RFC 9111 §5.3). */
  readonly expires: string | 'invalid' | undefined;
  readonly lastModified: string | undefined;
  /** The corrected initial age (RFC 9111 §4.2.3), in seconds. */
  readonly initialAgeSeconds: number;
  readonly responseTimeMs: number;
}

export interface PolicyAnswer {
  /** RFC 9111 §3, as far as status, method and explicit directives go. */
  readonly isStorable: boolean;
  readonly lifetimeSeconds: number;
  readonly ageSeconds: number;
}

/** Asks http-cache-semantics. The only file that knows it; what it gets wrong is kept from it, see docs/semantics.md. */
export const askPolicy = createPolicy();

function createPolicy(): (question: PolicyQuestion, nowMs: number) => PolicyAnswer {
  let clockMs = 0;
  class ClockedPolicy extends CachePolicy {
    // Called by the library, its constructor among others; its types leave it out.
    now(): number {
      return clockMs;
    }
  }
  return (question, nowMs) => {
    // Its `Age` is a whole number: the fraction goes into the time that has passed since.
    const wholeAgeSeconds = Math.floor(question.initialAgeSeconds);
    clockMs = question.responseTimeMs - (question.initialAgeSeconds - wholeAgeSeconds) * 1000;
    const policy = new ClockedPolicy(
      { method: question.method, headers: question.isAuthorized ? authorized : noHeaders },
      { status: statusFor(question.status), headers: headersFor(question, wholeAgeSeconds) },
      { shared: question.shared, cacheHeuristic: question.heuristicFraction, immutableMinTimeToLive: 0 },
    );
    clockMs = Math.max(nowMs, question.responseTimeMs);
    return { isStorable: policy.storable(), lifetimeSeconds: policy.maxAge(), ageSeconds: policy.age() };
  };
}

const noHeaders = {};
const authorized = { authorization: '-' };

/** It knows 14 statuses; any final one may be stored when it is explicit about freshness (§3), as it treats 302. */
function statusFor(status: number): number {
  return isHeuristicallyCacheable(status) ? 200 : 302;
}

function headersFor(question: PolicyQuestion, wholeAgeSeconds: number): Record<string, string> {
  const headers: Record<string, string> = { date: question.date, age: `${wholeAgeSeconds}` };
  const directives = printDirectives(question.cacheControl);
  if (directives !== '') headers['cache-control'] = directives;
  if (question.expires !== undefined) {
    headers.expires = question.expires === 'invalid' ? 'Thu, 01 Jan 1970 00:00:00 GMT' : question.expires;
  }
  if (question.lastModified !== undefined) headers['last-modified'] = question.lastModified;
  return headers;
}

/** Canonical, and without what it treats wrongly: `proxy-revalidate` and qualified `private` and `no-cache`. */
function printDirectives(directives: CacheControl): string {
  let text = '';
  if (directives.maxAge !== undefined) text += `,max-age=${directives.maxAge}`;
  if (directives.sMaxage !== undefined) text += `,s-maxage=${directives.sMaxage}`;
  if (directives.noStore) text += ',no-store';
  if (directives.noCache) text += ',no-cache';
  if (directives.private) text += ',private';
  if (directives.public) text += ',public';
  if (directives.mustRevalidate) text += ',must-revalidate';
  return text.slice(1);
}
