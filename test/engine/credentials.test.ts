// time limit: 300 s
import http, { Agent, type ClientRequest } from 'node:http';
import got from 'got';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { cacheGot } from '../../interceptors/got.js';
import { type CacheChoice, openCache } from '../../src/index.js';
import type { Lease } from '../../src/store/contract.js';
import { createMemoryStore } from '../../src/store/memory-store.js';
import { type Answer, type Ask, type Client, makers } from './clients.js';
import { type BenchOptions, entriesOf, onBench, withEachClient } from './fixture.js';
import { type Handler, reply } from './origin.js';

const test = suite("users' credentials in a shared cache");
const memory: BenchOptions = { tier: 'memory' };

const users = ['alice', 'bob', undefined] as const;
type User = (typeof users)[number];

/** A request as it is made for a user; `undefined` is nobody in particular. */
function as(user: User, ask: Ask = {}): Ask {
  return user === undefined ? ask : { ...ask, headers: { ...ask.headers, Cookie: `session=${user}` } };
}

const ownerOf = (cookie: string | undefined): string => cookie?.replace(/^session=/, '') ?? 'nobody';

/** Says whose answer it is, and how many there have been: every user has a representation, and an ETag, of their own. */
function personal(control: string, more: Readonly<Record<string, string>> = {}): () => Handler {
  return () => {
    let count = 0;
    return (request, response) => {
      count += 1;
      const owner = ownerOf(request.headers.cookie);
      const fields = { 'Cache-Control': control, ETag: `"${owner}"`, ...more };
      if (request.headers['if-none-match'] === fields.ETag) reply(response, '', fields, 304);
      else reply(response, `for ${owner} (${count})`, fields);
    };
  };
}

const whose = ({ text }: Answer): string => text.replace(/^for (\w+) .*/s, '$1');
const nameOf = (user: User): string => user ?? 'nobody';

async function askAll(client: Client, url: string, ask: Ask = {}): Promise<string[]> {
  const answers: string[] = [];
  for (const user of users) answers.push(whose(await client.ask(url, as(user, ask))));
  return answers;
}

const everybodysOwn = users.map(nameOf);

for (const options of [memory, {}, { memoryBytes: 16e6 }]) {
  withEachClient(
    test,
    `an answer is for who has the same Cookie, and one to nobody is for nobody (${JSON.stringify(options)})`,
    personal('max-age=60'),
    options,
    async ({ client, cache, origin, at }) => {
      for (const user of users) {
        const answer = await client.ask(at('/'), as(user));
        assert.is(whose(answer), nameOf(user));
        assert.is(answer.info?.status, 'miss');
        assert.is(answer.info?.forward, user === 'alice' ? 'uri-miss' : 'vary-miss');
        await cache.flush();
      }
      assert.is(await entriesOf(cache), 3);
      for (const user of [...users].reverse()) {
        const answer = await client.ask(at('/'), as(user));
        assert.is(whose(answer), nameOf(user));
        assert.is(answer.info?.status, 'hit');
      }
      assert.is(origin.hits.length, 3);
    },
  );
}

withEachClient(test, 'it stays so on the disk', personal('max-age=60'), {}, async (bench) => {
  await askAll(bench.client, bench.at('/'));
  await bench.reopen();
  assert.equal(await askAll(bench.client, bench.at('/'), { cache: { mode: 'only-if-cached' } }), everybodysOwn);
  await bench.reopen({ offline: true });
  assert.equal(await askAll(bench.client, bench.at('/')), everybodysOwn);
  assert.is(bench.origin.hits.length, 3);
});

/** What only alice has is stored, and stale where that makes a difference: nobody else gets it. */
const choices: readonly (readonly [string, CacheChoice])[] = [
  ['default', {}],
  ['no-cache', { mode: 'no-cache' }],
  ['reload', { mode: 'reload' }],
  ['no-store', { mode: 'no-store' }],
  ['force-cache', { mode: 'force-cache' }],
  ['ignore-rules', { mode: 'ignore-rules' }],
  ['a lifetime of the user', { ttlMs: 1e9 }],
  ['a key of the user', { key: 'one' }],
  ['stale-while-revalidate', { staleWhileRevalidateSeconds: 1e6 }],
  ['stale-if-error', { staleIfErrorSeconds: 1e6 }],
  ['no collapsing', { collapse: false }],
];
for (const [name, choice] of choices) {
  for (const ageSeconds of [1, 61]) {
    withEachClient(
      test,
      `${name}: others get their own, ${ageSeconds} s later`,
      personal('max-age=60'),
      memory,
      async ({ client, cache, clock, at }) => {
        assert.is(whose(await client.ask(at('/'), as('alice', { cache: choice }))), 'alice');
        await cache.flush();
        clock.advanceSeconds(ageSeconds);
        assert.equal(await askAll(client, at('/'), { cache: choice }), everybodysOwn);
        await cache.flush();
        assert.equal(await askAll(client, at('/'), { cache: choice }), everybodysOwn);
      },
    );
  }
}

