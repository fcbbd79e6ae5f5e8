import axios from 'axios';
import got from 'got';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { cacheAxios } from '../../interceptors/axios.js';
import { cacheGot, cacheInfoOf } from '../../interceptors/got.js';
import { makers } from './clients.js';
import { onBench, withEachClient } from './fixture.js';
import { always, type Handler, reply } from './origin.js';

const test = suite('what else comes over the wire');
const memory = { tier: 'memory' } as const;
const fresh = { 'Cache-Control': 'max-age=60' };

/** Says 102 and 103 before its answer. */
const hinting: Handler = async (_, response) => {
  response.writeProcessing();
  await new Promise<void>((resolve) => {
    response.writeEarlyHints({ link: '</style.css>; rel=preload; as=style', 'x-hint': 'early' }, resolve);
  });
  reply(response, 'page', fresh);
};

test('got: interim responses reach who asked the origin, and nobody else', () =>
  onBench(makers.got, hinting, memory, async ({ cache, origin, at }) => {
    const client = got.extend(cacheGot(cache));
    const ask = async () => {
      const interim: number[] = [];
      const pending = client(at('/'));
      pending.on('request', (request) =>
        request.on('information', ({ statusCode }: { statusCode: number }) => interim.push(statusCode)),
      );
      return { response: await pending, interim };
    };
    const first = await ask();
    assert.equal(first.interim, [102, 103]);
    assert.is(first.response.headers['x-hint'], undefined);
    await cache.flush();
    const second = await ask();
    assert.is(cacheInfoOf(second.response)?.status, 'hit');
    assert.equal(second.interim, []);
    assert.equal([second.response.statusCode, second.response.body], [200, 'page']);
    assert.is(second.response.headers['x-hint'], undefined);
    assert.is(origin.hits.length, 1);
  }));

test('axios: what is stored is the final response, and nothing of interim ones', () =>
  onBench(makers.axios, hinting, memory, async ({ cache, origin, at }) => {
    const client = cacheAxios(axios.create({ proxy: false }), cache);
    for (const status of ['miss', 'hit']) {
      const response = await client.get(at('/'));
      assert.equal([response.status, response.data, response.cacheInfo?.status], [200, 'page', status]);
      assert.is(response.headers['x-hint'], undefined);
      assert.is(response.headers.link, undefined);
      await cache.flush();
    }
    assert.is(origin.hits.length, 1);
  }));

/** Entity tags as origins write them, right or wrong: bytes beyond ASCII, no quotes, another case, another slash. */
for (const etag of ['"gr\u00fc\u00df"', 'bare', 'w/"lower"', 'W\\"back"', 'W"none"', 'W/"weak"']) {
  withEachClient(
    test,
    `an ETag is compared and sent back byte for byte: ${JSON.stringify(etag)}`,
    () => (request, response) => {
      const isCurrent = Buffer.from(request.headers['if-none-match'] ?? '', 'latin1').equals(
        Buffer.from(etag, 'latin1'),
      );
      reply(response, isCurrent ? '' : 'page', { ...fresh, ETag: etag }, isCurrent ? 304 : 200);
    },
    memory,
    async ({ client, cache, clock, origin, at }) => {
      await client.ask(at('/'));
      await cache.flush();
      const conditional = await client.ask(at('/'), { headers: { 'If-None-Match': `"x", ${etag}` } });
      assert.is(conditional.info?.status, 'hit');
      assert.is(conditional.status, 304);
      assert.is(conditional.headers.etag, etag);
      clock.advanceSeconds(60);
      const validated = await client.ask(at('/'));
      assert.is(validated.info?.status, 'revalidated');
      assert.is(validated.text, 'page');
      assert.is(origin.hits.length, 2);
    },
  );
}

/** Of the user: these are for caches of ours alone, whatever Cache-Control and Expires say to others. */
const targets: readonly (readonly [string, string, 'hit' | 'miss' | 'bypass', string | undefined])[] = [
  ['private', 'max-age=60', 'miss', 'private'],
  ['no-store', 'max-age=60', 'miss', 'no-store'],
  ['no-cache', 'max-age=60', 'miss', 'no-use'],
  ['max-age=0', 'max-age=60', 'miss', 'no-use'],
  ['max-age=60', 'no-store, private', 'hit', undefined],
  ['foo, max-age=60', 'max-age=0', 'hit', undefined],
  ['foo', 'max-age=60', 'miss', 'no-use'],
];
for (const [targeted, control, second, reason] of targets) {
  withEachClient(
    test,
    `CDN-Cache-Control: ${targeted} counts, and Cache-Control: ${control} does not`,
    () => always('x', { 'CDN-Cache-Control': targeted, 'Cache-Control': control, Expires: '0' }),
    { ...memory, cacheControlTargets: ['CDN-Cache-Control'] },
    async ({ client, cache, at }) => {
      assert.is((await client.ask(at('/'))).info?.reason, reason);
      await cache.flush();
      const again = await client.ask(at('/'));
      assert.is(again.info?.status, second);
      // Others on the way may obey them.
      assert.is(again.headers['cdn-cache-control'], targeted);
      assert.is(again.headers['cache-control'], control);
    },
  );
}

withEachClient(
  test,
  'a newer answer that is not to be stored leaves the stored one as it is',
  () => {
    let count = 0;
    return (_, response) => {
      count += 1;
      reply(response, `answer ${count}`, { 'Cache-Control': count === 2 ? 'no-store' : 'max-age=60' });
    };
  },
  memory,
  async ({ client, cache, at }) => {
    await client.ask(at('/'));
    await cache.flush();
    const newer = await client.ask(at('/'), { cache: { mode: 'reload' } });
    assert.equal([newer.text, newer.info?.stored], ['answer 2', false]);
    await cache.flush();
    assert.is((await client.ask(at('/'))).text, 'answer 1');
  },
);

test.run();
