import { getResults, type Outcome, runTests } from 'http-cache-tests/client/runner.mjs';
import { determineTestResult } from 'http-cache-tests/lib/display.mjs';
import groups, { type TestCase, type TestGroup } from 'http-cache-tests/tests/index.mjs';
import { type SuiteFetch, withPace, withTimeLimit } from './fetch.js';

export type CacheType = 'private' | 'shared';
export type Kind = 'required' | 'optimal' | 'check';

export type Verdict =
  | 'pass'
  | 'fail'
  | 'optional-fail'
  | 'yes'
  | 'no'
  | 'setup-fail'
  | 'harness-fail'
  | 'dependency-fail'
  | 'retry'
  | 'untested';

export interface TestResult {
  readonly id: string;
  readonly group: string;
  readonly kind: Kind;
  readonly verdict: Verdict;
  /** About the client rather than the cache; a browser's `fetch` cannot show it, so the suite skips it there. */
  readonly clientOnly: boolean;
  readonly message?: string;
}

const verdictOf: Readonly<Record<string, Verdict>> = {
  '✅': 'pass',
  '⛔️': 'fail',
  '⚠️': 'optional-fail',
  Y: 'yes',
  N: 'no',
  '🔹': 'setup-fail',
  '⁉️': 'harness-fail',
  '⚪️': 'dependency-fail',
  '↻': 'retry',
  '-': 'untested',
};

/**
 * Where `browser_skip` means that a browser's `fetch` hides what is tested (its own conditionals, manual redirects,
 * interim responses). Elsewhere it marks tests of shared caches.
 */
const clientGroups = new Set(['status', 'conditional-lm', 'conditional-inm', 'interim']);

const isClientOnly = (group: TestGroup, test: TestCase) => test.browser_skip === true && clientGroups.has(group.id);

function applies(group: TestGroup, test: TestCase, type: CacheType): boolean {
  if (type === 'shared') return test.browser_only !== true && test.cdn_only !== true;
  return test.cdn_only !== true && (test.browser_skip !== true || isClientOnly(group, test));
}

/** A run of all takes some seconds longer for it. */
const paceMs = 12;

/**
 * Runs every test that applies to a cache of this type. Once per process: the suite keeps its results in
 * module state and rewrites its own test objects.
 */
export async function runSuite(
  fetch: SuiteFetch,
  type: CacheType,
  baseUrl: string,
  only?: string,
): Promise<readonly TestResult[]> {
  const applicable = groups.flatMap((group) =>
    group.tests
      .filter((test) => applies(group, test, type) && (only === undefined || test.id === only))
      .map((test) => ({ group, test })),
  );
  // `browser_skip` would drop the client's tests once more inside the runner.
  const selected = applicable.map(({ group, test }) => ({ ...group, tests: [{ ...test, browser_skip: false }] }));
  // The first request of a process takes longer than lifetimes in tests allow for.
  await fetch(`${baseUrl}/`);
  await runTests(selected, withPace(withTimeLimit(fetch), paceMs), type === 'private', baseUrl, applicable.length);
  const outcomes = getResults();
  return applicable.map(({ group, test }) => resultOf(group, test, outcomes, only === undefined));
}

function resultOf(
  group: TestGroup,
  test: TestCase,
  outcomes: Readonly<Record<string, Outcome>>,
  honorDependencies: boolean,
): TestResult {
  const outcome = outcomes[test.id];
  const symbol = determineTestResult(groups, test.id, outcomes, honorDependencies)[2];
  const verdict = verdictOf[symbol];
  if (verdict === undefined) throw new Error(`unknown symbol ${symbol} for ${test.id}`);
  return {
    id: test.id,
    group: group.id,
    kind: test.kind ?? 'required',
    verdict: Array.isArray(outcome) && outcome[0] === 'AbortError' ? 'harness-fail' : verdict,
    clientOnly: isClientOnly(group, test),
    ...(Array.isArray(outcome) ? { message: outcome.join(': ') } : {}),
  };
}
