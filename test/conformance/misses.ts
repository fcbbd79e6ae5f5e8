import type { CacheType, TestResult } from './suite.js';

/** A test of the suite that is not passed, and why that is right. Left out `types` and `clients`: all of them. */
export interface Miss {
  readonly id: string;
  readonly types?: readonly CacheType[];
  readonly clients?: readonly string[];
  /** In newer versions of the suite than the one installed. */
  readonly isNewer?: true;
  readonly reason: string;
}

/** RFC 9111 §5.1: of several values the first counts, and one that is not a number of seconds is ignored. */
const ageIsClear =
  'RFC 9111 §5.1 (2022) says what this suite of 2020 leaves open: use the first of several Age values, and ignore the field when ' +
  'that is not a non-negative integer. The response is fresh by its Date then; newer versions of the suite test for that.';

const errorIsTheAnswer =
  'The stale response is not reused, which is what is tested for, but the suite wants to see it by a generated 504 (RFC 9111 ' +
  '§5.2.2.2, for a cache that talks HTTP to its clients). Here the client itself is the cache, and its error with its code is the ' +
  'generated error: users tell a lost connection by ECONNRESET, and retries depend on it.';

const parserRefuses =
  "The test's origin sends more bytes than its Content-Length announces, and Node's HTTP parser makes that an error. The client's " +
  'user gets the same error without a cache: what follows a message may be smuggled (RFC 9112 §11.2), and is no reason to answer.';

const partIsNotStored =
  'Optimal, and costs more than it gains: a stored part can answer only requests for less of the same, or be completed if it has a ' +
  'strong validator (RFC 9111 §3.3, §3.4). Clients that ask for parts resume a download once, and parts that pile up beside the ' +
  'whole take its room. A stored whole answers every range.';

const noInterim =
  "axios hands its user no interim responses, with or without a cache, so there is nothing to see; got's users see them pass.";

export const misses: readonly Miss[] = [
  { id: 'age-parse-nonnumeric', reason: ageIsClear },
  { id: 'age-parse-negative', reason: ageIsClear },
  { id: 'age-parse-float', reason: ageIsClear },
  { id: 'age-parse-prefix-twoline', reason: ageIsClear },
  { id: 'age-parse-dup-0', reason: ageIsClear },
  { id: 'age-parse-dup-0-twoline', reason: ageIsClear },
  { id: 'age-parse-dup-old', reason: ageIsClear },
  { id: 'age-parse-parameter', reason: ageIsClear },
  { id: 'age-parse-numeric-parameter', reason: ageIsClear },
  { id: 'stale-close-must-revalidate', reason: errorIsTheAnswer },
  { id: 'stale-close-proxy-revalidate', reason: errorIsTheAnswer },
  { id: 'stale-close-no-cache', reason: errorIsTheAnswer },
  { id: 'stale-close-s-maxage=2', reason: errorIsTheAnswer },
  { id: 'headers-store-Content-Length', reason: parserRefuses },
  { id: '304-etag-update-response-Content-Length', reason: parserRefuses },
  {
    id: '304-etag-update-response-ETag',
    reason:
      'The 304 carries a strong validator that no stored response has, so it must not update any (RFC 9111 §4.3.4): it confirms ' +
      'something that is not stored. The request goes out again without conditions, and the suite takes that for a retry.',
  },
  {
    id: 'vary-normalise-lang-select',
    reason:
      'Optimal, and not ours to know: that one stored variant is in the language that the request likes best does not say that the ' +
      'origin would choose it, which may weigh regions and wildcards, or have a better one. RFC 9111 §4.1 lets a cache normalise ' +
      'selecting fields in ways that are known to mean the same, and these two do not mean the same.',
  },
  {
    id: 'conditional-lm-fresh-no-lm',
    reason:
      'Without Last-Modified, the Date of the stored response stands in for it (RFC 9111 §4.3.2), and it is later than the date in ' +
      'If-Modified-Since: a 304 would confirm a copy that may be older. The user gets the stored 200, without asking the origin.',
  },
  { id: 'partial-store-partial-reuse-partial', reason: partIsNotStored },
  { id: 'partial-store-partial-reuse-partial-byterange', reason: partIsNotStored },
  { id: 'partial-store-partial-reuse-partial-absent', reason: partIsNotStored },
  { id: 'partial-store-partial-reuse-partial-suffix', reason: partIsNotStored },
  { id: 'partial-store-partial-complete', reason: partIsNotStored },
  {
    id: 'other-cookie',
    reason:
      'Optimal for a browser, whose cache has one user. One process asks for many, and the response has a bare max-age: nothing says that it ' +
      'is for everyone (public, s-maxage), and origins that forget Vary: Cookie are many. So it is not reused for a request with a cookie, ' +
      'unless cookies are taken out of the option `credentialFields`.',
  },
  { id: 'interim-102', isNewer: true, clients: ['axios'], reason: noInterim },
  { id: 'interim-103', isNewer: true, clients: ['axios'], reason: noInterim },
  { id: 'interim-not-cached', isNewer: true, clients: ['axios'], reason: noInterim },
  { id: 'interim-no-header-reuse', isNewer: true, clients: ['axios'], reason: noInterim },
];

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
      .filter(({ isNewer }) => isNewer !== true)
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
