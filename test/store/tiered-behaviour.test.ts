import { EventEmitter, once } from 'node:events';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { ResponseStore, StoredResponse, StoreEvent } from '../../src/store/contract.js';
import { createMemoryStore } from '../../src/store/memory-store.js';
import { createTieredStore, type TieredStoreOptions } from '../../src/store/tiered-store.js';
import {
  assertBody,
  assertDeclined,
  assertFails,
  bytesOf,
  headOf,
  mustFindOne,
  mustPut,
  put,
  readAll,
} from '../contract/contract-kit.js';

const tiered = suite('tiered store: the tiers');

const key = 'http://a.example/1';
const mebibyte = 1024 * 1024;

/** Counts what is asked of it, and hands out bodies along with their heads only up to a size, as a disk does. */
function counting(store: ResponseStore, maxInlineBytes = Number.POSITIVE_INFINITY) {
  const counts = { lookups: 0, opens: 0 };
  const counted: ResponseStore = {
    async lookup(wanted: string): Promise<readonly StoredResponse[]> {
      counts.lookups += 1;
      return (await store.lookup(wanted)).map((response) => ({
        ref: response.ref,
        head: response.head,
        bodyBytes: response.bodyBytes,
        tier: 'disk',
        inlineBody: response.bodyBytes <= maxInlineBytes ? response.inlineBody : undefined,
        openBody(range) {
          counts.opens += 1;
          return response.openBody(range);
        },
      }));
    },
    create: store.create.bind(store),
    updateHead: store.updateHead.bind(store),
    remove: store.remove.bind(store),
    invalidate: store.invalidate.bind(store),
    entries: store.entries.bind(store),
    stats: store.stats.bind(store),
    flush: store.flush.bind(store),
    clear: store.clear.bind(store),
    close: store.close.bind(store),
    [Symbol.asyncDispose]: store.close.bind(store),
  };
  return { store: counted, counts };
}

/** A disk that has been unplugged: it keeps its contract and nothing else. */
function unplugged(): ResponseStore {
  return createMemoryStore({ maxBytes: 0, maxEntryBytes: mebibyte });
}

function open(options: Partial<TieredStoreOptions> = {}, maxInlineBytes?: number) {
  const memory = createMemoryStore({ maxBytes: 16 * mebibyte, maxEntryBytes: 4 * mebibyte });
  const behind = createMemoryStore({ maxBytes: 64 * mebibyte });
  const { store: disk, counts } = counting(behind, maxInlineBytes);
  const store = createTieredStore({ memory, disk, admission: 'always', ...options });
  return { store, memory, disk, behind, counts };
}

tiered('answers from memory what was just stored, and asks the disk nothing', async () => {
  const { store, counts } = open();
  await store.lookup(key);
  const stored = await mustPut(store, key, bytesOf(1000));
  assert.is(stored.tier, 'memory');
  const asked = counts.lookups;
  const found = await mustFindOne(store, key);
  assert.is(found.tier, 'memory');
  await assertBody(found, bytesOf(1000));
  assert.equal(counts, { lookups: asked, opens: 0 });
});

tiered('asks the disk once what it has under a key that was stored without a look', async () => {
  const { store, behind, counts } = open();
  await mustPut(behind, key, bytesOf(10), { head: headOf(key, { selecting: ['accept', 'a'] }) });
  await mustPut(store, key, bytesOf(20), { head: headOf(key, { selecting: ['accept', 'b'] }) });
  assert.is((await store.lookup(key)).length, 2);
  await store.flush();
  const found = await store.lookup(key);
  assert.equal(
    found.map(({ tier }) => tier),
    ['memory', 'memory'],
  );
  assert.is(counts.lookups, 1);
});

tiered('answers for a key that was missed before without asking the disk again', async () => {
  const { store, counts } = open();
  assert.equal(await store.lookup(key), []);
  assert.equal(await store.lookup(key), []);
  assert.is(counts.lookups, 1);
});

tiered('promotes a disk hit with the bytes already read', async () => {
  const { store, behind, counts } = open();
  await mustPut(behind, key, bytesOf(100_000));
  assert.is((await mustFindOne(store, key)).tier, 'disk');
  await store.flush();
  const found = await mustFindOne(store, key);
  assert.is(found.tier, 'memory');
  await assertBody(found, bytesOf(100_000));
  assert.equal(counts, { lookups: 1, opens: 0 });
  const { counters } = await store.stats();
  assert.is(counters.promotionsQueued, 1);
  assert.is(counters.promotionsCompleted, 1);
  assert.is(counters.promotionsDropped, 0);
  assert.is(counters.promotionsDepth, 0);
});

