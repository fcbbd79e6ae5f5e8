import assert from 'node:assert/strict';
import type { ResponseStore } from '../../src/store/contract.js';
import {
  assertBody,
  assertDeclined,
  bytesOf,
  type ContractRun,
  headOf,
  mustFindOne,
  mustPut,
  put,
  writeAll,
} from './contract-kit.js';

const key = 'GET http://example.com/a';
const url = 'http://example.com/a';
const freshened = headOf(url, { fields: ['Cache-Control', 'max-age=120'], metadata: { kept: 'over a 304' } });

/** Variants, and `ref` as the token without which nothing changes. */
export function testRefs(run: ContractRun): void {
  run.test('keeps several variants under one key, the newest first', async (store, reopen) => {
    const languages = ['de', 'en', 'fr', 'it'];
    for (const language of languages) {
      await mustPut(store, key, Buffer.from(language), {
        head: headOf(url, { selecting: ['accept-language', language] }),
      });
    }
    const check = async (at: ResponseStore) => {
      const found = await at.lookup(key);
      assert.deepEqual(
        found.map((response) => response.head.selecting[1]),
        languages.toReversed(),
      );
      for (const response of found) await assertBody(response, Buffer.from(response.head.selecting[1] ?? ''));
    };
    await check(store);
    if (run.isDurable) await check(await reopen());
  });

  run.test('replaces the variants it is told to and no other', async (store, reopen) => {
    const refs = [];
    for (const name of ['a', 'b', 'c']) refs.push((await mustPut(store, key, Buffer.from(name))).ref);
    await mustPut(store, key, Buffer.from('d'), { replaces: refs.slice(0, 2) });
    const check = async (at: ResponseStore) => {
      const found = await at.lookup(key);
      assert.equal(found.length, 2);
      const [newest, other] = found;
      if (newest !== undefined) await assertBody(newest, Buffer.from('d'));
      if (other !== undefined) await assertBody(other, Buffer.from('c'));
      assert.equal((await at.stats()).entries, 2);
    };
    await check(store);
    if (run.isDurable) await check(await reopen());
  });

  run.test('declines a late response whose predecessor was replaced meanwhile', async (store) => {
    const old = await mustPut(store, key, Buffer.from('old'));
    const late = store.create(key, headOf(url), { replaces: [old.ref] });
    await writeAll(late, Buffer.from('late'));
    await mustPut(store, key, Buffer.from('new'), { replaces: [old.ref] });
    assertDeclined(await late.commit(), 'superseded');
    await assertBody(await mustFindOne(store, key), Buffer.from('new'));
  });

  run.test('declines a late response whose predecessor was freshened meanwhile', async (store) => {
    const old = await mustPut(store, key, Buffer.from('old'));
    await store.updateHead(old.ref, freshened);
    assertDeclined(await put(store, key, Buffer.from('late'), { replaces: [old.ref] }), 'superseded');
    const found = await mustFindOne(store, key);
    assert.deepEqual({ ...found.head }, freshened);
    await assertBody(found, Buffer.from('old'));
  });

  for (const how of ['removed', 'invalidated', 'cleared'] as const) {
    run.test(`brings nothing back when its predecessor was ${how} meanwhile`, async (store) => {
      const old = await mustPut(store, key, Buffer.from('old'));
      const late = store.create(key, headOf(url), { replaces: [old.ref] });
      await writeAll(late, Buffer.from('late'));
      if (how === 'removed') assert.equal(await store.remove(old.ref), true);
      else if (how === 'invalidated') assert.equal(await store.invalidate({ key }), 1);
      else await store.clear();
      assertDeclined(await late.commit(), 'superseded');
      assert.equal(await store.updateHead(old.ref, freshened), undefined);
      assert.equal(await store.remove(old.ref), false);
      assert.deepEqual(await store.lookup(key), []);
    });
  }

  run.test('gives a stored response a new head and keeps its body (RFC 9111 §4.3.4)', async (store, reopen) => {
    for (const bodyBytes of [0, 10, 3_000_000]) {
      const at = `${key}/${bodyBytes}`;
      const old = await mustPut(store, at, bytesOf(bodyBytes), {
        head: headOf(url, { metadata: { kept: 'over a 304' } }),
      });
      const updated = await store.updateHead(old.ref, freshened);
      assert.ok(updated !== undefined);
      assert.deepEqual({ ...updated.head }, freshened);
      await assertBody(updated, bytesOf(bodyBytes));
      const found = await mustFindOne(store, at);
      assert.deepEqual(found.ref, updated.ref);
      assert.deepEqual({ ...found.head }, freshened);
      await assertBody(found, bytesOf(bodyBytes));
    }
    if (!run.isDurable) return;
    const again = await reopen();
    for (const bodyBytes of [0, 10, 3_000_000]) {
      const found = await mustFindOne(again, `${key}/${bodyBytes}`);
      assert.deepEqual({ ...found.head }, freshened);
      await assertBody(found, bytesOf(bodyBytes));
    }
  });

  run.test('freshens one variant and leaves the others alone', async (store) => {
    const first = await mustPut(store, key, Buffer.from('first'));
    const second = await mustPut(store, key, Buffer.from('second'));
    await store.updateHead(first.ref, freshened);
    const found = await store.lookup(key);
    assert.equal(found.length, 2);
    const untouched = found.find((response) => response.ref.sequence === second.ref.sequence);
    assert.ok(untouched !== undefined, 'the ref of the other variant still holds');
    assert.deepEqual({ ...untouched.head }, headOf(key));
    assert.equal(await store.remove(second.ref), true);
    await assertBody(await mustFindOne(store, key), Buffer.from('first'));
  });

  run.test('lets only one of two that carry the same ref change anything', async (store) => {
    const old = await mustPut(store, key, Buffer.from('old'));
    const updated = await store.updateHead(old.ref, freshened);
    assert.ok(updated !== undefined);
    assert.equal(await store.updateHead(old.ref, headOf(url, { status: 410 })), undefined);
    assert.equal(await store.remove(old.ref), false);
    assert.deepEqual({ ...(await mustFindOne(store, key)).head }, freshened);
    assert.equal(await store.remove(updated.ref), true);
    assert.equal(await store.remove(updated.ref), false);
    assert.deepEqual(await store.lookup(key), []);
  });

  run.test('finds a response at any moment while it is freshened again and again', async (store) => {
    let { ref } = await mustPut(store, key, Buffer.from('body'));
    let isOver = false;
    const looking = (async () => {
      while (!isOver) {
        await assertBody(await mustFindOne(store, key), Buffer.from('body'));
        // A store in memory would leave no room for the updates.
        await new Promise((resolve) => setImmediate(resolve));
      }
    })();
    for (let n = 1; n <= 20; n += 1) {
      const updated = await store.updateHead(ref, headOf(url, { metadata: n }));
      assert.ok(updated !== undefined);
      ref = updated.ref;
    }
    isOver = true;
    await looking;
  });

  run.test('lets one of several updates at the same time win', async (store) => {
    const old = await mustPut(store, key, Buffer.from('old'));
    const updates = [1, 2, 3].map((n) => store.updateHead(old.ref, headOf(url, { metadata: n })));
    const settled = await Promise.all([...updates, store.remove(old.ref)]);
    const won = settled.filter((result) => result !== undefined && result !== false);
    assert.equal(won.length, 1);
    const found = await store.lookup(key);
    assert.equal(found.length, won[0] === true ? 0 : 1);
  });

  run.test('changes nothing for a ref that it never gave out', async (store) => {
    await mustPut(store, key, Buffer.from('kept'));
    const { ref } = await mustFindOne(store, key);
    for (const foreign of [
      { key: `${key}/other`, sequence: ref.sequence },
      { key, sequence: ref.sequence + 1_000_000 },
      { key, sequence: Number.NaN },
    ]) {
      assert.equal(await store.updateHead(foreign, freshened), undefined);
      assert.equal(await store.remove(foreign), false);
    }
    await assertBody(await mustFindOne(store, key), Buffer.from('kept'));
  });

  run.test('keeps one whole body of many stored under one key at the same time', async (store, reopen) => {
    const old = await mustPut(store, key, bytesOf(1000));
    const bodies = Array.from({ length: 12 }, (_, i) => bytesOf(20_000 * (i + 1), i + 2));
    const results = await Promise.all(bodies.map((body) => put(store, key, body, { replaces: [old.ref] })));
    const stored = results.findIndex((result) => result.outcome === 'stored');
    assert.equal(results.filter((result) => result.outcome === 'stored').length, 1);
    const body = bodies[stored] ?? Buffer.alloc(0);
    await assertBody(await mustFindOne(store, key), body);
    if (run.isDurable) await assertBody(await mustFindOne(await reopen(), key), body);
  });

  run.test('keeps every one of many variants stored at the same time', async (store) => {
    const bodies = Array.from({ length: 8 }, (_, i) => bytesOf(30_000 * (i + 1), i + 2));
    await Promise.all(
      bodies.map((body, i) => mustPut(store, key, body, { head: headOf(url, { selecting: ['n', String(i)] }) })),
    );
    const found = await store.lookup(key);
    assert.equal(found.length, bodies.length);
    for (const response of found) {
      await assertBody(response, bodies[Number(response.head.selecting[1])] ?? Buffer.alloc(0));
    }
    assert.equal(new Set(found.map((response) => response.ref.sequence)).size, bodies.length);
  });

  run.test('keeps all of many keys stored at the same time', async (store, reopen) => {
    const bodies = Array.from({ length: 300 }, (_, i) => bytesOf(100 + i * 7, i));
    await Promise.all(bodies.map((body, i) => mustPut(store, `${key}/${i}`, body)));
    for (const [i, body] of bodies.entries()) await assertBody(await mustFindOne(store, `${key}/${i}`), body);
    if (!run.isDurable) return;
    const again = await reopen();
    for (const [i, body] of bodies.entries()) await assertBody(await mustFindOne(again, `${key}/${i}`), body);
  });
}
