import { Readable } from 'node:stream';
import axios from 'axios';
import got from 'got';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { cacheAxios } from '../../interceptors/axios.js';
import { cacheGot } from '../../interceptors/got.js';
import { makers } from './clients.js';
import { entriesOf, onBench, withEachClient } from './fixture.js';
import { counting, type Handler, reply } from './origin.js';

const test = suite('methods');
const memory = { tier: 'memory' } as const;
const posts = { ...memory, methods: ['GET', 'HEAD', 'POST', 'QUERY'] } as const;

/** Answers with what it was sent, and how often that was. */
const echoing = (fields = { 'Cache-Control': 'max-age=60' }): Handler => {
  const counts = new Map<string, number>();
  return (_, response, { body, method }) => {
    const count = (counts.get(body) ?? 0) + 1;
    counts.set(body, count);
    reply(response, `${method} ${body.length > 20 ? body.length : body} ${count}`, fields);
  };
};

withEachClient(
  test,
  'POST is not stored unless it is asked for',
  () => echoing(),
  memory,
  async ({ client, cache, origin, at }) => {
    const answer = await client.ask(at('/'), { method: 'POST', body: 'a' });
    assert.is(answer.info?.forward, 'method');
    await cache.flush();
    assert.is(await entriesOf(cache), 0);
    assert.is((await client.ask(at('/'), { method: 'POST', body: 'a' })).text, 'POST a 2');
    assert.is(origin.hits.length, 2);
  },
);

for (const method of ['POST', 'QUERY']) {
  withEachClient(
    test,
    `${method} that is asked for is stored by what it sends`,
    () => echoing(),
    posts,
    async ({ client, cache, origin, at }) => {
      for (const body of ['a', 'b', 'x'.repeat(65_536), 'x'.repeat(65_537), 'y'.repeat(200_000)]) {
        const first = await client.ask(at('/'), { method, body });
        assert.is(first.info?.status, 'miss', first.info?.reason);
        await cache.flush();
        const second = await client.ask(at('/'), { method, body });
        assert.is(second.info?.status, 'hit');
        assert.is(second.text, first.text);
        assert.match(second.text, `${method} ${body.length > 20 ? body.length : body} 1`);
      }
      assert.is(origin.hits.length, 5);
      assert.is(await entriesOf(cache), 5);
    },
  );
}

withEachClient(
  test,
  'the type of what is sent is part of the question',
  () => echoing(),
  posts,
  async ({ client, cache, at }) => {
    const asJson = { method: 'POST', body: '{}', headers: { 'content-type': 'application/json' } };
    await client.ask(at('/'), asJson);
    await cache.flush();
    assert.is(
      (await client.ask(at('/'), { ...asJson, headers: { 'content-type': 'text/plain' } })).info?.status,
      'miss',
    );
    assert.is((await client.ask(at('/'), asJson)).info?.status, 'hit');
  },
);

withEachClient(
  test,
  'a POST never answers a GET, nor the other way round',
  () => echoing(),
  posts,
  async ({ client, cache, at }) => {
    await client.ask(at('/'), { method: 'POST', body: 'a' });
    await cache.flush();
    assert.is((await client.ask(at('/'))).text, 'GET  1');
    await cache.flush();
    assert.is((await client.ask(at('/'), { method: 'POST', body: 'a' })).text, 'POST a 1');
    assert.is((await client.ask(at('/'))).text, 'GET  1');
  },
);

withEachClient(
  test,
  'a stale POST is sent again without a condition, which would forbid it',
  () =>
    (_, response, { headers }) => {
      if (headers['if-none-match'] !== undefined) reply(response, '', {}, 412);
      else reply(response, 'answer', { 'Cache-Control': 'max-age=60', ETag: '"a"' });
    },
  posts,
  async ({ client, cache, clock, origin, at }) => {
    const post = { method: 'POST', body: 'a' };
    await client.ask(at('/'), post);
    await cache.flush();
    clock.advanceSeconds(61);
    const again = await client.ask(at('/'), post);
    assert.is(again.status, 200);
    assert.is(again.text, 'answer');
    assert.is(origin.hits[1]?.body, 'a');
  },
);

withEachClient(
  test,
  'a POST without an explicit lifetime is not stored',
  () => echoing({ 'Cache-Control': 'public' }),
  posts,
  async ({ client, cache, at }) => {
    await client.ask(at('/'), { method: 'POST', body: 'a' });
    await cache.flush();
    assert.is(await entriesOf(cache), 0);
  },
);

