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
  /** HTTP-dates that parse. `date` is there whenever one of the others is. */
  readonly date: string | undefined;
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
  const ask = (question: PolicyQuestion, nowMs: number): PolicyAnswer => {
    // Its `Age` is a whole number: the fraction goes into the time that has passed since.
    const wholeAgeSeconds = Math.floor(question.initialAgeSeconds);
    clockMs = question.responseTimeMs - (question.initialAgeSeconds - wholeAgeSeconds) * 1000;
    const policy = new ClockedPolicy(
      {
        method: isSafeToGuess(question.method) ? 'GET' : 'POST',
        headers: question.isAuthorized ? authorized : noHeaders,
      },
      { status: statusFor(question.status), headers: headersFor(question, wholeAgeSeconds) },
      { shared: question.shared, cacheHeuristic: question.heuristicFraction, immutableMinTimeToLive: 0 },
    );
    clockMs = Math.max(nowMs, question.responseTimeMs);
    return {
      isStorable: policy.storable() || isForUs(question),
      lifetimeSeconds: policy.maxAge(),
      ageSeconds: policy.age(),
    };
  };
  return rememberingTimeless(ask);
}

/**
 * Without dates, all but the age is the same for all times, and `parseCacheControl` gives the same object for the same text: it is asked
 * once for each. The age is added up as the library does.
 */
function rememberingTimeless(ask: typeof askPolicy): typeof askPolicy {
  const known = new WeakMap<CacheControl, (PolicyAnswer | undefined)[]>();
  return (question, nowMs) => {
    const { cacheControl, initialAgeSeconds, responseTimeMs } = question;
    if (question.date !== undefined || !Number.isFinite(initialAgeSeconds) || !Object.isFrozen(cacheControl)) {
      return ask(question, nowMs);
    }
    let answers = known.get(cacheControl);
    if (answers === undefined) {
      answers = [];
      known.set(cacheControl, answers);
    }
    const index = indexOf(question);
    const answer = answers[index];
    if (answer === undefined) {
      const asked = ask(question, nowMs);
      answers[index] = asked;
      return asked;
    }
    const wholeAgeSeconds = Math.floor(initialAgeSeconds);
    const sinceMs = responseTimeMs - (initialAgeSeconds - wholeAgeSeconds) * 1000;
    const ageSeconds = wholeAgeSeconds + (Math.max(nowMs, responseTimeMs) - sinceMs) / 1000;
    return { isStorable: answer.isStorable, lifetimeSeconds: answer.lifetimeSeconds, ageSeconds };
  };
}

/** A number for all that an answer hangs on besides directives and times. */
function indexOf({ method, status, isAuthorized, shared }: PolicyQuestion): number {
  return (
    (isSafeToGuess(method) ? 1 : 0) +
    (isHeuristicallyCacheable(status) ? 2 : 0) +
    (isAuthorized ? 4 : 0) +
    (shared ? 8 : 0)
  );
}

/** `private` is explicit for a private cache (§3); it does not know. */
function isForUs({ cacheControl, method, shared }: PolicyQuestion): boolean {
  return !shared && cacheControl.private && !cacheControl.noStore && isSafeToGuess(method);
}

/**
 * Methods whose answers may be stored, and their lifetime guessed, without an explicit one: it knows GET and HEAD. Any
 * other it is told to treat as POST (RFC 9110 §9.3.3).
 */
export function isSafeToGuess(method: string): boolean {
  return method === 'GET' || method === 'HEAD' || method === 'QUERY';
}

const noHeaders = {};
const authorized = { authorization: '-' };

/** It knows 14 statuses; any final one may be stored when it is explicit about freshness (§3), as it treats 302. */
function statusFor(status: number): number {
  return isHeuristicallyCacheable(status) ? 200 : 302;
}

/** Only what the answer hangs on: it reads each again with regular expressions. */
function headersFor(question: PolicyQuestion, wholeAgeSeconds: number): Record<string, string> {
  const { date, expires, lastModified } = question;
  const headers: Record<string, string> = { age: `${wholeAgeSeconds}` };
  const directives = printDirectives(question);
  if (directives !== '') headers['cache-control'] = directives;
  if (date !== undefined) headers.date = date;
  if (expires !== undefined) headers.expires = expires === 'invalid' ? 'Thu, 01 Jan 1970 00:00:00 GMT' : expires;
  if (lastModified !== undefined) headers['last-modified'] = lastModified;
  return headers;
}

/** Canonical, and without what it treats wrongly: `proxy-revalidate`, and qualified `private` and `no-cache`. */
function printDirectives({ cacheControl, shared, isAuthorized, status }: PolicyQuestion): string {
  let text = '';
  if (cacheControl.maxAge !== undefined) text += `,max-age=${cacheControl.maxAge}`;
  if (shared && cacheControl.sMaxage !== undefined) text += `,s-maxage=${cacheControl.sMaxage}`;
  if (cacheControl.noStore) text += ',no-store';
  if (cacheControl.noCache) text += ',no-cache';
  if (shared && cacheControl.private) text += ',private';
  if (cacheControl.public && (isAuthorized || !isHeuristicallyCacheable(status))) text += ',public';
  if (isAuthorized && cacheControl.mustRevalidate) text += ',must-revalidate';
  return text.slice(1);
}
