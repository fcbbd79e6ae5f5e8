import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { entriesOf, withEachClient } from './fixture.js';
import { always, counting, versioned } from './origin.js';

const test = suite('modes');
const fresh = { 'Cache-Control': 'max-age=60' };

withEachClient(
  test,
  'default: reuses while fresh, validates once stale',
  () => versioned(() => 'v1'),
  { tier: 'memory' },
  async (bench) => {
    const { client, cache, clock, origin, at } = bench;
    assert.is((await client.ask(at('/'))).info?.forward, 'uri-miss');
    await cache.flush();
    clock.advanceSeconds(59);
    const hit = await client.ask(at('/'));
    assert.is(hit.info?.status, 'hit');
    assert.is(hit.info?.ttlSeconds, 1);
    clock.advanceSeconds(1);
    const validated = await client.ask(at('/'));
    assert.is(validated.info?.status, 'revalidated');
    assert.is(validated.info?.forward, 'stale');
    assert.is(validated.status, 200);
    assert.is(validated.text, 'body of v1');
    assert.is(validated.isFromCache, true);
    await cache.flush();
    assert.is((await client.ask(at('/'))).info?.status, 'hit');
    assert.is(origin.hits.length, 2);
    assert.is(origin.hits[1]?.headers['if-none-match'], '"v1"');
  },
);

withEachClient(
  test,
  'default: an answer that changed takes the place of the old one',
  () => counting(),
  { tier: 'memory' },
  async (bench) => {
    const { client, cache, clock, at } = bench;
    await client.ask(at('/'));
    await cache.flush();
    clock.advanceSeconds(60);
    const updated = await client.ask(at('/'));
    assert.is(updated.text, '/ 2');
    await cache.flush();
    assert.is(await entriesOf(cache), 1);
    assert.is((await client.ask(at('/'))).text, '/ 2');
  },
);

withEachClient(
  test,
  'no-store: neither looks up nor stores',
  () => counting(),
  { tier: 'memory' },
  async ({ client, cache, origin, at }) => {
    const noStore = { cache: { mode: 'no-store' } } as const;
    const first = await client.ask(at('/'), noStore);
    assert.is(first.info?.status, 'bypass');
    assert.is(first.info?.stored, false);
    await cache.flush();
    assert.is(await entriesOf(cache), 0);
    await client.ask(at('/'));
    await cache.flush();
    const third = await client.ask(at('/'), noStore);
    assert.is(third.text, '/ 3');
    assert.is((await client.ask(at('/'))).text, '/ 2');
    assert.is(origin.hits.length, 3);
  },
);

withEachClient(
  test,
  'false: the cache has no part in it',
  () => counting(),
  { tier: 'memory' },
  async ({ client, cache, at }) => {
    await client.ask(at('/'));
    await cache.flush();
    const answer = await client.ask(at('/'), { cache: false });
    assert.is(answer.text, '/ 2');
    assert.is(answer.isFromCache, false);
    await cache.flush();
    assert.is((await client.ask(at('/'))).text, '/ 1');
  },
);

withEachClient(
  test,
  'reload: does not look up, and stores',
  () => counting(),
  { tier: 'memory' },
  async ({ client, cache, origin, at }) => {
    await client.ask(at('/'));
    await cache.flush();
    const reloaded = await client.ask(at('/'), { cache: { mode: 'reload' } });
    assert.is(reloaded.text, '/ 2');
    assert.is(reloaded.info?.stored, true);
    assert.is(origin.hits[1]?.headers['cache-control'], 'no-cache');
    await cache.flush();
    assert.is((await client.ask(at('/'))).text, '/ 2');
    assert.is(await entriesOf(cache), 1);
  },
);

withEachClient(
  test,
  'no-cache: validates what is fresh',
  () => versioned(() => 'v1'),
  { tier: 'memory' },
  async ({ client, cache, origin, at }) => {
    await client.ask(at('/'));
    await cache.flush();
    const answer = await client.ask(at('/'), { cache: { mode: 'no-cache' } });
    assert.is(answer.info?.status, 'revalidated');
    assert.is(answer.text, 'body of v1');
    assert.is(origin.hits[1]?.headers['if-none-match'], '"v1"');
  },
);

withEachClient(
  test,
  'force-cache: reuses also what is stale, and asks for what is not there',
  () => counting(),
  { tier: 'memory' },
  async (bench) => {
    const { client, cache, clock, origin, at } = bench;
    const force = { cache: { mode: 'force-cache' } } as const;
    assert.is((await client.ask(at('/'), force)).text, '/ 1');
    await cache.flush();
    clock.advanceSeconds(3600);
    const stale = await client.ask(at('/'), force);
    assert.is(stale.text, '/ 1');
    assert.is(stale.info?.status, 'stale');
    assert.is(stale.info?.ttlSeconds, 60 - 3600);
    assert.is(origin.hits.length, 1);
  },
);

