import type { CacheEvents } from '../../src/diagnostics.js';
import type { Freshness } from './origin.js';

/** What the cache has to do with a request. */
export type Mode = 'miss' | 'hit' | 'first hit' | 'validated' | 'collapsed' | 'stale' | 'bypass';

export interface ModeRules {
  readonly freshness: Freshness;
  /** What the cache publishes if the request really was answered in this mode. */
  readonly event: keyof CacheEvents;
  /** A stored response answers: fields of the connection are gone, and `Age` is there. */
  readonly isStored: boolean;
  readonly isPrimed: boolean;
}

const minute = { 'Cache-Control': 'max-age=60' };
const stored = { isStored: true, isPrimed: true };
const forwarded = { isStored: false, isPrimed: false };

export const modes: Readonly<Record<Mode, ModeRules>> = {
  miss: { freshness: minute, event: 'miss', ...forwarded },
  hit: { freshness: minute, event: 'hit', ...stored },
  // A client that has not yet sent anything itself finds what another one stored.
  'first hit': { freshness: minute, event: 'hit', ...stored },
  validated: { freshness: { 'Cache-Control': 'max-age=0', ETag: '"1"' }, event: 'revalidate', ...stored },
  collapsed: { freshness: minute, event: 'collapse', isStored: true, isPrimed: false },
  stale: {
    freshness: { 'Cache-Control': 'max-age=1, stale-while-revalidate=1000', ETag: '"1"' },
    event: 'stale',
    ...stored,
  },
  bypass: { freshness: minute, event: 'skip', ...forwarded },
};

/** The fields in which an answer that passed the cache may differ (docs/transparency.md). */
export function documentedFields(isStored: boolean): readonly string[] {
  const always = ['cache-status'];
  return isStored ? [...always, 'age', 'connection', 'keep-alive', 'transfer-encoding', ':status'] : always;
}