tiered('promotes a body too large to come with its head while a reader reads it, once', async () => {
  const { store, behind, counts } = open({ maxMemoryEntryBytes: mebibyte }, 1000);
  await mustPut(behind, key, bytesOf(900_000));
  const first = await mustFindOne(store, key);
  assert.is(await readAll(first.openBody({ start: 5, end: 10 })).then(({ length }) => length), 6);
  await readAll(first.openBody());
  await store.flush();
  const found = await mustFindOne(store, key);
  assert.is(found.tier, 'memory');
  await assertBody(found, bytesOf(900_000));
  assert.is(counts.opens, 2);
});

tiered('promotes nothing of a body that its reader abandoned', async () => {
  const { store, memory, behind } = open({ maxMemoryEntryBytes: mebibyte }, 1000);
  await mustPut(behind, key, bytesOf(900_000));
  const body = (await mustFindOne(store, key)).openBody();
  await body[Symbol.asyncIterator]().next();
  body.destroy();
  await store.flush();
  assert.is((await mustFindOne(store, key)).tier, 'disk');
  assert.is((await memory.stats()).entries, 0);
});

tiered('drops promotions that do not fit the queue, and counts them', async () => {
  const { store, behind } = open({ maxPromotionBytes: 25_000 });
  for (let i = 0; i < 5; i += 1) await mustPut(behind, `${key}/${i}`, bytesOf(10_000, i));
  const found = await Promise.all([0, 1, 2, 3, 4].map((i) => mustFindOne(store, `${key}/${i}`)));
  assert.ok(found.every(({ tier }) => tier === 'disk'));
  assert.is((await store.stats()).counters.promotionsDepth, 2);
  await store.flush();
  const { counters } = await store.stats();
  assert.is(counters.promotionsCompleted, 2);
  assert.is(counters.promotionsDropped, 3);
});

tiered('evicts from memory without touching the disk, and promotes again', async () => {
  const { store, behind } = open({ memory: createMemoryStore({ maxBytes: 100_000, maxEntryBytes: 50_000 }) });
  for (let i = 0; i < 20; i += 1) await mustPut(store, `${key}/${i}`, bytesOf(20_000, i));
  assert.is((await behind.stats()).entries, 20);
  for (let i = 0; i < 20; i += 1) await assertBody(await mustFindOne(store, `${key}/${i}`), bytesOf(20_000, i));
  await store.flush();
  await mustFindOne(store, `${key}/0`);
  await store.flush();
  assert.is((await mustFindOne(store, `${key}/0`)).tier, 'memory');
  assert.is((await store.stats()).entries, 20);
});

tiered('keeps a large body on disk alone', async () => {
  const { store, memory } = open({ maxMemoryEntryBytes: 1000 });
  await mustPut(store, key, bytesOf(1001));
  await mustPut(store, `${key}/announced`, bytesOf(1001), { expectedBytes: 1001 });
  assert.is((await memory.stats()).entries, 0);
  assert.is((await mustFindOne(store, key)).tier, 'disk');
  await store.flush();
  assert.is((await memory.stats()).entries, 0);
  assert.is((await mustFindOne(store, `${key}/announced`)).tier, 'disk');
});

tiered('admits by itself what is asked for a second time', async () => {
  const { store, memory } = open({ admission: 'auto' });
  await store.lookup(key);
  await mustPut(store, key, bytesOf(1000));
  assert.is((await memory.stats()).entries, 0);
  assert.is((await mustFindOne(store, key)).tier, 'disk');
  await store.flush();
  assert.is((await mustFindOne(store, key)).tier, 'memory');
});

tiered('admits what create says to admit, and nothing else', async () => {
  const { store, memory } = open({ admission: 'never' });
  await mustPut(store, `${key}/not`, bytesOf(1000));
  await mustPut(store, `${key}/yes`, bytesOf(1000), { admission: 'always' });
  await mustFindOne(store, `${key}/not`);
  await store.flush();
  const inMemory: string[] = [];
  for await (const response of memory.entries()) inMemory.push(response.ref.key);
  assert.equal(inMemory, [`${key}/yes`]);
});

tiered('leaves nothing in either tier of a response that is aborted or short', async () => {
  const { store, memory, behind } = open();
  const writer = store.create(key, headOf(key));
  writer.write(bytesOf(100_000));
  const reader = assertFails(writer.openBody());
  await writer.abort();
  await reader;
  assertDeclined(await put(store, key, bytesOf(9), { expectedBytes: 10 }), 'length-mismatch');
  for (const tier of [memory, behind]) {
    const { entries, bytes } = await tier.stats();
    assert.equal({ entries, bytes }, { entries: 0, bytes: 0 });
  }
});

