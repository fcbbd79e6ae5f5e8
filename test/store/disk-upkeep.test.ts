// time limit: 300 s
import { open, readdir, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { isCacheError } from '../../src/errors.js';
import { openCache } from '../../src/index.js';
import type { StoreEvent } from '../../src/store/contract.js';
import type { DiskStore } from '../../src/store/disk-store.js';
import { bodyOf, bytesOf, headOf, inTemporaryDirectory, MiB, openIn, store } from './disk-fixture.js';

const test = suite('disk store, upkeep');
const sizes = [10, 70_000, 300_000, 2 * MiB + 5, 0, 5 * MiB];

async function fill(target: DiskStore): Promise<void> {
  await Promise.all(sizes.map((size, i) => store(target, `k${i}`, bytesOf(size, i))));
  for (const i of [1, 3]) {
    const [old] = await target.lookup(`k${i}`);
    assert.ok(old && (await target.updateHead(old.ref, headOf(`k${i}`, { status: 299 }))));
  }
}

async function filesIn(directory: string, folder: string): Promise<string[]> {
  const root = join(directory, 'offloop-1', folder);
  const names = await readdir(root, { recursive: true });
  const files: string[] = [];
  for (const name of names) if ((await stat(join(root, name))).isFile()) files.push(join(root, name));
  return files;
}

async function flip(path: string, at: number): Promise<void> {
  const file = await open(path, 'r+');
  const byte = Buffer.alloc(1);
  await file.read(byte, 0, 1, at);
  byte[0] = (byte[0] ?? 0) ^ 1;
  await file.write(byte, 0, 1, at);
  await file.close();
}

test('verify finds nothing where nothing is wrong, and reads every byte', () =>
  inTemporaryDirectory(async (directory) => {
    const target = await openIn(directory);
    await fill(target);
    const report = await target.verify({ repair: true });
    const { bytes, ...rest } = report;
    assert.equal(rest, { checked: sizes.length, damaged: 0, repaired: 0, orphans: 0, orphanBytes: 0 });
    assert.ok(bytes > sizes.reduce((sum, size) => sum + size));
    await target.close();
  }));

test('verify finds what is damaged, and removes that and nothing else if asked', () =>
  inTemporaryDirectory(async (directory) => {
    const events: StoreEvent[] = [];
    const target = await openIn(directory, { onEvent: (event) => events.push(event) });
    await fill(target);
    const [segment = ''] = await filesIn(directory, 'segments');
    const bodies = await filesIn(directory, 'bodies');
    const lengths = await Promise.all(bodies.map(async (path) => (await stat(path)).size));
    const long = bodies[lengths.indexOf(5 * MiB)] ?? '';
    // The body of k2, which lies in the log; the end of a body that several tasks read; a body file that is gone.
    await flip(segment, (await stat(segment)).size - 100_000);
    await flip(long, 5 * MiB - 1);
    await rm(bodies[lengths.indexOf(2 * MiB + 5)] ?? '');
    const found = await target.verify();
    assert.is(found.checked, sizes.length);
    assert.is(found.damaged, 3);
    assert.is(found.repaired, 0);
    assert.is((await target.stats()).entries, sizes.length);
    assert.equal(events, []);
    const repaired = await target.verify({ repair: true });
    assert.is(repaired.damaged, 3);
    assert.is(repaired.repaired, 3);
    assert.is(events.filter(({ type }) => type === 'corrupt').length, 3);
    assert.is((await target.stats()).entries, sizes.length - 3);
    assert.equal((await target.verify()).damaged, 0);
    await target.close();
    const again = await openIn(directory);
    const left: string[] = [];
    for await (const response of again.entries()) {
      const i = Number(response.ref.key.slice(1));
      assert.ok(bytesOf(sizes[i] ?? 0, i).equals(await bodyOf(response)));
      left.push(response.ref.key);
    }
    assert.is(left.length, sizes.length - 3);
    await again.close();
  }));

test('verify finds files that nothing refers to once they are old, and leaves foreign ones', () =>
  inTemporaryDirectory(async (directory) => {
    const target = await openIn(directory);
    await fill(target);
    const [body = ''] = await filesIn(directory, 'bodies');
    const folder = join(body, '..');
    const paths = ['00000001-00000100', '00000001-00000200', 'notes.txt'].map((name) => join(folder, name));
    for (const path of paths) await writeFile(path, 'orphan');
    const [old = '', young = '', foreign = ''] = paths;
    const { mtimeMs } = await stat(old);
    for (const path of [old, foreign]) await utimes(path, new Date(mtimeMs - 700_000), new Date(mtimeMs - 700_000));
    const found = await target.verify();
    assert.equal([found.orphans, found.orphanBytes, found.repaired], [1, 6, 0]);
    const repaired = await target.verify({ repair: true });
    assert.equal([repaired.orphans, repaired.repaired, repaired.damaged], [1, 1, 0]);
    const files = await readdir(folder);
    assert.not(files.includes('00000001-00000100'));
    assert.ok(files.includes('00000001-00000200') && files.includes('notes.txt'));
    await rm(young);
    await target.close();
  }));

test('verify goes on while responses are stored, replaced and evicted', () =>
  inTemporaryDirectory(async (directory) => {
    const events: StoreEvent[] = [];
    const onEvent = (event: StoreEvent): number => events.push(event);
    const target = await openIn(directory, { maxBytes: 12 * MiB, onEvent });
    for (let i = 0; i < 40; i += 1) await store(target, `k${i}`, bytesOf(200_000, i));
    let isDone = false;
    const verified = target.verify({ repair: true }).finally(() => {
      isDone = true;
    });
    let number = 100;
    while (!isDone || number < 140) {
      await store(target, `k${number}`, bytesOf(number % 7 === 0 ? 2 * MiB : 200_000, number));
      await target.lookup(`k${number - 20}`);
      number += 1;
    }
    const { damaged, repaired } = await verified;
    assert.equal([damaged, repaired], [0, 0]);
    assert.ok(events.every(({ type }) => type === 'evict'));
    await target.close();
  }));

test('maintain removes what is expired and gives the space back, and keeps the rest', () =>
  inTemporaryDirectory(async (directory) => {
    let nowMs = 1_000_000;
    const options = { maxBytes: 64 * MiB, segmentBytes: MiB, nowMs: () => nowMs };
    const target = await openIn(directory, options);
    const expected: string[] = [];
    for (let i = 0; i < 300; i += 1) {
      const isLasting = i % 30 === 7;
      if (isLasting) expected.push(`k${i}`);
      const expiresMs = isLasting ? Number.POSITIVE_INFINITY : 2_000_000;
      await store(target, `k${i}`, bytesOf(i % 50 === 3 ? MiB + 10 : 30_000, i), { expiresMs });
    }
    const before = (await target.stats()).bytes;
    assert.equal(await target.maintain(), { expired: 0, moved: 0, droppedSegments: 0, freedBytes: 0 });
    nowMs = 2_000_000;
    const report = await target.maintain();
    assert.is(report.expired, 290);
    assert.ok(report.droppedSegments > 5 && report.moved > 0, JSON.stringify(report));
    const { bytes, entries, counters } = await target.stats();
    assert.is(entries, expected.length);
    assert.is(counters.evicted, 0);
    assert.ok(report.freedBytes === before - bytes && bytes < before / 4, `${bytes} of ${before} bytes are left`);
    await target.close();
    const again = await openIn(directory, options);
    const keys: string[] = [];
    for await (const response of again.entries()) {
      assert.ok(bytesOf(30_000, Number(response.ref.key.slice(1))).equals(await bodyOf(response)));
      keys.push(response.ref.key);
    }
    assert.equal(keys.sort(), expected.sort());
    await again.close();
  }));

for (const memoryBytes of [0, MiB]) {
  test(`a cache with ${memoryBytes} bytes of memory can be verified and maintained`, () =>
    inTemporaryDirectory(async (directory) => {
      const cache = await openCache({ directory, memoryBytes });
      const nothing = { checked: 0, damaged: 0, repaired: 0, bytes: 0, orphans: 0, orphanBytes: 0 };
      assert.equal(await cache.verify({ repair: true }), nothing);
      assert.equal(await cache.maintain(), { expired: 0, moved: 0, droppedSegments: 0, freedBytes: 0 });
      for (const bad of [{ repair: 1 }, { fix: true }, null, 'all']) {
        const error = await cache.verify(bad as never).catch((reason: unknown) => reason);
        assert.ok(isCacheError(error) && error.code === 'ERR_CACHE_OPTIONS');
      }
      await cache.close();
      assert.equal(await cache.verify(), nothing);
    }));
}

test.run();
