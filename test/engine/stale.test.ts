import { createServer } from 'node:net';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { codeOf } from './clients.js';
import { entriesOf, eventsDuring, nextEvent, withEachClient } from './fixture.js';
import { always, counting, type Handler, reply, versioned } from './origin.js';

const test = suite('stale responses');
/** A connection that was kept open is reset, a new one is refused. */
const noAnswer = /^(?:ECONNREFUSED|ECONNRESET)$/;
const memory = { tier: 'memory' } as const;
const swr = { 'Cache-Control': 'max-age=60, stale-while-revalidate=30' };
const sie = { 'Cache-Control': 'max-age=60, stale-if-error=300' };

withEachClient(
  test,
  'stale-while-revalidate: serves stale, validates once in the background, and then serves the new one',
  () => counting(swr),
  memory,
  async (bench) => {
    const { client, cache, clock, origin, at } = bench;
    await client.ask(at('/'));
    await cache.flush();
    clock.advanceSeconds(70);
    const answers = await Promise.all(Array.from({ length: 5 }, () => client.ask(at('/'))));
    assert.equal(
      answers.map(({ text }) => text),
      Array.from({ length: 5 }, () => '/ 1'),
    );
    assert.ok(answers.every(({ info }) => info?.status === 'stale'));
    assert.is(answers[0]?.info?.staleRemainingSeconds, 20);
    await cache.flush();
    assert.is(origin.hits.length, 2);
    const after = await client.ask(at('/'));
    assert.is(after.text, '/ 2');
    assert.is(after.info?.status, 'hit');
    assert.is(await entriesOf(cache), 1);
  },
);

withEachClient(
  test,
  'stale-while-revalidate: a 304 in the background makes it fresh again',
  () => versioned(() => 'v1', swr),
  memory,
  async (bench) => {
    const { client, cache, clock, origin, at } = bench;
    await client.ask(at('/'));
    await cache.flush();
    clock.advanceSeconds(70);
    assert.is((await client.ask(at('/'))).info?.status, 'stale');
    await cache.flush();
    assert.is(origin.hits[1]?.headers['if-none-match'], '"v1"');
    assert.is((await client.ask(at('/'))).info?.status, 'hit');
    assert.is(origin.hits.length, 2);
  },
);

withEachClient(
  test,
  'stale-while-revalidate: past the window it is validated first',
  () => counting(swr),
  memory,
  async (bench) => {
    const { client, cache, clock, at } = bench;
    await client.ask(at('/'));
    await cache.flush();
    clock.advanceSeconds(90);
    assert.is((await client.ask(at('/'))).text, '/ 2');
  },
);

withEachClient(
  test,
  'stale-while-revalidate: close waits for the validation, and what it brought is there after a restart',
  () => {
    const handler = counting(swr);
    return async (request, response, hit) => {
      for (let turn = 0; turn < 20; turn += 1) await new Promise(setImmediate);
      await handler(request, response, hit);
    };
  },
  {},
  async (bench) => {
    await bench.client.ask(bench.at('/'));
    await bench.cache.flush();
    bench.clock.advanceSeconds(70);
    assert.is((await bench.client.ask(bench.at('/'))).text, '/ 1');
    await bench.reopen();
    assert.is(bench.origin.hits.length, 2);
    const after = await bench.client.ask(bench.at('/'));
    assert.is(after.text, '/ 2');
    assert.is(after.info?.status, 'hit');
  },
);

withEachClient(
  test,
  'stale-while-revalidate: a validation that fails is an event, and the stale one stays',
  () => counting(swr),
  memory,
  async (bench) => {
    const { client, cache, clock, origin, at } = bench;
    const url = at('/');
    await client.ask(url);
    await cache.flush();
    clock.advanceSeconds(70);
    await origin.close();
    const error = nextEvent('error');
    assert.is((await client.ask(url)).text, '/ 1');
    const event = await error;
    assert.is(event.during, 'background');
    assert.match(String(codeOf(event.error)), noAnswer);
    assert.is((await client.ask(url)).text, '/ 1');
  },
);

