// time limit: 300 s
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { CacheSelector } from '../../src/index.js';
import { axiosClient, codeOf, gotClient, type MakeClient } from './clients.js';
import { type BenchOptions, type Body, entriesOf, eventsDuring, onBench, storedUrls } from './fixture.js';
import { counting, type Handler, reply, versioned } from './origin.js';

const test = suite('invalidation');

/** Clients differ in nothing that matters here: one for each kind of store. */
const kinds: readonly (readonly [string, MakeClient, BenchOptions])[] = [
  ['disk', axiosClient, {}],
  ['memory over disk', gotClient, { memoryBytes: 32e6 }],
];

function withClient(makeClient: MakeClient, name: string, handler: () => Handler, options: BenchOptions, work: Body) {
  test(name, () => onBench(makeClient, handler(), options, work));
}

/** A handler whose answers wait until `release` is called. */
function held(inner: Handler): { readonly handler: Handler; readonly release: () => void } {
  let release: () => void = () => undefined;
  const released = new Promise<void>((resolve) => {
    release = resolve;
  });
  return {
    handler: async (...all) => {
      await released;
      await inner(...all);
    },
    release,
  };
}

async function logBytes(directory: string): Promise<number> {
  const folder = join(directory, 'offloop-1', 'segments');
  const names = (await readdir(folder)).filter((name) => name.endsWith('.seg'));
  const sizes = await Promise.all(names.map(async (name) => (await stat(join(folder, name))).size));
  return sizes.reduce((sum, size) => sum + size, 0);
}

