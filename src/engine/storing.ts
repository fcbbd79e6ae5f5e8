import { publish } from '../diagnostics.js';
import { fieldValueOf, hasField } from '../http/fields.js';
import type { StoredHead } from '../http/message.js';
import { joinTags } from '../http/tags.js';
import { isOutversioned } from '../http/version.js';
import { decideInvalidation } from '../semantics/decide-invalidation.js';
import { decideStorage } from '../semantics/decide-storage.js';
import type { StorageDecision } from '../semantics/decisions.js';
import { variantsReplacedBy } from '../semantics/variants.js';
import type { DeclineReason, StoredResponse, StoreRef } from '../store/contract.js';
import { useUntilOf } from './idle.js';
import type { Inquiry, Received } from './inquiry.js';
import type { OriginResponse } from './messages.js';
import { Recording } from './recording.js';

const noRefs: readonly StoreRef[] = [];

/** What became of an answer. Without a reason: it is of no concern to the store. */
export type Kept =
  | { readonly isStored: true; readonly head: StoredHead; readonly recording: Recording }
  | { readonly isStored: false; readonly reason: string | undefined };

/** Stores an answer while it is read, in the place of those of `stored` that it makes unreachable, if the rules, the user and the store allow it. */
export function keep(inquiry: Inquiry, received: Received, stored: readonly StoredResponse[]): Kept {
  const decision = decideFor(inquiry, received);
  if (decision === undefined) return { isStored: false, reason: undefined };
  const refusal = decision.action === 'pass-through' ? decision.reason : userRefusal(inquiry, received);
  if (decision.action !== 'store' || refusal !== undefined) return { isStored: false, reason: refusal };
  if (isOutdated(inquiry, received, decision.head)) return { isStored: false, reason: 'superseded' };
  const head = withUserData(decision.head, inquiry.options);
  if (head.version !== undefined && stored.some((other) => isOutversioned(head, other.head)))
    return { isStored: false, reason: 'version-mismatch' };
  const recording = record(inquiry, received.origin, head, decision.useUntilMs, stored);
  return recording instanceof Recording ? { isStored: true, head, recording } : { isStored: false, reason: recording };
}

function withUserData(head: StoredHead, { metadata, idleTtlMs, version }: Inquiry['options']): StoredHead {
  if (metadata === undefined && idleTtlMs === undefined && version === undefined) return head;
  return {
    ...head,
    ...(metadata !== undefined && { metadata }),
    ...(idleTtlMs !== undefined && { idleTtlMs }),
    ...(version !== undefined && { version }),
  };
}

/** It was asked for before an invalidation that covers it. */
function isOutdated(inquiry: Inquiry, received: Received, head: StoredHead): boolean {
  const { engine, options } = inquiry;
  if (received.invalidations === engine.invalidations.count) return false;
  const candidate = { key: keyFor(inquiry, head), head, tags: joinTags(options.tags, options.dependsOn) };
  return engine.invalidations.covered(candidate, received.invalidations);
}

/** The answer to a POST may be what GET would find (RFC 9110 §9.3.3), whether answers to POST are stored or not. */
function decideFor({ request, rules, mayUseStore }: Inquiry, received: Received): StorageDecision | undefined {
  if (!mayUseStore && request.method !== 'POST') return undefined;
  const decision = decideStorage(request, received, rules);
  return mayUseStore || (decision.action === 'store' && decision.head.method !== request.method) ? decision : undefined;
}

function userRefusal({ options, request }: Inquiry, received: Received): string | undefined {
  if (options.shouldStore === undefined) return undefined;
  try {
    return options.shouldStore(request, received.response) ? undefined : 'should-store';
  } catch (error) {
    publish('error', { error, during: 'shouldStore' });
    return 'should-store-threw';
  }
}

