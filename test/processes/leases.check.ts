// time limit: 600 s
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { type CacheOptions, openCache } from '../../src/index.js';
import { makers } from '../engine/clients.js';
import { inDirectory } from '../engine/fixture.js';
import { type Handler, Origin, reply } from '../engine/origin.js';
import { inGroup, until, waited } from './processes-kit.js';

type Response = Parameters<Handler>[1];

const test = suite('processes that ask an origin for the same');

const nothing = (): undefined => undefined;
const storable = { 'Cache-Control': 'max-age=1000' };
/** Longer than the test takes: nothing here is to come of a limit. */
const patient: Partial<CacheOptions> = { leaseMs: 600_000 };

interface Answer {
  readonly status: number;
  readonly text: string;
  readonly cache: string;
}

/** Answers when it is told to. */
class Holding {
  readonly held: { readonly path: string; readonly response: Response }[] = [];
  isOpen = false;

  readonly handler = (request: { readonly url?: string | undefined }, response: Response): void => {
    const path = request.url ?? '';
    if (this.isOpen) reply(response, path, storable);
    else this.held.push({ path, response });
  };

  open(): void {
    this.isOpen = true;
    for (const { path, response } of this.held) if (!response.destroyed) reply(response, path, storable);
  }
}

function countsOf(origin: Origin): Map<string, number> {
  const counts = new Map<string, number>();
  for (const path of origin.paths) counts.set(path, (counts.get(path) ?? 0) + 1);
  return counts;
}

for (const memoryBytes of [0, 8 * 1024 * 1024]) {
  test(`ask once for each of 200 pages that all of them want at once, ${memoryBytes === 0 ? 'without' : 'with'} memory`, () =>
    inDirectory(async (directory) => {
      await using origin = await Origin.open((request, response) => reply(response, request.url ?? '', storable));
      await inGroup(directory, ['got', 'axios', 'got', 'axios'], { ...patient, memoryBytes }, async (peers) => {
        const urls = Array.from({ length: 200 }, (_, i) => `${origin.url}/${i}`);
        const answers = await Promise.all(peers.map((peer) => peer.ask<Answer[]>({ kind: 'get-all', urls })));
        for (const ofPeer of answers) {
          assert.equal(
            ofPeer.map(({ text }) => text),
            urls.map((_, i) => `/${i}`),
          );
        }
        assert.is(origin.hits.length, 200);
        assert.is(countsOf(origin).size, 200);
        assert.is(answers.flat().filter(({ cache }) => cache === 'miss').length, 200);
      });
    }));
}

test('validate a stale response once for all', () =>
  inDirectory(async (directory) => {
    const holding: Response[] = [];
    await using origin = await Origin.open((request, response) => {
      if (request.headers['if-none-match'] === undefined) {
        return reply(response, 'page', { ETag: '"1"', 'Cache-Control': 'max-age=0' });
      }
      return holding.push(response);
    });
    await inGroup(directory, ['got', 'axios', 'got'], patient, async (peers) => {
      const url = `${origin.url}/page`;
      await peers[0]?.get(url);
      await peers[0]?.ask({ kind: 'flush' });
      for (const peer of peers) await peer.ask({ kind: 'entries' });
      const answers = peers.map((peer) => peer.get(url));
      await waited(peers, 2);
      await origin.arrived(2);
      assert.is(origin.hits.length, 2);
      for (const response of holding) reply(response, '', { ETag: '"1"', ...storable }, 304);
      const got = await Promise.all(answers);
      assert.equal(got.map(({ cache, text }) => `${cache} ${text}`).sort(), [
        'hit page',
        'hit page',
        'revalidated page',
      ]);
      assert.is(origin.hits.length, 2);
    });
  }));

