import { Readable } from 'node:stream';
import { assertNever } from '../errors.js';
import { type CacheStatus, printCacheStatus } from '../http/cache-status.js';
import type { ResponseHead } from '../http/message.js';
import type { Presentation } from '../semantics/decisions.js';
import type { StoredResponse } from '../store/contract.js';
import { openGuarded } from './guarded-store.js';
import type { CacheInfo, CacheResponse, OriginResponse } from './messages.js';

const nothing = new Uint8Array(0);

/** Hands the origin's answer on. */
export function respondOrigin(statusName: string | false, origin: OriginResponse, info: CacheInfo): CacheResponse {
  return {
    head: withStatus(statusName, origin.head, info, origin.head.status),
    info,
    body: { from: 'origin', tap: origin.body },
  };
}

/** Answers with a stored response, or the part of it that was asked for. */
export function respondPresented(
  statusName: string | false,
  presentation: Presentation,
  stored: Pick<StoredResponse, 'inlineBody' | 'isInlineBodyOwn' | 'openBody'>,
  info: CacheInfo,
): CacheResponse {
  const head = withStatus(statusName, presentation.head, info);
  switch (presentation.kind) {
    case 'whole':
      return {
        head,
        info,
        body: {
          from: 'cache',
          inline: stored.inlineBody,
          isOwn: stored.isInlineBodyOwn === true,
          open: () => openGuarded(() => stored.openBody()),
        },
      };
    case 'part': {
      const { start, end } = presentation;
      const inline = stored.inlineBody?.subarray(start, end + 1);
      return {
        head,
        info,
        body: {
          from: 'cache',
          inline,
          isOwn: false,
          open: () => openGuarded(() => stored.openBody({ start, end })),
        },
      };
    }
    case 'head-only':
    case 'not-modified':
    case 'unsatisfiable':
      return { head, info, body: { from: 'cache', inline: nothing, isOwn: true, open: () => Readable.from([]) } };
    default:
      return assertNever(presentation);
  }
}

/** RFC 9111 §5.2.1.7: nothing stored may answer, and the origin may not be asked. */
export function respondGatewayTimeout(statusName: string | false, info: CacheInfo): CacheResponse {
  const head = { status: 504, statusText: 'Gateway Timeout', httpVersion: '1.1', fields: ['Content-Length', '0'] };
  return {
    head: withStatus(statusName, head, info),
    info,
    body: { from: 'cache', inline: nothing, isOwn: true, open: () => Readable.from([]) },
  };
}

function withStatus(
  statusName: string | false,
  head: ResponseHead,
  info: CacheInfo,
  forwardStatus?: number,
): ResponseHead {
  if (statusName === false) return head;
  return {
    status: head.status,
    statusText: head.statusText,
    httpVersion: head.httpVersion,
    fields: head.fields.concat('Cache-Status', printCacheStatus(cacheStatusOf(statusName, info, forwardStatus))),
  };
}

/** RFC 9211: `hit` if nothing was forwarded for this request, `fwd` if something was. */
function cacheStatusOf(cache: string, info: CacheInfo, fwdStatus: number | undefined): CacheStatus {
  const { status, forward, ttlSeconds, stored, reason } = info;
  return {
    cache,
    hit: forward === undefined && (status === 'hit' || status === 'stale'),
    fwd: forward,
    fwdStatus,
    ttl: ttlSeconds,
    stored: stored && forward !== undefined,
    collapsed: status === 'collapsed',
    detail: reason,
  };
}
