// time limit: 600 s
import { readdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { randomOf } from '../contract/contract-kit.js';
import { inDirectory } from '../engine/fixture.js';
import { type Handler, Origin, reply } from '../engine/origin.js';
import { bodyOfPage, pages } from './crawl.js';
import { Peer, until } from './processes-kit.js';

const test = suite('processes that write one directory at once');

/** Has another version of a page whenever it is asked for it, unless that is confirmed. */
const versions = (): Handler => {
  const versionOf = Array.from({ length: pages }, () => 0);
  return (request, response) => {
    const page = Number((request.url ?? '').slice(1).replace(/\?.*/, ''));
    const version = versionOf[page] ?? 0;
    const fields = { 'X-Page': String(page), 'Cache-Control': 'max-age=1000' };
    const isConfirmed = request.headers['if-none-match'] === `"${version}"` && version % 3 === 0;
    if (isConfirmed) return reply(response, '', { ...fields, ETag: `"${version}"` }, 304);
    versionOf[page] = version + 1;
    const next = { ...fields, ETag: `"${version + 1}"`, 'X-Version': String(version + 1) };
    return reply(response, bodyOfPage(page, version + 1), next);
  };
};

interface Stats {
  readonly entries: number;
  readonly bytes: number;
  readonly counters: Readonly<Record<string, number>>;
}

function bytesIn(directory: string): number {
  let bytes = 0;
  for (const name of readdirSync(directory, { recursive: true, encoding: 'utf8' })) {
    const here = statSync(join(directory, name), { throwIfNoEntry: false });
    if (here?.isFile() === true) bytes += here.size;
  }
  return bytes;
}

/** All processes come to have the same, and a new one finds it. */
async function assertAgreement(directory: string, peers: readonly Peer[]): Promise<void> {
  const [first, ...others] = peers;
  if (first === undefined) throw new Error('there is nobody');
  for (const peer of peers) await peer.ask({ kind: 'flush' });
  const entries = await first.ask({ kind: 'entries' });
  for (const other of others) assert.equal(await other.ask({ kind: 'entries' }), entries);
  const another = await Peer.open(directory);
  assert.equal(await another.ask({ kind: 'entries' }), entries, 'in a new process');
  await another.close();
}

test('give nobody a torn or mixed answer, whoever is killed, and agree in the end', () =>
  inDirectory(async (directory) => {
    await using origin = await Origin.open(versions());
    const random = randomOf(7);
    const open = () => Peer.open(directory, { memoryBytes: random() % 2 === 0 ? 0 : 4 * 1024 * 1024 });
    const peers = await Promise.all([open(), open(), open()]);
    for (let round = 0; round < 3; round += 1) {
      const victim = random() % peers.length;
      const crawls = peers.map((peer) =>
        peer.ask<string[]>({ kind: 'crawl', url: origin.url, seed: random(), requests: 80 }),
      );
      const doomed = crawls[victim]?.catch(() => []);
      await origin.arrived(origin.hits.length + 20 + (random() % 40));
      await peers[victim]?.kill();
      await doomed;
      const faults = await Promise.all(crawls.filter((_, i) => i !== victim));
      assert.equal(faults.flat(), []);
      peers[victim] = await open();
    }
    for (const peer of peers) {
      const { counters } = await peer.ask<Stats>({ kind: 'stats' });
      assert.is(counters.corrupt ?? counters['disk.corrupt'], 0);
    }
    await assertAgreement(directory, peers);
    await Promise.all(peers.map((peer) => peer.close()));
    assert.equal(readdirSync(join(directory, 'offloop-1', 'tmp')), []);
  }));

test('keep one budget together, and take what another has dropped for a miss', () =>
  inDirectory(async (directory) => {
    await using origin = await Origin.open(versions());
    const maxBytes = 2 * 1024 * 1024;
    const options = { maxBytes, maxEntryBytes: 100_000 };
    const peers = await Promise.all([Peer.open(directory, options), Peer.open(directory, options)]);
    for (let round = 0; round < 3; round += 1) {
      const crawls = peers.map((peer, i) =>
        peer.ask<string[]>({ kind: 'crawl', url: origin.url, seed: 10 * round + i, requests: 240, copies: 40 }),
      );
      assert.equal((await Promise.all(crawls)).flat(), []);
      for (const peer of peers) await peer.ask({ kind: 'flush' });
      const bytes = bytesIn(directory);
      // A segment more for the one who leaves it to the other to make room, and the last one of each.
      assert.ok(bytes <= maxBytes + 3 * 256 * 1024, `${bytes} bytes after round ${round}`);
    }
    let evicted = 0;
    for (const peer of peers) {
      const { counters } = await peer.ask<Stats>({ kind: 'stats' });
      evicted += counters.evicted ?? 0;
      assert.is(counters.corrupt, 0);
    }
    assert.ok(evicted > 0, 'something was evicted');
    await Promise.all(peers.map((peer) => peer.close()));
  }));

test('leave alone what a living one is writing, and sweep what a dead one left', () =>
  inDirectory(async (directory) => {
    const living = await Peer.open(directory);
    const dying = await Peer.open(directory);
    const root = join(directory, 'offloop-1');
    const owners = readdirSync(root).filter((name) => name.startsWith('owner-'));
    assert.is(owners.length, 2);
    for (const owner of owners) writeFileSync(join(root, 'tmp', `${owner.slice(6)}-000000ff`), 'x');
    await dying.kill();
    const next = await Peer.open(directory);
    const left = readdirSync(join(root, 'tmp'));
    assert.is(left.length, 1, left.join());
    assert.ok(readdirSync(root).includes(`owner-${left[0]?.slice(0, 8)}`));
    await until(
      async () => readdirSync(root).filter((name) => name.startsWith('owner-')).length,
      (count) => count === 2,
      'two owners',
    );
    await Promise.all([living.close(), next.close()]);
  }));

test('refuse one who wants it alone, with the name of the first, and are refused by it', () =>
  inDirectory(async (directory) => {
    const failure = async (lock: 'shared' | 'exclusive'): Promise<string> => {
      const peer = await Peer.open(directory, { lock }).catch((error: unknown) => String(error));
      return typeof peer === 'string' ? peer : 'open';
    };
    const shared = await Peer.open(directory);
    const toAlone = await failure('exclusive');
    assert.match(toAlone, `ERR_CACHE_LOCKED`);
    assert.match(toAlone, `in use by process ${shared.process.pid}`);
    await shared.kill();
    const alone = await Peer.open(directory, { lock: 'exclusive' });
    for (const lock of ['shared', 'exclusive'] as const) {
      assert.match(await failure(lock), `exclusive use by process ${alone.process.pid}`);
    }
    await alone.kill();
    await (await Peer.open(directory)).close();
  }));

test.run();
