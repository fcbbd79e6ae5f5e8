import type { StoredHead } from '../http/message.js';
import type { Rules } from './decisions.js';

/** What a stored response remembers of the lifetime that the user gave it. */
export type GivenLifetime = Pick<StoredHead, 'ttlMs' | 'expiresAtMs' | 'lifetimeFraction'>;

/** Most responses have none: told from others by being this one. */
export const noGivenLifetime: GivenLifetime = Object.freeze({});

/** What to remember with a response that is stored, or freshened: this request's word, or else the earlier one. */
export function givenLifetimeOf(rules: Rules, url: string, earlier = noGivenLifetime): GivenLifetime {
  const { ttlMs, expiresAtMs } = isGiven(rules) ? rules : earlier;
  const lifetimeFraction = rules.ttlJitter > 0 ? 1 - rules.ttlJitter * unitOf(url) : earlier.lifetimeFraction;
  if (ttlMs === undefined && expiresAtMs === undefined && lifetimeFraction === undefined) return noGivenLifetime;
  return {
    ...(ttlMs !== undefined && { ttlMs }),
    ...(expiresAtMs !== undefined && { expiresAtMs }),
    ...(lifetimeFraction !== undefined && { lifetimeFraction }),
  };
}

/** The user's lifetime in ms from the receipt: this request's word, or else what came with the response. Of two, the shorter. */
export function givenLifetimeMs(
  response: {
    readonly responseTimeMs: number;
    readonly ttlMs?: number | undefined;
    readonly expiresAtMs?: number | undefined;
  },
  rules: Rules,
): number | undefined {
  const { ttlMs, expiresAtMs } = isGiven(rules) ? rules : response;
  if (expiresAtMs === undefined) return ttlMs;
  return Math.min(ttlMs ?? Number.POSITIVE_INFINITY, Math.max(0, expiresAtMs - response.responseTimeMs));
}

function isGiven({ ttlMs, expiresAtMs }: Rules): boolean {
  return ttlMs !== undefined || expiresAtMs !== undefined;
}

/** From 0 up to 1, the same for the same text: FNV-1a with a final mix. */
function unitOf(text: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i += 1) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return ((hash ^ (hash >>> 16)) >>> 0) / 2 ** 32;
}