for (const [name, options, choice] of [
  ['only-if-cached', {}, { mode: 'only-if-cached' }],
  ['offline', { offline: true }, {}],
] as const) {
  withEachClient(test, `${name}: others get 504`, personal('max-age=60'), {}, async (bench) => {
    await bench.client.ask(bench.at('/'), as('alice'));
    await bench.reopen(options);
    const answers = users.map((user) => bench.client.ask(bench.at('/'), as(user, { cache: choice })));
    assert.equal(
      (await Promise.all(answers)).map(({ status }) => status),
      [200, 504, 504],
    );
  });
}

withEachClient(
  test,
  'stale-if-error: a stale answer stands in for its own user only',
  personal('max-age=60, stale-if-error=1000'),
  memory,
  async ({ client, cache, clock, origin, at }) => {
    await client.ask(at('/'), as('alice'));
    await cache.flush();
    clock.advanceSeconds(61);
    origin.handler = (_, response) => reply(response, 'broken', {}, 503);
    const statuses = [];
    for (const user of users) statuses.push((await client.ask(at('/'), as(user))).status);
    assert.equal(statuses, [200, 503, 503]);
  },
);

withEachClient(
  test,
  'stale-while-revalidate: what comes of it is for the user it was asked for',
  personal('max-age=60, stale-while-revalidate=1000'),
  memory,
  async ({ client, cache, clock, origin, at }) => {
    await client.ask(at('/'), as('alice'));
    await cache.flush();
    clock.advanceSeconds(61);
    const stale = await client.ask(at('/'), as('alice'));
    assert.is(stale.info?.status, 'stale');
    await cache.flush();
    assert.is(origin.hits.at(-1)?.headers.cookie, 'session=alice');
    assert.is((await client.ask(at('/'), as('alice'))).info?.status, 'hit');
    assert.is(whose(await client.ask(at('/'), as('bob'))), 'bob');
  },
);

withEachClient(
  test,
  'no answer under way is shared with another user, and it is with the same',
  personal('max-age=60'),
  memory,
  async ({ client, origin, at }) => {
    const all = [...users, ...users, ...users];
    const answers = await Promise.all(all.map((user) => client.ask(at('/'), as(user))));
    assert.equal(answers.map(whose), all.map(nameOf));
    const ofAlice = new Set(answers.filter((answer) => whose(answer) === 'alice').map(({ text }) => text));
    assert.is(ofAlice.size, 1);
    assert.is(origin.hits.filter(({ headers }) => headers.cookie === 'session=alice').length, 1);
  },
);

withEachClient(
  test,
  'HEAD, Range and conditions are answered from what is for the one who asks',
  personal('max-age=60'),
  memory,
  async ({ client, cache, at, origin }) => {
    await client.ask(at('/'), as('alice'));
    await cache.flush();
    const asks: readonly Ask[] = [
      { method: 'HEAD' },
      { headers: { Range: 'bytes=0-2' } },
      { headers: { 'If-None-Match': '"alice"' } },
      { headers: { 'If-Modified-Since': 'Wed, 01 Jan 2099 00:00:00 GMT' } },
    ];
    for (const ask of asks) {
      assert.ok((await client.ask(at('/'), as('alice', ask))).isFromCache, JSON.stringify(ask));
      const asked = origin.hits.length;
      const other = await client.ask(at('/'), as('bob', ask));
      assert.is(other.headers.etag, '"bob"', JSON.stringify(ask));
      assert.is.not(other.status, 304, JSON.stringify(ask));
      await cache.flush();
      assert.is(origin.hits.length, asked + 1, JSON.stringify(ask));
      await cache.delete(at('/'));
      await client.ask(at('/'), as('alice'));
      await cache.flush();
    }
  },
);

