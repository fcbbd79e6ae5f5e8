import type { CacheControl } from '../http/cache-control.js';
import { maxDeltaSeconds } from '../http/delta-seconds.js';
import { hasField } from '../http/fields.js';
import type { FieldLines, RequestHead, StoredHead } from '../http/message.js';
import type { ForwardReason, RequestDecision, Rules } from './decisions.js';
import { type Freshness, judgeFreshness } from './freshness.js';
import { givenLifetimeMs } from './given-lifetime.js';
import { selectStored } from './select.js';
import { staleIfErrorLeft, staleWhileRevalidateLeft } from './staleness.js';
import { conditionalOf } from './validators.js';
import { hasOriginPrecondition, requestDirectives } from './views.js';

/** RFC 9111 §4: may one of the stored responses answer, and how? */
export function decideRequest(
  request: RequestHead,
  stored: readonly StoredHead[],
  rules: Rules,
  nowMs: number,
): RequestDecision {
  if (rules.mode === 'no-store') return forward(request, rules, 'bypass', uncachedFields(request));
  if (!isCacheable(request.method, rules)) return forward(request, rules, 'method');
  if (rules.mode === 'reload') return forward(request, rules, 'request', uncachedFields(request));
  const selection = selectStored(request, stored, rules);
  if (selection.kind === 'none') return forward(request, rules, selection.reason);
  if (hasOriginPrecondition(request.fields)) return forward(request, rules, 'request');
  return decideSelected(request, selection.head, selection.index, rules, nowMs);
}

function decideSelected(
  request: RequestHead,
  head: StoredHead,
  index: number,
  rules: Rules,
  nowMs: number,
): RequestDecision {
  const freshness = judgeFreshness(head, rules, nowMs);
  const { ageSeconds, ttlSeconds, isFresh } = freshness;
  const directives = requestDirectives(request.fields);
  const objection = objectionTo(freshness, head, directives, rules);
  if (objection === undefined) {
    if (ignoresLifetime(head, rules)) {
      return { action: 'reuse', index, ageSeconds, ttlSeconds: maxDeltaSeconds, isStale: false, background: false };
    }
    return { action: 'reuse', index, ageSeconds, ttlSeconds, isStale: !isFresh, background: false };
  }
  if (rules.offline || rules.mode === 'only-if-cached' || directives.onlyIfCached) {
    return { action: 'gateway-timeout', detail: objection.detail };
  }
  const conditional = conditionalOf(head.fields, nowMs);
  const remainingSeconds = objection.reason === 'stale' ? windowFor(freshness, directives, rules) : 0;
  if (remainingSeconds > 0) {
    const background = { conditional, remainingSeconds };
    return { action: 'reuse', index, ageSeconds, ttlSeconds, isStale: true, background };
  }
  // Nothing to ask about, yet worth to keep in sight: it may stand in for an error, or be freshened by HEAD (§4.3.5).
  const isOfUse = request.method === 'HEAD' || staleIfErrorLeft(freshness, directives, rules) > 0;
  if (conditional.length === 0 && !isOfUse) return { action: 'forward', reason: objection.reason };
  return {
    action: 'validate',
    index,
    conditional: conditional.concat(rules.mode === 'no-cache' ? revalidateFields(request) : []),
    reason: objection.reason,
  };
}

interface Objection {
  readonly reason: 'stale' | 'request';
  readonly detail: string;
}

/** Why a stored response may not answer as it is. Modes outrank what the messages say. */
function objectionTo(
  freshness: Freshness,
  head: StoredHead,
  request: Readonly<CacheControl>,
  rules: Rules,
): Objection | undefined {
  const { ageSeconds, ttlSeconds, isFresh, cacheControl, mustValidate, forbidsStale } = freshness;
  if (rules.mode === 'no-cache') {
    // RFC 8246: immutable is the promise that there is nothing to validate.
    return isFresh && cacheControl.immutable && !mustValidate
      ? undefined
      : { reason: 'request', detail: 'mode no-cache' };
  }
  if (rules.mode === 'ignore-rules') {
    return ignoresLifetime(head, rules) || isFresh || rules.offline ? undefined : { reason: 'stale', detail: 'stale' };
  }
  if (rules.mode === 'force-cache' || rules.mode === 'only-if-cached' || rules.offline) return undefined;
  if (request.noCache) return { reason: 'request', detail: 'request no-cache' };
  if (request.maxAge !== undefined && ageSeconds > request.maxAge) {
    return { reason: 'request', detail: 'request max-age' };
  }
  if (request.minFresh !== undefined && ttlSeconds < request.minFresh) {
    return { reason: 'request', detail: 'request min-fresh' };
  }
  if (mustValidate) return { reason: 'stale', detail: 'no-cache' };
  if (isFresh) return undefined;
  const toleratesStale = request.maxStale !== undefined && -ttlSeconds <= request.maxStale;
  return toleratesStale && !forbidsStale && freshness.isStorable ? undefined : { reason: 'stale', detail: 'stale' };
}

/** A request that asks for an age or a freshness wants no stale response (RFC 9111 §5.2.1.1). */
function windowFor(freshness: Freshness, request: Readonly<CacheControl>, rules: Rules): number {
  if (request.maxAge !== undefined || request.minFresh !== undefined) return 0;
  return staleWhileRevalidateLeft(freshness, rules);
}

function ignoresLifetime(head: StoredHead, rules: Rules): boolean {
  const hasLifetime = givenLifetimeMs(head, rules) !== undefined || head.invalidatedMs !== undefined;
  return rules.mode === 'ignore-rules' && !hasLifetime;
}

function isCacheable(method: string, rules: Rules): boolean {
  return rules.methods.includes(method) || (method === 'HEAD' && rules.methods.includes('GET'));
}

function forward(request: RequestHead, rules: Rules, reason: ForwardReason, fields?: FieldLines): RequestDecision {
  if (rules.offline || rules.mode === 'only-if-cached' || requestDirectives(request.fields).onlyIfCached) {
    return { action: 'gateway-timeout', detail: reason };
  }
  return fields === undefined || fields.length === 0
    ? { action: 'forward', reason }
    : { action: 'forward', reason, fields };
}

/** What fetch() says to the caches on the way when this one is not to answer. */
function uncachedFields(request: RequestHead): string[] {
  return speaksToCaches(request) ? [] : ['Pragma', 'no-cache', 'Cache-Control', 'no-cache'];
}

function revalidateFields(request: RequestHead): string[] {
  return speaksToCaches(request) ? [] : ['Cache-Control', 'max-age=0'];
}

function speaksToCaches(request: RequestHead): boolean {
  return hasField(request.fields, 'cache-control') || hasField(request.fields, 'pragma');
}
