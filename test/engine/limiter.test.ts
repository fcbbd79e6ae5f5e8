import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { mock } from 'node:test';
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
    await writeFile(file, code);
    const { beforeForward } = await import(pathToFileURL(file).href);
    await bench.reopen({ beforeForward });
    const { client, cache, origin, at } = bench;
    // From here on time passes when the test says so.
    mock.timers.enable({ apis: ['setTimeout', 'Date'], now: Date.now() });
    try {
      const answers = Promise.all([client.ask(at('/1')), client.ask(at('/2')), client.ask(at('/3'))]);
      for (let out = 1; out <= 3; out += 1) {
        await origin.arrived(out);
        await turns();
        assert.is(origin.hits.length, out);
        mock.timers.tick(499);
        await turns();
        assert.is(origin.hits.length, out);
        mock.timers.tick(1);
      }
      await answers;
      await cache.flush();
      for (let time = 0; time < 20; time += 1) assert.is((await client.ask(at('/1'))).info?.status, 'hit');
      assert.is(origin.hits.length, 3);
    } finally {
      mock.timers.reset();
    }
  },
);

/** Time for a request that was let go to reach the origin: several turns of the event loop, with its I/O. */
async function turns(): Promise<void> {
  for (let turn = 0; turn < 30; turn += 1) await new Promise(setImmediate);
}

test.run();