/** Or why the store would not have it. */
function record(
  inquiry: Inquiry,
  origin: OriginResponse,
  head: StoredHead,
  useUntilMs: number,
  stored: readonly StoredResponse[],
): Recording | DeclineReason | 'store-failed' {
  const { engine, options, request } = inquiry;
  const key = keyFor(inquiry, head);
  const expectedBytes = lengthOf(origin);
  const writer = engine.store.create(key, head, {
    replaces: stored.length === 0 ? noRefs : replacedBy(head, stored, inquiry),
    expiresMs: useUntilOf(head, useUntilMs, head.responseTimeMs),
    tags: joinTags(options.tags, options.dependsOn),
    priority: options.priority,
    expectedBytes,
    maxBytes: options.maxEntryBytes < engine.options.maxEntryBytes ? options.maxEntryBytes : undefined,
    admission: options.admission === 'auto' ? undefined : options.admission,
  });
  if (writer === undefined) return 'store-failed';
  if (writer.declined !== undefined) {
    const reason = writer.declined;
    void writer.abort();
    return reason;
  }
  const recording = new Recording(writer, origin, {
    key,
    url: request.url,
    expectedBytes,
    finishAbandonedBytes: engine.options.finishAbandonedBytes,
  });
  engine.recordings.add(key, recording);
  origin.body.observe(recording);
  recording.onceFinished(() => engine.recordings.remove(key, recording));
  return recording;
}

function replacedBy(head: StoredHead, stored: readonly StoredResponse[], inquiry: Inquiry): readonly StoreRef[] {
  const { maxVariants } = inquiry.engine.options;
  const heads = stored.map((response) => response.head);
  return variantsReplacedBy(head, heads, maxVariants, inquiry.rules).flatMap((index) => stored[index]?.ref ?? []);
}

/** Where a response to this request is filed: with those of the method whose requests it answers. */
function keyFor({ engine, key, options, presented, request }: Inquiry, { method }: StoredHead): string {
  if (method === request.method) return key;
  const { bodyHash: _, ...rest } = presented;
  return engine.keyOf({ ...rest, request: { ...request, method }, hasBody: false }, options);
}

/** The `Content-Length` of a body that it frames. */
function lengthOf({ head }: OriginResponse): number | undefined {
  if (hasField(head.fields, 'transfer-encoding')) return undefined;
  const length = fieldValueOf(head.fields, 'content-length') ?? '';
  return /^\d{1,15}$/.test(length) ? Number(length) : undefined;
}

/**
 * RFC 9111 §4.4: an answer to an unsafe method makes others invalid, those that were asked for before it and are still to come among them, but
 * not itself. `undefined`: this one does not. Otherwise resolves to the answer as one that was asked for after that.
 */
export function invalidateAfter(inquiry: Inquiry, received: Received): Promise<Received> | undefined {
  const urls = decideInvalidation(inquiry.request, received.response);
  return urls.length === 0 ? undefined : invalidateAll(inquiry, received, urls);
}

async function invalidateAll(inquiry: Inquiry, received: Received, urls: readonly string[]): Promise<Received> {
  const { engine } = inquiry;
  const isFirst = received.invalidations === engine.invalidations.count;
  const keys = new Set(urls.flatMap((url) => keysOfGet(inquiry, url)));
  for (const key of keys) engine.forgetAsked(key);
  const { count } = engine.invalidations;
  for (const key of keys) await engine.store.invalidate({ key });
  return isFirst ? { ...received, invalidations: count } : received;
}

/** Where GET of the same user, by the same way, finds what is stored; `ignore-rules` looks in another place than the other modes. */
function keysOfGet({ engine, options, presented, request }: Inquiry, url: string): readonly string[] {
  const { bodyHash: _, ...rest } = presented;
  const get = { ...rest, request: { ...request, method: 'GET', url }, hasBody: false };
  const modes = ['default', 'ignore-rules'] as const;
  return modes.map((mode) => engine.keyOf(get, { ...options, mode, key: undefined }));
}
