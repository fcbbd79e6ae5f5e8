import type { FieldLines, RequestHead, ResponseHead, StoredHead } from '../../src/http/message.js';
import { decideStorage } from '../../src/semantics/decide-storage.js';
import type { Exchange, Rules } from '../../src/semantics/decisions.js';

/** Saturday, 21 Nov 2026 12:00:00 GMT. */
export const noon = Date.UTC(2026, 10, 21, 12);

export const privateRules: Rules = {
  mode: 'default',
  shared: false,
  offline: false,
  methods: ['GET'],
  heuristicFraction: 0.1,
  maxHeuristicMs: 7 * 24 * 3600 * 1000,
  ttlMs: undefined,
  expiresAtMs: undefined,
  ttlJitter: 0,
  maxTtlMs: undefined,
  cacheControlTargets: [],
  staleWhileRevalidateSeconds: 0,
  staleIfErrorSeconds: 0,
  credentialFields: ['authorization', 'cookie'],
  keyHoldsCredentials: true,
};

export const sharedRules: Rules = { ...privateRules, shared: true, keyHoldsCredentials: false };

/** `fields('Name: value', …)`. */
export function fields(...lines: readonly string[]): string[] {
  return lines.flatMap((line) => {
    const colon = line.indexOf(':');
    return [line.slice(0, colon), line.slice(colon + 1).trim()];
  });
}

/** An HTTP-date some seconds from noon. */
export function dateAt(seconds: number): string {
  return new Date(noon + seconds * 1000).toUTCString();
}

export function get(...lines: readonly string[]): RequestHead {
  return { method: 'GET', url: 'https://example.com/a', fields: fields(...lines) };
}

export function respond(status: number, ...lines: readonly string[]): ResponseHead {
  return { status, statusText: '', httpVersion: '1.1', fields: fields(...lines) };
}

/** Asked for and answered at noon. */
export function exchangeOf(response: ResponseHead, atMs = noon): Exchange {
  return { response, requestTimeMs: atMs, responseTimeMs: atMs };
}

/** A head that goes through `decideStorage` at noon; throws if it is not stored. */
export function store(response: ResponseHead, rules: Rules = privateRules, request: RequestHead = get()): StoredHead {
  const decision = decideStorage(request, exchangeOf(response), rules);
  if (decision.action !== 'store') throw new Error(`not stored: ${decision.reason}`);
  return decision.head;
}

/** A 200 at noon with `Date`, and stored. */
export function stored(...lines: readonly string[]): StoredHead {
  return store(respond(200, `Date: ${dateAt(0)}`, ...lines));
}

/** A head as it would be without our rules for storing: to ask about what another version may have stored. */
export function rawStored(status: number, lines: FieldLines): StoredHead {
  return {
    status,
    statusText: '',
    httpVersion: '1.1',
    fields: lines,
    url: 'https://example.com/a',
    method: 'GET',
    selecting: [],
    requestTimeMs: noon,
    responseTimeMs: noon,
  };
}