for (const [kind, makeClient, options] of kinds) {
  withClient(
    makeClient,
    `${kind}: by URL, every variant of what GET finds and nothing else`,
    () => (request, response) =>
      reply(response, String(request.headers['accept-language']), {
        'Cache-Control': 'max-age=60',
        Vary: 'Accept-Language',
      }),
    options,
    async (bench) => {
      const ask = (path: string, language: string) =>
        bench.client.ask(bench.at(path), { headers: { 'accept-language': language } });
      for (const path of ['/a', '/a?b', '/ab']) for (const language of ['de', 'en']) await ask(path, language);
      await ask('/a', 'de');
      await bench.reopen();
      await ask('/a', 'en');
      assert.is(await bench.cache.invalidate({ url: `${bench.at('/a')}#fragment` }), 2);
      assert.is((await ask('/a', 'de')).info?.status, 'miss');
      assert.is((await ask('/ab', 'de')).info?.status, 'hit');
      assert.is(await bench.cache.delete(bench.at('/a?b')), true);
      assert.is(await bench.cache.delete(bench.at('/a?b')), false);
      const { info } = await ask('/ab', 'en');
      assert.is(await bench.cache.delete({ key: info?.key ?? '' }), true);
      await bench.reopen();
      assert.equal(await storedUrls(bench.cache), [bench.at('/a')]);
    },
  );

  withClient(
    makeClient,
    `${kind}: by any of several tags or dependencies, which do not meet`,
    () => counting(),
    options,
    async (bench) => {
      const put = (path: string, tags: readonly string[], dependsOn: readonly string[]) =>
        bench.client.ask(bench.at(path), { cache: { tags, dependsOn } });
      await put('/1', ['a'], []);
      await put('/2', ['b'], ['a']);
      await put('/3', [], ['b', 'c']);
      await put('/4', ['a', 'c'], ['d']);
      await put('/4', ['a', 'c'], ['d']);
      await bench.reopen();
      await bench.client.ask(bench.at('/1'));
      const paths = async (selector?: CacheSelector) => {
        const found: string[] = [];
        for await (const { head } of bench.cache.entries(selector)) found.push(new URL(head.url).pathname);
        return found.sort();
      };
      assert.equal(await paths({ tag: ['b', 'a'] }), ['/1', '/2', '/4']);
      assert.equal(await paths({ dependency: ['a', 'c'] }), ['/2', '/3']);
      assert.is(await bench.cache.invalidate({ tag: ['c', 'b', 'x'] }), 2);
      assert.is(await bench.cache.invalidate({ dependency: 'b' }), 1);
      assert.is(await bench.cache.invalidate({ dependency: ['a', 'b', 'c', 'd'] }), 0);
      await bench.reopen();
      assert.equal(await paths(), ['/1']);
    },
  );

  withClient(
    makeClient,
    `${kind}: by a function, which sees head, tags, dependencies and namespace`,
    () => counting(),
    options,
    async (bench) => {
      const cache = { tags: ['t'], dependsOn: ['d'], namespace: 'n m', metadata: { size: 3 } };
      await bench.client.ask(bench.at('/1'), { cache });
      await bench.client.ask(bench.at('/2'));
      await bench.reopen();
      await bench.client.ask(bench.at('/2'));
      const seen: unknown[] = [];
      const covered = await bench.cache.invalidate({
        where: ({ tags, dependencies, namespace, head }) => {
          seen.push({ tags, dependencies, namespace, metadata: head.metadata, path: new URL(head.url).pathname });
          return head.url.endsWith('/2');
        },
      });
      assert.is(covered, 1);
      assert.equal(seen.filter((each) => JSON.stringify(each).includes('/1'))[0], {
        tags: ['t'],
        dependencies: ['d'],
        namespace: 'n m',
        metadata: { size: 3 },
        path: '/1',
      });
      assert.equal(await storedUrls(bench.cache), [bench.at('/1')]);
      const failure = new Error('mine');
      const where = (): boolean => {
        throw failure;
      };
      assert.is(await bench.cache.invalidate({ where }).catch((error: unknown) => error), failure);
      assert.equal(await storedUrls(bench.cache), [bench.at('/1')]);
    },
  );

  withClient(
    makeClient,
    `${kind}: soft: the next use validates, also after a restart, and then it is fresh`,
    () => versioned(() => 'v1'),
    options,
    async (bench) => {
      for (const path of ['/a', '/b', '/a']) await bench.client.ask(bench.at(path), { cache: { tags: ['t'] } });
      await bench.cache.flush();
      assert.is(await bench.cache.invalidate({ tag: 't' }, { soft: true }), 2);
      assert.is(await bench.cache.invalidate({ tag: 't' }, { soft: true }), 0);
      assert.is(await entriesOf(bench.cache), 2);
      const statusOf = async (path: string) => (await bench.client.ask(bench.at(path))).info?.status;
      assert.is(await statusOf('/a'), 'revalidated');
      assert.is(await statusOf('/a'), 'hit');
      await bench.reopen();
      assert.is(await statusOf('/a'), 'hit');
      assert.is(await statusOf('/b'), 'revalidated');
      assert.is(await statusOf('/b'), 'hit');
      assert.is(await bench.cache.invalidate({ host: new URL(bench.at('/')).host }, { soft: true }), 2);
      assert.is(await statusOf('/b'), 'revalidated');
    },
  );

  withClient(
    makeClient,
    `${kind}: soft: what is marked may stand in for an error, and answer while it is validated`,
    () => {
      const inner = counting({ 'Cache-Control': 'max-age=60, stale-while-revalidate=30, stale-if-error=90' });
      return (request, response, hit) =>
        hit.path === '/down' ? reply(response, 'no', {}, 503) : inner(request, response, hit);
    },
    options,
    async (bench) => {
      const { client, cache, clock, origin, at } = bench;
      const inner = origin.handler;
      await client.ask(at('/'));
      await cache.flush();
      await cache.invalidate({ url: at('/') }, { soft: true });
      clock.advanceSeconds(10);
      const stale = await client.ask(at('/'));
      assert.equal([stale.text, stale.info?.status, stale.info?.staleRemainingSeconds], ['/ 1', 'stale', 20]);
      await cache.flush();
      assert.is((await client.ask(at('/'))).text, '/ 2');
      await cache.invalidate({ url: at('/') }, { soft: true });
      clock.advanceSeconds(40);
      origin.handler = (_, response) => reply(response, 'no', {}, 503);
      const standIn = await client.ask(at('/'));
      assert.equal([standIn.text, standIn.info?.status, standIn.info?.reason], ['/ 2', 'stale', 'origin-503']);
      clock.advanceSeconds(60);
      assert.is((await client.ask(at('/'))).status, 503);
      origin.handler = inner;
    },
  );

  withClient(
    makeClient,
    `${kind}: a namespace: all of it, one record, for good, and no other`,
    () => counting(),
    options,
    async (bench) => {
      const ask = (namespace: string, number: number) =>
        bench.client.ask(bench.at(`/${number}`), { cache: { namespace } });
      const numbers = Array.from({ length: 40 }, (_, number) => number);
      await Promise.all(numbers.flatMap((number) => [ask('large', number), ask('', number)]));
      await ask('small', 1);
      await bench.reopen();
      for (const number of [1, 2]) await ask('large', number);
      await bench.cache.flush();
      // The first record of this opening begins a file.
      await bench.cache.invalidate({ namespace: 'none' });
      const before = await logBytes(bench.directory);
      assert.is(await bench.cache.invalidate({ namespace: 'small' }), 1);
      const small = (await logBytes(bench.directory)) - before;
      assert.is(await bench.cache.invalidate({ namespace: 'large' }), 40);
      assert.is((await logBytes(bench.directory)) - before, 2 * small);
      assert.is(await bench.cache.invalidate({ namespace: 'large' }), 0);
      assert.is(await entriesOf(bench.cache), 40);
      assert.is((await ask('large', 1)).info?.status, 'miss');
      await bench.reopen();
      assert.is(await entriesOf(bench.cache), 41);
      assert.is((await ask('large', 1)).info?.status, 'hit');
      assert.is((await ask('large', 2)).info?.status, 'miss');
      assert.is((await ask('', 2)).info?.status, 'hit');
      assert.is((await ask('small', 1)).info?.status, 'miss');
      await bench.cache.flush();
      assert.is(await bench.cache.invalidate({ namespace: '' }), 40);
      assert.is(await bench.cache.invalidate({ namespace: 'large' }, { soft: true }), 2);
      assert.is((await ask('large', 1)).info?.forward, 'stale');
    },
  );

  withClient(
    makeClient,
    `${kind}: an answer that was asked for before is not stored after, and not handed to who asks after`,
    () => counting(),
    options,
    async (bench) => {
      const { client, cache, origin, at } = bench;
      const inner = origin.handler;
      const ways: readonly (readonly [CacheSelector, object])[] = [
        [{ url: at('/') }, {}],
        [{ tag: 't' }, { soft: true }],
        [{ namespace: '' }, {}],
        [{ where: ({ tags }) => tags.includes('t') }, {}],
      ];
      for (const [selector, how] of ways) {
        origin.hits.length = 0;
        const { handler, release } = held(inner);
        origin.handler = handler;
        const asked = client.ask(at('/'), { cache: { tags: ['t'] } });
        await origin.arrived(1);
        assert.is(await cache.invalidate(selector, how), 0);
        const after = client.ask(at('/'), { cache: { mode: 'default' } });
        await origin.arrived(2);
        release();
        const answers = await Promise.all([asked, after]);
        assert.equal(
          answers.map(({ info }) => [info?.status, info?.stored, info?.reason]),
          [
            ['miss', false, 'superseded'],
            ['miss', true, undefined],
          ],
        );
        await cache.flush();
        assert.is((await client.ask(at('/'))).text, answers[1]?.text);
        await cache.clear();
      }
    },
  );

  withClient(
    makeClient,
    `${kind}: has() and delete() of one`,
    () => counting(),
    // Among several processes, it may be that nobody knows what another has just done.
    { ...options, lock: 'exclusive' },
    async (bench) => {
      const { origin, at } = bench;
      const url = at('/');
      assert.is(bench.cache.has(url), 'absent');
      const { key } = (await bench.client.ask(url)).info ?? {};
      assert.type(key, 'string');
      await bench.cache.flush();
      assert.equal([bench.cache.has(url), bench.cache.has({ key: key ?? '' })], ['present', 'present']);
      assert.is(bench.cache.has({ url, namespace: 'other' }), 'absent');
      await bench.reopen();
      assert.equal([bench.cache.has(url), bench.cache.has(at('/other'))], ['present', 'absent']);
      // Its body has not arrived: nobody knows what becomes of it.
      const body = new Promise<() => void>((resolve) => {
        origin.handler = (_, response) => {
          response.setHeader('Cache-Control', 'max-age=60');
          response.write('x');
          resolve(() => response.end('y'));
        };
      });
      const headSeen = new Promise<void>((resolve) => {
        const look = (): void => void (bench.cache.has(at('/slow')) === 'maybe' ? resolve() : setImmediate(look));
        look();
      });
      const asked = bench.client.ask(at('/slow'));
      const end = await body;
      await headSeen;
      end();
      await asked;
      await bench.cache.flush();
      assert.is(bench.cache.has(at('/slow')), 'present');
      assert.is(await bench.cache.delete(url), true);
      assert.is(bench.cache.has(url), 'absent');
      await bench.cache.close();
      assert.is(bench.cache.has(at('/slow')), 'absent');
    },
  );
}