tiered('freshens, removes and invalidates in both tiers', async () => {
  const { store, memory, behind } = open();
  const both = async (expected: number) => {
    assert.is((await memory.stats()).entries, expected, 'in memory');
    assert.is((await behind.stats()).entries, expected, 'on disk');
  };
  await store.lookup(key);
  const { ref } = await mustPut(store, key, bytesOf(10), { tags: ['t'] });
  const fresh = headOf(key, { fields: ['Age', '0'] });
  const updated = await store.updateHead(ref, fresh);
  assert.is(updated?.tier, 'memory');
  for (const tier of [store, memory, behind]) assert.equal({ ...(await mustFindOne(tier, key)).head }, fresh);
  await both(1);
  assert.is(await store.remove((await mustFindOne(store, key)).ref), true);
  await both(0);
  for (const selector of [{ key }, { prefix: key }, { host: 'a.example' }, { tag: 't' }]) {
    await mustPut(store, key, bytesOf(10), { tags: ['t'] });
    await both(1);
    assert.is(await store.invalidate(selector), 1);
    await both(0);
  }
});

tiered('forgets a promoted copy when its tag is invalidated, though memory knows no tags of it', async () => {
  const { store, memory, behind } = open();
  await mustPut(behind, key, bytesOf(10), { tags: ['t'] });
  await mustPut(behind, `${key}/other`, bytesOf(10));
  await store.lookup(key);
  await store.lookup(`${key}/other`);
  await store.flush();
  assert.is((await memory.stats()).entries, 2);
  assert.is(await store.invalidate({ tag: 't' }), 1);
  assert.equal(await store.lookup(key), []);
  await mustFindOne(store, `${key}/other`);
  assert.is((await mustFindOne(store, `${key}/other`)).tier, 'memory');
  assert.is((await memory.stats()).entries, 1);
});

tiered('asks peekRefs instead of the disk after an invalidation', async () => {
  const memory = createMemoryStore({ maxBytes: mebibyte });
  const { store: disk, counts } = counting(createMemoryStore({ maxBytes: mebibyte }));
  const store = createTieredStore({
    memory,
    disk: Object.assign(disk, { peekRefs: (wanted: string) => (wanted === key ? [stored.ref] : []) }),
    admission: 'always',
  });
  const stored = await mustPut(store, key, bytesOf(10));
  await store.invalidate({ prefix: 'http://b.example/' });
  assert.is((await mustFindOne(store, key)).tier, 'memory');
  assert.equal(await store.lookup('http://a.example/never'), []);
  assert.is(counts.lookups, 0);
});

tiered('goes on in memory when the disk keeps nothing', async () => {
  const { store } = open({ disk: unplugged() });
  const stored = await mustPut(store, key, bytesOf(1000), { tags: ['t'] });
  assert.is(stored.tier, 'memory');
  assert.is((await store.stats()).entries, 1);
  const updated = await store.updateHead(stored.ref, headOf(key, { status: 203 }));
  assert.is(updated?.head.status, 203);
  assert.is(await store.updateHead(stored.ref, headOf(key)), undefined);
  await mustPut(store, key, bytesOf(2000), { replaces: [(await mustFindOne(store, key)).ref], tags: ['t'] });
  await assertBody(await mustFindOne(store, key), bytesOf(2000));
  const listed: string[] = [];
  for await (const { ref } of store.entries({ tag: 't' })) listed.push(ref.key);
  assert.equal(listed, [key]);
  assert.is(await store.invalidate({ tag: 't' }), 1);
  assert.equal(await store.lookup(key), []);
  assert.is((await store.stats()).entries, 0);
});

tiered('goes on in memory when the disk throws, and tells', async () => {
  const broken = createMemoryStore({ maxBytes: mebibyte });
  const fail = () => Promise.reject(new Error('the disk is on fire'));
  const disk: ResponseStore = Object.assign(Object.create(broken), {
    lookup: fail,
    create: (name: string, head: ReturnType<typeof headOf>) =>
      Object.assign(Object.create(broken.create(name, head), { declined: { value: undefined } }), {
        write: () => true,
        commit: fail,
        abort: async () => {},
      }),
    updateHead: fail,
    remove: fail,
    invalidate: fail,
  });
  const events: StoreEvent[] = [];
  const { store } = open({ disk, onEvent: (event) => events.push(event) });
  assert.equal(await store.lookup(key), []);
  const stored = await mustPut(store, key, bytesOf(10));
  assert.is((await store.updateHead(stored.ref, headOf(key, { status: 203 })))?.head.status, 203);
  await assertBody(await mustFindOne(store, key), bytesOf(10));
  assert.is(await store.invalidate({ key }), 1);
  assert.equal(await store.lookup(key), []);
  assert.ok(events.length >= 3 && events.every(({ type }) => type === 'error'));
});

