import assert from 'node:assert/strict';
import {
  assertBody,
  assertDeclined,
  bytesOf,
  type ContractRun,
  headOf,
  listed,
  mustFindOne,
  mustPut,
  put,
  writeAll,
} from './contract-kit.js';

const key = 'GET http://example.com/a';

/** Statistics, flush, clear and close. */
export function testLifecycle(run: ContractRun): void {
  run.test('counts what it holds', async (store) => {
    const empty = await store.stats();
    assert.equal(empty.entries, 0);
    const refs = [];
    for (let i = 0; i < 10; i += 1) refs.push((await mustPut(store, `${key}/${i}`, bytesOf(50_000, i))).ref);
    const full = await store.stats();
    assert.equal(full.entries, 10);
    assert.ok(full.bytes >= empty.bytes + 500_000, `${full.bytes} bytes`);
    assert.ok(full.bytes <= full.maxBytes);
    for (const ref of refs.slice(0, 4)) await store.remove(ref);
    assert.equal((await store.stats()).entries, 6);
    for (const [name, value] of Object.entries(full.counters)) assert.ok(Number.isFinite(value), name);
  });

  run.test('flushes what was committed before', async (store, reopen) => {
    await store.flush();
    await mustPut(store, key, bytesOf(1000));
    await store.flush();
    await assertBody(await mustFindOne(store, key), bytesOf(1000));
    if (run.isDurable) await assertBody(await mustFindOne(await reopen(), key), bytesOf(1000));
  });

  run.test('clears everything, and stores again after', async (store, reopen) => {
    for (let i = 0; i < 20; i += 1) await mustPut(store, `${key}/${i}`, bytesOf(i * 1000, i), { tags: ['t'] });
    await store.clear();
    assert.deepEqual(await listed(store.entries()), []);
    assert.deepEqual(await store.lookup(`${key}/1`), []);
    assert.equal((await store.stats()).entries, 0);
    assert.equal(await store.invalidate({ tag: 't' }), 0);
    await mustPut(store, key, bytesOf(10));
    if (!run.isDurable) return;
    const again = await reopen();
    assert.equal((await again.stats()).entries, 1);
    await assertBody(await mustFindOne(again, key), bytesOf(10));
  });

  run.test('declines what was on its way in when it was cleared', async (store) => {
    const writer = store.create(key, headOf(key));
    await writeAll(writer, bytesOf(1000));
    await store.clear();
    assertDeclined(await writer.commit(), 'superseded');
    assert.deepEqual(await store.lookup(key), []);
  });

  run.test('misses and declines after close, and closes twice', async (store) => {
    const { ref } = await mustPut(store, key, bytesOf(1000));
    const writer = store.create(key, headOf(key));
    await writeAll(writer, bytesOf(1000));
    await Promise.all([store.close(), store.close()]);
    await store.close();
    assert.deepEqual(await store.lookup(key), []);
    assert.deepEqual(await listed(store.entries()), []);
    assertDeclined(await writer.commit(), 'closed');
    assertDeclined(await put(store, key, bytesOf(10)), 'closed');
    assert.equal(await store.updateHead(ref, headOf(key)), undefined);
    assert.equal(await store.remove(ref), false);
    assert.equal(await store.invalidate({ key }), 0);
    await store.clear();
    await store.flush();
    await store[Symbol.asyncDispose]();
  });

  run.test('gives after close and open what it had before, and nothing else', async (store, reopen) => {
    await mustPut(store, `${key}/kept`, bytesOf(2_000_000));
    const gone = await mustPut(store, `${key}/removed`, bytesOf(10));
    await store.remove(gone.ref);
    const old = await mustPut(store, `${key}/replaced`, bytesOf(10));
    await mustPut(store, `${key}/replaced`, bytesOf(20), { replaces: [old.ref] });
    const unfinished = store.create(`${key}/unfinished`, headOf(key));
    await writeAll(unfinished, bytesOf(1_500_000));
    const again = await reopen();
    const kept = run.isDurable ? ['kept', 'replaced'] : [];
    const found = await listed(again.entries());
    assert.deepEqual(
      found.map(({ ref }) => ref.key).sort(),
      kept.map((name) => `${key}/${name}`),
    );
    assert.equal((await again.stats()).entries, kept.length);
    if (!run.isDurable) return;
    await assertBody(await mustFindOne(again, `${key}/kept`), bytesOf(2_000_000));
    await assertBody(await mustFindOne(again, `${key}/replaced`), bytesOf(20));
    assert.equal(await again.remove((await mustFindOne(again, `${key}/kept`)).ref), true);
  });
}
