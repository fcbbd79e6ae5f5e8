// time limit: 300 s
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { Selector } from '../../src/index.js';
import { inDirectory } from '../engine/fixture.js';
import { type Handler, Origin, reply } from '../engine/origin.js';
import { Peer, until } from './processes-kit.js';

const test = suite('processes that share a directory');

/** Says how often it was asked, and confirms what it said first. */
const counting = (): Handler => {
  let count = 0;
  return (request, response) => {
    count += 1;
    if (request.headers['if-none-match'] !== undefined) {
      return reply(response, '', { ETag: '"1"', 'Cache-Control': 'max-age=1000', 'X-Tag': `freshened ${count}` }, 304);
    }
    const ttl = request.url?.startsWith('/stale') ? 'max-age=0' : 'max-age=1000';
    return reply(response, `answer ${count}`, { ETag: '"1"', 'Cache-Control': ttl, 'X-Tag': 'first' });
  };
};

/** Two processes with one directory. */
async function inTwo(work: (one: Peer, other: Peer, origin: Origin) => Promise<void>, memoryBytes = 0): Promise<void> {
  await inDirectory(async (directory) => {
    await using origin = await Origin.open(counting());
    const [one, other] = await Promise.all([
      Peer.open(directory, { memoryBytes }),
      Peer.open(directory, { memoryBytes }),
    ]);
    await work(one, other, origin);
    const entries = await one.ask({ kind: 'entries' });
    await Promise.all([one.close(), other.close()]);
    const again = await Peer.open(directory);
    assert.equal(await again.ask({ kind: 'entries' }), entries, 'the same after a restart');
    await again.close();
  });
}

const invalidations: readonly (readonly [string, (one: Peer, url: string) => Promise<unknown>])[] = [
  ['a prefix', (one, url) => invalidateOne(one, { prefix: url.slice(0, -1) })],
  ['a host', (one) => invalidateOne(one, { host: '127.0.0.1' })],
  ['a tag', (one) => invalidateOne(one, { tag: 't' })],
  ['a namespace', (one) => invalidateOne(one, { namespace: 'n' })],
  ['what is posted to it', (one, url) => one.get(url, { method: 'POST' })],
  ['clearing all', (one) => one.ask({ kind: 'clear' })],
];

async function invalidateOne(one: Peer, selector: Selector): Promise<void> {
  assert.is(await one.ask({ kind: 'invalidate', selector }), 1);
}

for (const memoryBytes of [0, 8 * 1024 * 1024]) {
  const where = memoryBytes === 0 ? 'on disk' : 'in memory as well';

  test(`find what another stored, replaced or had confirmed, ${where}`, () =>
    inTwo(async (one, other, origin) => {
      const url = `${origin.url}/page`;
      const cached = () => other.get(url, { mode: 'only-if-cached' });
      assert.is((await cached()).status, 504);
      await one.get(url);
      await one.ask({ kind: 'flush' });
      assert.is((await until(cached, ({ status }) => status === 200, 'what was stored')).text, 'answer 1');
      for (let i = 0; i < 3; i += 1) await cached();
      if (memoryBytes > 0) assert.is((await cached()).tier, 'memory');
      await one.get(url, { mode: 'reload' });
      await one.ask({ kind: 'flush' });
      await until(cached, ({ text }) => text === 'answer 2', 'what took its place');
      const stale = `${origin.url}/stale`;
      await other.get(stale);
      await other.ask({ kind: 'flush' });
      const confirmed = await until(
        () => one.get(stale),
        (got) => got.cache === 'revalidated',
        'one to confirm',
      );
      assert.match(String(confirmed.tag), 'freshened');
      const fresh = await until(
        () => other.get(stale),
        (got) => got.cache === 'hit',
        'its new head',
      );
      assert.match(String(fresh.tag), 'freshened');
    }, memoryBytes));

  test(`no longer use what another invalidated, ${where}`, () =>
    inTwo(async (one, other, origin) => {
      for (const [how, invalidate] of invalidations) {
        const url = `${origin.url}/page`;
        await other.get(url);
        await other.ask({ kind: 'flush' });
        for (let i = 0; i < 3; i += 1) assert.is((await other.get(url)).cache, 'hit', how);
        await invalidate(one, url);
        const cachedBy = (peer: Peer) => () => peer.get(url, { mode: 'only-if-cached' });
        assert.is((await cachedBy(one)()).status, 504, `${how}: at once by the process that asked`);
        await until(cachedBy(other), ({ status }) => status === 504, how);
      }
    }, memoryBytes));
}

test('hear of what somebody did who came and went while they were idle', () =>
  inDirectory(async (directory) => {
    await using origin = await Origin.open(counting());
    const one = await Peer.open(directory);
    await one.get(`${origin.url}/a`);
    await one.ask({ kind: 'flush' });
    const other = await Peer.open(directory);
    await other.ask({ kind: 'clear' });
    await other.get(`${origin.url}/b`);
    await other.close();
    await until(
      () => one.get(`${origin.url}/b`, { mode: 'only-if-cached' }),
      ({ status }) => status === 200,
      'b',
    );
    assert.is((await one.get(`${origin.url}/a`, { mode: 'only-if-cached' })).status, 504);
    await one.close();
  }));

test.run();
