import { fieldValueOf, hasField } from '../http/fields.js';
import type { RequestHead, StoredHead } from '../http/message.js';
import { varyOf } from '../http/vary.js';
import { selectingOf } from './credentials.js';
import { useUntil } from './decide-storage.js';
import type { Exchange, Rules, ValidationDecision } from './decisions.js';
import { type Freshness, judgeFreshness } from './freshness.js';
import { givenLifetimeOf } from './given-lifetime.js';
import { staleIfErrorLeft } from './staleness.js';
import { isServerError } from './statuses.js';
import { freshenedFieldsOf, storedFieldsOf } from './stored-fields.js';
import { conditionalOf, hasSameValidators, isAbout } from './validators.js';
import { requestDirectives } from './views.js';

/** RFC 9111 §4.3.3-4.3.5, RFC 5861 §4: what the answer to our validation means. `undefined`: there was none. */
export function decideValidation(
  request: RequestHead,
  stored: StoredHead,
  exchange: Exchange | undefined,
  rules: Rules,
  nowMs: number,
): ValidationDecision {
  if (exchange === undefined) return standIn(request, stored, rules, nowMs);
  const { status, fields } = exchange.response;
  if (status === 304) {
    // Without a condition of ours, it answers the client's.
    if (conditionalOf(stored.fields, nowMs).length === 0) return { action: 'replace' };
    return isAbout(fields, stored.fields) ? freshen(request, stored, exchange, rules) : { action: 'refetch' };
  }
  if (isServerError(status)) return standIn(request, stored, rules, nowMs);
  if (request.method === 'HEAD' && stored.method === 'GET' && status === 200 && stored.status === 200) {
    return describesSame(exchange, stored)
      ? freshen(request, stored, exchange, rules)
      : { action: 'replace', isOutdated: true };
  }
  return { action: 'replace' };
}

function standIn(request: RequestHead, stored: StoredHead, rules: Rules, nowMs: number): ValidationDecision {
  const directives = requestDirectives(request.fields);
  // Who insists on the origin's word is told that there is none.
  if (rules.mode === 'no-cache' || directives.noCache) return { action: 'fail' };
  const freshness = judgeFreshness(stored, rules, nowMs);
  const remainingSeconds = staleIfErrorLeft(freshness, directives, rules);
  if (remainingSeconds <= 0) return { action: 'fail' };
  const { ageSeconds, ttlSeconds } = freshness;
  return { action: 'reuse-stale', ageSeconds, ttlSeconds, remainingSeconds };
}

/** RFC 9111 §4.3.5: the validators and the length that a 200 to HEAD names are those of the stored GET. */
function describesSame(exchange: Exchange, stored: StoredHead): boolean {
  const { fields } = exchange.response;
  const length = fieldValueOf(fields, 'content-length');
  if (length !== undefined && length !== fieldValueOf(stored.fields, 'content-length')) return false;
  return hasSameValidators(fields, stored.fields);
}

function freshen(request: RequestHead, stored: StoredHead, exchange: Exchange, rules: Rules): ValidationDecision {
  const { requestTimeMs, responseTimeMs, response } = exchange;
  const { invalidatedMs: _, ttlMs, expiresAtMs, lifetimeFraction, ...rest } = stored;
  const given = givenLifetimeOf(rules, stored.url, stored);
  const updated = freshenedFieldsOf(stored.fields, response.fields);
  const judged = { ...rest, fields: updated, requestTimeMs, responseTimeMs, ...given };
  const freshness = judgeFreshness(judged, rules, responseTimeMs, hasField(request.fields, 'authorization'));
  const fields = storedFieldsOf(updated, freshness.cacheControl, rules.shared, responseTimeMs);
  const vary = varyOf(fields);
  const head: StoredHead = {
    ...rest,
    fields,
    selecting: selectingOf(request.fields, fields, vary, rules),
    requestTimeMs,
    responseTimeMs,
    ...given,
  };
  return { action: 'freshen', head, useUntilMs: keepUntil(freshness, head, vary, rules) };
}

/** What a 304 forbids to store answers this request and is forgotten then. */
function keepUntil(freshness: Freshness, head: StoredHead, vary: readonly string[] | '*', rules: Rules): number {
  if (rules.mode === 'ignore-rules') return Number.POSITIVE_INFINITY;
  const { cacheControl } = freshness;
  const isForbidden = cacheControl.noStore || (rules.shared && cacheControl.private) || vary === '*';
  return isForbidden ? head.responseTimeMs : useUntil(freshness, head.fields, head.responseTimeMs, rules);
}
