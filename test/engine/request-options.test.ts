import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { codeOf } from './clients.js';
import { entriesOf, eventsDuring, storedUrls, withEachClient } from './fixture.js';
import { always, counting, reply, versioned } from './origin.js';

const test = suite('request options');
const memory = { tier: 'memory' } as const;

withEachClient(
  test,
  'ttlMs: counts in place of what the response says',
  () => counting({ 'Cache-Control': 'max-age=5' }),
  memory,
  async (bench) => {
    const { client, cache, clock, at } = bench;
    const anHour = { cache: { ttlMs: 3_600_000 } };
    await client.ask(at('/'), anHour);
    await cache.flush();
    clock.advanceSeconds(3599);
    assert.is((await client.ask(at('/'), anHour)).info?.ttlSeconds, 1);
    clock.advanceSeconds(1);
    assert.is((await client.ask(at('/'), anHour)).text, '/ 2');
  },
);

withEachClient(
  test,
  'ttlMs: what was stored with it keeps it',
  () => counting({}),
  memory,
  async ({ client, cache, clock, at }) => {
    await client.ask(at('/'), { cache: { ttlMs: 3_600_000 } });
    await cache.flush();
    clock.advanceSeconds(3599);
    assert.is((await client.ask(at('/'))).info?.status, 'hit');
  },
);

withEachClient(
  test,
  'maxTtlMs: no response is fresh for longer',
  () => counting({ 'Cache-Control': 'max-age=3600' }),
  { ...memory, maxTtlMs: 10_000 },
  async (bench) => {
    const { client, cache, clock, at } = bench;
    await client.ask(at('/'));
    await cache.flush();
    clock.advanceSeconds(9);
    assert.is((await client.ask(at('/'))).info?.status, 'hit');
    clock.advanceSeconds(1);
    assert.is((await client.ask(at('/'))).text, '/ 2');
  },
);