withClient(
  axiosClient,
  'maxNamespaces: one too many fails its request, by name, until one is flushed, also after a restart',
  () => counting(),
  { maxNamespaces: 2 },
  async (bench) => {
    const ask = (namespace: string) => bench.client.ask(bench.at('/'), { cache: { namespace } });
    const refused = async (namespace: string) => {
      const error = await ask(namespace).catch((reason: unknown) => reason);
      assert.is(codeOf(error), 'ERR_CACHE_OPTIONS', String(error));
      assert.match(String(error), `"${namespace}"`);
      assert.match(String(error), 'maxNamespaces');
    };
    for (const namespace of ['', 'a', 'b', 'a']) await ask(namespace);
    await refused('c');
    await bench.reopen();
    await refused('c');
    assert.is((await ask('b')).info?.status, 'hit');
    await bench.cache.invalidate({ namespace: 'a' });
    await ask('c');
    await refused('a');
    await bench.cache.clear();
    await ask('a');
    await ask('d');
    await refused('b');
  },
);

withClient(
  axiosClient,
  'an invalidation is published with its count',
  () => counting(),
  { tier: 'memory' },
  async ({ client, cache, at }) => {
    for (const path of ['/1', '/2']) await client.ask(at(path));
    await cache.flush();
    const events = await eventsDuring('invalidate', async () => {
      await cache.invalidate({ prefix: at('/') });
      await cache.invalidate({ prefix: at('/') });
    });
    assert.equal(events, [{ entries: 2 }]);
  },
);

withClient(
  axiosClient,
  'what is no selector is refused, by name',
  () => counting(),
  { tier: 'memory' },
  async ({ cache }) => {
    const wrong: readonly unknown[] = [
      undefined,
      'http://a.example/',
      {},
      { tags: ['a'] },
      { tag: 1 },
      { tag: ['a', 1] },
      { key: ['a'] },
      { url: '/relative' },
      { where: true },
      { tag: 'a', host: 'b' },
      { tag: undefined },
    ];
    for (const selector of wrong) {
      const error = await cache.invalidate(selector as CacheSelector).catch((reason: unknown) => reason);
      assert.is(codeOf(error), 'ERR_CACHE_OPTIONS', JSON.stringify(selector));
      assert.match(String(error), '{ prefix }');
    }
    const soft = await cache.invalidate({ tag: 'a' }, { soft: 1 } as unknown as { soft: boolean }).catch(codeOf);
    assert.is(soft, 'ERR_CACHE_OPTIONS');
    assert.throws(() => cache.has('relative'), /absolute URL/);
  },
);

test.run();
