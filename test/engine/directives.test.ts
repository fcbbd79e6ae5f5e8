import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { CacheOptions } from '../../src/index.js';
import type { Ask } from './clients.js';
import { entriesOf, withEachClient } from './fixture.js';
import { counting, type Fields, reply } from './origin.js';

const test = suite('what messages say to caches');

interface Row {
  readonly name: string;
  readonly fields: Fields;
  readonly options?: Partial<CacheOptions>;
  readonly first?: Ask;
  readonly second?: Ask;
  /** How much later, in seconds. */
  readonly afterSeconds?: number;
  /** How often the origin is asked, of two times. */
  readonly asked: 1 | 2;
  readonly secondStatus?: number;
}

const says = (value: string): Ask => ({ headers: { 'Cache-Control': value } });
const accepts = (value: string): Ask => ({ headers: { 'Accept-Language': value } });
const isPrivate = { shared: false } as const;

const rows: readonly Row[] = [
  { name: 'must-revalidate: reused while fresh', fields: { 'Cache-Control': 'max-age=60, must-revalidate' }, asked: 1 },
  { name: 'MAX-AGE in any case', fields: { 'Cache-Control': 'MAX-AGE=60' }, asked: 1 },
  { name: 'NO-STORE in any case', fields: { 'Cache-Control': 'NO-STORE, max-age=60' }, asked: 2 },
  { name: 'max-age twice and different: stale', fields: { 'Cache-Control': 'max-age=60, max-age=61' }, asked: 2 },
  { name: 'a lifetime without end is clamped', fields: { 'Cache-Control': `max-age=${'9'.repeat(40)}` }, asked: 1 },
  {
    name: 'a clamped lifetime ends',
    fields: { 'Cache-Control': `max-age=${'9'.repeat(40)}` },
    afterSeconds: 2 ** 31,
    asked: 2,
  },
  { name: 'no-cache: asked for each time', fields: { 'Cache-Control': 'no-cache, max-age=60' }, asked: 2 },
  { name: 'no-cache of a field: reused', fields: { 'Cache-Control': 'no-cache="x-count", max-age=60' }, asked: 1 },
  {
    name: 'private of a field: stored without it',
    fields: { 'Cache-Control': 'private="x-user", max-age=60' },
    asked: 1,
  },
  { name: 'private: not in a shared cache', fields: { 'Cache-Control': 'private, max-age=60' }, asked: 2 },
  {
    name: 'private: in a private cache',
    fields: { 'Cache-Control': 'private, max-age=60' },
    options: isPrivate,
    asked: 1,
  },
  { name: 's-maxage in a shared cache', fields: { 'Cache-Control': 's-maxage=60, max-age=0' }, asked: 1 },
  {
    name: 's-maxage in a private cache',
    fields: { 'Cache-Control': 's-maxage=60, max-age=0' },
    options: isPrivate,
    asked: 2,
  },
  {
    name: 'must-understand lifts no-store for a status that is understood',
    fields: { 'Cache-Control': 'must-understand, no-store, max-age=60' },
    asked: 1,
  },
  { name: 'Expires that is no date: stale', fields: { Expires: 'soon' }, asked: 2 },
  { name: 'Vary: a star inside a list', fields: { 'Cache-Control': 'max-age=60', Vary: 'Accept, *' }, asked: 2 },
  {
    name: 'Vary: the same in other words',
    fields: { 'Cache-Control': 'max-age=60', Vary: 'Accept-Language' },
    first: accepts('de,  en;q=0.50'),
    second: accepts('EN;q=0.5,de'),
    asked: 1,
  },
  {
    name: 'immutable: not even validated on reload',
    fields: { 'Cache-Control': 'max-age=60, immutable' },
    second: { cache: { mode: 'no-cache' } },
    asked: 1,
  },
  { name: 'no-cache in the request', fields: { 'Cache-Control': 'max-age=60' }, second: says('no-cache'), asked: 2 },
  {
    name: 'Pragma in the request',
    fields: { 'Cache-Control': 'max-age=60' },
    second: { headers: { Pragma: 'no-cache' } },
    asked: 2,
  },
  {
    name: 'max-age in the request',
    fields: { 'Cache-Control': 'max-age=60' },
    second: says('max-age=5'),
    afterSeconds: 6,
    asked: 2,
  },
  {
    name: 'min-fresh that is met',
    fields: { 'Cache-Control': 'max-age=60' },
    second: says('min-fresh=50'),
    afterSeconds: 10,
    asked: 1,
  },
  {
    name: 'min-fresh that is not met',
    fields: { 'Cache-Control': 'max-age=60' },
    second: says('min-fresh=51'),
    afterSeconds: 10,
    asked: 2,
  },
  {
    name: 'max-stale that is met',
    fields: { 'Cache-Control': 'max-age=60' },
    second: says('max-stale=5'),
    afterSeconds: 65,
    asked: 1,
  },
  {
    name: 'max-stale that is not met',
    fields: { 'Cache-Control': 'max-age=60' },
    second: says('max-stale=5'),
    afterSeconds: 66,
    asked: 2,
  },
  {
    name: 'max-stale against must-revalidate',
    fields: { 'Cache-Control': 'max-age=60, must-revalidate' },
    second: says('max-stale'),
    afterSeconds: 61,
    asked: 2,
  },
  {
    name: 'only-if-cached: what is fresh',
    fields: { 'Cache-Control': 'max-age=60' },
    second: says('only-if-cached'),
    asked: 1,
  },
  {
    name: 'only-if-cached: 504 for what is not',
    fields: { 'Cache-Control': 'max-age=60' },
    second: says('only-if-cached'),
    afterSeconds: 61,
    asked: 1,
    secondStatus: 504,
  },
];