withEachClient(
  test,
  'rules: by host, by pattern, the first that matches',
  () => counting({}),
  {},
  async (bench) => {
    const host = new URL(bench.origin.url).host;
    await bench.reopen({
      rules: [
        { match: /\/private\//, cache: false },
        { match: /\.css$/, cache: { ttlMs: 60_000 } },
        { match: host, cache: { ttlMs: 1000 } },
        { match: /./, cache: { ttlMs: 1 } },
      ],
    });
    const { client, cache, clock, at } = bench;
    const paths = ['/private/a.css', '/a.css', '/page'];
    for (const path of paths) await client.ask(at(path));
    await cache.flush();
    assert.equal(await storedUrls(cache), [at('/a.css'), at('/page')]);
    clock.advanceSeconds(2);
    const texts: string[] = [];
    for (const path of paths) texts.push((await client.ask(at(path))).text);
    assert.equal(texts, ['/private/a.css 2', '/a.css 1', '/page 2']);
  },
);

withEachClient(
  test,
  'rules: a pattern with the flag g matches every time',
  () => counting({}),
  { ...memory, rules: [{ match: /page/g, cache: { ttlMs: 60_000 } }] },
  async (bench) => {
    const { client, cache, at } = bench;
    for (const path of ['/page1', '/page2', '/page3']) await client.ask(at(path));
    await cache.flush();
    assert.is(await entriesOf(cache), 3);
    for (const path of ['/page1', '/page2', '/page3'])
      assert.is((await client.ask(at(path))).info?.status, 'hit', path);
  },
);

withEachClient(
  test,
  'key: requests with one key share one answer',
  () => counting(),
  memory,
  async ({ client, cache, origin, at }) => {
    await client.ask(at('/?session=1'), { cache: { key: 'home' } });
    await cache.flush();
    const answer = await client.ask(at('/?session=2'), { cache: { key: 'home' } });
    assert.is(answer.text, '/?session=1 1');
    assert.is((await client.ask(at('/?session=1'))).info?.status, 'miss');
    assert.is(origin.hits.length, 2);
  },
);

withEachClient(
  test,
  'ignoreParams: leaves parameters out of the key and in the request',
  () => counting(),
  { ...memory, ignoreParams: ['utm_*', 'sid'] },
  async (bench) => {
    const { client, cache, origin, at } = bench;
    await client.ask(at('/?utm_source=a&q=1&sid=5'));
    await cache.flush();
    assert.is((await client.ask(at('/?q=1&utm_medium=b'))).info?.status, 'hit');
    assert.is((await client.ask(at('/?q=2'))).info?.status, 'miss');
    assert.equal(origin.paths, ['/?utm_source=a&q=1&sid=5', '/?q=2']);
  },
);

withEachClient(
  test,
  'shouldStore: keeps out what it says no to, and says so',
  () => counting(),
  memory,
  async ({ client, cache, at }) => {
    const seen: number[] = [];
    const shouldStore = (request: { url: string }, response: { status: number }): boolean => {
      seen.push(response.status);
      return !request.url.endsWith('/no');
    };
    const skips = await eventsDuring('skip', async () => {
      const refused = await client.ask(at('/no'), { cache: { shouldStore } });
      assert.is(refused.info?.stored, false);
      assert.is(refused.info?.reason, 'should-store');
      assert.is(refused.text, '/no 1');
      await client.ask(at('/yes'), { cache: { shouldStore } });
      await cache.flush();
    });
    assert.equal(
      skips.map(({ reason }) => reason),
      ['should-store'],
    );
    assert.equal(seen, [200, 200]);
    assert.equal(await storedUrls(cache), [at('/yes')]);
  },
);

withEachClient(
  test,
  'shouldStore: is asked of nothing that the rules or the mode keep out already',
  () => counting({ 'Cache-Control': 'no-store' }),
  memory,
  async ({ client, at }) => {
    let asked = 0;
    const shouldStore = (): boolean => {
      asked += 1;
      return false;
    };
    assert.is((await client.ask(at('/'), { cache: { shouldStore } })).info?.reason, 'no-store');
    assert.is((await client.ask(at('/'), { cache: { shouldStore, mode: 'no-store' } })).info?.reason, undefined);
    assert.is((await client.ask(at('/'), { cache: { shouldStore }, method: 'DELETE' })).info?.reason, undefined);
    assert.is(asked, 0);
  },
);

withEachClient(
  test,
  'shouldStore: one that throws is a no, and an event',
  () => counting(),
  memory,
  async ({ client, cache, at }) => {
    const bad = new Error('bad predicate');
    const errors = await eventsDuring('error', async () => {
      const answer = await client.ask(at('/'), {
        cache: {
          shouldStore: () => {
            throw bad;
          },
        },
      });
      assert.is(answer.text, '/ 1');
      assert.is(answer.info?.reason, 'should-store-threw');
    });
    assert.equal(errors, [{ error: bad, during: 'shouldStore' }]);
    await cache.flush();
    assert.is(await entriesOf(cache), 0);
  },
);

withEachClient(
  test,
  'metadata: comes back with the response, also after a restart and a 304',
  () => versioned(() => 'v1'),
  {},
  async (bench) => {
    const metadata = { crawl: 7, at: new Date(5), tags: ['a', null] };
    await bench.client.ask(bench.at('/'), { cache: { metadata } });
    await bench.reopen();
    assert.equal((await bench.client.ask(bench.at('/'))).info?.metadata, metadata);
    bench.clock.advanceSeconds(60);
    const validated = await bench.client.ask(bench.at('/'));
    assert.is(validated.info?.status, 'revalidated');
    assert.equal(validated.info?.metadata, metadata);
    await bench.reopen();
    const again = await bench.client.ask(bench.at('/'));
    assert.is(again.info?.status, 'hit');
    assert.equal(again.info?.metadata, metadata);
  },
);

withEachClient(
  test,
  'metadata that is too long or no plain data fails the request that has it, by name',
  () => counting(),
  memory,
  async ({ client, at }) => {
    for (const metadata of ['x'.repeat(17 * 1024), { call: () => 1 }]) {
      const error = await client.ask(at('/'), { cache: { metadata } }).catch((reason: unknown) => reason);
      assert.is(codeOf(error), 'ERR_CACHE_OPTIONS');
      assert.match(String(error), '"metadata"');
    }
  },
);

withEachClient(
  test,
  'tags: what carries one is invalidated by it, durably',
  () => counting(),
  {},
  async (bench) => {
    await bench.client.ask(bench.at('/1'), { cache: { tags: ['news', 'de'] } });
    await bench.client.ask(bench.at('/2'), { cache: { tags: ['de'] } });
    await bench.client.ask(bench.at('/3'));
    await bench.reopen();
    assert.is(await bench.cache.invalidate({ tag: 'news' }), 1);
    await bench.reopen();
    assert.is((await bench.client.ask(bench.at('/1'))).text, '/1 2');
    assert.is((await bench.client.ask(bench.at('/2'))).text, '/2 1');
    assert.is((await bench.client.ask(bench.at('/3'))).text, '/3 1');
  },
);

withEachClient(
  test,
  'invalidate: by key, prefix and host',
  () => counting(),
  {},
  async ({ client, cache, origin, at }) => {
    for (const path of ['/a/1', '/a/2', '/b/1']) await client.ask(at(path));
    await cache.flush();
    const { info } = await client.ask(at('/a/1'));
    assert.is(await cache.invalidate({ key: info?.key ?? '' }), 1);
    assert.is(await cache.invalidate({ prefix: at('/a/') }), 1);
    assert.equal(await storedUrls(cache), [at('/b/1')]);
    assert.is(await cache.invalidate({ host: new URL(origin.url).host }), 1);
    assert.is(await entriesOf(cache), 0);
  },
);

withEachClient(
  test,
  'namespace: another one never sees it',
  () => counting(),
  memory,
  async ({ client, cache, at }) => {
    const inA = { cache: { namespace: 'a' } };
    await client.ask(at('/'), inA);
    await cache.flush();
    assert.is((await client.ask(at('/'), { cache: { namespace: 'b' } })).text, '/ 2');
    assert.is((await client.ask(at('/'))).text, '/ 3');
    await cache.flush();
    assert.is((await client.ask(at('/'), inA)).text, '/ 1');
    assert.is(await entriesOf(cache), 3);
  },
);

withEachClient(
  test,
  'beforeForward: is waited for before whatever goes out, and not for hits',
  () => counting(),
  memory,
  async (bench) => {
    const asked: string[] = [];
    let open: () => void = () => undefined;
    const gate = new Promise<void>((resolve) => {
      open = resolve;
    });
    await bench.reopen({
      beforeForward: async ({ url, method }) => {
        asked.push(`${method} ${new URL(url).pathname}`);
        await gate;
      },
    });
    const { client, cache, clock, origin, at } = bench;
    const asking = Promise.all([client.ask(at('/1')), client.ask(at('/2'), { method: 'POST', body: 'x' })]);
    while (asked.length < 2) await new Promise(setImmediate);
    assert.is(origin.hits.length, 0);
    open();
    await asking;
    await cache.flush();
    await client.ask(at('/1'));
    assert.equal(asked.sort(), ['GET /1', 'POST /2']);
    clock.advanceSeconds(60);
    await client.ask(at('/1'));
    assert.equal(asked, ['GET /1', 'POST /2', 'GET /1']);
  },
);

withEachClient(
  test,
  'beforeForward: one that rejects fails the request with its own error',
  () => counting(),
  memory,
  async (bench) => {
    await bench.reopen({ beforeForward: () => Promise.reject(new Error('over the quota')) });
    const error = await bench.client.ask(bench.at('/')).catch((reason: unknown) => reason);
    assert.match(String(error), /over the quota/);
    assert.is(bench.origin.hits.length, 0);
  },
);

withEachClient(
  test,
  'maxEntryBytes: a longer body reaches the caller and is not kept',
  () => always('x'.repeat(5000), { 'Cache-Control': 'max-age=60' }),
  { maxEntryBytes: 4999 },
  async (bench) => {
    const { client, cache, at } = bench;
    const skips = await eventsDuring('skip', async () => {
      assert.is((await client.ask(at('/'))).body.length, 5000);
      await cache.flush();
    });
    assert.equal(
      skips.map(({ reason }) => reason),
      ['too-large'],
    );
    assert.is(await entriesOf(cache), 0);
  },
);

withEachClient(
  test,
  'heuristics: a tenth of the time since Last-Modified, at most a day, or not at all',
  () => (request, response) => {
    const days = Number((request.url ?? '').slice(1));
    reply(response, 'x', { 'Last-Modified': new Date(Date.now() - days * 86_400_000).toUTCString() });
  },
  memory,
  async (bench) => {
    const { client, cache, at } = bench;
    for (const path of ['/5', '/100']) await client.ask(at(path));
    await cache.flush();
    const ttl = async (path: string): Promise<number> => (await client.ask(at(path))).info?.ttlSeconds ?? NaN;
    assert.ok(Math.abs((await ttl('/5')) - 43_200) <= 2);
    assert.is(await ttl('/100'), 86_400);
    await bench.reopen({ heuristicFraction: 0 });
    await bench.client.ask(at('/5'));
    await bench.cache.flush();
    assert.is((await bench.client.ask(at('/5'))).info?.forward, 'stale');
  },
);

withEachClient(
  test,
  'cacheControlTargets: a targeted field wins',
  () => counting({ 'Cache-Control': 'no-store', 'CDN-Cache-Control': 'max-age=60' }),
  { ...memory, cacheControlTargets: ['CDN-Cache-Control'] },
  async (bench) => {
    await bench.client.ask(bench.at('/'));
    await bench.cache.flush();
    assert.is((await bench.client.ask(bench.at('/'))).text, '/ 1');
  },
);

test.run();
