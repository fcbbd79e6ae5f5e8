import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { bytesOf } from '../contract/contract-kit.js';
import { entriesOf, withEachClient } from './fixture.js';
import { always, counting, type Handler, reply } from './origin.js';

const test = suite('HTTP');
const memory = { tier: 'memory' } as const;
const fresh = { 'Cache-Control': 'max-age=60' };

withEachClient(
  test,
  'Age is right to the second, across a restart',
  () => counting({ 'Cache-Control': 'max-age=600' }),
  {},
  async (bench) => {
    await bench.client.ask(bench.at('/'));
    await bench.cache.flush();
    for (const seconds of [0, 1, 58, 100]) {
      bench.clock.advanceSeconds(seconds);
      const before = bench.clock.ms;
      const answer = await bench.client.ask(bench.at('/'));
      await bench.reopen();
      const again = await bench.client.ask(bench.at('/'));
      assert.is(bench.clock.ms, before);
      assert.is(again.headers.age, answer.headers.age);
      assert.is(again.info?.ageSeconds, answer.info?.ageSeconds);
    }
    assert.is((await bench.client.ask(bench.at('/'))).headers.age, '159');
  },
);

withEachClient(
  test,
  'Age adds up what was spent in caches on the way',
  () => always('x', { ...fresh, Age: '20' }),
  memory,
  async ({ client, cache, clock, at }) => {
    await client.ask(at('/'));
    await cache.flush();
    clock.advanceSeconds(5);
    const answer = await client.ask(at('/'));
    assert.is(answer.headers.age, '25');
    assert.is(answer.info?.ttlSeconds, 35);
  },
);

const inLanguages: () => Handler = () => {
  let count = 0;
  return (request, response) => {
    count += 1;
    reply(response, `${request.headers['accept-language']} ${count}`, { ...fresh, Vary: 'Accept-Language' });
  };
};

withEachClient(
  test,
  'Vary: keeps variants side by side',
  inLanguages,
  memory,
  async ({ client, cache, origin, at }) => {
    const ask = (language: string) => client.ask(at('/'), { headers: { 'accept-language': language } });
    for (const language of ['de', 'en', 'fr']) {
      await ask(language);
      await cache.flush();
    }
    assert.is(await entriesOf(cache), 3);
    assert.is((await ask('de')).text, 'de 1');
    assert.is((await ask('en')).text, 'en 2');
    assert.is((await ask('it')).info?.forward, 'vary-miss');
    assert.is(origin.hits.length, 4);
  },
);

withEachClient(
  test,
  'maxVariants: the oldest variant goes',
  inLanguages,
  { ...memory, maxVariants: 2 },
  async ({ client, cache, clock, at }) => {
    const ask = (language: string) => client.ask(at('/'), { headers: { 'accept-language': language } });
    for (const language of ['de', 'en', 'fr']) {
      await ask(language);
      await cache.flush();
      clock.advanceSeconds(1);
    }
    assert.is(await entriesOf(cache), 2);
    assert.is((await ask('en')).text, 'en 2');
    assert.is((await ask('fr')).text, 'fr 3');
    assert.is((await ask('de')).text, 'de 4');
  },
);

withEachClient(
  test,
  'Vary: * is never reused',
  () => counting({ ...fresh, Vary: '*' }),
  memory,
  async ({ client, cache, at }) => {
    assert.is((await client.ask(at('/'))).info?.reason, 'vary-star');
    await cache.flush();
    assert.is((await client.ask(at('/'))).text, '/ 2');
  },
);

const whole = bytesOf(700_000, 5);
const ranged: () => Handler = () => always(whole, { ...fresh, ETag: '"w"', 'Accept-Ranges': 'bytes' });

for (const tier of ['memory', 'disk'] as const) {
  withEachClient(
    test,
    `Range: parts of what is stored are answered with 206, 416 or all of it (${tier})`,
    ranged,
    tier === 'memory' ? memory : {},
    async ({ client, cache, origin, at }) => {
      await client.ask(at('/'));
      await cache.flush();
      const rows: readonly (readonly [range: string, start: number, end: number])[] = [
        ['bytes=0-0', 0, 0],
        ['bytes=0-99', 0, 99],
        ['bytes=65530-65545', 65_530, 65_545],
        ['bytes=100000-', 100_000, 699_999],
        ['bytes=-5', 699_995, 699_999],
        ['bytes=699999-900000', 699_999, 699_999],
      ];
      for (const [range, start, end] of rows) {
        const answer = await client.ask(at('/'), { headers: { range } });
        assert.is(answer.status, 206, range);
        assert.is(answer.headers['content-range'], `bytes ${start}-${end}/700000`);
        assert.is(answer.headers['content-length'], String(end - start + 1));
        assert.ok(answer.body.equals(whole.subarray(start, end + 1)), range);
        assert.is(answer.info?.status, 'hit');
      }
      const beyond = await client.ask(at('/'), { headers: { range: 'bytes=700000-' } });
      assert.is(beyond.status, 416);
      assert.is(beyond.headers['content-range'], 'bytes */700000');
      const nonsense = await client.ask(at('/'), { headers: { range: 'lines=1-2' } });
      assert.is(nonsense.status, 200);
      assert.ok(nonsense.body.equals(whole));
      assert.is(origin.hits.length, 1);
    },
  );
}

