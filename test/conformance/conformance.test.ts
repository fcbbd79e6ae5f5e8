// time limit: 300 s
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { type Difference, differenceOf } from './misses.js';
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

async function resultsOf({ client, type, store }: Combination): Promise<readonly TestResult[]> {
  const options = ['--client', client, '--type', type, '--store', store];
  const { stdout } = await execute(process.execPath, [runner, ...options], { timeout: 60_000, maxBuffer: 16 << 20 });
  return JSON.parse(stdout).results;
}

/**
 * The suite measures lifetimes of two seconds on the real clock. Where a busy machine made the difference, a second run does not show it;
 * what is wrong shows in both.
 */
async function difference(combination: Combination): Promise<Difference> {
  const { client, type } = combination;
  const first = differenceOf(await resultsOf(combination), client, type);
  if (first.unlisted.length + first.stale.length === 0) return first;
  const second = differenceOf(await resultsOf(combination), client, type);
  return {
    unlisted: second.unlisted.filter((line) => first.unlisted.includes(line)),
    stale: second.stale.filter((id) => first.stale.includes(id)),
  };
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