withEachClient(
  test,
  'a background validation of a QUERY sends what the client sent',
  () => echoing({ 'Cache-Control': 'max-age=60, stale-while-revalidate=60' }),
  posts,
  async (bench) => {
    const { client, cache, clock, origin, at } = bench;
    const query = { method: 'QUERY', body: 'select' };
    await client.ask(at('/'), query);
    await cache.flush();
    clock.advanceSeconds(61);
    assert.is((await client.ask(at('/'), query)).info?.status, 'stale');
    await cache.flush();
    assert.equal(
      origin.hits.map(({ method, body }) => `${method} ${body}`),
      ['QUERY select', 'QUERY select'],
    );
    assert.is((await client.ask(at('/'), query)).text, 'QUERY select 2');
  },
);

test('axios: a stream that is sent is not cached, and arrives whole', () =>
  onBench(makers.axios, echoing(), posts, async ({ cache, origin, at }) => {
    const instance = cacheAxios(axios.create({ proxy: false }), cache);
    for (const maxRedirects of [0, 5]) {
      const parts = ['one ', 'two ', 'three'];
      const slow = Readable.from(
        (async function* () {
          for (const part of parts) {
            await new Promise(setImmediate);
            await new Promise(setImmediate);
            yield Buffer.from(part);
          }
        })(),
      );
      const response = await instance.post(at('/'), slow, { maxRedirects });
      assert.is(response.cacheInfo?.stored, false);
      assert.is(origin.hits.at(-1)?.body, 'one two three');
    }
    await cache.flush();
    assert.is(await entriesOf(cache), 0);
  }));

test('got: a stream that is sent is not cached, and arrives whole', () =>
  onBench(makers.got, echoing(), posts, async ({ cache, origin, at }) => {
    const client = got.extend(cacheGot(cache));
    await client.post(at('/'), { body: Readable.from(['one ', 'two']) });
    assert.is(origin.hits[0]?.body, 'one two');
    await cache.flush();
    assert.is(await entriesOf(cache), 0);
  }));

test('JSON and forms of both clients are stored by what they send', () =>
  onBench(makers.got, echoing(), posts, async ({ cache, origin, at }) => {
    const client = got.extend(cacheGot(cache));
    const instance = cacheAxios(axios.create({ proxy: false }), cache);
    const ask = [
      () => client.post(at('/json'), { json: { a: 1 } }).text(),
      () => client.post(at('/form'), { form: { a: 1 } }).text(),
      async () => (await instance.post<string>(at('/axios'), { a: 1 })).data,
      async () => (await instance.post<string>(at('/params'), new URLSearchParams({ a: '1' }))).data,
    ];
    for (const each of ask) {
      const first = await each();
      await cache.flush();
      assert.is(await each(), first);
    }
    assert.is(origin.hits.length, 4);
  }));

test('axios: a redirect that keeps the method sends the content again, through the cache', () => {
  const handler: Handler = (request, response, { body }) => {
    if (request.url === '/from') reply(response, '', { Location: '/to' }, 307);
    else reply(response, `to ${body}`, { 'Cache-Control': 'max-age=60' });
  };
  return onBench(makers.axios, handler, posts, async ({ client, cache, origin, at }) => {
    const post = { method: 'POST', body: 'content' };
    assert.is((await client.ask(at('/from'), post)).text, 'to content');
    await cache.flush();
    const again = await client.ask(at('/from'), post);
    assert.is(again.text, 'to content');
    assert.equal(origin.paths.filter((path) => path === '/to').length, 1);
  });
});

withEachClient(
  test,
  'POST, PUT and DELETE invalidate the URI',
  () => counting(),
  memory,
  async ({ client, cache, at }) => {
    for (const method of ['POST', 'PUT', 'DELETE']) {
      const path = `/${method}`;
      await client.ask(at(path));
      await cache.flush();
      assert.is((await client.ask(at(path))).info?.status, 'hit');
      await client.ask(at(path), method === 'DELETE' ? { method } : { method, body: 'x' });
      const after = await client.ask(at(path));
      assert.is(after.info?.status, 'miss', method);
      assert.is(after.text, `${path} 3`);
    }
  },
);

withEachClient(
  test,
  'an unsafe method invalidates Location and Content-Location of the same origin only',
  () => (request, response) => {
    if (request.method === 'GET') reply(response, 'x', { 'Cache-Control': 'max-age=60' });
    else reply(response, 'made', { Location: '/made', 'Content-Location': 'http://other.test/other' }, 201);
  },
  memory,
  async ({ client, cache, at }) => {
    for (const path of ['/', '/made', '/unrelated']) await client.ask(at(path));
    await cache.flush();
    await client.ask(at('/'), { method: 'POST', body: 'x' });
    assert.is((await client.ask(at('/unrelated'))).info?.status, 'hit');
    assert.is((await client.ask(at('/made'))).info?.status, 'miss');
    assert.is((await client.ask(at('/'))).info?.status, 'miss');
  },
);