withEachClient(
  test,
  'a 304 that takes back that it is for everyone makes it for who asked',
  personal('s-maxage=60', { ETag: '"same"' }),
  memory,
  async ({ client, cache, clock, origin, at }) => {
    await client.ask(at('/'), as('alice'));
    await cache.flush();
    assert.is(whose(await client.ask(at('/'), as('bob'))), 'alice', 'for everyone, as the origin says');
    clock.advanceSeconds(60);
    origin.handler = (_, response) => reply(response, '', { 'Cache-Control': 'max-age=60', ETag: '"same"' }, 304);
    const { info } = await client.ask(at('/'), as('bob'));
    assert.equal([info?.status, info?.ageSeconds, info?.ttlSeconds], ['revalidated', 0, 60]);
    await cache.flush();
    origin.handler = (_, response) => reply(response, 'another', { 'Cache-Control': 'no-store' });
    assert.is((await client.ask(at('/'), as('bob'))).info?.status, 'hit');
    for (const user of ['alice', undefined] as const)
      assert.is((await client.ask(at('/'), as(user))).info?.forward, 'vary-miss');
  },
);

for (const [control, more] of [
  ['max-age=60, public', {}],
  ['s-maxage=60', {}],
  ['no-store', { 'CDN-Cache-Control': 'max-age=60' }],
] as const) {
  withEachClient(
    test,
    `what the origin says is for everyone is: ${control} ${JSON.stringify(more)}`,
    personal(control, more),
    { ...memory, cacheControlTargets: ['CDN-Cache-Control'] },
    async ({ client, cache, at }) => {
      assert.is(whose(await client.ask(at('/'), as('bob'))), 'bob');
      await cache.flush();
      assert.equal(await askAll(client, at('/')), ['bob', 'bob', 'bob']);
      assert.is(await entriesOf(cache), 1);
    },
  );
}

withEachClient(
  test,
  'Vary: Cookie outweighs that it is for everyone',
  personal('max-age=60, public', { Vary: 'Cookie' }),
  memory,
  async ({ client, cache, at }) => {
    await client.ask(at('/'), as('alice'));
    await cache.flush();
    assert.equal(await askAll(client, at('/')), everybodysOwn);
  },
);

withEachClient(
  test,
  'what a POST says that GET would find is for its user',
  () => (request, response) => {
    const owner = ownerOf(request.headers.cookie);
    reply(response, `for ${owner} (${request.method})`, { 'Cache-Control': 'max-age=60', 'Content-Location': '/' });
  },
  memory,
  async ({ client, cache, at }) => {
    await client.ask(at('/'), as('alice', { method: 'POST', body: 'x' }));
    await cache.flush();
    assert.is((await client.ask(at('/'), as('alice'))).text, 'for alice (POST)');
    assert.is((await client.ask(at('/'), as('bob'))).text, 'for bob (GET)');
  },
);

withEachClient(
  test,
  'credentialFields: [] gives it up',
  personal('max-age=60'),
  { ...memory, credentialFields: [] },
  async ({ client, cache, at }) => {
    await client.ask(at('/'), as('alice'));
    await cache.flush();
    assert.equal(await askAll(client, at('/')), ['alice', 'alice', 'alice']);
  },
);

withEachClient(
  test,
  'credentialFields: any field in any case tells users apart, and its value is not written down',
  (): Handler => (request, response) =>
    reply(response, `for ${request.headers['x-session']}`, { 'Cache-Control': 'max-age=60' }),
  { ...memory, credentialFields: ['X-Session'] },
  async ({ client, cache, origin, at }) => {
    for (const session of ['c2VjcmV0', 'b3RoZXI', 'c2VjcmV0']) {
      assert.is((await client.ask(at('/'), { headers: { 'x-session': session } })).text, `for ${session}`);
      await cache.flush();
    }
    assert.is(origin.hits.length, 2);
    for await (const { ref, head } of cache.entries())
      assert.not.match(JSON.stringify([ref, head]), /c2VjcmV0|b3RoZXI/);
  },
);

withEachClient(
  test,
  'a request with Authorization does not get what was answered to one without',
  (): Handler => (request, response) =>
    reply(response, `for ${request.headers.authorization ?? 'nobody'}`, { 'Cache-Control': 'max-age=60' }),
  memory,
  async ({ client, cache, at }) => {
    await client.ask(at('/'));
    await cache.flush();
    assert.is((await client.ask(at('/'), { headers: { Authorization: 'alice' } })).text, 'for alice');
    assert.is((await client.ask(at('/'))).info?.status, 'hit');
  },
);

