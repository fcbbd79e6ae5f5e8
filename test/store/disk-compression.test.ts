// time limit: 300 s
import { readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { readHeader, sealRecord, writeHeader } from '../../src/disk/record.js';
import type { StoreEvent } from '../../src/store/contract.js';
import type { DiskStore } from '../../src/store/disk-store.js';
import { makers } from '../engine/clients.js';
import { onBench } from '../engine/fixture.js';
import { bodyOf, bytesOf, headOf, inTemporaryDirectory, MiB, openIn, store } from './disk-fixture.js';

const test = suite('disk store, compression');

/** Text that gets shorter by a quarter or so, and never the same twice. */
function textOf(length: number, seed: number): Buffer {
  return Buffer.from(bytesOf(Math.ceil((length * 3) / 4), seed).toString('base64')).subarray(0, length);
}

async function check(target: DiskStore, key: string, body: Buffer): Promise<void> {
  const [found] = await target.lookup(key);
  assert.ok(found, `${key} is there`);
  assert.is(found.bodyBytes, body.byteLength);
  assert.ok(body.equals(await bodyOf(found)), `body of ${key}`);
  for (const [start, end] of [
    [0, 0],
    [1, 70_000],
    [body.byteLength - 5, body.byteLength - 1],
  ] as const) {
    if (end >= body.byteLength) continue;
    assert.ok(body.subarray(start, end + 1).equals(await buffer(found.openBody({ start, end }))), `${start} to ${end}`);
  }
}

const sizes = [1024, 20_000, 300_000, 900_000, MiB, MiB + 1, 3 * MiB];

for (const codec of ['deflate', 'brotli'] as const) {
  test(`gives back what it stored with ${codec}, in whole and in part, also where it is read without the option`, () =>
    inTemporaryDirectory(async (directory) => {
      const first = await openIn(directory, { compression: { codec } });
      for (const size of sizes) {
        const stored = await store(first, `k${size}`, textOf(size, size));
        assert.is(stored.bodyBytes, size);
        assert.ok(textOf(size, size).equals(await bodyOf(stored)), `${size}, just stored`);
        await check(first, `k${size}`, textOf(size, size));
      }
      const { counters } = await first.stats();
      // What has a file of its own is stored as it is.
      assert.is(counters.compressed, 5);
      assert.is(counters.compressionSkipped, 0);
      const raw = sizes.slice(0, 5).reduce((sum, size) => sum + size);
      assert.is(counters.compressedRawBytes, raw);
      const saved = counters.compressionSavedBytes ?? 0;
      assert.ok(saved > raw / 5 && saved < raw / 2, `${saved} bytes of ${raw} saved`);
      for (const size of [20_000, 900_000]) {
        const [old] = await first.lookup(`k${size}`);
        const head = headOf(`k${size}`, { status: 299 });
        assert.is(old && (await first.updateHead(old.ref, head))?.bodyBytes, size);
        await check(first, `k${size}`, textOf(size, size));
      }
      assert.is((await first.verify()).damaged, 0);
      await first.close();
      const second = await openIn(directory);
      for (const size of sizes) await check(second, `k${size}`, textOf(size, size));
      await second.close();
    }));
}

test('leaves alone what is short, coded already, of another type, or does not get shorter', () =>
  inTemporaryDirectory(async (directory) => {
    const target = await openIn(directory, { compression: { types: ['text/*', 'application/json', '*+xml'] } });
    const typed = (...fields: string[]) => ({ head: headOf('https://a.test/', { fields }) });
    const text = Buffer.from('hello '.repeat(1000));
    const counted = async (): Promise<readonly (number | undefined)[]> => {
      const { counters } = await target.stats();
      return [counters.compressed, counters.compressionSkipped];
    };
    await store(target, 'short', text.subarray(0, 1023), typed('content-type', 'text/html'));
    await store(target, 'coded', text, typed('Content-Type', 'text/html', 'Content-Encoding', 'gzip'));
    await store(target, 'image', text, typed('content-type', 'image/png'));
    await store(target, 'suffix', text, typed('content-type', 'application/ld+json'));
    await store(target, 'none', text, typed());
    assert.equal(await counted(), [0, 0]);
    await store(target, 'noise', bytesOf(6000, 1), typed('content-type', 'text/plain'));
    assert.equal(await counted(), [0, 1]);
    await store(target, 'html', text, typed('Content-Type', 'Text/HTML; charset=utf-8'));
    await store(target, 'json', text, typed('content-type', 'application/json'));
    await store(target, 'svg', text, typed('content-type', 'image/svg+xml'));
    assert.equal(await counted(), [3, 1]);
    for (const key of ['coded', 'image', 'suffix', 'none', 'html', 'json', 'svg']) await check(target, key, text);
    await check(target, 'noise', bytesOf(6000, 1));
    await target.close();
  }));

test('takes less room, and keeps what is used when room is made', () =>
  inTemporaryDirectory(async (directory) => {
    const text = (number: number): Buffer => Buffer.from(`${number} ${'lorem ipsum dolor '.repeat(1200)} ${number}`);
    const target = await openIn(directory, { maxBytes: 2 * MiB, segmentBytes: 256 * 1024, compression: {} });
    for (let i = 0; i < 6000; i += 20) {
      const numbers = Array.from({ length: 20 }, (_, j) => i + j);
      await Promise.all(numbers.map((number) => store(target, `k${number}`, text(number))));
      await check(target, 'k3', text(3));
    }
    const { entries, bytes, counters } = await target.stats();
    assert.ok(bytes <= 2 * MiB && entries > 1000, `${entries} entries in ${bytes} bytes`);
    assert.ok((counters.evicted ?? 0) > 0 && (counters.reinserted ?? 0) > 0);
    await check(target, 'k5999', text(5999));
    await target.close();
  }));

test('a damaged compressed body is a miss that heals itself', () =>
  inTemporaryDirectory(async (directory) => {
    for (const size of [20_000, 900_000]) {
      const first = await openIn(directory, { compression: {} });
      await store(first, `k${size}`, textOf(size, size));
      await first.close();
      const { path, bytes } = await lastSegment(directory);
      bytes[bytes.byteLength - 300] = (bytes[bytes.byteLength - 300] ?? 0) ^ 1;
      await writeFile(path, bytes);
      const events: StoreEvent[] = [];
      const second = await openIn(directory, { onEvent: (event) => events.push(event) });
      const [found] = await second.lookup(`k${size}`);
      if (found !== undefined) {
        const error = await bodyOf(found).catch((reason: unknown) => reason);
        assert.is((error as { code?: string }).code, 'ERR_CACHE_CORRUPT');
      }
      assert.equal(
        events.map(({ type }) => type),
        ['corrupt'],
      );
      await second.flush();
      assert.equal(await second.lookup(`k${size}`), []);
      await second.close();
    }
  }));

test('a codec that this Node does not know is a miss, and stays for one that does', () =>
  inTemporaryDirectory(async (directory) => {
    const first = await openIn(directory, { compression: {} });
    await store(first, 'k', textOf(20_000, 1));
    await first.close();
    const { path, bytes } = await lastSegment(directory);
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    for (let at = 0; at < bytes.byteLength; ) {
      const header = readHeader(view, at);
      assert.ok(header);
      if (header.codec !== 0) {
        writeHeader(view, at, { ...header, codec: 200 });
        sealRecord(bytes, view, at, header);
      }
      at += header.recordBytes;
    }
    await writeFile(path, bytes);
    await rm(path.replace(/seg$/, 'hint'));
    const events: StoreEvent[] = [];
    const second = await openIn(directory, { onEvent: (event) => events.push(event) });
    assert.equal(await second.lookup('k'), []);
    assert.is((await second.verify({ repair: true })).damaged, 0);
    assert.is((await second.stats()).entries, 1);
    assert.equal(events, []);
    await store(second, 'k', 'newer');
    assert.is((await second.lookup('k')).length, 1);
    await second.close();
  }));

async function lastSegment(directory: string): Promise<{ readonly path: string; readonly bytes: Buffer }> {
  const folder = join(directory, 'offloop-1', 'segments');
  const files = await Promise.all(
    (await readdir(folder)).map(async (name) => ({
      path: join(folder, name),
      bytes: await readFile(join(folder, name)),
    })),
  );
  const [largest] = files.filter(({ path }) => path.endsWith('.seg')).sort((a, b) => b.bytes.length - a.bytes.length);
  if (largest === undefined) throw new Error('there is no segment');
  return largest;
}

for (const [name, makeClient] of Object.entries(makers)) {
  test(`${name} gets the body as it came, from a cache that compresses`, () => {
    const body = Buffer.from(`{"list":[${'"some value", '.repeat(3000)}0]}`);
    const headers = { 'content-type': 'application/json', 'cache-control': 'max-age=60', etag: '"1"' };
    return onBench(
      makeClient,
      (_, response) => response.writeHead(200, headers).end(body),
      { compression: true },
      async (bench) => {
        const url = bench.at('/list');
        for (const from of ['origin', 'memory of nothing', 'disk']) {
          const answer = await bench.client.ask(url);
          assert.ok(body.equals(answer.body), from);
          assert.is(answer.isFromCache, from !== 'origin');
          assert.is(answer.headers['content-encoding'], undefined);
          await bench.cache.flush();
          if (from === 'memory of nothing') await bench.reopen();
        }
        const part = await bench.client.ask(url, { headers: { range: 'bytes=10-19' } });
        assert.is(part.status, 206);
        assert.ok(body.subarray(10, 20).equals(part.body));
        const { entries } = await bench.cache.stats();
        assert.is(entries, 1);
      },
    );
  });
}

test.run();