withEachClient(
  test,
  'an unsafe method that fails invalidates nothing',
  () => (request, response) => {
    if (request.method === 'GET') reply(response, 'x', { 'Cache-Control': 'max-age=60' });
    else reply(response, 'no', {}, 500);
  },
  memory,
  async ({ client, cache, at }) => {
    await client.ask(at('/'));
    await cache.flush();
    await client.ask(at('/'), { method: 'POST', body: 'x' });
    assert.is((await client.ask(at('/'))).info?.status, 'hit');
  },
);

/** Answers GET of `/slow` when it is told to, with how many POSTs there had been when it was asked. */
function slowGet(): { readonly handler: Handler; readonly release: () => void } {
  let release: () => void = () => undefined;
  const released = new Promise<void>((resolve) => {
    release = resolve;
  });
  let posts = 0;
  let isFirst = true;
  return {
    release,
    handler: async (request, response) => {
      if (request.method !== 'GET') posts += 1;
      const before = posts;
      if (request.method === 'GET' && isFirst) {
        isFirst = false;
        await released;
      }
      reply(response, `after ${before}`, { 'Cache-Control': 'max-age=60' });
    },
  };
}

let slow = slowGet();
const newSlow = (): Handler => {
  slow = slowGet();
  return slow.handler;
};

withEachClient(
  test,
  'what was asked for before a POST and comes after it is neither stored nor shared',
  newSlow,
  memory,
  async ({ client, cache, origin, at }) => {
    const before = client.ask(at('/slow'));
    await origin.arrived(1);
    await client.ask(at('/slow'), { method: 'POST', body: 'x' });
    const after = client.ask(at('/slow'));
    assert.is((await after).text, 'after 1');
    slow.release();
    const answer = await before;
    assert.is(answer.text, 'after 0');
    assert.is(answer.info?.stored, false);
    assert.is(answer.info?.reason, 'superseded');
    await cache.flush();
    assert.is((await client.ask(at('/slow'))).text, 'after 1');
    assert.is(origin.hits.length, 3);
  },
);

withEachClient(
  test,
  'what was asked for before a hundred POSTs elsewhere is stored',
  newSlow,
  memory,
  async ({ client, cache, origin, at }) => {
    const before = client.ask(at('/slow'));
    await origin.arrived(1);
    for (let i = 0; i < 100; i += 1) await client.ask(at(`/${i}`), { method: 'PUT', body: 'x' });
    slow.release();
    assert.is((await before).info?.stored, true);
    await cache.flush();
    assert.is((await client.ask(at('/slow'))).info?.status, 'hit');
  },
);

withEachClient(
  test,
  'the answer to a POST that GET would find outlives the invalidation that it makes',
  () => {
    let count = 0;
    return (request, response) => {
      count += 1;
      reply(response, `${request.method} ${count}`, { 'Cache-Control': 'max-age=60', 'Content-Location': '/' });
    };
  },
  memory,
  async ({ client, cache, at }) => {
    await client.ask(at('/'));
    await cache.flush();
    assert.is((await client.ask(at('/'), { method: 'POST', body: 'x' })).info?.stored, true);
    await cache.flush();
    assert.is((await client.ask(at('/'))).text, 'POST 2');
  },
);

withEachClient(
  test,
  'an unsafe method invalidates what GET found by the same way and in every mode',
  () => counting(),
  memory,
  async ({ client, cache, at }) => {
    const ways = [{ headers: { Host: 'elsewhere.test' } }, { headers: { Cookie: 'a=1' } }, {}];
    for (const [position, way] of ways.entries()) {
      const path = `/${position}`;
      const lasting = { ...way, cache: { mode: 'ignore-rules' } } as const;
      for (const get of [way, lasting]) await client.ask(at(path), get);
      await cache.flush();
      for (const get of [way, lasting]) assert.is((await client.ask(at(path), get)).info?.status, 'hit', path);
      await client.ask(at(path), { ...way, method: 'POST', body: 'x' });
      assert.is(await entriesOf(cache), 0, path);
    }
  },
);

withEachClient(
  test,
  'HEAD is answered from a stored GET',
  () => counting(),
  memory,
  async ({ client, cache, origin, at }) => {
    await client.ask(at('/'));
    await cache.flush();
    const head = await client.ask(at('/'), { method: 'HEAD' });
    assert.is(head.info?.status, 'hit');
    assert.is(head.body.length, 0);
    assert.is(head.headers['content-length'], '3');
    assert.is(origin.hits.length, 1);
  },
);

withEachClient(
  test,
  'GET is never answered from a stored HEAD',
  () => counting(),
  memory,
  async ({ client, cache, at }) => {
    await client.ask(at('/'), { method: 'HEAD' });
    await cache.flush();
    assert.is((await client.ask(at('/'))).text, '/ 2');
  },
);

test.run();
