import assert from 'node:assert/strict';
import type { ResponseStore, Selector } from '../../src/store/contract.js';
import {
  assertDeclined,
  type ContractRun,
  headOf,
  listed,
  mustFindOne,
  mustPut,
  put,
  writeAll,
} from './contract-kit.js';

const responses: readonly { readonly url: string; readonly tags?: readonly string[] }[] = [
  { url: 'http://a.example/', tags: ['site'] },
  { url: 'http://a.example/docs/1', tags: ['site', 'docs'] },
  { url: 'http://a.example/docs/2', tags: ['docs'] },
  { url: 'http://a.example/docsearch' },
  { url: 'http://a.example:8080/docs/1' },
  { url: 'https://a.example/docs/1' },
  { url: 'http://sub.a.example/', tags: ['doc'] },
  { url: 'http://a.example.evil.test/' },
  { url: 'http://evil.test/?u=http://a.example/docs/1' },
  { url: 'http://user@b.example/x' },
  { url: 'http://[::1]:81/x' },
];

/** Which of the responses above each selector covers, by position. */
const selections: readonly (readonly [Selector, readonly number[]])[] = [
  [{ key: 'http://a.example/docs/1' }, [1]],
  [{ key: 'http://a.example/docs' }, []],
  [{ prefix: 'http://a.example/docs/' }, [1, 2]],
  [{ prefix: 'http://a.example/docs' }, [1, 2, 3]],
  [{ prefix: 'http://a.example/nothing' }, []],
  [{ prefix: '' }, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10]],
  [{ host: 'a.example' }, [0, 1, 2, 3, 4, 5]],
  [{ host: 'A.Example' }, [0, 1, 2, 3, 4, 5]],
  [{ host: 'a.example:8080' }, [4]],
  [{ host: 'a.example:443' }, [5]],
  [{ host: 'example' }, []],
  [{ host: 'b.example' }, [9]],
  [{ host: '[::1]' }, [10]],
  [{ host: '[::1]:81' }, [10]],
  [{ tag: 'docs' }, [1, 2]],
  [{ tag: 'site' }, [0, 1]],
  [{ tag: 'none' }, []],
];

async function fill(store: ResponseStore): Promise<void> {
  for (const { url, tags } of responses) {
    await mustPut(store, url, Buffer.from(url), { head: headOf(url), ...(tags && { tags }) });
  }
}

async function positionsIn(store: ResponseStore, selector?: Selector): Promise<number[]> {
  const found = await listed(store.entries(selector));
  return found.map(({ ref }) => responses.findIndex(({ url }) => url === ref.key)).sort((a, b) => a - b);
}

/** Invalidation and listing: what a selector covers, all of it, and for good. */
export function testInvalidation(run: ContractRun): void {
  run.test('lists what a selector covers, and everything without one', async (store, reopen) => {
    await fill(store);
    const check = async (at: ResponseStore) => {
      assert.deepEqual(await positionsIn(at), [...responses.keys()]);
      for (const [selector, covered] of selections) {
        assert.deepEqual(await positionsIn(at, selector), covered, JSON.stringify(selector));
      }
    };
    await check(store);
    if (run.isDurable) await check(await reopen());
  });

  for (const [selector, covered] of selections) {
    run.test(`invalidates what ${JSON.stringify(selector)} covers, and counts it`, async (store, reopen) => {
      await fill(store);
      assert.equal(await store.invalidate(selector), covered.length);
      const left = [...responses.keys()].filter((position) => !covered.includes(position));
      assert.deepEqual(await positionsIn(store), left);
      for (const position of covered) assert.deepEqual(await store.lookup(responses[position]?.url ?? ''), []);
      assert.equal((await store.stats()).entries, left.length);
      assert.equal(await store.invalidate(selector), 0);
      if (run.isDurable) assert.deepEqual(await positionsIn(await reopen()), left);
    });
  }

  run.test('invalidates every variant under a key', async (store) => {
    for (const body of ['a', 'b', 'c'])
      await mustPut(store, 'k', Buffer.from(body), { head: headOf('http://a.example/') });
    assert.equal(await store.invalidate({ key: 'k' }), 3);
    assert.deepEqual(await store.lookup('k'), []);
  });

  run.test('reaches by tag what was freshened since, and what was stored before a restart', async (store, reopen) => {
    const head = headOf('http://a.example/');
    const { ref } = await mustPut(store, 'k', Buffer.from('a'), { head, tags: ['t'] });
    await store.updateHead(ref, { ...head, responseTimeMs: head.responseTimeMs + 1 });
    const at = run.isDurable ? await reopen() : store;
    assert.equal(await at.invalidate({ tag: 't' }), 1);
    assert.deepEqual(await at.lookup('k'), []);
  });

  run.test('stores again what was invalidated before', async (store, reopen) => {
    const head = headOf('http://a.example/');
    await mustPut(store, 'k', Buffer.from('old'), { head, tags: ['t'] });
    for (const selector of [{ key: 'k' }, { prefix: 'http' }, { host: 'a.example' }, { tag: 't' }]) {
      assert.equal(await store.invalidate(selector), 1, JSON.stringify(selector));
      await mustPut(store, 'k', Buffer.from('new'), { head, tags: ['t'] });
      assert.equal((await mustFindOne(store, 'k')).bodyBytes, 3);
    }
    if (run.isDurable) assert.equal((await mustFindOne(await reopen(), 'k')).bodyBytes, 3);
  });

  for (const selector of [{ key: 'k' }, { prefix: 'http://a.' }, { host: 'a.example' }, { tag: 't' }]) {
    run.test(`declines what was on its way in when ${JSON.stringify(selector)} was invalidated`, async (store) => {
      const head = headOf('http://a.example/');
      const covered = store.create('k', head, { tags: ['t'] });
      await writeAll(covered, Buffer.from('from before'));
      const other = store.create('other', headOf('http://b.example/'), { tags: ['u'] });
      assert.equal(await store.invalidate(selector), 0);
      assertDeclined(await covered.commit(), 'superseded');
      assert.equal((await other.commit()).outcome, 'stored');
      assert.deepEqual(await store.lookup('k'), []);
      assert.equal((await put(store, 'k', Buffer.from('after'), { head, tags: ['t'] })).outcome, 'stored');
    });
  }

  run.test('serves to its end a body that was opened before it was invalidated', async (store) => {
    const body = Buffer.alloc(3_000_000, 'x');
    await mustPut(store, 'k', body);
    const chunks = (await mustFindOne(store, 'k')).openBody()[Symbol.asyncIterator]();
    let readBytes = (await chunks.next()).value.length;
    await store.invalidate({ key: 'k' });
    for (let next = await chunks.next(); !next.done; next = await chunks.next()) readBytes += next.value.length;
    assert.equal(readBytes, body.length);
  });
}