withEachClient(
  test,
  'only-if-cached: reuses, or says 504 without asking',
  () => counting(),
  { tier: 'memory' },
  async (bench) => {
    const { client, cache, origin, at } = bench;
    const only = { cache: { mode: 'only-if-cached' } } as const;
    const missing = await client.ask(at('/'), only);
    assert.is(missing.status, 504);
    assert.is(missing.info?.stored, false);
    assert.is(missing.info?.reason, 'uri-miss');
    assert.is(origin.hits.length, 0);
    await client.ask(at('/'));
    await cache.flush();
    assert.is((await client.ask(at('/'), only)).text, '/ 1');
    assert.is((await client.ask(at('/'), { headers: { 'cache-control': 'only-if-cached' } })).text, '/ 1');
    assert.is((await client.ask(at('/x'), { headers: { 'cache-control': 'only-if-cached' } })).status, 504);
    assert.is(origin.hits.length, 1);
  },
);

withEachClient(
  test,
  'ignore-rules: stores and reuses whatever the response says',
  () => counting({ 'Cache-Control': 'no-store, private, max-age=0', Vary: '*', 'Set-Cookie': 'a=1' }),
  { tier: 'memory', mode: 'ignore-rules' },
  async ({ client, cache, clock, origin, at }) => {
    await client.ask(at('/'));
    await cache.flush();
    clock.advanceSeconds(86_400 * 365);
    const answer = await client.ask(at('/'));
    assert.is(answer.text, '/ 1');
    assert.is(answer.info?.status, 'hit');
    assert.equal(answer.headers['set-cookie'], ['a=1']);
    assert.is(origin.hits.length, 1);
  },
);

withEachClient(
  test,
  'ignore-rules with ttlMs: asks again once that is over',
  () => counting({}),
  { tier: 'memory' },
  async (bench) => {
    const { client, cache, clock, at } = bench;
    const forAMinute = { cache: { mode: 'ignore-rules', ttlMs: 60_000 } } as const;
    await client.ask(at('/'), forAMinute);
    await cache.flush();
    clock.advanceSeconds(59);
    assert.is((await client.ask(at('/'), forAMinute)).text, '/ 1');
    clock.advanceSeconds(2);
    assert.is((await client.ask(at('/'), forAMinute)).text, '/ 2');
  },
);

withEachClient(
  test,
  'offline: what is not stored is a 504, what is stale is good enough',
  () => counting(),
  {},
  async (bench) => {
    await bench.client.ask(bench.at('/'));
    await bench.reopen({ offline: true });
    bench.clock.advanceSeconds(3600);
    const stored = await bench.client.ask(bench.at('/'));
    assert.is(stored.text, '/ 1');
    assert.is(stored.info?.status, 'stale');
    assert.is((await bench.client.ask(bench.at('/x'))).status, 504);
    assert.is((await bench.client.ask(bench.at('/'), { cache: { mode: 'reload' } })).status, 504);
    assert.is(bench.origin.hits.length, 1);
  },
);

withEachClient(
  test,
  'offline: nothing reaches the network, whatever is asked for',
  () => counting(),
  { tier: 'memory', offline: true },
  async (bench) => {
    const { client, origin, at } = bench;
    assert.is((await client.ask(at('/'), { method: 'POST', body: 'x' })).status, 504);
    assert.is((await client.ask(at('/'), { method: 'DELETE' })).status, 504);
    assert.is((await client.ask(at('/'), { cache: { mode: 'no-store' } })).status, 504);
    assert.is(origin.hits.length, 0);
  },
);

withEachClient(
  test,
  'the word on a request wins over that on the cache',
  () => counting({}),
  { tier: 'memory', ttlMs: 1000 },
  async (bench) => {
    const { client, cache, clock, at } = bench;
    await client.ask(at('/cache'));
    const longer = { cache: { ttlMs: 10_000 } };
    await client.ask(at('/request'), longer);
    await cache.flush();
    clock.advanceSeconds(5);
    assert.is((await client.ask(at('/cache'))).text, '/cache 2');
    assert.is((await client.ask(at('/request'), longer)).text, '/request 1');
  },
);

withEachClient(
  test,
  'an answer says in Cache-Status what the cache did',
  () => always('x', fresh),
  { tier: 'memory' },
  async ({ client, cache, clock, at }) => {
    assert.is((await client.ask(at('/'))).headers['cache-status'], 'offloop; fwd=uri-miss; fwd-status=200; stored');
    await cache.flush();
    clock.advanceSeconds(10);
    const hit = await client.ask(at('/'));
    assert.is(hit.headers['cache-status'], 'offloop; hit; ttl=50');
    assert.is(hit.headers.age, '10');
  },
);

withEachClient(
  test,
  'cacheStatus false: no such field',
  () => always('x', fresh),
  { tier: 'memory', cacheStatus: false },
  async ({ client, cache, at }) => {
    assert.is((await client.ask(at('/'))).headers['cache-status'], undefined);
    await cache.flush();
    const hit = await client.ask(at('/'));
    assert.is(hit.info?.status, 'hit');
    assert.is(hit.headers['cache-status'], undefined);
  },
);

test.run();