test('go on with what one of them asks for when the one who asked first is killed', () =>
  inDirectory(async (directory) => {
    const origins = new Holding();
    await using origin = await Origin.open(origins.handler);
    await inGroup(directory, ['got', 'got', 'axios', 'got'], patient, async (peers) => {
      const [first, ...others] = peers;
      const urls = Array.from({ length: 10 }, (_, i) => `${origin.url}/${i}`);
      const doomed = first?.ask({ kind: 'get-all', urls }).catch(() => 'killed');
      await origin.arrived(10);
      const answers = others.map((peer) => peer.ask<Answer[]>({ kind: 'get-all', urls }));
      await waited(others, 30);
      assert.is(origin.hits.length, 10);
      await first?.kill();
      assert.is(await doomed, 'killed');
      await origin.arrived(20);
      origins.open();
      for (const ofPeer of await Promise.all(answers))
        assert.is(ofPeer.filter(({ status }) => status === 200).length, 10);
      assert.is(origin.hits.length, 20);
    });
  }));

test('go on at once when the one who was to say whose turn it is is killed', () =>
  inDirectory(async (directory) => {
    const origins = new Holding();
    await using origin = await Origin.open(origins.handler);
    await inGroup(directory, ['got', 'got', 'got', 'got'], patient, async ([first, second, third, home]) => {
      if (first === undefined || second === undefined || third === undefined) throw new Error('there is nobody');
      const urls = Array.from({ length: 60 }, (_, i) => `${origin.url}/${i}`);
      const asked = [first.ask<Answer[]>({ kind: 'get-all', urls })];
      await origin.arrived(60);
      asked.push(second.ask<Answer[]>({ kind: 'get-all', urls }), third.ask<Answer[]>({ kind: 'get-all', urls }));
      await waited([second, third], 120);
      assert.is(origin.hits.length, 60);
      await home?.kill();
      // Of the keys that it looked after, some 15 of 60.
      await origin.arrived(61);
      origins.open();
      for (const ofPeer of await Promise.all(asked))
        assert.is(ofPeer.filter(({ status }) => status === 200).length, 60);
      assert.ok(origin.hits.length < 110, `${origin.hits.length} requests: only those keys are asked for again`);
      for (const [path, count] of countsOf(origin)) assert.ok(count <= 2, `${path}: ${count}`);
    });
  }));

test('do not wait for each other with what may not be stored', () =>
  inDirectory(async (directory) => {
    const held: Response[] = [];
    await using origin = await Origin.open((_, response) => held.push(response));
    await inGroup(directory, ['got', 'axios', 'got', 'axios'], patient, async (peers) => {
      const url = `${origin.url}/private`;
      const apart = { 'Cache-Control': 'no-store' };
      const answers = peers.map((peer) => peer.get(url));
      await waited(peers, 3);
      assert.is(held.length, 1);
      for (const response of held.splice(0)) reply(response, 'first', apart);
      // None of them is answered before all of them have asked.
      await origin.arrived(4);
      for (const response of held.splice(0)) reply(response, 'later', apart);
      const texts = (await Promise.all(answers)).map(({ text }) => text).sort();
      assert.equal(texts, ['first', 'later', 'later', 'later']);
      // It is known by now: nobody waits for anybody.
      const again = peers.map((peer) => peer.get(url));
      await origin.arrived(8);
      for (const response of held.splice(0)) reply(response, 'again', apart);
      await Promise.all(again);
    });
  }));

test('do not wait for each other with what is not for the same request', () =>
  inDirectory(async (directory) => {
    const held: Response[] = [];
    await using origin = await Origin.open((_, response) => held.push(response));
    await inGroup(directory, ['got', 'axios', 'got', 'axios'], patient, async (peers) => {
      const url = `${origin.url}/page`;
      const answers = peers.map((peer, i) => peer.get(url, { language: `x-${i}` }));
      await waited(peers, 3);
      const fields = { ...storable, Vary: 'Accept-Language' };
      for (const response of held.splice(0)) reply(response, 'first', fields);
      await origin.arrived(4);
      for (const response of held.splice(0)) reply(response, 'later', fields);
      const texts = (await Promise.all(answers)).map(({ text }) => text).sort();
      assert.equal(texts, ['first', 'later', 'later', 'later']);
    });
  }));

test('wait no longer than they may', () =>
  inDirectory(async (directory) => {
    const origins = new Holding();
    await using origin = await Origin.open(origins.handler);
    await inGroup(directory, ['got', 'got'], { leaseMs: 50 }, async (peers) => {
      const url = `${origin.url}/slow`;
      const answers = peers.map((peer) => peer.get(url));
      await origin.arrived(2);
      origins.open();
      for (const { text } of await Promise.all(answers)) assert.is(text, '/slow');
    });
  }));

