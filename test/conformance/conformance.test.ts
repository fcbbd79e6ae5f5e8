// time limit: 300 s
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { type Difference, differenceOf, misses } from './misses.js';
import type { ClientName, StoreName } from './ours.js';
import type { CacheType, TestResult } from './suite.js';

interface Combination {
  readonly client: ClientName;
  readonly type: CacheType;
  readonly store: StoreName;
}

const combinations = (['disk', 'tiered'] as const).flatMap((store) =>
  (['private', 'shared'] as const).flatMap((type) =>
    (['axios', 'got'] as const).map((client): Combination => ({ client, type, store })),
  ),
);

const execute = promisify(execFile);
const runner = fileURLToPath(new URL('./run.js', import.meta.url));

async function resultsOf(
  { client, type, store }: Combination,
  ...more: readonly string[]
): Promise<readonly TestResult[]> {
  const options = ['--client', client, '--type', type, '--store', store, ...more];
  const { stdout } = await execute(process.execPath, [runner, ...options], { timeout: 120_000, maxBuffer: 16 << 20 });
  return JSON.parse(stdout).results;
}

/**
 * The suite measures lifetimes of two seconds on the real clock, and sends bytes that may come too early or too late. What a busy machine does
 * to a test among hundreds it does not do to the same test alone, again and again; what is wrong stays wrong.
 */
async function difference(combination: Combination): Promise<Difference> {
  const { client, type } = combination;
  const first = differenceOf(await resultsOf(combination), client, type);
  const suspects = [...first.unlisted.map((line) => line.replace(/ .*/s, '')), ...first.stale];
  if (suspects.length > maxSuspects) return first;
  const alone = await mapInTurn(suspects, (id) => differenceAlone(combination, id));
  return { unlisted: alone.flatMap(({ unlisted }) => unlisted), stale: alone.flatMap(({ stale }) => stale) };
}

const maxSuspects = 12;
const attempts = 3;

/** What is different in every one of a few runs of one test. */
async function differenceAlone(combination: Combination, id: string): Promise<Difference> {
  const { client, type } = combination;
  const listed = misses.filter((miss) => miss.id === id);
  let found: Difference = { unlisted: [], stale: [] };
  for (let attempt = 0; attempt < attempts; attempt += 1) {
    found = differenceOf(await resultsOf(combination, '--id', id), client, type, listed);
    if (found.unlisted.length + found.stale.length === 0) break;
  }
  return found;
}

async function mapInTurn<T, U>(values: readonly T[], map: (value: T) => Promise<U>): Promise<U[]> {
  const mapped: U[] = [];
  for (const value of values) mapped.push(await map(value));
  return mapped;
}

/** Most of a run is pauses: two go at once. */
function inPairs(): ReadonlyMap<Combination, Promise<Difference>> {
  const lanes = [Promise.resolve(), Promise.resolve()];
  return new Map(
    combinations.map((combination, position) => {
      const lane = position % lanes.length;
      const run = (lanes[lane] ?? Promise.resolve()).then(() => difference(combination));
      lanes[lane] = run.then(
        () => undefined,
        () => undefined,
      );
      return [combination, run];
    }),
  );
}

const runs = inPairs();
const test = suite('the public conformance suite');

for (const [{ client, type, store }, run] of runs) {
  test(`${client} with a ${type} cache on ${store} misses what is listed with a reason, and nothing else`, async () => {
    assert.equal(await run, { unlisted: [], stale: [] });
  });
}

test.run();
