// time limit: 300 s
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { readdir, readFile, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { type Cache, openCache, type RequestOptions } from '../../src/index.js';
import { bytesOf } from '../contract/contract-kit.js';
import { Peer } from '../processes/processes-kit.js';
import { blocksOf, MiB } from '../store/disk-fixture.js';
import { gotClient, makers } from './clients.js';
import { type Bench, inDirectory, onBench, withEachClient } from './fixture.js';
import { type Handler, Origin, reply } from './origin.js';

const test = suite('deduplication');
const long = 1.5 * MiB;
/** What the client of a `Peer` has. */
const peerDefaults = { namespace: 'n' };

/** A path's first word says which body it has. */
function bodyAt(path: string): Buffer {
  return Buffer.alloc(long, bytesOf(100_003, Number(path.split('/')[1])));
}

const bodies: Handler = (request, response) =>
  reply(response, bodyAt(request.url ?? ''), { 'Cache-Control': 'max-age=86400', ETag: '"1"' });

async function bodyFiles(directory: string): Promise<string[]> {
  const folder = join(directory, 'offloop-1', 'bodies');
  const names = await readdir(folder, { recursive: true, withFileTypes: true });
  return names.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
}

async function filesOnDisk(directory: string): Promise<number> {
  const files = await Promise.all((await bodyFiles(directory)).map((path) => stat(path)));
  return new Set(files.map(({ ino }) => ino)).size;
}

async function assertCounted(cache: Cache, directory: string): Promise<void> {
  await cache.flush();
  const [{ bytes }, real] = [await cache.stats(), await blocksOf(directory)];
  assert.ok(Math.abs(bytes / real - 1) < 0.1, `says ${bytes}, takes ${real}`);
}

async function assertHit(
  { client, at }: Bench,
  path: string,
  body = bodyAt(path),
  cache: RequestOptions = {},
): Promise<void> {
  const answer = await client.ask(at(path), { cache });
  assert.is(answer.info?.status, 'hit', path);
  assert.ok(answer.body.equals(body), `bytes of ${path}`);
}

/** Stores them, one after the other. */
async function fetchAll({ client, cache, at }: Bench, paths: readonly string[]): Promise<void> {
  for (const path of paths) await client.ask(at(path));
  await cache.flush();
}

withEachClient(
  test,
  'two URLs with one long body take the space of one, also when the cache is opened again',
  () => bodies,
  {},
  async (bench) => {
    await fetchAll(bench, ['/1/a', '/1/b']);
    const { counters, bytes, entries } = await bench.cache.stats();
    assert.is(entries, 2);
    assert.equal([counters.deduplicated, counters.deduplicatedBytes], [1, long]);
    assert.ok(bytes < 1.1 * long, `${bytes} bytes`);
    assert.is((await bodyFiles(bench.directory)).length, 2);
    assert.is(await filesOnDisk(bench.directory), 1);
    await assertCounted(bench.cache, bench.directory);
    await bench.reopen();
    await assertCounted(bench.cache, bench.directory);
    for (const path of ['/1/a', '/1/b']) await assertHit(bench, path);
    // What an earlier session stored is known as well.
    await fetchAll(bench, ['/1/c']);
    assert.is(await filesOnDisk(bench.directory), 1);
    await assertCounted(bench.cache, bench.directory);
  },
);

test('bodies that are stored at the same time share a file too', () =>
  onBench(gotClient, bodies, {}, async (bench) => {
    const paths = Array.from({ length: 12 }, (_, i) => `/${i % 2}/${i}`);
    await Promise.all(paths.map((path) => bench.client.ask(bench.at(path))));
    await bench.cache.flush();
    assert.is((await bench.cache.stats()).counters.deduplicated, 10);
    assert.is(await filesOnDisk(bench.directory), 2);
    await assertCounted(bench.cache, bench.directory);
    for (const path of paths) await assertHit(bench, path);
  }));

for (const [gone, left] of [
  ['/1/a', '/1/b'],
  ['/1/b', '/1/a'],
] as const) {
  test(`what is left is whole and right when ${gone} was removed`, () =>
    onBench(gotClient, bodies, { lock: 'exclusive' }, async (bench) => {
      await fetchAll(bench, ['/1/a', '/1/b']);
      assert.is(await bench.cache.delete(bench.at(gone)), true);
      await assertHit(bench, left);
      await assertCounted(bench.cache, bench.directory);
      await bench.reopen();
      await assertHit(bench, left);
      await assertCounted(bench.cache, bench.directory);
      assert.is((await bodyFiles(bench.directory)).length, 1);
      // It comes back, as a link to what is left.
      await fetchAll(bench, [gone]);
      assert.is(await filesOnDisk(bench.directory), 1);
      for (const path of [left, gone]) await bench.cache.delete(bench.at(path));
      await bench.reopen();
      assert.equal(await bodyFiles(bench.directory), []);
      assert.ok((await bench.cache.stats()).bytes < MiB);
    }));

  test(`what is left is whole and right when ${gone} was replaced`, () => {
    const replaced = new Set<string>();
    const handler: Handler = (request, response) => {
      const path = request.url ?? '';
      reply(response, bodyAt(replaced.has(path) ? '/2' : path), { 'Cache-Control': 'max-age=86400' });
    };
    return onBench(gotClient, handler, { lock: 'exclusive' }, async (bench) => {
      await fetchAll(bench, ['/1/a', '/1/b']);
      replaced.add(gone);
      await bench.client.ask(bench.at(gone), { cache: { mode: 'reload' } });
      await bench.cache.flush();
      for (let opened = 0; opened < 2; opened += 1) {
        await assertHit(bench, left);
        await assertHit(bench, gone, bodyAt('/2'));
        await assertCounted(bench.cache, bench.directory);
        await bench.reopen();
      }
      assert.is(await filesOnDisk(bench.directory), 2);
    });
  });
}

test('a head that a 304 freshens keeps the file that it shares', () => {
  const handler: Handler = (request, response) => {
    const fields = { 'Cache-Control': 'max-age=60', ETag: '"1"' };
    if (request.headers['if-none-match'] === '"1"') reply(response, '', fields, 304);
    else reply(response, bodyAt(request.url ?? ''), fields);
  };
  return onBench(gotClient, handler, { lock: 'exclusive' }, async (bench) => {
    await fetchAll(bench, ['/1/a', '/1/b']);
    bench.clock.advanceSeconds(100);
    assert.is((await bench.client.ask(bench.at('/1/b'))).info?.status, 'revalidated');
    await bench.cache.flush();
    await assertCounted(bench.cache, bench.directory);
    await bench.cache.delete(bench.at('/1/a'));
    await bench.reopen();
    await assertHit(bench, '/1/b');
    await assertCounted(bench.cache, bench.directory);
  });
});

test('eviction holds the budget, and never takes a body from those that stay', () =>
  onBench(gotClient, bodies, { maxBytes: 12 * MiB, lock: 'exclusive' }, async (bench) => {
    for (let i = 0; i < 14; i += 1) {
      // Each body comes under three URLs, not one after the other.
      await fetchAll(bench, [`/${i}/a`, `/${i}/b`, `/${Math.max(0, i - 1)}/c`]);
    }
    const { counters, bytes } = await bench.cache.stats();
    assert.ok((counters.evicted ?? 0) > 15 && (counters.deduplicated ?? 0) > 15, JSON.stringify(counters));
    assert.ok(bytes <= 12 * MiB);
    for (let opened = 0; opened < 2; opened += 1) {
      await assertCounted(bench.cache, bench.directory);
      let entries = 0;
      for await (const { head, openBody } of bench.cache.entries()) {
        const chunks: Buffer[] = [];
        for await (const chunk of openBody()) chunks.push(chunk);
        assert.ok(Buffer.concat(chunks).equals(bodyAt(new URL(head.url).pathname)), head.url);
        entries += 1;
      }
      const files = await filesOnDisk(bench.directory);
      assert.ok(files > 1 && files < entries, `${entries} responses in ${files} files`);
      await bench.reopen();
    }
  }));

/** Other bytes with the same CRC-32, wherever the block begins: the polynomial itself was added to them. */
function forged(body: Buffer): Buffer {
  const other = Buffer.from(body);
  [...(0x104c11db7).toString(2)].forEach((bit, i) => {
    const at = 1000 + (i >> 3);
    if (bit === '1') other[at] = (other[at] ?? 0) ^ (1 << (i & 7));
  });
  return other;
}

test('bodies that differ stay apart, even if their length and all their checksums agree', () => {
  const one = bytesOf(long, 1);
  const other = forged(one);
  assert.is(crc32(other), crc32(one));
  assert.not.ok(other.equals(one));
  const content = new Map([
    ['/one', one],
    ['/other', other],
    ['/third', bytesOf(long, 3)],
    ['/again', one],
  ]);
  const handler: Handler = (request, response) =>
    reply(response, content.get(request.url ?? '') ?? '', { 'Cache-Control': 'max-age=86400' });
  return onBench(gotClient, handler, { lock: 'exclusive' }, async (bench) => {
    await fetchAll(bench, ['/one', '/other', '/third']);
    assert.is((await bench.cache.stats()).counters.deduplicated, 0);
    assert.is(await filesOnDisk(bench.directory), 3);
    await fetchAll(bench, ['/again']);
    for (let opened = 0; opened < 2; opened += 1) {
      await assertCounted(bench.cache, bench.directory);
      for (const [path, body] of content) await assertHit(bench, path, body);
      await bench.reopen();
    }
  });
});

test('a file that was damaged or is gone is not linked to', async () => {
  for (const harm of ['damaged', 'gone', 'cut off']) {
    await onBench(gotClient, bodies, {}, async (bench) => {
      await fetchAll(bench, ['/1/a']);
      const [file = ''] = await bodyFiles(bench.directory);
      const bytes = await readFile(file);
      bytes[long - 1] = (bytes[long - 1] ?? 0) ^ 1;
      if (harm === 'gone') await rm(file);
      else await writeFile(file, harm === 'damaged' ? bytes : bytes.subarray(0, long - 1));
      await fetchAll(bench, ['/1/b']);
      await assertHit(bench, '/1/b');
      assert.is((await bench.cache.stats()).counters.deduplicated, 0, harm);
      // From here on, the good one is what others are linked to.
      await fetchAll(bench, ['/1/c']);
      assert.is((await bench.cache.stats()).counters.deduplicated, 1, harm);
      await assertHit(bench, '/1/c');
    });
  }
});

test('a link is as new as the response that it is for: nobody takes it for something old that was left behind', () =>
  onBench(gotClient, bodies, {}, async (bench) => {
    await fetchAll(bench, ['/1/a']);
    const [file = ''] = await bodyFiles(bench.directory);
    await utimes(file, 1000, 1000);
    await fetchAll(bench, ['/1/b']);
    assert.is((await bench.cache.stats()).counters.deduplicated, 1);
    for (const path of await bodyFiles(bench.directory)) assert.ok((await stat(path)).mtimeMs > 1_000_000_000, path);
    const { damaged, orphans } = await bench.cache.verify({ repair: true });
    assert.equal([damaged, orphans], [0, 0]);
  }));

test('deduplicate: false keeps a file for every body', () =>
  onBench(gotClient, bodies, { deduplicate: false }, async (bench) => {
    await fetchAll(bench, ['/1/a', '/1/b']);
    assert.is((await bench.cache.stats()).counters.deduplicated, 0);
    assert.is(await filesOnDisk(bench.directory), 2);
    await assertCounted(bench.cache, bench.directory);
    await bench.reopen();
    await assertCounted(bench.cache, bench.directory);
  }));

test('processes link to what the others stored, count it once, and lose nothing when one of them removes its own', () =>
  onBench(gotClient, bodies, {}, async (bench) => {
    await fetchAll(bench, ['/1/a']);
    const peer = await Peer.open(bench.directory);
    try {
      await peer.get(bench.at('/1/b'));
      await peer.ask({ kind: 'flush' });
      assert.is(await filesOnDisk(bench.directory), 1);
      const { namespace } = peerDefaults;
      await assertHit(bench, '/1/b', bodyAt('/1/b'), { namespace });
      await assertCounted(bench.cache, bench.directory);
      await bench.cache.delete(bench.at('/1/a'));
      await bench.reopen();
      await assertHit(bench, '/1/b', bodyAt('/1/b'), { namespace });
      await assertCounted(bench.cache, bench.directory);
    } finally {
      await peer.close();
    }
  }));

/** Crawls in a child until it has acknowledged `batches`, and kills it while it goes on; resolves to the pages that were acknowledged. */
async function crawlAndKill(directory: string, origin: Origin, from: number, batches: number): Promise<number[]> {
  const child: ChildProcess = fork(new URL('kill-child.js', import.meta.url), [directory, origin.url, String(from)]);
  const exited = once(child, 'exit');
  const acknowledged: number[] = [];
  let count = 0;
  await new Promise<void>((resolve, reject) => {
    child.on('message', (batch) => {
      acknowledged.push(...(batch as number[]));
      count += 1;
      if (count === batches) origin.arrived(origin.hits.length + (from % 7)).then(resolve, reject);
    });
    child.once('exit', (code) => reject(new Error(`the child ended by itself, with ${code}`)));
  });
  child.kill('SIGKILL');
  await exited;
  return acknowledged;
}

test('keeps every shared body that flush acknowledged when the process is killed, whatever was removed between', () =>
  inDirectory(async (directory) => {
    const contents = [1, 2, 3].map((seed) => bytesOf(MiB + 200_000, seed));
    const bodyOf = (page: number): Buffer => contents[page % contents.length] ?? Buffer.alloc(0);
    await using origin = await Origin.open((request, response) =>
      reply(response, bodyOf(Number((request.url ?? '').slice(1))), { 'Cache-Control': 'max-age=86400' }),
    );
    const kept = new Set<number>();
    for (let kill = 0; kill < 5; kill += 1) {
      const next = 1 + Math.max(-1, ...origin.paths.map((path) => Number(path.slice(1))));
      for (const page of await crawlAndKill(directory, origin, next, 1 + (kill % 2))) kept.add(page);
      await using cache = await openCache({ directory, maxBytes: 256 * MiB });
      await assertCounted(cache, directory);
      const client = makers.got(cache);
      const hits = origin.hits.length;
      for (const page of kept) {
        const answer = await client.ask(`${origin.url}/${page}`);
        assert.is(answer.info?.status, 'hit', `page ${page} after kill ${kill}`);
        assert.ok(answer.body.equals(bodyOf(page)), `bytes of page ${page} after kill ${kill}`);
      }
      assert.is(origin.hits.length, hits);
      // The oldest of each: what was linked to goes first.
      for (const page of [...kept].slice(0, 5)) {
        assert.is(await cache.delete(`${origin.url}/${page}`), true);
        kept.delete(page);
      }
      const { damaged } = await cache.verify();
      assert.is(damaged, 0);
    }
    assert.ok(kept.size >= 8);
    assert.ok((await filesOnDisk(directory)) < kept.size / 2, 'they share files');
  }));

test.run();
