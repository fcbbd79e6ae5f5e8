import { existsSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { isCacheError } from '../../src/errors.js';
import type { StoreEvent } from '../../src/store/contract.js';
import type { DiskStoreOptions } from '../../src/store/disk-open.js';
import type { DiskStore } from '../../src/store/disk-store.js';
import { bodyOf, bytesOf, headOf, inTemporaryDirectory, MiB, openIn, store, textAt } from './disk-fixture.js';

const test = suite('disk store, faults');
const workerUrl = new URL('./faulty-worker.js', import.meta.url);

function codesOf(events: readonly StoreEvent[]): string[] {
  return events.map((event) =>
    'error' in event && isCacheError(event.error) ? `${event.type} ${event.error.code}` : event.type,
  );
}

for (const how of ['die', 'die-after', 'throw']) {
  test(`loses no more than what was under way when the worker is told to ${how}`, () =>
    inTemporaryDirectory(async (directory) => {
      const events: StoreEvent[] = [];
      const first = await openIn(directory, { workerUrl, onEvent: (event) => events.push(event) });
      const before = await store(first, 'before', 'before');
      const running = first.create('running', headOf('https://a.test/'));
      running.write(bytesOf(2 * MiB, 1));
      await first.flush();
      writeFileSync(join(directory, how), '');
      const lost = first.create('before', headOf('https://a.test/'), { replaces: [before.ref] });
      lost.write(Buffer.from('lost'));
      assert.equal(await lost.commit(), { outcome: 'declined', reason: 'unavailable' });
      assert.equal(codesOf(events), ['error ERR_CACHE_WORKER']);
      assert.is(await textAt(first, 'before'), 'before');
      running.write(bytesOf(2 * MiB, 2));
      assert.equal(await running.commit(), { outcome: 'declined', reason: 'unavailable' });
      await store(first, 'after', 'after');
      await store(first, 'large', bytesOf(2 * MiB, 3));
      assert.is(await textAt(first, 'after'), 'after');
      await first.close();
      const second = await openIn(directory);
      const keys: string[] = [];
      for await (const { ref } of second.entries()) keys.push(ref.key);
      assert.equal(keys.sort(), ['after', 'before', 'large']);
      assert.is(await textAt(second, 'before'), 'before');
      assert.ok(bytesOf(2 * MiB, 3).equals(await bodyOf((await second.lookup('large'))[0])));
      await second.close();
    }));
}

test('goes down when the worker dies again and again', () =>
  inTemporaryDirectory(async (directory) => {
    const events: StoreEvent[] = [];
    const target = await openIn(directory, { workerUrl, onEvent: (event) => events.push(event) });
    await store(target, 'k', 'v');
    for (let i = 0; i < 3; i += 1) {
      writeFileSync(join(directory, 'die'), '');
      const writer = target.create(`k${i}`, headOf('https://a.test/'));
      assert.is((await writer.commit()).outcome, 'declined');
    }
    assert.is(codesOf(events).at(-1), 'down ERR_CACHE_WORKER');
    assert.equal(await target.lookup('k'), []);
    assert.equal(await target.create('k', headOf('k')).commit(), { outcome: 'declined', reason: 'unavailable' });
    await target.close();
  }));

test('gives up what waits for a disk that does not answer, and goes on when it does', () =>
  inTemporaryDirectory(async (directory) => {
    const events: StoreEvent[] = [];
    const alarms = new Set<() => void>();
    const target = await openIn(directory, {
      workerUrl,
      onEvent: (event) => events.push(event),
      after: (_, callback) => {
        alarms.add(callback);
        return () => alarms.delete(callback);
      },
    });
    await store(target, 'before', 'before');
    writeFileSync(join(directory, 'stall'), '');
    const inFlight = target.create('inFlight', headOf('https://a.test/')).commit();
    while (!existsSync(join(directory, 'stalled'))) await nextTurn();
    const waiting = target.create('waiting', headOf('https://a.test/')).commit();
    const large = target.create('large', headOf('https://a.test/'));
    let isTold = false;
    for (let i = 0; i < 40 && !isTold; i += 1) isTold = !large.write(bytesOf(MiB, i));
    assert.ok(isTold, 'a writer is told to wait when the slabs are used up');
    for (const alarm of alarms) alarm();
    assert.equal(await inFlight, { outcome: 'declined', reason: 'overloaded' });
    assert.equal(await waiting, { outcome: 'declined', reason: 'overloaded' });
    assert.equal(await large.commit(), { outcome: 'declined', reason: 'overloaded' });
    await large.ready();
    assert.equal(await target.create('k', headOf('k')).commit(), { outcome: 'declined', reason: 'overloaded' });
    assert.is(await textAt(target, 'before'), 'before');
    assert.equal(codesOf(events), ['error ERR_CACHE_ACCESS']);
    rmSync(join(directory, 'stall'));
    while (target.queue.isStalled) await nextTurn();
    await store(target, 'after', 'after');
    await store(target, 'large', bytesOf(3 * MiB, 1));
    assert.is(await textAt(target, 'after'), 'after');
    await target.close();
    const again = await openIn(directory);
    assert.is(await textAt(again, 'after'), 'after');
    assert.equal(await again.lookup('waiting'), []);
    await again.close();
  }));

/** A store whose disk does not answer while `stalling` runs, and does after. */
async function stalled(
  directory: string,
  options: Partial<DiskStoreOptions>,
  stalling: (target: DiskStore, giveUp: () => void) => Promise<void>,
): Promise<DiskStore> {
  const alarms = new Set<() => void>();
  const after = (_: number, callback: () => void): (() => void) => {
    alarms.add(callback);
    return () => alarms.delete(callback);
  };
  const target = await openIn(directory, { ...options, workerUrl, after });
  await stalling(target, () => {
    for (const alarm of alarms) alarm();
  });
  rmSync(join(directory, 'stall-records'));
  while (target.queue.isStalled) await nextTurn();
  await target.flush();
  return target;
}

test('keeps no more than maxEntries when what it had given up is written after all', () =>
  inTemporaryDirectory(async (directory) => {
    const target = await stalled(directory, { maxEntries: 4 }, async (opened, giveUp) => {
      for (const key of ['a', 'b', 'c', 'd']) await store(opened, key, key);
      writeFileSync(join(directory, 'stall-records'), '');
      const late = ['e', 'f', 'g'].map((key) => opened.create(key, headOf(key)).commit());
      while (!existsSync(join(directory, 'stalled'))) await nextTurn();
      giveUp();
      for (const result of await Promise.all(late)) {
        assert.equal(result, { outcome: 'declined', reason: 'overloaded' });
      }
    });
    for (let i = 0; i < 8; i += 1) {
      await store(target, `k${i}`, 'x');
      await target.flush();
      assert.ok((await target.stats()).entries <= 4, `${(await target.stats()).entries} after ${i}`);
    }
    assert.is((await target.stats()).entries, 4);
    await target.close();
  }));

test('keeps the file of a body whose record is written after it was given up, and counts it once', () =>
  inTemporaryDirectory(async (directory) => {
    const events: StoreEvent[] = [];
    const target = await stalled(directory, { onEvent: (event) => events.push(event) }, async (opened, giveUp) => {
      await store(opened, 'before', 'before');
      writeFileSync(join(directory, 'stall-records'), '');
      const writer = opened.create('large', headOf('large'));
      writer.write(bytesOf(2 * MiB, 1));
      const late = writer.commit();
      while (!existsSync(join(directory, 'stalled'))) await nextTurn();
      giveUp();
      assert.equal(await late, { outcome: 'declined', reason: 'overloaded' });
    });
    const [response] = await target.lookup('large');
    assert.ok(bytesOf(2 * MiB, 1).equals(await bodyOf(response)));
    const { bytes, counters } = await target.stats();
    assert.is(counters.corrupt, 0);
    assert.ok(bytes > 2 * MiB && bytes < 2.1 * MiB, `${bytes} bytes`);
    assert.equal(codesOf(events), ['error ERR_CACHE_ACCESS']);
    assert.ok(response !== undefined && (await target.remove(response.ref)));
    await target.flush();
    const left = (await target.stats()).bytes;
    assert.ok(left > 0 && left < 0.1 * MiB, `${left} bytes`);
    await target.close();
  }));

test('rejects when the worker cannot be started', () =>
  inTemporaryDirectory(async (directory) => {
    try {
      await openIn(directory, { workerUrl: new URL('./no-such-worker.js', import.meta.url) });
      assert.unreachable();
    } catch (error) {
      assert.is((error as { code?: string }).code, 'ERR_CACHE_WORKER');
    }
  }));

test('closes without a word to the caller when the directory has gone, and tells it as an event', () =>
  inTemporaryDirectory(async (directory) => {
    const events: StoreEvent[] = [];
    const target = await openIn(directory, { onEvent: (event) => events.push(event) });
    await store(target, 'k', 'v');
    rmSync(join(directory, 'offloop-1'), { recursive: true });
    await target.close();
    assert.equal(codesOf(events), ['error ERR_CACHE_ACCESS']);
  }));

for (const how of ['die', 'throw']) {
  test(`closes when the worker is told to ${how} at it, and what was stored is there`, () =>
    inTemporaryDirectory(async (directory) => {
      const events: StoreEvent[] = [];
      const target = await openIn(directory, { workerUrl, onEvent: (event) => events.push(event) });
      await store(target, 'k', 'v');
      writeFileSync(join(directory, how), '');
      await target.close();
      assert.equal(codesOf(events), ['error ERR_CACHE_WORKER']);
      // A thread that is gone has let go of nothing, and this process lives on.
      const again = await openIn(directory);
      assert.is(await textAt(again, 'k'), 'v');
      await again.close();
    }));
}

test.run();
