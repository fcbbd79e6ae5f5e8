// time limit: 300 s
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmdirSync } from 'node:fs';
import { statfs, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { StoreEvent } from '../../src/store/contract.js';
import type { DiskStore } from '../../src/store/disk-store.js';
import { blocksOf, bodyOf, bytesOf, headOf, inTemporaryDirectory, MiB, openIn, store } from './disk-fixture.js';

const test = suite('disk store, budget');
const bodyBytes = 20_000;

async function fill(target: DiskStore, from: number, to: number): Promise<void> {
  for (let i = from; i < to; i += 1) await store(target, `k${i}`, bytesOf(bodyBytes, i));
}

async function numbersIn(target: DiskStore): Promise<number[]> {
  const numbers: number[] = [];
  for await (const response of target.entries()) {
    const number = Number(response.ref.key.slice(1));
    assert.ok(bytesOf(response.bodyBytes, number).equals(await bodyOf(response)), `body ${number}`);
    numbers.push(number);
  }
  return numbers.sort((a, b) => a - b);
}

test('what was used since it was stored outlives what was not, also in the next process', () =>
  inTemporaryDirectory(async (directory) => {
    const options = { maxBytes: 8 * MiB };
    const first = await openIn(directory, options);
    const hot = [3, 50, 77, 120, 250];
    for (let i = 0; i < 1500; i += 10) {
      await fill(first, i, i + 10);
      for (const number of hot)
        if (number < i) assert.is((await first.lookup(`k${number}`)).length, 1, `${number} at ${i}`);
    }
    const { counters, bytes } = await first.stats();
    assert.ok((counters.evicted ?? 0) > 900, `${counters.evicted} were evicted`);
    assert.ok((counters.reinserted ?? 0) > hot.length, `${counters.reinserted} were written again`);
    assert.ok(bytes <= options.maxBytes);
    const before = await numbersIn(first);
    for (const number of hot) assert.ok(before.includes(number), `${number} is there`);
    await first.close();
    const second = await openIn(directory, options);
    assert.equal(await numbersIn(second), before);
    await second.close();
  }));

test('a higher priority stays longer, until it has expired', () =>
  inTemporaryDirectory(async (directory) => {
    let nowMs = 1_000_000;
    const target = await openIn(directory, { maxBytes: 8 * MiB, nowMs: () => nowMs });
    for (let i = 0; i < 6; i += 1) {
      const expiresMs = i % 2 === 0 ? 2_000_000 : Number.POSITIVE_INFINITY;
      await store(target, `k${i}`, bytesOf(bodyBytes, i), { priority: 3, expiresMs });
    }
    await fill(target, 6, 1200);
    const there = await numbersIn(target);
    assert.equal(there.slice(0, 6), [0, 1, 2, 3, 4, 5]);
    nowMs = 2_000_000;
    await fill(target, 1200, 2400);
    assert.equal((await numbersIn(target)).slice(0, 3), [1, 3, 5]);
    await target.close();
  }));

test('makes room even when everything was used, and never takes more than the budget', () =>
  inTemporaryDirectory(async (directory) => {
    const maxBytes = 6 * MiB;
    const target = await openIn(directory, { maxBytes });
    for (let i = 0; i < 900; i += 10) {
      await fill(target, i, i + 10);
      for (let used = i; used < i + 10; used += 1) assert.is((await target.lookup(`k${used}`)).length, 1);
      if (i % 50 === 0) {
        assert.ok((await target.stats()).bytes <= maxBytes);
        assert.ok((await blocksOf(join(directory, 'offloop-1', 'segments'))) <= maxBytes);
      }
    }
    assert.ok((await numbersIn(target)).includes(899));
    await target.close();
  }));

test('evicts long bodies one by one, unused ones first', () =>
  inTemporaryDirectory(async (directory) => {
    const maxBytes = 24 * MiB;
    const target = await openIn(directory, { maxBytes });
    const long = (number: number): Promise<unknown> => store(target, `k${number}`, bytesOf(2 * MiB, number));
    for (let number = 0; number < 40; number += 1) {
      await long(number);
      await target.lookup('k2');
      const { bytes } = await target.stats();
      assert.ok(bytes <= maxBytes && (number < 20 || bytes > maxBytes - 5 * MiB), `${bytes} bytes after ${number}`);
    }
    const there = await numbersIn(target);
    assert.is(there[0], 2);
    assert.equal(
      there.slice(1),
      Array.from({ length: there.length - 1 }, (_, i) => 41 - there.length + i),
    );
    await target.close();
    const again = await openIn(directory, { maxBytes });
    assert.equal(await numbersIn(again), there);
    await again.close();
  }));

test('what was removed, replaced or invalidated stays away whatever is moved meanwhile', () =>
  inTemporaryDirectory(async (directory) => {
    const options = { maxBytes: 5 * MiB };
    let state = 7;
    const random = (below: number): number => {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
      return Math.floor((state / 2 ** 32) * below);
    };
    const current = new Map<string, number>();
    const checkAll = async (target: DiskStore): Promise<void> => {
      for (let key = 0; key < 120; key += 1) {
        const found = await target.lookup(`k${key}`);
        assert.ok(found.length <= 1, `k${key} once`);
        const [response] = found;
        if (response === undefined) continue;
        assert.is(response.head.metadata, current.get(`k${key}`), `k${key}`);
        assert.ok(
          bytesOf(response.bodyBytes, Number(response.head.ttlMs)).equals(await bodyOf(response)),
          `body of k${key}`,
        );
      }
    };
    for (let round = 0; round < 5; round += 1) {
      const target = await openIn(directory, options);
      await checkAll(target);
      for (let step = 0; step < 220; step += 1) {
        const number = round * 1000 + step;
        const key = `k${random(120)}`;
        const [old] = await target.lookup(key);
        const what = random(10);
        const work: Promise<unknown>[] = [];
        if (what < 6) {
          const head = headOf(key, { metadata: number, ttlMs: number });
          const bytes = what === 0 ? MiB + 5000 : 30_000 + random(60_000);
          work.push(store(target, key, bytesOf(bytes, number), { head, ...(old && { replaces: [old.ref] }) }));
          current.set(key, number);
        } else if (old !== undefined && what < 8) {
          const head = headOf(key, { metadata: number, ttlMs: Number(old.head.ttlMs) });
          // It may be evicted meanwhile.
          work.push(target.updateHead(old.ref, head));
          current.set(key, number);
        } else if (old !== undefined && what < 9) {
          work.push(target.remove(old.ref));
          current.delete(key);
        } else {
          work.push(target.invalidate({ key }));
          current.delete(key);
        }
        work.push(target.lookup(`k${random(120)}`));
        await Promise.all(work);
      }
      await checkAll(target);
      const { counters } = await target.stats();
      assert.ok((counters.reinserted ?? 0) > 0, 'something was moved');
      assert.is(counters.corrupt, 0);
      await target.close();
    }
  }));

test('holds no more responses than maxEntries, and lets go of unused ones', () =>
  inTemporaryDirectory(async (directory) => {
    const maxEntries = 100;
    const target = await openIn(directory, { maxEntries });
    await fill(target, 0, 10);
    for (let i = 10; i < 400; i += 10) {
      await fill(target, i, i + 10);
      await target.lookup('k4');
      assert.ok((await target.stats()).entries <= maxEntries);
    }
    await Promise.all(Array.from({ length: 60 }, (_, i) => store(target, `k${1000 + i}`, bytesOf(10, 1000 + i))));
    await target.flush();
    const { entries, counters } = await target.stats();
    assert.is(entries, maxEntries);
    assert.is(counters.evicted, 360);
    const there = await numbersIn(target);
    assert.ok(there.includes(4) && there.includes(1059));
    await target.close();
    const fewer = await openIn(directory, { maxEntries: 30 });
    await fewer.flush();
    assert.is((await fewer.stats()).entries, 30);
    await fewer.close();
  }));

test('stats().bytes is what the file system shows', () =>
  inTemporaryDirectory(async (directory) => {
    for (const [name, sizes, bodies] of [
      ['small', [100, 300, 50], 1],
      ['pages', [20_000, 3000, 60_000], 1],
      ['long', [MiB + 1, 3 * MiB, 2 * MiB + 77], 40],
      ['long and the same', [MiB + 1, 3 * MiB, 2 * MiB + 77], 1],
      ['long and often the same', [MiB + 1, 3 * MiB, 2 * MiB + 77], 7],
    ] as const) {
      const place = join(directory, name);
      const target = await openIn(place, { maxBytes: 64 * MiB });
      const count = name.startsWith('long') ? 40 : 3000;
      for (let i = 0; i < count; i += 50) {
        const each = (_: unknown, j: number): Promise<unknown> =>
          store(target, `k${i + j}`, bytesOf(sizes[(i + j) % 3] ?? 0, (i + j) % bodies));
        await Promise.all(Array.from({ length: Math.min(50, count - i) }, each));
      }
      const check = async (from: DiskStore, when: string): Promise<void> => {
        const { bytes } = await from.stats();
        const real = await blocksOf(place);
        assert.ok(Math.abs(bytes / real - 1) < 0.1, `${name}, ${when}: says ${bytes}, takes ${real}`);
      };
      await target.flush();
      await check(target, 'after storing');
      await target.close();
      const again = await openIn(place, { maxBytes: 64 * MiB });
      await check(again, 'opened again');
      await again.close();
    }
  }));

const device = mountDevice();
if (device !== undefined) {
  test('leaves minFreeBytes to others, whatever they take', async () => {
    const minFreeBytes = 6 * MiB;
    const events: StoreEvent[] = [];
    const onEvent = (event: StoreEvent): number => events.push(event);
    const target = await openIn(device, { minFreeBytes, segmentBytes: MiB, onEvent });
    try {
      const storeMany = async (from: number): Promise<void> => {
        await fill(target, from, from + 600);
        await target.flush();
        // One batch may be on its way before the device is looked at again.
        const free = await freeBytesOf(device);
        assert.ok(free >= minFreeBytes - MiB && free < minFreeBytes + 3 * MiB, `${free} bytes are free`);
      };
      await storeMany(0);
      await writeFile(join(device, 'other'), Buffer.alloc(4 * MiB));
      await storeMany(600);
      assert.ok(events.every(({ type }) => type === 'evict'));
      assert.ok((await numbersIn(target)).includes(1199));
      const reasons = new Set<string>();
      const tryMany = async (from: number): Promise<void> => {
        for (let i = from; i < from + 40; i += 1) {
          const writer = target.create(`k${i}`, headOf(`k${i}`));
          writer.write(bytesOf(60_000, i));
          const result = await writer.commit();
          if (result.outcome === 'declined') reasons.add(result.reason);
        }
      };
      // So much at a time that the store can make way for it.
      await writeFile(join(device, 'other'), Buffer.alloc(8 * MiB));
      await tryMany(2000);
      await writeFile(join(device, 'another'), Buffer.alloc(4 * MiB));
      await tryMany(2100);
      assert.equal([...reasons], ['no-space']);
      for (const name of ['other', 'another']) await writeFile(join(device, name), '');
      // What is declined makes the store look again.
      await target.create('k', headOf('k')).commit();
      await target.flush();
      await store(target, 'k3000', bytesOf(60_000, 3000));
    } finally {
      await target.close();
      execFileSync('umount', [device]);
      rmdirSync(device);
    }
  });
}

async function freeBytesOf(path: string): Promise<number> {
  const { bavail, bsize } = await statfs(path);
  return bavail * bsize;
}

/** A device of 16 MiB, where the process may mount one. */
function mountDevice(): string | undefined {
  const directory = mkdtempSync(join(tmpdir(), 'offloop-device-'));
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=16m', 'tmpfs', directory], { stdio: 'ignore' });
    return directory;
  } catch {
    rmdirSync(directory);
    return undefined;
  }
}

test.run();
