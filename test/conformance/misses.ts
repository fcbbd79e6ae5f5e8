import type { CacheType, TestResult } from './suite.js';

/** A test of the suite that is not passed, and why that is right. Left out `types` and `clients`: all of them. */
export interface Miss {
  readonly id: string;
  readonly types?: readonly CacheType[];
  readonly clients?: readonly string[];
  readonly reason: string;
}

export const misses: readonly Miss[] = [];

export interface Difference {
  /** Not passed, and not listed. */
  readonly unlisted: readonly string[];
  /** Listed, and passed all the same. */
  readonly stale: readonly string[];
}

/** Compares a run with the list. Tests of kind `check` ask how a cache behaves; neither answer is a miss. */
export function differenceOf(
  results: readonly TestResult[],
  client: string,
  type: CacheType,
  listed: readonly Miss[] = misses,
): Difference {
  const expected = new Set(
    listed
      .filter(({ types, clients }) => (types?.includes(type) ?? true) && (clients?.includes(client) ?? true))
      .map(({ id }) => id),
  );
  const missed = new Map(
    results
      .filter(({ kind, verdict }) => kind !== 'check' && verdict !== 'pass')
      .map(({ id, kind, verdict, message }) => [id, `${id} (${kind}): ${verdict}${message ? `, ${message}` : ''}`]),
  );
  return {
    unlisted: [...missed].filter(([id]) => !expected.has(id)).map(([, line]) => line),
    stale: [...expected].filter((id) => !missed.has(id)),
  };
}