withEachClient(
  test,
  'If-Range: a part if the validator holds, else all of it',
  ranged,
  memory,
  async ({ client, cache, at }) => {
    await client.ask(at('/'));
    await cache.flush();
    const range = 'bytes=0-9';
    assert.is((await client.ask(at('/'), { headers: { range, 'if-range': '"w"' } })).status, 206);
    const other = await client.ask(at('/'), { headers: { range, 'if-range': '"other"' } });
    assert.is(other.status, 200);
    assert.ok(other.body.equals(whole));
  },
);

withEachClient(
  test,
  'a part that the origin answers with is not stored as the whole',
  () => (request, response) => {
    const isPart = request.headers.range !== undefined;
    reply(
      response,
      isPart ? 'par' : 'party',
      { ...fresh, ...(isPart && { 'Content-Range': 'bytes 0-2/5' }) },
      isPart ? 206 : 200,
    );
  },
  memory,
  async ({ client, cache, at }) => {
    const part = await client.ask(at('/'), { headers: { range: 'bytes=0-2' } });
    assert.is(part.text, 'par');
    assert.is(part.info?.reason, 'partial');
    await cache.flush();
    assert.is((await client.ask(at('/'))).text, 'party');
  },
);

withEachClient(
  test,
  "a condition of the client's own is answered with 304 from the store",
  () => always('x', { ...fresh, ETag: '"a"' }),
  memory,
  async ({ client, cache, origin, at }) => {
    await client.ask(at('/'));
    await cache.flush();
    const same = await client.ask(at('/'), { headers: { 'if-none-match': '"a"' } });
    assert.is(same.status, 304);
    assert.is(same.body.length, 0);
    const other = await client.ask(at('/'), { headers: { 'if-none-match': '"b"' } });
    assert.is(other.status, 200);
    assert.is(other.text, 'x');
    assert.is(origin.hits.length, 1);
  },
);

withEachClient(
  test,
  'redirects are stored hop by hop',
  () => (request, response) => {
    if (request.url === '/from') reply(response, '', { ...fresh, Location: '/to' }, 301);
    else reply(response, 'target', { 'Cache-Control': 'no-store' });
  },
  memory,
  async ({ client, cache, origin, at }) => {
    for (let time = 0; time < 2; time += 1) {
      assert.is((await client.ask(at('/from'))).text, 'target');
      await cache.flush();
    }
    assert.equal(origin.paths, ['/from', '/to', '/to']);
  },
);

const personal: () => Handler = () => (request, response) =>
  reply(response, `for ${request.headers.authorization ?? request.headers.cookie ?? 'nobody'}`, fresh);

for (const field of ['authorization', 'cookie']) {
  withEachClient(
    test,
    `private: two users of one process never see each other's answers (${field})`,
    personal,
    { ...memory, shared: false },
    async ({ client, cache, origin, at }) => {
      const ask = (value?: string) => client.ask(at('/'), value === undefined ? {} : { headers: { [field]: value } });
      for (const user of ['alice', 'bob', undefined]) {
        await ask(user);
        await cache.flush();
      }
      for (const user of ['alice', 'bob', undefined]) {
        const answer = await ask(user);
        assert.is(answer.text, `for ${user ?? 'nobody'}`);
        assert.is(answer.info?.status, 'hit');
      }
      assert.is(origin.hits.length, 3);
    },
  );
}

withEachClient(
  test,
  'private: concurrent users do not share a request',
  personal,
  { ...memory, shared: false },
  async ({ client, at }) => {
    const users = ['alice', 'bob', 'carol'];
    const answers = await Promise.all(users.map((user) => client.ask(at('/'), { headers: { authorization: user } })));
    assert.equal(
      answers.map(({ text }) => text),
      users.map((user) => `for ${user}`),
    );
  },
);

withEachClient(
  test,
  'private: the credentials are in no key in the clear',
  personal,
  { ...memory, shared: false },
  async ({ client, cache, at }) => {
    const answer = await client.ask(at('/'), { headers: { authorization: 'Basic c2VjcmV0' } });
    await cache.flush();
    assert.not.match(answer.info?.key ?? '', 'c2VjcmV0');
    for await (const { ref, head } of cache.entries()) assert.not.match(JSON.stringify([ref, head]), 'c2VjcmV0');
  },
);

withEachClient(
  test,
  'credentialFields: what tells users apart is up to the program',
  (): Handler => (request, response) => reply(response, `for ${request.headers['x-user']}`, fresh),
  { ...memory, shared: false, credentialFields: ['x-user'] },
  async ({ client, cache, at }) => {
    for (const user of ['a', 'b', 'a']) {
      assert.is((await client.ask(at('/'), { headers: { 'x-user': user } })).text, `for ${user}`);
      await cache.flush();
    }
  },
);

withEachClient(
  test,
  'shared: an answer to Authorization is stored only where it says so, and private never',
  () => (request, response) => {
    const control = { '/plain': 'max-age=60', '/public': 'max-age=60, public', '/private': 'max-age=60, private' }[
      request.url ?? ''
    ];
    reply(response, `for ${request.headers.authorization}`, { 'Cache-Control': control });
  },
  memory,
  async ({ client, cache, at }) => {
    for (const [path, reason] of [
      ['/plain', 'authorization'],
      ['/public', undefined],
      ['/private', 'private'],
    ] as const) {
      const answer = await client.ask(at(path), { headers: { authorization: 'alice' } });
      assert.is(answer.info?.reason, reason, path);
      await cache.flush();
      const other = await client.ask(at(path), { headers: { authorization: 'bob' } });
      assert.is(other.text, path === '/public' ? 'for alice' : 'for bob', path);
    }
  },
);

test.run();
