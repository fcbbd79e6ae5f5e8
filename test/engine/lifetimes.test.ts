// time limit: 300 s
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { axiosClient, gotClient, type MakeClient } from './clients.js';
import { type BenchOptions, type Body, entriesOf, eventsDuring, onBench } from './fixture.js';
import { always, counting, type Handler, reply, versioned } from './origin.js';

const test = suite('lifetimes, versions and limits');

/** Clients differ in nothing that matters here: one for each kind of store. */
const kinds: readonly (readonly [string, MakeClient, BenchOptions])[] = [
  ['disk', axiosClient, {}],
  ['memory over disk', gotClient, { memoryBytes: 32e6 }],
];

for (const [kind, makeClient, options] of kinds) {
  const withClient = (name: string, handler: () => Handler, more: BenchOptions, work: Body): void => {
    test(`${kind}: ${name}`, () => onBench(makeClient, handler(), { ...options, ...more }, work));
  };

  withClient(
    'expiresAtMs: fresh until then, whatever it says, also after a restart',
    () => counting({ 'Cache-Control': 'max-age=5' }),
    {},
    async (bench) => {
      const expiresAtMs = bench.clock.ms + 60_000;
      await bench.client.ask(bench.at('/'), { cache: { expiresAtMs } });
      bench.clock.advanceSeconds(59);
      await bench.reopen();
      const hit = await bench.client.ask(bench.at('/'));
      assert.equal([hit.info?.status, hit.info?.ttlSeconds], ['hit', 1]);
      bench.clock.advanceSeconds(1);
      assert.is((await bench.client.ask(bench.at('/'))).info?.forward, 'stale');
      const past = await bench.client.ask(bench.at('/past'), { cache: { expiresAtMs: bench.clock.ms } });
      assert.equal([past.info?.stored, past.info?.reason], [false, 'no-use']);
    },
  );

  withClient(
    'ttlJitter: what was stored together is not stale together, and stays what it is',
    () => counting({ 'Cache-Control': 'max-age=1000' }),
    {},
    async (bench) => {
      const paths = Array.from({ length: 30 }, (_, i) => `/${i}`);
      for (const path of paths) await bench.client.ask(bench.at(path), { cache: { ttlJitter: 0.5 } });
      const ttls = async () => {
        const found: (number | undefined)[] = [];
        for (const path of paths) found.push((await bench.client.ask(bench.at(path))).info?.ttlSeconds);
        return found;
      };
      await bench.cache.flush();
      const before = await ttls();
      assert.ok(
        before.every((ttl) => ttl !== undefined && ttl > 500 && ttl <= 1000),
        String(before),
      );
      assert.ok(new Set(before).size > 20, String(before));
      await bench.reopen();
      assert.equal(await ttls(), before);
    },
  );

  withClient(
    'idleTtlMs: gone when unused for so long, kept as long as it is used, also over restarts',
    () => versioned(() => 'v1', { 'Cache-Control': 'max-age=86400' }),
    {},
    async (bench) => {
      const cache = { idleTtlMs: 80_000 };
      for (const path of ['/used', '/unused']) await bench.client.ask(bench.at(path), { cache });
      for (let minute = 0; minute < 5; minute += 1) {
        bench.clock.advanceSeconds(60);
        assert.is((await bench.client.ask(bench.at('/used'))).info?.status, 'hit', `minute ${minute}`);
        await bench.cache.flush();
        if (minute % 2 === 1) await bench.reopen();
      }
      const unused = await bench.client.ask(bench.at('/unused'), { cache });
      assert.equal([unused.info?.status, unused.info?.forward], ['miss', 'uri-miss']);
      assert.is(bench.origin.hits.at(-1)?.headers['if-none-match'], undefined);
      bench.clock.advanceSeconds(79);
      assert.is((await bench.client.ask(bench.at('/unused'))).info?.status, 'hit');
      bench.clock.advanceSeconds(80);
      await bench.reopen();
      assert.is((await bench.client.ask(bench.at('/used'))).info?.status, 'miss');
    },
  );

  withClient(
    'idleTtlMs: of many uses, only one in an eighth of the time is written down',
    () => counting({ 'Cache-Control': 'max-age=86400' }),
    {},
    async (bench) => {
      const { client, cache, clock, at } = bench;
      await client.ask(at('/'), { cache: { idleTtlMs: 80_000 } });
      const written = async () => {
        await cache.flush();
        const { counters } = await cache.stats();
        return counters.freshened ?? counters['disk.freshened'] ?? Number.NaN;
      };
      for (let second = 1; second < 10; second += 1) {
        clock.advanceSeconds(1);
        await client.ask(at('/'));
      }
      assert.is(await written(), 0);
      clock.advanceSeconds(1);
      await Promise.all(Array.from({ length: 5 }, () => client.ask(at('/'))));
      assert.is(await written(), 1);
      await client.ask(at('/'));
      assert.is(await written(), 1);
      // From the last use that was written down, to the ms.
      clock.ms += 79_999;
      assert.is((await client.ask(at('/'))).info?.status, 'hit');
    },
  );

  withClient(
    'version: a lower or equal one is refused, and said so, also after a restart',
    () => counting(),
    {},
    async (bench) => {
      const reload = (version?: number) =>
        bench.client.ask(bench.at('/'), { cache: { mode: 'reload', ...(version !== undefined && { version }) } });
      const stored = (await reload(5)).info;
      assert.equal([stored?.stored, stored?.reason], [true, undefined]);
      await bench.cache.flush();
      for (const version of [5, 4]) {
        const { info, text } = await reload(version);
        assert.equal([info?.stored, info?.reason, text.startsWith('/ ')], [false, 'version-mismatch', true]);
      }
      assert.is((await bench.client.ask(bench.at('/'))).text, '/ 1');
      await bench.reopen();
      assert.is((await reload(5)).info?.reason, 'version-mismatch');
      assert.is((await reload(6)).info?.stored, true);
      await bench.cache.flush();
      assert.is((await bench.client.ask(bench.at('/'))).text, '/ 5');
      assert.is((await reload()).info?.stored, true);
      await bench.cache.flush();
      assert.is((await reload(1)).info?.stored, true);
    },
  );

  withClient(
    'version: of two at the same time the higher one stays, in whatever order they come',
    () => {
      let waiting: (() => void) | undefined;
      return (_, response, hit) => {
        const answer = (): void => reply(response, String(hit.headers.etag), { 'Cache-Control': 'max-age=60' });
        // The one that was asked first answers last.
        if (waiting === undefined) waiting = answer;
        else {
          answer();
          response.on('close', waiting);
          waiting = undefined;
        }
      };
    },
    {},
    async (bench) => {
      const { client, cache, origin, at } = bench;
      const ask = (version: number) =>
        client.ask(at('/'), { headers: { etag: String(version) }, cache: { mode: 'reload', version } });
      const skips = await eventsDuring('skip', async () => {
        const low = ask(1);
        await origin.arrived(1);
        await Promise.all([low, ask(2)]);
        await cache.flush();
      });
      assert.equal(
        skips.map(({ reason }) => reason),
        ['version-mismatch'],
      );
      assert.is((await client.ask(at('/'))).text, '2');
      assert.is(await entriesOf(cache), 1);
    },
  );

  withClient(
    'maxEntryBytes: of one request, at most what the cache allows',
    () => always('x'.repeat(3000), { 'Cache-Control': 'max-age=60' }),
    { maxEntryBytes: 2999 },
    async (bench) => {
      await bench.client.ask(bench.at('/'), { cache: { maxEntryBytes: 1e9 } });
      await bench.reopen({ maxEntryBytes: 1e6 });
      assert.is(await entriesOf(bench.cache), 0);
      const { info, text } = await bench.client.ask(bench.at('/'), { cache: { maxEntryBytes: 2999 } });
      assert.equal([text.length, info?.stored, info?.reason], [3000, false, 'too-large']);
      await bench.client.ask(bench.at('/'), { cache: { maxEntryBytes: 3000 } });
      await bench.cache.flush();
      assert.is((await bench.client.ask(bench.at('/'))).info?.status, 'hit');
    },
  );

  withClient(
    'a stale answer says how much is left of its window, whichever that is',
    () => counting({ 'Cache-Control': 'max-age=60, stale-while-revalidate=30, stale-if-error=300' }),
    {},
    async (bench) => {
      const { client, cache, clock, origin, at } = bench;
      await client.ask(at('/'));
      await cache.flush();
      clock.advanceSeconds(75);
      origin.handler = (_, response) => reply(response, 'no', {}, 503);
      assert.is((await client.ask(at('/'))).info?.staleRemainingSeconds, 15);
      await cache.flush();
      clock.advanceSeconds(25);
      const standIn = await client.ask(at('/'));
      assert.equal([standIn.info?.reason, standIn.info?.staleRemainingSeconds], ['origin-503', 260]);
      assert.is((await client.ask(at('/other'))).info?.staleRemainingSeconds, undefined);
    },
  );
}

test.run();