for (const { name, fields, options = {}, first, second, afterSeconds = 0, asked, secondStatus = 200 } of rows) {
  withEachClient(
    test,
    name,
    () => counting(fields),
    { tier: 'memory', ...options },
    async ({ client, cache, clock, origin, at }) => {
      await client.ask(at('/'), first);
      await cache.flush();
      clock.advanceSeconds(afterSeconds);
      const answer = await client.ask(at('/'), second);
      assert.is(answer.status, secondStatus);
      if (secondStatus === 200) assert.is(answer.text, `/ ${asked}`);
      assert.is(origin.hits.length, asked);
    },
  );
}

withEachClient(
  test,
  'a qualified private keeps its field from others, and the rest is shared',
  () => counting({ 'Cache-Control': 'private="X-User", max-age=60', 'X-User': 'alice', 'X-Page': 'all' }),
  { tier: 'memory' },
  async ({ client, cache, at }) => {
    assert.is((await client.ask(at('/'))).headers['x-user'], 'alice');
    await cache.flush();
    const answer = await client.ask(at('/'));
    assert.is(answer.info?.status, 'hit');
    assert.is(answer.headers['x-user'], undefined);
    assert.is(answer.headers['x-page'], 'all');
  },
);

for (const [etag, status] of [
  ['"a"', 'hit'],
  ['"b"', 'miss'],
] as const) {
  withEachClient(
    test,
    `HEAD with ${etag === '"a"' ? 'the same' : 'another'} validator ${status === 'hit' ? 'freshens' : 'outdates'} what GET has stored`,
    // It says 200 to the condition of ours, so that HEAD's own rules count (RFC 9111 §4.3.5).
    () => (request, response) => {
      const tag = request.method === 'HEAD' ? etag : '"a"';
      response.writeHead(200, { 'Cache-Control': 'max-age=60', ETag: tag, 'Content-Length': '4' });
      response.end(request.method === 'HEAD' ? undefined : 'four');
    },
    { tier: 'memory' },
    async ({ client, cache, clock, at }) => {
      await client.ask(at('/'));
      await cache.flush();
      clock.advanceSeconds(61);
      await client.ask(at('/'), { method: 'HEAD' });
      await cache.flush();
      const answer = await client.ask(at('/'));
      assert.is(answer.info?.status, status);
      assert.is(answer.text, 'four');
      assert.is(await entriesOf(cache), 1);
    },
  );
}

withEachClient(
  test,
  'concurrent requests of two users share nothing that is for one of them, in a shared cache either',
  () => (request, response) =>
    reply(response, `for ${request.headers.authorization}`, { 'Cache-Control': 'max-age=60' }),
  { tier: 'memory' },
  async ({ client, cache, at }) => {
    const users = ['alice', 'bob', 'carol'];
    const ask = (user: string) => client.ask(at('/'), { headers: { Authorization: user } });
    const answers = await Promise.all(users.map(ask));
    assert.equal(
      answers.map(({ text }) => text),
      users.map((user) => `for ${user}`),
    );
    await cache.flush();
    assert.is(await entriesOf(cache), 0);
  },
);

test.run();