withEachClient(
  test,
  'stale-while-revalidate: a default for responses that name none',
  () => counting(),
  { ...memory, staleWhileRevalidateSeconds: 30 },
  async (bench) => {
    const { client, cache, clock, at } = bench;
    await client.ask(at('/'));
    await cache.flush();
    clock.advanceSeconds(70);
    assert.is((await client.ask(at('/'))).info?.status, 'stale');
  },
);

const failing =
  (status: number, cacheControl: string): (() => Handler) =>
  () => {
    let count = 0;
    return (_, response) => {
      count += 1;
      if (count === 1) reply(response, 'good', { 'Cache-Control': cacheControl, ETag: '"a"' });
      else reply(response, 'bad', {}, status);
    };
  };

for (const status of [500, 502, 503, 504]) {
  withEachClient(
    test,
    `stale-if-error: stands in for a ${status}`,
    failing(status, sie['Cache-Control']),
    memory,
    async (bench) => {
      const { client, cache, clock, at } = bench;
      await client.ask(at('/'));
      await cache.flush();
      clock.advanceSeconds(100);
      const answer = await client.ask(at('/'));
      assert.is(answer.text, 'good');
      assert.is(answer.status, 200);
      assert.is(answer.info?.status, 'stale');
      assert.is(answer.info?.reason, `origin-${status}`);
      clock.advanceSeconds(300);
      assert.is((await client.ask(at('/'))).status, status);
    },
  );
}

withEachClient(
  test,
  'stale-if-error: does not stand in for a 404, which is an answer',
  failing(404, sie['Cache-Control']),
  memory,
  async (bench) => {
    const { client, cache, clock, at } = bench;
    await client.ask(at('/'));
    await cache.flush();
    clock.advanceSeconds(100);
    assert.is((await client.ask(at('/'))).status, 404);
  },
);

withEachClient(
  test,
  'must-revalidate wins over stale-if-error',
  failing(503, 'max-age=60, stale-if-error=300, must-revalidate'),
  memory,
  async (bench) => {
    const { client, cache, clock, origin, at } = bench;
    const url = at('/');
    await client.ask(url);
    await cache.flush();
    clock.advanceSeconds(100);
    assert.is((await client.ask(url)).status, 503);
    await origin.close();
    const error = await client.ask(url).catch((reason: unknown) => reason);
    assert.match(String(codeOf(error)), noAnswer);
  },
);

withEachClient(
  test,
  "stale-if-error: stands in for an origin that refuses connections, and without it the error is the client's own",
  () => counting(),
  {},
  async (bench) => {
    const url = bench.at('/');
    await bench.client.ask(url);
    await bench.cache.flush();
    bench.clock.advanceSeconds(100);
    await bench.origin.close();
    const error = await bench.client.ask(url).catch((reason: unknown) => reason);
    assert.match(String(codeOf(error)), noAnswer);
    await bench.reopen({ staleIfErrorSeconds: 300 });
    const answer = await bench.client.ask(url);
    assert.is(answer.text, '/ 1');
    assert.is(answer.info?.reason, 'origin-unreachable');
    assert.is(answer.info?.ttlSeconds, -40);
  },
);

withEachClient(
  test,
  'stale-if-error: stands in for a name that is not found',
  () => counting(sie),
  memory,
  async (bench) => {
    const { client, cache, clock, at } = bench;
    const key = { cache: { key: 'one' } };
    await client.ask(at('/'), key);
    await cache.flush();
    clock.advanceSeconds(100);
    const answer = await client.ask('http://does-not-exist.invalid/', key);
    assert.is(answer.text, '/ 1');
    assert.is(answer.info?.status, 'stale');
  },
);