test('ask for themselves if they are not to wait, or not to share', () =>
  inDirectory(async (directory) => {
    const origins = new Holding();
    await using origin = await Origin.open(origins.handler);
    await inGroup(directory, ['got', 'axios'], { leaseMs: 0 }, async (peers) => {
      const answers = peers.map((peer) => peer.get(`${origin.url}/a`));
      await origin.arrived(2);
      origins.open();
      await Promise.all(answers);
    });
    origins.isOpen = false;
    await inGroup(directory, ['got', 'axios'], { ...patient, collapse: false }, async (peers) => {
      const answers = peers.map((peer) => peer.get(`${origin.url}/b`));
      await origin.arrived(4);
      origins.open();
      await Promise.all(answers);
    });
  }));

test('do not take for an answer what another asked for before it was invalidated', () =>
  inDirectory(async (directory) => {
    const origins = new Holding();
    await using origin = await Origin.open(origins.handler);
    await inGroup(directory, ['got', 'got'], patient, async ([one, other]) => {
      const urls = Array.from({ length: 8 }, (_, i) => `${origin.url}/${i}`);
      const early = one?.ask<Answer[]>({ kind: 'get-all', urls });
      await origin.arrived(8);
      await other?.ask({ kind: 'invalidate', selector: { prefix: origin.url } });
      const late = other?.ask<Answer[]>({ kind: 'get-all', urls });
      await origin.arrived(16);
      origins.open();
      for (const answers of await Promise.all([early, late])) assert.is(answers?.length, 8);
    });
  }));

test('are not held up by one that is there and does not answer', () =>
  inDirectory(async (directory) => {
    await using origin = await Origin.open((request, response) => reply(response, request.url ?? '', storable));
    await inGroup(directory, ['got', 'got', 'got'], { leaseMs: 500 }, async ([one, other, silent]) => {
      silent?.process.kill('SIGSTOP');
      const urls = Array.from({ length: 40 }, (_, i) => `${origin.url}/${i}`);
      const asked = [one, other].map((peer) => peer?.ask<Answer[]>({ kind: 'get-all', urls }));
      for (const answers of await Promise.all(asked)) {
        assert.is(answers?.filter(({ status }) => status === 200).length, 40);
      }
      silent?.process.kill('SIGCONT');
    });
  }));

for (const client of ['axios', 'got'] as const) {
  test(`let others ask for what a client of ${client} has given up while another process was asked`, () =>
    inDirectory(async (directory) => {
      await using origin = await Origin.open((request, response) => reply(response, request.url ?? '', storable));
      const [one, other] = await Promise.all([
        openCache({ directory, ...patient }),
        openCache({ directory, ...patient }),
      ]);
      for (const cache of [one, other]) {
        const peers = async () => (await cache.stats()).counters.peers;
        await until(peers, (count) => count === 1, 'the other one');
      }
      const urls = Array.from({ length: 20 }, (_, i) => `${origin.url}/${i}`);
      const leaving = new AbortController();
      const givenUp = urls.map((url) =>
        makers[client](one).ask(url, { signal: leaving.signal }).then(nothing, nothing),
      );
      leaving.abort();
      await Promise.all(givenUp);
      const answers = await Promise.all(urls.map((url) => makers[client](other).ask(url)));
      assert.equal(
        answers.map(({ text }) => text),
        urls.map((_, i) => `/${i}`),
      );
      await Promise.all([one.close(), other.close()]);
    }));
}

test('take a waiting request no further than its client does', () =>
  inDirectory(async (directory) => {
    const origins = new Holding();
    await using origin = await Origin.open(origins.handler);
    await inGroup(directory, ['got', 'axios'], patient, async ([holder, other]) => {
      const url = `${origin.url}/slow`;
      const asked = holder?.get(url);
      await origin.arrived(1);
      const failure = await other?.ask({ kind: 'get', url, timeoutMs: 100 }).then(
        () => 'answered',
        (error: unknown) => String(error),
      );
      assert.match(String(failure), /timeout|ECONNABORTED/);
      origins.open();
      assert.is((await asked)?.status, 200);
      assert.is(origin.hits.length, 1);
    });
  }));

test.run();
