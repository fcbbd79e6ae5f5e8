import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { withEachClient } from './fixture.js';
import { counting } from './origin.js';

const test = suite('the rate limit of docs/options.md');

const root = fileURLToPath(new URL('../../..', import.meta.url));
const page = await readFile(join(root, 'docs/options.md'), 'utf8');
const code = /```js\n(import pThrottle[\s\S]*?)```/.exec(page)?.[1] ?? '';

let directory = '';
test.before(async () => {
  // Inside the package, so that what it imports is found.
  directory = await mkdtemp(join(root, 'dist', 'limiter-'));
});
test.after(() => rm(directory, { recursive: true }));

let count = 0;
withEachClient(
  test,
  'makes what goes out wait for its turn, and hits not',
  () => counting(),
  { tier: 'memory' },
  async (bench) => {
    count += 1;
    const file = join(directory, `limiter-${count}.mjs`);
    await writeFile(file, code.replace('interval: 500', 'interval: 40'));
    const { beforeForward } = await import(pathToFileURL(file).href);
    await bench.reopen({ beforeForward });
    const { client, cache, origin, at } = bench;
    const started = performance.now();
    await Promise.all([client.ask(at('/1')), client.ask(at('/2')), client.ask(at('/3'))]);
    // A timer is never early: two of the three have waited.
    assert.ok(performance.now() - started >= 78);
    await cache.flush();
    for (let time = 0; time < 20; time += 1) assert.is((await client.ask(at('/1'))).info?.status, 'hit');
    assert.is(origin.hits.length, 3);
  },
);

test.run();
