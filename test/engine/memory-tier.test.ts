// time limit: 300 s
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { type Cache, createMemoryStore, createTieredStore, type StoredResponse } from '../../src/index.js';
import { axiosClient, gotClient, type MakeClient } from './clients.js';
import { type Bench, type BenchOptions, type Body, entriesOf, onBench } from './fixture.js';
import { always, counting, type Handler, reply, versioned } from './origin.js';

const test = suite('memory tier');

/** Clients differ in nothing that matters here; every other test has the other one. */
const clients: readonly MakeClient[] = [axiosClient, gotClient];
let next = 0;

function withMemory(name: string, handler: () => Handler, options: BenchOptions, work: Body): void {
  next += 1;
  const makeClient = clients[next % clients.length] ?? axiosClient;
  test(name, () => onBench(makeClient, handler(), { memoryBytes: 32e6, ...options }, work));
}

async function tierOf({ client, at }: Bench, path: string): Promise<string | undefined> {
  const { info } = await client.ask(at(path));
  assert.is(info?.status, 'hit', path);
  return info?.tier;
}

async function counterOf(cache: Cache, name: string): Promise<number> {
  await cache.flush();
  const { counters } = await cache.stats();
  const value = counters[name];
  assert.type(value, 'number', name);
  return value ?? Number.NaN;
}

async function storedAt(cache: Cache): Promise<StoredResponse> {
  for await (const response of cache.entries()) return response;
  throw new Error('nothing is stored');
}

withMemory(
  'auto: takes what is read for the second time, and counts what it took',
  () => counting(),
  {},
  async (bench) => {
    await bench.client.ask(bench.at('/'));
    await bench.cache.flush();
    assert.is(await counterOf(bench.cache, 'memory.entries'), 0);
    assert.is(await tierOf(bench, '/'), 'disk');
    await bench.cache.flush();
    const names = ['promotionsQueued', 'promotionsCompleted', 'promotionsDropped', 'promotionsDepth', 'memory.entries'];
    const counters = await Promise.all(names.map((name) => counterOf(bench.cache, name)));
    assert.equal(counters, [1, 1, 0, 0, 1]);
    assert.is(await tierOf(bench, '/'), 'memory');
    assert.is(await counterOf(bench.cache, 'memoryHits'), 1);
  },
);

withMemory(
  'admission always: it is in memory as soon as it is stored; after a restart, as soon as it was read',
  () => counting(),
  {},
  async (bench) => {
    const always = { cache: { admission: 'always' } } as const;
    await bench.client.ask(bench.at('/'), always);
    await bench.cache.flush();
    assert.is(await tierOf(bench, '/'), 'memory');
    await bench.reopen();
    assert.is((await bench.client.ask(bench.at('/'), always)).info?.tier, 'disk');
    await bench.cache.flush();
    assert.is(await tierOf(bench, '/'), 'memory');
  },
);

withMemory(
  'admission never: a request takes nothing there, however often, and reads what others put there',
  () => counting(),
  {},
  async (bench) => {
    const never = { cache: { admission: 'never' } } as const;
    for (let n = 0; n < 4; n += 1) {
      const { info } = await bench.client.ask(bench.at('/'), never);
      assert.is(info?.tier, n === 0 ? undefined : 'disk');
      await bench.cache.flush();
    }
    assert.is(await counterOf(bench.cache, 'memory.stored'), 0);
    await bench.client.ask(bench.at('/'));
    await bench.client.ask(bench.at('/'));
    await bench.cache.flush();
    assert.is((await bench.client.ask(bench.at('/'), never)).info?.tier, 'memory');
  },
);

withMemory(
  'admission: the whole cache’s own word, and the nearest wins',
  () => counting(),
  { admission: 'always' },
  async (bench) => {
    await bench.client.ask(bench.at('/1'));
    await bench.client.ask(bench.at('/2'), { cache: { admission: 'never' } });
    await bench.cache.flush();
    assert.equal([await tierOf(bench, '/1'), await tierOf(bench, '/2')], ['memory', 'disk']);
  },
);

withMemory(
  'evicts from memory alone: what went is read from disk, and comes back',
  () => (request, response) =>
    reply(response, (request.url ?? '').padEnd(20_000, 'x'), { 'Cache-Control': 'max-age=60' }),
  { memoryBytes: 400_000, admission: 'always' },
  async (bench) => {
    const paths = Array.from({ length: 40 }, (_, i) => `/${i}`);
    for (const path of paths) await bench.client.ask(bench.at(path));
    await bench.cache.flush();
    assert.ok((await counterOf(bench.cache, 'memory.evicted')) >= 20);
    assert.ok((await counterOf(bench.cache, 'memory.bytes')) <= 400_000);
    assert.is(await entriesOf(bench.cache), 40);
    assert.is(await counterOf(bench.cache, 'disk.evicted'), 0);
    const tiers: (string | undefined)[] = [];
    for (const path of paths) tiers.push(await tierOf(bench, path));
    assert.ok(tiers.includes('disk'));
    const gone = paths[tiers.indexOf('disk')] ?? '';
    await tierOf(bench, gone);
    await bench.cache.flush();
    assert.is(await tierOf(bench, gone), 'memory');
    assert.is(bench.origin.hits.length, 40);
  },
);