withEachClient(
  test,
  "stale-if-error: stands in when the client's own time-out is over",
  () => {
    let count = 0;
    return (_, response) => {
      count += 1;
      // From the second on, it never answers.
      if (count === 1) reply(response, 'good', sie);
    };
  },
  memory,
  async (bench) => {
    const { client, cache, clock, origin, at } = bench;
    await client.ask(at('/'));
    await cache.flush();
    clock.advanceSeconds(100);
    const answer = await client.ask(at('/'), { timeoutMs: 50 });
    assert.is(answer.text, 'good');
    assert.is(answer.info?.status, 'stale');
    assert.is(origin.hits.length, 2);
    clock.advanceSeconds(1000);
    const error = await client.ask(at('/'), { timeoutMs: 50 }).catch((reason: unknown) => reason);
    assert.match(String(codeOf(error)), /ETIMEDOUT|ECONNABORTED/);
  },
);

withEachClient(
  test,
  "stale-if-error: stands in when a request has waited for another's answer for as long as its time-out allows",
  () => {
    let count = 0;
    return (_, response) => {
      count += 1;
      // From the second on, it never answers.
      if (count === 1) reply(response, 'good', sie);
    };
  },
  memory,
  async (bench) => {
    const { client, cache, clock, origin, at } = bench;
    await client.ask(at('/'));
    await cache.flush();
    clock.advanceSeconds(100);
    const leaving = new AbortController();
    const leader = client.ask(at('/'), { signal: leaving.signal }).catch(() => undefined);
    await origin.arrived(2);
    const answer = await client.ask(at('/'), { timeoutMs: 50 });
    assert.is(answer.text, 'good');
    assert.is(answer.info?.status, 'stale');
    assert.is(origin.hits.length, 2, 'it did not ask for itself, to wait once more');
    leaving.abort();
    await leader;
  },
);

withEachClient(
  test,
  'stale-if-error: stands in for a connection that is reset before the head',
  () => {
    let count = 0;
    return (request, response) => {
      count += 1;
      if (count === 1) reply(response, 'good', sie);
      else request.socket.destroy();
    };
  },
  memory,
  async (bench) => {
    const { client, cache, clock, at } = bench;
    await client.ask(at('/'));
    await cache.flush();
    clock.advanceSeconds(100);
    assert.is((await client.ask(at('/'))).text, 'good');
  },
);

withEachClient(
  test,
  'stale-if-error: stands in for what is not HTTP',
  () => counting(sie),
  memory,
  async (bench) => {
    const { client, cache, clock, origin, at } = bench;
    const url = at('/');
    const { port } = origin;
    await client.ask(url);
    await cache.flush();
    clock.advanceSeconds(100);
    await origin.close();
    const server = createServer((socket) => socket.end('SSH-2.0-nonsense\r\n\r\n'));
    await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
    try {
      assert.is((await client.ask(url)).text, '/ 1');
    } finally {
      await new Promise((resolve) => server.close(resolve));
    }
  },
);

withEachClient(
  test,
  "stale-if-error: a request that insists on the origin's word is told that there is none",
  () => counting(sie),
  memory,
  async (bench) => {
    const { client, cache, clock, origin, at } = bench;
    const url = at('/');
    await client.ask(url);
    await cache.flush();
    clock.advanceSeconds(100);
    await origin.close();
    const error = await client.ask(url, { cache: { mode: 'no-cache' } }).catch((reason: unknown) => reason);
    assert.match(String(codeOf(error)), noAnswer);
  },
);

withEachClient(
  test,
  'max-stale of the request allows a stale response',
  () => always('x', { 'Cache-Control': 'max-age=60' }),
  memory,
  async (bench) => {
    const { client, cache, clock, origin, at } = bench;
    await client.ask(at('/'));
    await cache.flush();
    clock.advanceSeconds(70);
    const headers = { 'cache-control': 'max-stale=10' };
    const events = await eventsDuring('stale', async () => {
      assert.is((await client.ask(at('/'), { headers })).info?.status, 'stale');
    });
    assert.is(events.length, 1);
    clock.advanceSeconds(1);
    assert.is((await client.ask(at('/'), { headers })).info?.status, 'miss');
    assert.is(origin.hits.length, 2);
  },
);

test.run();
