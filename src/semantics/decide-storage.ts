import { fieldValueOf, hasField } from '../http/fields.js';
import { targetUriOf } from '../http/key.js';
import type { FieldLines, RequestHead, StoredHead } from '../http/message.js';
import { varyOf } from '../http/vary.js';
import { selectingOf, wouldFind } from './credentials.js';
import type { Exchange, Rules, StorageDecision, StorageRefusal } from './decisions.js';
import { type Freshness, judgeFreshness } from './freshness.js';
import { givenLifetimeOf, noGivenLifetime } from './given-lifetime.js';
import { staleIfErrorLeft, staleWhileRevalidateLeft } from './staleness.js';
import { isUnderstood, mayBeStored } from './statuses.js';
import { storedFieldsOf } from './stored-fields.js';
import { hasValidator } from './validators.js';
import { requestDirectives } from './views.js';

/** RFC 9111 §3: may this answer be stored? */
export function decideStorage(request: RequestHead, exchange: Exchange, rules: Rules): StorageDecision {
  const { response, requestTimeMs, responseTimeMs } = exchange;
  if (rules.mode === 'no-store') return passThrough('mode');
  const method = storedMethodOf(request, response.fields, rules);
  if (method === undefined) return passThrough('method');
  if (response.status === 206) return passThrough('partial');
  if (!mayBeStored(response.status)) return passThrough('status');
  if (requestDirectives(request.fields).noStore) return passThrough('no-store-request');

  const given = givenLifetimeOf(rules, request.url);
  const judged = {
    method: method === 'GET' && request.method === 'POST' ? 'POST' : method,
    status: response.status,
    fields: response.fields,
    requestTimeMs,
    responseTimeMs,
  };
  const { sent = request.fields } = exchange;
  const isAuthorized = hasField(sent, 'authorization');
  const isPlain = given === noGivenLifetime;
  const freshness = judgeFreshness(isPlain ? judged : { ...judged, ...given }, rules, responseTimeMs, isAuthorized);
  const vary = varyOf(response.fields);
  const ignoresRules = rules.mode === 'ignore-rules';
  const refusal = ignoresRules
    ? isUnderstood(response.status)
      ? undefined
      : 'status'
    : refusalOf(sent, freshness, response.fields, response.status, vary, rules);
  if (refusal !== undefined) return passThrough(refusal);

  const useUntilMs = ignoresRules
    ? Number.POSITIVE_INFINITY
    : useUntil(freshness, response.fields, responseTimeMs, rules);
  if (useUntilMs <= responseTimeMs) return passThrough('no-use');
  const { httpVersion, status, statusText } = response;
  const fields = storedFieldsOf(response.fields, freshness.cacheControl, rules.shared, responseTimeMs);
  const head: StoredHead = {
    status,
    statusText,
    httpVersion,
    fields,
    url: targetUriOf(request.url),
    method,
    selecting: selectingOf(sent, fields, vary, rules),
    requestTimeMs,
    responseTimeMs,
  };
  if (exchange.sent !== undefined && !wouldFind(request.fields, sent, head, vary, rules)) {
    return passThrough('credentials-unseen');
  }
  return { action: 'store', head: isPlain ? head : { ...head, ...given }, useUntilMs };
}

/**
 * The method whose requests the stored response answers. A POST that says with Content-Location that its answer is what
 * GET would find may answer GET (RFC 9110 §9.3.3), opted in or not.
 */
function storedMethodOf(request: RequestHead, fields: FieldLines, rules: Rules): string | undefined {
  const { method, url } = request;
  if (rules.methods.includes(method)) return method;
  if (method !== 'POST' || !rules.methods.includes('GET')) return undefined;
  const location = fieldValueOf(fields, 'content-location');
  return location !== undefined && resolve(location, url) === targetUriOf(url) ? 'GET' : undefined;
}

function resolve(reference: string, base: string): string | undefined {
  return URL.canParse(reference, base) ? targetUriOf(new URL(reference, base).href) : undefined;
}

function refusalOf(
  request: FieldLines,
  freshness: Freshness,
  fields: FieldLines,
  status: number,
  vary: readonly string[] | '*',
  rules: Rules,
): StorageRefusal | undefined {
  const { cacheControl } = freshness;
  if (cacheControl.mustUnderstand && !isUnderstood(status)) return 'status';
  if (cacheControl.noStore) return 'no-store';
  if (rules.shared) {
    if (cacheControl.private) return 'private';
    const isShareable = cacheControl.public || cacheControl.sMaxage !== undefined;
    const isAuthorized = hasField(request, 'authorization');
    if (isAuthorized && !isShareable && !cacheControl.mustRevalidate) return 'authorization';
    // Who says how long it is fresh has thought of caches (§7.3); who says nothing may mean one user.
    if (!cacheControl.public && !freshness.isExplicit) {
      if (hasField(fields, 'set-cookie')) return 'set-cookie';
      if (hasField(request, 'cookie')) return 'cookie';
    }
  }
  if (vary === '*') return 'vary-star';
  return freshness.isStorable ? undefined : 'not-explicit';
}

/** When the response is of no use any more, not even as a stale one; never, if it can be validated. */
export function useUntil(freshness: Freshness, fields: FieldLines, responseTimeMs: number, rules: Rules): number {
  if (hasValidator(fields, responseTimeMs)) return Number.POSITIVE_INFINITY;
  if (freshness.mustValidate) return responseTimeMs;
  const staleSeconds = Math.max(
    staleWhileRevalidateLeft(freshness, rules),
    staleIfErrorLeft(freshness, requestDirectives([]), rules),
  );
  return responseTimeMs + Math.max(0, freshness.ttlSeconds, staleSeconds) * 1000;
}

function passThrough(reason: StorageRefusal): StorageDecision {
  return { action: 'pass-through', reason };
}