withMemory(
  'keeps a body that is too large for it out, and the disk has it',
  () => always('x'.repeat(100_000), { 'Cache-Control': 'max-age=60' }),
  { memoryBytes: 1_000_000, admission: 'always' },
  async (bench) => {
    await bench.client.ask(bench.at('/'));
    await bench.cache.flush();
    for (let n = 0; n < 3; n += 1) assert.is(await tierOf(bench, '/'), 'disk');
    assert.is(await counterOf(bench.cache, 'memory.entries'), 0);
  },
);

withMemory(
  'an abandoned answer leaves nothing in either tier',
  () => (_, response) => {
    response.setHeader('Cache-Control', 'max-age=60');
    response.setHeader('Content-Length', 5_000_000);
    response.write(Buffer.alloc(2_000_000));
  },
  { admission: 'always', finishAbandonedBytes: 0 },
  async ({ client, cache, directory, origin, at }) => {
    const abort = new AbortController();
    const asked = client.ask(at('/'), { signal: abort.signal }).catch((error: unknown) => error);
    await origin.arrived(1);
    while (cache.has(at('/')) !== 'maybe') await new Promise((resolve) => setImmediate(resolve));
    abort.abort();
    assert.instance(await asked, Error);
    while (cache.has(at('/')) === 'maybe') await new Promise((resolve) => setImmediate(resolve));
    await cache.close();
    for (const folder of ['bodies', 'tmp']) {
      const path = join(directory, 'offloop-1', folder);
      for (const name of await readdir(path, { recursive: true }))
        assert.ok((await stat(join(path, name))).isDirectory(), name);
    }
    assert.is(await entriesOf(cache), 0);
  },
);

withMemory(
  'a 304 gives the new head to both tiers',
  () => versioned(() => 'v1'),
  { admission: 'always' },
  async (bench) => {
    const { clock } = bench;
    await bench.client.ask(bench.at('/'));
    await bench.cache.flush();
    clock.advanceSeconds(70);
    assert.is((await bench.client.ask(bench.at('/'))).info?.status, 'revalidated');
    const hit = (await bench.client.ask(bench.at('/'))).info;
    assert.equal([hit?.status, hit?.tier, hit?.ttlSeconds], ['hit', 'memory', 60]);
    await bench.reopen();
    const again = (await bench.client.ask(bench.at('/'))).info;
    assert.equal([again?.status, again?.tier, again?.ttlSeconds], ['hit', 'disk', 60]);
  },
);

withMemory(
  'a 304 for what only the disk has gives it the new head, and memory the new one only',
  () => versioned(() => 'v1'),
  {},
  async (bench) => {
    await bench.client.ask(bench.at('/'));
    await bench.reopen();
    bench.clock.advanceSeconds(70);
    assert.is((await bench.client.ask(bench.at('/'))).info?.status, 'revalidated');
    await bench.cache.flush();
    for (const tier of ['disk', 'memory']) {
      const { info } = await bench.client.ask(bench.at('/'));
      await bench.cache.flush();
      assert.equal([info?.status, info?.ttlSeconds], ['hit', 60], tier);
    }
    assert.is(await tierOf(bench, '/'), 'memory');
  },
);

test('what the disk cannot take lives in memory, is freshened there, and goes with an invalidation', async () => {
  const disk = createMemoryStore({ maxBytes: 1e6 });
  // Full: it takes nothing, and so finds nothing.
  const full = Object.assign(disk, {
    create: (...all: Parameters<typeof disk.create>) => {
      const writer = createMemoryStore({ maxBytes: 1e6 }).create(...all);
      writer.commit = async () => ({ outcome: 'declined', reason: 'no-space' });
      return writer;
    },
  });
  const store = createTieredStore({ memory: createMemoryStore({ maxBytes: 1e6 }), disk: full });
  await onBench(
    axiosClient,
    versioned(() => 'v1'),
    { store, admission: 'always' },
    async ({ client, cache, clock, at }) => {
      const ask = async () => (await client.ask(at('/'), { cache: { tags: ['t'] } })).info;
      await ask();
      await cache.flush();
      assert.equal([cache.has(at('/')), (await ask())?.tier], ['present', 'memory']);
      clock.advanceSeconds(70);
      assert.is((await ask())?.status, 'revalidated');
      assert.equal([(await ask())?.status, await entriesOf(cache)], ['hit', 1]);
      assert.is(await cache.invalidate({ tag: 't' }, { soft: true }), 1);
      assert.equal([(await ask())?.status, (await ask())?.status], ['revalidated', 'hit']);
      assert.is(await cache.invalidate({ tag: 't' }), 1);
      assert.equal([await entriesOf(cache), (await ask())?.status], [0, 'miss']);
    },
  );
});

withMemory(
  'a part of a hit, from either tier; what is outside of it is an error',
  () => always('0123456789', { 'Cache-Control': 'max-age=60' }),
  {},
  async (bench) => {
    await bench.client.ask(bench.at('/'));
    for (const tier of ['disk', 'memory', 'memory']) {
      const part = await bench.client.ask(bench.at('/'), { headers: { range: 'bytes=3-5' } });
      assert.equal(
        [part.status, part.text, part.headers['content-range'], part.info?.tier],
        [206, '345', 'bytes 3-5/10', tier],
      );
      await bench.cache.flush();
    }
    const outside = await bench.client.ask(bench.at('/'), { headers: { range: 'bytes=10-' } });
    assert.is(outside.status, 416);
    const stored = await storedAt(bench.cache);
    assert.is((await buffer(stored.openBody({ start: 8, end: 9 }))).toString(), '89');
    assert.throws(
      () => stored.openBody({ start: 8, end: 10 }),
      (error: unknown) => error instanceof RangeError,
    );
  },
);

test.run();