tiered('brings nothing back from disk that was replaced in memory while the disk was full', async () => {
  let isFull = false;
  const { store: disk } = counting(createMemoryStore({ maxBytes: mebibyte }));
  const create = disk.create;
  disk.create = (name, head, options) => {
    const writer = create(name, head, options);
    return Object.assign(Object.create(writer, { declined: { value: undefined } }), {
      write: (chunk: Uint8Array) => writer.write(chunk),
      abort: () => writer.abort(),
      commit: async () => {
        if (!isFull) return writer.commit();
        await writer.abort();
        return { outcome: 'declined', reason: 'no-space' };
      },
    });
  };
  const memory = createMemoryStore({ maxBytes: mebibyte });
  const { store } = open({ disk, memory });
  const old = await mustPut(store, key, Buffer.from('old'));
  isFull = true;
  await mustPut(store, key, Buffer.from('new'), { replaces: [old.ref] });
  await assertBody(await mustFindOne(store, key), Buffer.from('new'));
  await memory.clear();
  assert.equal(await store.lookup(key), []);
});

tiered('replaces on disk what was in memory alone', async () => {
  let isFull = true;
  const { store: disk } = counting(createMemoryStore({ maxBytes: mebibyte }));
  const create = disk.create;
  disk.create = (name, head, options) =>
    isFull ? unplugged().create(name, head, options) : create(name, head, options);
  const { store, memory } = open({ disk });
  const old = await mustPut(store, key, Buffer.from('old'));
  isFull = false;
  await mustPut(store, key, Buffer.from('new'), { replaces: [old.ref] });
  assertDeclined(await put(store, key, Buffer.from('late'), { replaces: [old.ref] }), 'superseded');
  await assertBody(await mustFindOne(store, key), Buffer.from('new'));
  await assertBody(await mustFindOne(disk, key), Buffer.from('new'));
  assert.is((await memory.stats()).entries, 1);
});

tiered('keeps no copy in memory of what the disk is invalidating', async () => {
  const { store: disk } = counting(createMemoryStore({ maxBytes: mebibyte }));
  await mustPut(disk, key, bytesOf(10), { tags: ['t'] });
  const events = new EventEmitter();
  const invalidate = disk.invalidate;
  disk.invalidate = async (selector) => {
    events.emit('asked');
    await once(events, 'looked');
    const covered = await invalidate(selector);
    events.emit('covered');
    await once(events, 'told');
    return covered;
  };
  const { store } = open({ disk });
  await store.lookup(key);
  await store.flush();
  const { ref } = await mustFindOne(store, key);
  const invalidated = store.invalidate({ tag: 't' });
  await once(events, 'asked');
  assert.is((await store.lookup(key)).length, 1);
  events.emit('looked');
  await once(events, 'covered');
  assert.is(await store.updateHead(ref, headOf(key)), undefined);
  events.emit('told');
  assert.is(await invalidated, 1);
  assert.equal(await store.lookup(key), []);
});

tiered('knows only so many keys, and holds no copy in memory of one it forgot', async () => {
  const { store, memory } = open({ maxKnownKeys: 10 });
  for (let i = 0; i < 50; i += 1) await mustPut(store, `${key}/${i}`, bytesOf(10, i));
  assert.is((await memory.stats()).entries, 10);
  for (let i = 0; i < 50; i += 1) await assertBody(await mustFindOne(store, `${key}/${i}`), bytesOf(10, i));
  await store.flush();
  assert.is((await memory.stats()).entries, 10);
});

tiered('lets the event loop turn during a run of hits in memory', async () => {
  const { store: disk, counts } = counting(createMemoryStore({ maxBytes: mebibyte }));
  const store = createTieredStore({ memory: createMemoryStore({ maxBytes: mebibyte }), disk, admission: 'always' });
  await mustPut(store, key, bytesOf(10));
  await mustFindOne(store, key);
  let isOver = false;
  let turns = 0;
  const turn = (): void => {
    turns += 1;
    if (!isOver) setImmediate(turn);
  };
  setImmediate(turn);
  counts.lookups = 0;
  for (let hits = 0; hits < 500; hits += 1) assert.is((await mustFindOne(store, key)).tier, 'memory');
  isOver = true;
  assert.is(counts.lookups, 0);
  assert.ok(turns >= 7, `${turns} turns in 500 hits`);
});

tiered.run();