/** As cookie jars for axios are made: the cookie comes when the request is on its way already. */
class JarAgent extends Agent {
  readonly #user: string;

  constructor(user: string) {
    super();
    this.#user = user;
  }

  addRequest(request: ClientRequest, ...rest: unknown[]): void {
    request.setHeader('Cookie', `session=${this.#user}`);
    // Not in Node's types.
    Reflect.apply(Reflect.get(Agent.prototype, 'addRequest'), this, [request, ...rest]);
  }
}

for (const shared of [true, false]) {
  for (const mode of ['default', 'ignore-rules'] as const) {
    withEachClient(
      test,
      `an answer to cookies that an agent added is nobody's to have (${shared ? 'shared' : 'private'}, ${mode})`,
      personal('max-age=60'),
      { ...memory, shared },
      async ({ client, cache, at }) => {
        const agents = ['alice', 'bob'].map((user) => new JarAgent(user));
        const [alice, bob] = agents.map((agent) => ({ agent, cache: { mode } }));
        const first = await client.ask(at('/'), alice);
        assert.equal([whose(first), first.info?.reason], ['alice', 'credentials-unseen']);
        await cache.flush();
        const both = await Promise.all([client.ask(at('/'), alice), client.ask(at('/'), bob)]);
        assert.equal(both.map(whose), ['alice', 'bob']);
        await cache.flush();
        assert.is(whose(await client.ask(at('/'), { cache: { mode } })), 'nobody');
        for (const agent of agents) agent.destroy();
      },
    );
  }
}

test("got: the same goes for what the user's own request function adds", () =>
  onBench(makers.got, personal('max-age=60')(), memory, async ({ cache, at }) => {
    const clientOf = (user: string) =>
      got.extend(cacheGot(cache), {
        request: (url, options, callback) =>
          http.request(url, { ...options, headers: { ...options.headers, Cookie: `session=${user}` } }, callback),
      });
    for (const user of ['alice', 'bob', 'alice']) {
      const { body } = await clientOf(user)(at('/'));
      assert.match(body, `for ${user} `);
      await cache.flush();
    }
    const { info } = await makers.got(cache).ask(at('/'));
    assert.is(info?.forward, 'uri-miss');
  }));

withEachClient(
  test,
  'what is for everyone is stored, whatever an agent added',
  personal('max-age=60, public'),
  memory,
  async ({ client, cache, at }) => {
    const agent = new JarAgent('alice');
    await client.ask(at('/'), { agent });
    await cache.flush();
    assert.equal(await askAll(client, at('/')), ['alice', 'alice', 'alice']);
    agent.destroy();
  },
);

for (const [name, make] of Object.entries(makers)) {
  test(`${name}: nobody waits for the answers of others who ask from other processes`, async () => {
    const store = createMemoryStore({ maxBytes: 1e6 });
    let another: () => Promise<unknown> = async () => undefined;
    let looks = 0;
    let releases = 0;
    const waiting: Lease = {
      isGranted: false,
      first: async () => false,
      // The other's answer comes, and then it would be the turn of many more.
      next: async () => {
        looks += 1;
        if (looks > 1) return new Promise(() => undefined);
        await another();
        return 'look';
      },
      release: () => {
        releases += 1;
      },
    };
    const ofThisProcess = new Proxy(store, {
      get: (target, property) =>
        property === 'lease'
          ? () => waiting
          : (Reflect.get(target, property).bind?.(target) ?? Reflect.get(target, property)),
    });
    const other = await openCache({ directory: '-', store });
    await onBench(make, personal('max-age=60')(), { store: ofThisProcess }, async ({ client, at }) => {
      another = async () => {
        await make(other).ask(at('/'), as('alice'));
        await other.flush();
      };
      assert.is(whose(await client.ask(at('/'), as('bob'))), 'bob');
      assert.equal([looks, releases > 0], [1, true]);
    });
  });
}

withEachClient(test, 'an answer of somebody is in the way of nobody', personal('max-age=60'), memory, async (bench) => {
  const { client, cache, clock, at } = bench;
  for (const user of users) {
    await client.ask(at('/'), as(user));
    await cache.flush();
  }
  clock.advanceSeconds(61);
  // A new answer takes the place of its user's old one, and leaves the others'.
  await client.ask(at('/'), as('bob', { cache: { mode: 'reload' } }));
  await cache.flush();
  assert.is(await entriesOf(cache), 3);
  assert.is(await cache.invalidate({ url: at('/') }), 3);
});

test.run();
