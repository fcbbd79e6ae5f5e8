import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { isCacheError } from '../../src/errors.js';
import type { StoreEvent } from '../../src/store/contract.js';
import { createMemoryStore } from '../../src/store/memory-store.js';
import {
  assertBody,
  assertDeclined,
  bytesOf,
  headOf,
  listed,
  mustFindOne,
  mustPut,
  put,
} from '../contract/contract-kit.js';

const bounds = suite('memory store: bounds');

const key = 'http://a.example/1';
const mebibyte = 1024 * 1024;

setFlagsFromString('--expose-gc');
const collectGarbage: () => void = runInNewContext('gc');

/** Buffers are given back some turns after they are collected. */
async function usedBytes(): Promise<number> {
  for (let turn = 0; turn < 4; turn += 1) {
    collectGarbage();
    await new Promise((resolve) => setImmediate(resolve));
  }
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

async function keysOf(store: ReturnType<typeof createMemoryStore>): Promise<string[]> {
  return (await listed(store.entries())).map(({ ref }) => ref.key);
}

bounds('occupies no more than its limit, whatever is stored', async () => {
  for (const bodyBytes of [0, 700, 30_000, 600_000]) {
    const maxBytes = 24 * mebibyte;
    const store = createMemoryStore({ maxBytes });
    const before = await usedBytes();
    const chunk = bytesOf(bodyBytes);
    for (let i = 0; i < Math.min(40_000, (4 * maxBytes) / (bodyBytes + 1500)); i += 1) {
      await put(store, `${key}/${i}`, chunk, { head: headOf(`${key}/${i}`) });
      assert.ok((await store.stats()).bytes <= maxBytes);
    }
    const growth = (await usedBytes()) - before;
    assert.ok(growth <= maxBytes * 1.05, `${growth} bytes for bodies of ${bodyBytes}`);
    const { bytes } = await store.stats();
    assert.ok(bytes > maxBytes * 0.9, 'the limit is made use of');
    if (bodyBytes > 10_000) assert.ok(growth > bytes * 0.9, `${growth} bytes, and the store says ${bytes}`);
  }
});

bounds('copies small bodies out of the slabs that they came in', async () => {
  const store = createMemoryStore({ maxBytes: 64 * mebibyte });
  const before = await usedBytes();
  for (let i = 0; i < 1500; i += 1) {
    const slab = Buffer.allocUnsafeSlow(64 * 1024);
    await mustPut(store, `${key}/${i}`, slab.subarray(0, 100), { expectedBytes: 100 });
  }
  const growth = (await usedBytes()) - before;
  assert.ok(growth < 16 * mebibyte, `${growth} bytes for 1500 bodies of 100`);
});

bounds('counts bodies that are on their way in, and gives their room back', async () => {
  const store = createMemoryStore({ maxBytes: mebibyte, maxEntryBytes: 400_000 });
  for (let i = 0; i < 9; i += 1) await mustPut(store, `${key}/${i}`, bytesOf(100_000));
  const writer = store.create(key, headOf(key));
  writer.write(bytesOf(300_000));
  const during = await store.stats();
  assert.ok(during.bytes > 300_000 && during.bytes <= during.maxBytes);
  assert.ok(during.entries < 9, 'what is stored made room');
  await writer.abort();
  const after = await store.stats();
  assert.ok(after.bytes <= during.bytes - 300_000);
  assert.is(after.entries, during.entries);
});

bounds('declines what comes in when too much is on its way', async () => {
  const store = createMemoryStore({ maxBytes: mebibyte, maxEntryBytes: 400_000 });
  const writers = Array.from({ length: 6 }, (_, i) => store.create(`${key}/${i}`, headOf(key)));
  for (const writer of writers) writer.write(bytesOf(150_000));
  assert.ok((await store.stats()).bytes <= mebibyte * 0.6);
  const results = await Promise.all(writers.map((writer) => writer.commit()));
  assert.equal(
    results.map((result) => (result.outcome === 'declined' ? result.reason : result.outcome)),
    ['stored', 'stored', 'stored', 'overloaded', 'overloaded', 'overloaded'],
  );
});

bounds('takes no memory on the strength of an announced length', async () => {
  const store = createMemoryStore({ maxBytes: 64 * mebibyte });
  const writer = store.create(key, headOf(key), { expectedBytes: 10 * mebibyte });
  writer.write(Buffer.from('x'));
  assert.ok((await store.stats()).bytes < 2000);
  await writer.abort();
});

bounds('fails a reader that is far behind a body too large to keep, and holds on to little for it', async () => {
  const store = createMemoryStore({ maxBytes: mebibyte, maxEntryBytes: 200_000 });
  const writer = store.create(key, headOf(key));
  const behind = writer.openBody()[Symbol.asyncIterator]();
  for (let i = 0; i < 100; i += 1) {
    writer.write(bytesOf(20_000, i));
    if (i === 0) await behind.next();
    assert.ok((await store.stats()).bytes <= 600_000);
  }
  assertDeclined(await writer.commit(), 'too-large');
  let error: unknown;
  try {
    for (let next = await behind.next(); !next.done; next = await behind.next());
  } catch (cause) {
    error = cause;
  }
  assert.ok(isCacheError(error) && error.code === 'ERR_CACHE_FULL');
  assert.is((await store.stats()).bytes, 0);
});

bounds('evicts what was not used before what was, and tells', async () => {
  const events: StoreEvent[] = [];
  const store = createMemoryStore({
    maxBytes: 250_000,
    maxEntryBytes: 100_000,
    onEvent: (event) => events.push(event),
  });
  for (const name of ['a', 'b', 'c', 'd', 'e']) await mustPut(store, name, bytesOf(40_000));
  await store.lookup('a');
  store.peek('c');
  await mustPut(store, 'f', bytesOf(80_000));
  assert.equal((await keysOf(store)).sort(), ['a', 'c', 'e', 'f']);
  const evicted = events.map((event) => (event.type === 'evict' ? event : undefined));
  assert.is(
    evicted.reduce((sum, event) => sum + (event?.entries ?? 0), 0),
    2,
  );
  assert.ok(evicted.reduce((sum, event) => sum + (event?.bytes ?? 0), 0) > 80_000);
  assert.is((await store.stats()).counters.evicted, 2);
});

bounds('makes room for a larger head at the cost of others, not of the response that gets it', async () => {
  const store = createMemoryStore({ maxBytes: 250_000, maxEntryBytes: 100_000 });
  for (const name of ['a', 'b', 'c']) await mustPut(store, name, bytesOf(70_000), { expectedBytes: 70_000 });
  const { ref } = await mustFindOne(store, 'a');
  const updated = await store.updateHead(ref, headOf('a', { fields: ['x', 'y'.repeat(60_000)] }));
  assert.ok(updated !== undefined);
  assert.equal(await keysOf(store), ['a', 'c']);
  assert.is(await store.updateHead(updated.ref, headOf('a', { fields: ['x', 'y'.repeat(260_000)] })), undefined);
});

bounds('keeps nothing of a body too large for a reader that left', async () => {
  const store = createMemoryStore({ maxBytes: mebibyte, maxEntryBytes: 200_000 });
  const writer = store.create(key, headOf(key));
  const leaving = writer.openBody();
  writer.write(bytesOf(150_000));
  leaving.destroy();
  await new Promise((resolve) => leaving.once('close', resolve));
  writer.write(bytesOf(150_000));
  assert.is((await store.stats()).bytes, 0);
  await writer.abort();
});

bounds('is not flushed by a scan', async () => {
  const store = createMemoryStore({ maxBytes: 300_000, maxEntryBytes: 100_000 });
  for (let i = 0; i < 10; i += 1) await mustPut(store, `used/${i}`, bytesOf(10_000));
  for (let i = 0; i < 500; i += 1) {
    store.peek(`used/${i % 10}`);
    await mustPut(store, `scan/${i}`, bytesOf(10_000));
  }
  const kept = (await keysOf(store)).filter((one) => one.startsWith('used/'));
  assert.is(kept.length, 10);
});

bounds('evicts the lowest priority first, used or not, and never one for the sake of a lower', async () => {
  const store = createMemoryStore({ maxBytes: 250_000, maxEntryBytes: 250_000 });
  for (const [name, priority] of [
    ['low', -1],
    ['plain', 0],
    ['high', 5],
  ] as const) {
    await mustPut(store, name, bytesOf(70_000), { priority });
  }
  store.peek('low');
  await mustPut(store, 'more', bytesOf(70_000));
  assert.equal((await keysOf(store)).sort(), ['high', 'more', 'plain']);
  assertDeclined(await put(store, 'large', bytesOf(200_000), { expectedBytes: 200_000 }), 'no-space');
  assert.equal(await keysOf(store), ['high']);
  await mustPut(store, 'higher', bytesOf(200_000), { priority: 6, expectedBytes: 200_000 });
  assert.equal(await keysOf(store), ['higher']);
});

bounds('evicts what has expired before what has not, though it was used', async () => {
  let nowMs = 1000;
  const store = createMemoryStore({ maxBytes: 250_000, maxEntryBytes: 100_000, nowMs: () => nowMs });
  await mustPut(store, 'lasting', bytesOf(70_000));
  await mustPut(store, 'short', bytesOf(70_000), { expiresMs: 2000 });
  await mustPut(store, 'other', bytesOf(70_000));
  for (const name of ['lasting', 'short']) store.peek(name);
  nowMs = 2000;
  await mustPut(store, 'new', bytesOf(70_000));
  assert.equal((await keysOf(store)).sort(), ['lasting', 'new', 'other']);
});

bounds('stores what replaces a response that was evicted meanwhile', async () => {
  const store = createMemoryStore({ maxBytes: 100_000, maxEntryBytes: 90_000 });
  const old = await mustPut(store, key, bytesOf(60_000));
  await mustPut(store, 'other', bytesOf(60_000));
  assert.equal(store.peek(key), []);
  await mustPut(store, key, bytesOf(50_000), { replaces: [old.ref] });
  await assertBody(await mustFindOne(store, key), bytesOf(50_000));
});

bounds('goes on serving a body that was evicted while it is read', async () => {
  const store = createMemoryStore({ maxBytes: 1_100_000, maxEntryBytes: mebibyte });
  const response = await mustPut(store, key, bytesOf(900_000));
  const chunks = response.openBody()[Symbol.asyncIterator]();
  let readBytes = (await chunks.next()).value.length;
  await mustPut(store, 'other', bytesOf(900_000));
  assert.equal(store.peek(key), []);
  for (let next = await chunks.next(); !next.done; next = await chunks.next()) readBytes += next.value.length;
  assert.is(readBytes, 900_000);
});

bounds('counts the head of each variant, one tiny body or none', async () => {
  const store = createMemoryStore({ maxBytes: mebibyte });
  for (let i = 0; i < 2000; i += 1) {
    await put(store, key, Buffer.alloc(1), { head: headOf(key, { selecting: ['x', `${i}`] }) });
  }
  const { bytes, maxBytes, entries } = await store.stats();
  assert.ok(bytes <= maxBytes);
  assert.ok(entries > 100 && entries < maxBytes / 1500, `${entries} responses`);
});

bounds('declines metadata that cannot be kept, and throws nothing', async () => {
  const store = createMemoryStore({ maxBytes: mebibyte });
  assertDeclined(await put(store, key, bytesOf(10), { head: headOf(key, { metadata: () => 1 }) }), 'unavailable');
  const { ref } = await mustPut(store, key, bytesOf(10));
  assert.is(await store.updateHead(ref, headOf(key, { metadata: () => 1 })), undefined);
  await assertBody(await mustFindOne(store, key), bytesOf(10));
});

bounds('answers peek as lookup does', async () => {
  const store = createMemoryStore({ maxBytes: mebibyte });
  assert.equal(store.peek(key), []);
  await mustPut(store, key, bytesOf(10));
  assert.equal(store.peek(key), await store.lookup(key));
});

bounds.run();
