import { open, readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { DiskFiles } from '../../src/store/disk-files.js';
import { DiskReader } from '../../src/store/disk-reader.js';
import { replaySegments } from '../../workers/replay.js';
import { bodyOf, bodyOfNumber, headOf, inTemporaryDirectory, openIn, store } from '../store/disk-fixture.js';

const test = suite('damaged segments');
const keys = [1, 2];

/** A directory with one sealed segment of a few small responses. */
async function withSegment(
  work: (files: { directory: string; segment: string; hint: string; bytes: Buffer }) => Promise<void>,
): Promise<void> {
  await inTemporaryDirectory(async (directory) => {
    const target = await openIn(directory);
    for (const number of keys) {
      await store(target, `k${number}`, bodyOfNumber(number), { head: headOf(`https://a.test/${number}`) });
    }
    await target.close();
    const folder = join(directory, 'offloop-1', 'segments');
    const [name = ''] = (await readdir(folder)).filter((file) => file.endsWith('.seg'));
    const segment = join(folder, name);
    await work({ directory, segment, hint: segment.replace(/seg$/, 'hint'), bytes: await readFile(segment) });
  });
}

/** Opens what is there as a new process would, and checks every byte that can be had. Returns the keys that were found. */
async function readBack(directory: string): Promise<readonly string[]> {
  const { index } = replaySegments(join(directory, 'offloop-1', 'segments'));
  const files = new DiskFiles(directory, 4);
  const reader = new DiskReader({ index, files, onDamage: () => {}, onMissing: () => {}, onFailure: () => {} });
  const found: string[] = [];
  try {
    for (let slot = 0; slot < index.slotEnd; slot += 1) {
      if (index.sequenceOf(slot) === 0) continue;
      const record = await reader.read(slot, undefined);
      if (record === undefined) continue;
      const response = reader.responseOf(record);
      const number = Number(response.ref.key.slice(1));
      assert.equal(response.head, headOf(`https://a.test/${number}`));
      assert.ok(bodyOfNumber(number).equals(await bodyOf(response)), `body ${number}`);
      found.push(response.ref.key);
    }
  } finally {
    files.close();
  }
  return found.sort();
}

/** Flips a bit of every byte of a file in turn. In place: writing the file anew each time would sync it each time. */
async function withEveryFlip(path: string, check: (at: number) => Promise<void>): Promise<void> {
  const file = await open(path, 'r+');
  try {
    const { size } = await file.stat();
    const byte = Buffer.alloc(1);
    for (let at = 0; at < size; at += 1) {
      await file.read(byte, 0, 1, at);
      for (const step of ['flip', 'back']) {
        byte[0] = (byte[0] ?? 0) ^ (1 << (at % 8));
        await file.write(byte, 0, 1, at);
        if (step === 'flip') await check(at);
      }
    }
  } finally {
    await file.close();
  }
}

test('a flipped bit anywhere in a segment hands out no wrong byte, and loses one response at most', () =>
  withSegment(async ({ directory, segment }) => {
    await withEveryFlip(segment, async (at) => {
      const found = await readBack(directory);
      assert.ok(found.length >= keys.length - 1, `${found.length} found after a flip at ${at}`);
    });
  }));

test('a flipped bit in a segment without a hint hands out no wrong byte, and loses nothing before it', () =>
  withSegment(async ({ directory, segment, hint }) => {
    await rm(hint);
    let before = 0;
    await withEveryFlip(segment, async (at) => {
      const { length } = await readBack(directory);
      assert.ok(length >= before, `${length} found after a flip at ${at}, ${before} after one further ahead`);
      before = Math.max(before, length < keys.length ? length : before);
    });
  }));

test('a flipped bit in a hint is noticed, and the segment read instead', () =>
  withSegment(async ({ directory, hint }) => {
    await withEveryFlip(hint, async (at) => {
      assert.is((await readBack(directory)).length, keys.length, `flip at ${at}`);
    });
  }));

test('a segment that ends anywhere, or goes on with anything, keeps what is whole', () =>
  withSegment(async ({ directory, segment, hint, bytes }) => {
    await rm(hint);
    const file = await open(segment, 'r+');
    let last = keys.length;
    for (let end = bytes.length; end >= 0; end -= 1) {
      for (const tail of [Buffer.alloc(0), Buffer.concat([bytes.subarray(0, 150), Buffer.alloc(50)])]) {
        await file.truncate(end);
        await file.write(tail, 0, tail.length, end);
        const { length } = await readBack(directory);
        assert.ok(length <= last && length >= last - 1, `${length} found of the first ${end} bytes`);
        if (tail.length > 0) last = length;
      }
    }
    await file.close();
    assert.is(last, 0);
  }));

test('a damaged response is a miss, is told, and is gone after', () =>
  withSegment(async ({ directory, segment, bytes }) => {
    const at = bytes.indexOf(bodyOfNumber(2));
    bytes[at + 7] = (bytes[at + 7] ?? 0) ^ 1;
    await writeFile(segment, bytes);
    const events: unknown[] = [];
    const first = await openIn(directory, { onEvent: (event) => events.push(event) });
    assert.equal(await first.lookup('k2'), []);
    assert.equal(events, [{ type: 'corrupt', key: 'k2', detail: 'the body does not match its checksum' }]);
    await store(first, 'k2', 'new');
    assert.is((await first.lookup('k2')).length, 1);
    await first.close();
    const second = await openIn(directory, { onEvent: (event) => events.push(event) });
    assert.is((await second.lookup('k2')).length, 1);
    assert.is((await second.stats()).entries, 2);
    assert.is(events.length, 1);
    await second.close();
  }));

test('a body file that is gone or cut short is a failed read, then a miss', () =>
  inTemporaryDirectory(async (directory) => {
    const target = await openIn(directory);
    await store(target, 'gone', bodyOfNumber(5));
    await store(target, 'short', bodyOfNumber(42));
    const bodies = join(directory, 'offloop-1', 'bodies');
    const [first = '', second = ''] = (await readdir(bodies, { recursive: true }))
      .filter((name) => name.length > 2)
      .sort();
    await rm(join(bodies, first));
    await truncate(join(bodies, second), 1_000_000);
    for (const key of ['gone', 'short']) {
      const [response] = await target.lookup(key);
      try {
        await bodyOf(response);
        assert.unreachable();
      } catch (error) {
        assert.match(String((error as { code?: string }).code), /ERR_CACHE_(CORRUPT|ACCESS)/);
      }
      await target.flush();
      assert.equal(await target.lookup(key), []);
    }
    await target.close();
  }));

test.run();
