import type { Readable } from 'node:stream';
import { publish } from '../diagnostics.js';
import type { ResponseHead, StoredHead } from '../http/message.js';
import type { ForwardReason, RequestDecision, ValidationDecision } from '../semantics/decisions.js';
import { judgeFreshness } from '../semantics/freshness.js';
import { present } from '../semantics/present.js';
import type { StoredResponse } from '../store/contract.js';
import { openGuarded } from './guarded-store.js';
import type { Inquiry } from './inquiry.js';
import type { CacheInfo, CacheResponse } from './messages.js';
import { respondPresented } from './respond.js';
import type { BodyPart } from './resume.js';

/** Makes a body that goes on from the origin where its source breaks off. `damaged`: what the source is the body of, or a part. */
export type Resume = (source: Readable, head: ResponseHead, damaged?: StoredResponse, part?: BodyPart) => Readable;

/** A stored response, fresh or with permission, and no word with the origin. */
export function respondReused(
  inquiry: Inquiry,
  stored: StoredResponse,
  { ageSeconds, ttlSeconds, isStale, background }: Extract<RequestDecision, { action: 'reuse' }>,
  resume: Resume,
): CacheResponse {
  const { key, request } = inquiry;
  const status = isStale ? 'stale' : 'hit';
  publish(status, { request, key });
  const info: StoredInfo = { status, stored: true, key, tier: stored.tier, ageSeconds, ttlSeconds };
  if (background !== false) info.staleRemainingSeconds = background.remainingSeconds;
  return respondStored(inquiry, stored, stored.head, resume, info);
}

/** A stored response that the origin has just confirmed; `head` is what it is now. */
export function respondFreshened(
  inquiry: Inquiry,
  stored: StoredResponse,
  head: StoredHead,
  forward: ForwardReason,
  resume: Resume,
): CacheResponse {
  const { engine, key, request, rules } = inquiry;
  publish('revalidate', { request, key });
  const { ageSeconds, ttlSeconds } = judgeFreshness(head, rules, engine.nowMs());
  return respondStored(inquiry, stored, head, resume, {
    status: 'revalidated',
    forward,
    stored: true,
    key,
    tier: stored.tier,
    ageSeconds,
    ttlSeconds,
  });
}

/** A stale response in place of an error (RFC 5861 §4). `originStatus`: what the origin said, if anything. */
export function respondStale(
  inquiry: Inquiry,
  stored: StoredResponse,
  { ageSeconds, ttlSeconds, remainingSeconds }: Extract<ValidationDecision, { action: 'reuse-stale' }>,
  forward: ForwardReason,
  originStatus: number | undefined,
  resume: Resume,
): CacheResponse {
  const { key, request } = inquiry;
  publish('stale', { request, key });
  return respondStored(inquiry, stored, stored.head, resume, {
    status: 'stale',
    forward,
    reason: originStatus === undefined ? 'origin-unreachable' : `origin-${originStatus}`,
    stored: true,
    key,
    tier: stored.tier,
    ageSeconds,
    ttlSeconds,
    staleRemainingSeconds: remainingSeconds,
  });
}

/** Still being put together: one object, and no copies. */
type StoredInfo = { -readonly [Name in keyof CacheInfo]: CacheInfo[Name] } & { ageSeconds: number };

function respondStored(
  { engine, request }: Inquiry,
  stored: StoredResponse,
  head: StoredHead,
  resume: Resume,
  info: StoredInfo,
): CacheResponse {
  const presentation = present(request, head, stored.bodyBytes, info.ageSeconds);
  const isWhole = presentation.kind === 'whole';
  const openBody = (range?: { readonly start: number; readonly end: number }): Readable => {
    const source = openGuarded(() => stored.openBody(range));
    return resume(source, head, stored, range && { ...range, ofBytes: stored.bodyBytes });
  };
  const source = stored.inlineBody === undefined ? { inlineBody: undefined, openBody } : stored;
  info.storedAtMs = head.responseTimeMs;
  if (head.metadata !== undefined) info.metadata = head.metadata;
  const response = respondPresented(engine.statusName, presentation, source, info);
  const { trailers } = head;
  return isWhole && trailers !== undefined ? { ...response, trailers } : response;
}
