import { Agent, type ClientRequest } from 'node:http';
import type { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import axios from 'axios';
import got from 'got';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { cacheAxios } from '../../interceptors/axios.js';
import { cacheGot } from '../../interceptors/got.js';
import { bytesOf } from '../contract/contract-kit.js';
import { type Answer, makers } from './clients.js';
import { entriesOf, nextEvent, onBench, withEachClient } from './fixture.js';
import { counting, type Handler, reply } from './origin.js';

const test = suite('collapsed requests');
const memory = { tier: 'memory' } as const;
const fresh = { 'Cache-Control': 'max-age=60' };

/** Answers only when it is told to. */
class Valve {
  readonly handler: Handler;
  #waiting: (() => void)[] = [];
  #isOpen = false;

  constructor(inner: Handler) {
    this.handler = async (...parameters) => {
      if (!this.#isOpen) await new Promise<void>((resolve) => this.#waiting.push(resolve));
      await inner(...parameters);
    };
  }

  open(): void {
    this.#isOpen = true;
    for (const go of this.#waiting.splice(0)) go();
  }

  /** Lets the requests that wait now through. */
  pulse(): void {
    for (const go of this.#waiting.splice(0)) go();
  }
}

/** Time for requests that were made to reach the origin, if they are going to: several turns of the event loop, with its I/O. */
async function turns(count = 30): Promise<void> {
  for (let turn = 0; turn < count; turn += 1) await new Promise(setImmediate);
}

const texts = (answers: readonly Answer[]): string[] => answers.map(({ text }) => text);

for (const tier of ['memory', 'disk'] as const) {
  const options = tier === 'memory' ? memory : {};
  let valve = new Valve(counting());
  withEachClient(
    test,
    `concurrent misses make one origin request (${tier})`,
    () => {
      valve = new Valve(counting());
      return valve.handler;
    },
    options,
    async ({ client, cache, origin, at }) => {
      const answers = Array.from({ length: 10 }, () => client.ask(at('/')));
      await origin.arrived(1);
      await turns();
      valve.open();
      const done = await Promise.all(answers);
      assert.equal([...new Set(texts(done))], ['/ 1']);
      assert.is(origin.hits.length, 1);
      assert.is(done.filter(({ info }) => info?.status === 'miss').length, 1);
      await cache.flush();
      assert.is(await entriesOf(cache), 1);
    },
  );

  withEachClient(
    test,
    `who comes in the middle of a body reads it from its first byte (${tier})`,
    () => async (_, response) => {
      response.writeHead(200, { ...fresh, 'Content-Length': '2000000' });
      response.write(bytesOf(2_000_000, 1).subarray(0, 1_000_000));
      await bodyGate;
      response.end(bytesOf(2_000_000, 1).subarray(1_000_000));
    },
    options,
    async ({ client, origin, at }) => {
      let openGate: () => void = () => undefined;
      bodyGate = new Promise((resolve) => {
        openGate = resolve;
      });
      const first = client.ask(at('/'));
      await origin.arrived(1);
      await turns();
      const firstJoined = nextEvent('collapse');
      const later = [client.ask(at('/'))];
      await firstJoined;
      const secondJoined = nextEvent('collapse');
      later.push(client.ask(at('/')));
      await secondJoined;
      openGate();
      for (const answer of await Promise.all([first, ...later])) assert.ok(answer.body.equals(bytesOf(2_000_000, 1)));
      for (const { info, headers } of await Promise.all(later)) {
        assert.is(info?.status, 'collapsed');
        assert.match(String(headers['cache-status']), 'collapsed');
      }
      assert.is(origin.hits.length, 1);
    },
  );
}

let bodyGate: Promise<void> = Promise.resolve();

const valved = (inner: () => Handler): { handler: () => Handler; valve: () => Valve } => {
  let valve = new Valve(inner());
  return {
    handler: () => {
      valve = new Valve(inner());
      return valve.handler;
    },
    valve: () => valve,
  };
};

const uncacheable = valved(() => counting({ 'Cache-Control': 'no-store' }));
withEachClient(
  test,
  'an answer that cannot be stored is for the one who asked; the others do not wait for one another',
  uncacheable.handler,
  memory,
  async ({ client, origin, at }) => {
    const answers = Array.from({ length: 6 }, () => client.ask(at('/')));
    await origin.arrived(1);
    await turns();
    assert.is(origin.hits.length, 1);
    uncacheable.valve().pulse();
    // All the others are out at once, before any of them is answered.
    await origin.arrived(6);
    uncacheable.valve().open();
    assert.equal(texts(await Promise.all(answers)).sort(), ['/ 1', '/ 2', '/ 3', '/ 4', '/ 5', '/ 6']);
  },
);

const variants = valved(
  () => (request, response) =>
    reply(response, `in ${request.headers['accept-language']}`, { ...fresh, Vary: 'Accept-Language' }),
);
withEachClient(
  test,
  'an answer that varies is not given to whom it does not fit',
  variants.handler,
  memory,
  async ({ client, origin, at }) => {
    const ask = (language: string) => client.ask(at('/'), { headers: { 'accept-language': language } });
    const answers = [ask('de'), ask('en'), ask('de')];
    await origin.arrived(1);
    await turns();
    variants.valve().open();
    assert.equal(texts(await Promise.all(answers)), ['in de', 'in en', 'in de']);
    assert.is(origin.hits.length, 2);
  },
);

let failures = 0;
const flaky = valved(() => {
  let count = 0;
  return (request, response) => {
    count += 1;
    if (count <= failures) request.socket.destroy();
    else reply(response, `good ${count}`, fresh);
  };
});
withEachClient(
  test,
  'a leader that fails before its head hands over to the next: one fails, the others are answered',
  flaky.handler,
  memory,
  async ({ client, origin, at }) => {
    failures = 1;
    const answers = Array.from({ length: 5 }, () => client.ask(at('/')).catch((error: unknown) => error));
    await origin.arrived(1);
    await turns();
    flaky.valve().open();
    const done = await Promise.all(answers);
    assert.is(done.filter((result) => result instanceof Error).length, 1);
    assert.is(done.filter((result) => !(result instanceof Error) && (result as Answer).text === 'good 2').length, 4);
    assert.is(origin.hits.length, 2);
  },
);

const held = valved(() => counting());
withEachClient(
  test,
  'a leader that gives up before its head hands over to the next',
  held.handler,
  memory,
  async ({ client, origin, at }) => {
    const controller = new AbortController();
    const leader = client.ask(at('/'), { signal: controller.signal }).catch((error: unknown) => error);
    await origin.arrived(1);
    const followers = [client.ask(at('/')), client.ask(at('/'))];
    await turns();
    controller.abort();
    assert.instance(await leader, Error);
    await origin.arrived(2);
    held.valve().open();
    const done = await Promise.all(followers);
    assert.is(done[0]?.text, done[1]?.text);
    assert.is(origin.hits.length, 2);
  },
);

const lonely = valved(() => counting());
withEachClient(
  test,
  'a follower that gives up leaves the others alone',
  lonely.handler,
  memory,
  async ({ client, origin, at }) => {
    const leader = client.ask(at('/'));
    await origin.arrived(1);
    const controller = new AbortController();
    const follower = client.ask(at('/'), { signal: controller.signal }).catch((error: unknown) => error);
    const other = client.ask(at('/'));
    await turns();
    controller.abort();
    assert.instance(await follower, Error);
    lonely.valve().open();
    assert.equal(texts([await leader, await other]), ['/ 1', '/ 1']);
    assert.is(origin.hits.length, 1);
  },
);

const apart = valved(() => counting());
withEachClient(
  test,
  'collapse false: everyone for themselves',
  apart.handler,
  { ...memory, collapse: false },
  async ({ client, origin, at }) => {
    const answers = Array.from({ length: 4 }, () => client.ask(at('/')));
    await origin.arrived(4);
    apart.valve().open();
    assert.equal(texts(await Promise.all(answers)).sort(), ['/ 1', '/ 2', '/ 3', '/ 4']);
  },
);

let firstByte: () => void = () => undefined;
let rest: Promise<void> = Promise.resolve();
/** Every answer is another one, and of unknown length. The first goes on when `firstByte` is called. */
const slowAndChanging: Handler = async (_, response) => {
  count += 1;
  const body = `${count}`.repeat(20);
  response.writeHead(200, { ...fresh, ETag: `"${count}"`, ...(count === 1 && { 'Content-Length': '20' }) });
  response.write(body.slice(0, 1));
  if (count === 1) await rest;
  response.end(body.slice(1));
};
let count = 0;

for (const [what, options, isClosed] of [
  ['the cache is closed', memory, true],
  ['it is too long to be stored', { maxEntryBytes: 19 }, false],
] as const) {
  withEachClient(
    test,
    `an answer that will not be stored is not shared: ${what}`,
    () => {
      count = 0;
      rest = new Promise((resolve) => {
        firstByte = resolve;
      });
      return slowAndChanging;
    },
    options,
    async ({ client, cache, origin, at }) => {
      if (isClosed) await cache.close();
      const first = client.ask(at('/'));
      await origin.arrived(1);
      await turns();
      const second = await client.ask(at('/'));
      assert.is(second.text, '2'.repeat(20));
      assert.is(second.info?.status, 'miss');
      firstByte();
      assert.is((await first).text, '1'.repeat(20));
      assert.is((await first).info?.stored, false);
      assert.is((await first).info?.reason, isClosed ? 'closed' : 'too-large');
    },
  );
}

for (const tier of ['memory', 'disk'] as const) {
  const body = bytesOf(900_000, 3);
  let goOn: () => void = () => undefined;
  const inTwoParts: Handler = async (_, response) => {
    const gate = new Promise<void>((resolve) => {
      goOn = resolve;
    });
    // Of unknown length, and nothing identifies it: what is lost of it cannot be asked for again.
    response.writeHead(200, fresh);
    response.write(body.subarray(0, 400_000));
    await gate;
    response.end(body.subarray(400_000));
  };
  test(`who reads more slowly than others gets the whole body, also of a cache that is closed meanwhile (${tier})`, () =>
    onBench(makers.axios, inTwoParts, tier === 'memory' ? memory : {}, async ({ client, cache, origin, at }) => {
      const instance = cacheAxios(axios.create({ proxy: false }), cache);
      const slow = await instance.get<Readable>(at('/'), { responseType: 'stream' });
      await turns();
      const controller = new AbortController();
      const follower = client.ask(at('/'), { signal: controller.signal }).catch((error: unknown) => error);
      // The body runs ahead of the first reader for the second, who then leaves.
      await turns();
      controller.abort();
      assert.instance(await follower, Error);
      const closed = cache.close();
      goOn();
      await turns();
      assert.ok((await buffer(slow.data)).equals(body));
      assert.is(origin.hits.length, 1);
      await closed;
    }));

  test(`who joins, and begins to read when the body is stored, gets all of it (${tier})`, () =>
    onBench(makers.axios, inTwoParts, tier === 'memory' ? memory : {}, async ({ client, cache, origin, at }) => {
      const instance = cacheAxios(axios.create({ proxy: false }), cache);
      const first = client.ask(at('/'));
      await origin.arrived(1);
      const late = await instance.get<Readable>(at('/'), { responseType: 'stream' });
      assert.is(late.cacheInfo?.status, 'collapsed');
      goOn();
      assert.ok((await first).body.equals(body));
      await cache.flush();
      assert.ok((await buffer(late.data)).equals(body));
      assert.is(origin.hits.length, 1);
    }));
}

test('who writes over the chunks of a body spoils nothing of what is stored', () =>
  onBench(
    makers.axios,
    (_, response) => void reply(response, 'x'.repeat(30_000), fresh),
    {},
    async (bench) => {
      const { client, cache, at } = bench;
      const instance = cacheAxios(axios.create({ proxy: false }), cache);
      const { data } = await instance.get<Readable>(at('/'), { responseType: 'stream' });
      for await (const chunk of data) chunk.fill(0);
      const stream = got.extend(cacheGot(cache)).stream(at('/2'));
      for await (const chunk of stream) chunk.fill(0);
      await cache.flush();
      for (const path of ['/', '/2']) {
        const again = await client.ask(at(path));
        assert.is(again.isFromCache, true);
        assert.ok(again.text === 'x'.repeat(30_000));
      }
    },
  ));

const stale = valved(() => {
  let count = 0;
  return (request, response) => {
    count += 1;
    const isCurrent = request.headers['if-none-match'] !== undefined;
    reply(response, isCurrent ? '' : `body ${count}`, { ...fresh, ETag: '"a"' }, isCurrent ? 304 : 200);
  };
});
withEachClient(
  test,
  'concurrent validations of one stored response are one',
  stale.handler,
  memory,
  async ({ client, cache, clock, origin, at }) => {
    const first = client.ask(at('/'));
    await origin.arrived(1);
    stale.valve().pulse();
    await first;
    await cache.flush();
    clock.advanceSeconds(61);
    const answers = Array.from({ length: 5 }, () => client.ask(at('/')));
    await origin.arrived(2);
    await turns();
    stale.valve().open();
    assert.equal([...new Set(texts(await Promise.all(answers)))], ['body 1']);
    assert.is(origin.hits.length, 2);
  },
);

/** Node's agents throw what `createConnection` throws, for certificates that cannot be used say. */
class ThrowingAgent extends Agent {
  override createConnection(): never {
    throw new Error('no connection can be made');
  }
}

/** As agents for proxies may do: the request is told of an error, and never closes. */
class FailingAgent extends Agent {
  addRequest(request: ClientRequest): void {
    process.nextTick(() => request.emit('error', new Error('no connection can be made')));
  }
}
for (const [what, makeAgent] of [
  ['could not even be made', () => new ThrowingAgent()],
  ['never got a connection', () => new FailingAgent()],
] as const) {
  withEachClient(test, `nobody waits for a request that ${what}`, counting, memory, async ({ client, origin, at }) => {
    const error = await client.ask(at('/'), { agent: makeAgent() }).catch((reason: unknown) => reason);
    assert.match(String(error), /no connection can be made/);
    const answer = await client.ask(at('/'));
    assert.is(answer.text, '/ 1');
    assert.is(answer.info?.status, 'miss');
    assert.is(origin.hits.length, 1);
  });
}

test.run();
