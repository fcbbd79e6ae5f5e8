import assert from 'node:assert/strict';
import type { ResponseStore, Selector } from '../../src/store/contract.js';
import {
  assertBody,
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
  [{ tag: ['none', 'docs', 'doc'] }, [1, 2, 6]],
  [{ tag: [] }, []],
  [{ namespace: '' }, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10]],
  [{ namespace: 'http://a.example/' }, []],
  [{ where: ({ head, tags }) => head.url.endsWith('x') || tags.length === 2 }, [1, 9, 10]],
  [{ where: ({ key }) => key === 'http://a.example/docsearch' }, [3]],
];

/** One selector of each kind. */
const ofEachKind = [0, 3, 6, 10, 17, 19, 21].flatMap((position) => selections.slice(position, position + 1));

const inNamespaces = ['http://a.example/', ' http://a.example/', 'n http://a.example/', 'n2 http://a.example/'];

const nameOf = (selector: Selector): string =>
  'where' in selector ? String(selector.where) : JSON.stringify(selector);

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
        assert.deepEqual(await positionsIn(at, selector), covered, nameOf(selector));
      }
    };
    await check(store);
    if (run.isDurable) await check(await reopen());
  });

  for (const [selector, covered] of selections) {
    run.test(`invalidates what ${nameOf(selector)} covers, and counts it`, async (store, reopen) => {
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

  for (const [selector, covered] of ofEachKind) {
    run.test(`marks what ${nameOf(selector)} covers as stale, and counts what was not`, async (store, reopen) => {
      await fill(store);
      await store.invalidate({ key: 'http://a.example/docs/1' }, { softMs: 1 });
      const isNew = covered.filter((position) => position !== 1);
      assert.equal(await store.invalidate(selector, { softMs: 2 }), isNew.length);
      assert.equal(await store.invalidate(selector, { softMs: 3 }), 0);
      const check = async (at: ResponseStore) => {
        assert.equal((await at.stats()).entries, responses.length);
        for (const [position, { url }] of responses.entries()) {
          const found = await mustFindOne(at, url);
          const expected = position === 1 ? 1 : isNew.includes(position) ? 2 : undefined;
          assert.equal(found.head.invalidatedMs, expected, url);
          await assertBody(found, Buffer.from(url));
        }
      };
      await check(store);
      if (run.isDurable) await check(await reopen());
    });
  }

  run.test('covers a namespace and no other, now and what comes into it later', async (store, reopen) => {
    const fillAll = async (at: ResponseStore) => {
      for (const key of inNamespaces) await mustPut(at, key, Buffer.from(key), { head: headOf('http://a.example/') });
    };
    const keysIn = async (at: ResponseStore) => (await listed(at.entries())).map(({ ref }) => ref.key).sort();
    await fillAll(store);
    assert.deepEqual(
      (await listed(store.entries({ namespace: 'n' }))).map(({ ref }) => ref.key),
      ['n http://a.example/'],
    );
    assert.equal(await store.invalidate({ namespace: 'n' }), 1);
    assert.equal(await store.invalidate({ namespace: 'n' }), 0);
    const left = inNamespaces.filter((key) => !key.startsWith('n '));
    assert.deepEqual(await keysIn(store), [...left].sort());
    const again = run.isDurable ? await reopen() : store;
    assert.deepEqual(await keysIn(again), [...left].sort());
    assert.deepEqual(await again.lookup('n http://a.example/'), []);
    await mustPut(again, 'n http://a.example/', Buffer.from('new'));
    assert.equal(await again.invalidate({ namespace: '' }), 2);
    const last = run.isDurable ? await reopen() : again;
    assert.deepEqual(await keysIn(last), ['n http://a.example/', 'n2 http://a.example/']);
    await assertBody(await mustFindOne(last, 'n http://a.example/'), Buffer.from('new'));
    assert.equal((await last.stats()).entries, 2);
  });

  run.test('brings nothing of a flushed namespace back that was changed at the same time', async (store, reopen) => {
    const head = headOf('http://a.example/');
    const { ref } = await mustPut(store, 'n a', Buffer.from('old'), { head });
    const late = store.create('n a', head, { replaces: [ref] });
    await writeAll(late, Buffer.from('late'));
    await Promise.all([
      store.invalidate({ namespace: 'n' }),
      store.updateHead(ref, { ...head, responseTimeMs: head.responseTimeMs + 1 }),
      store.remove(ref),
      late.commit(),
    ]);
    assert.deepEqual(await store.lookup('n a'), []);
    assert.equal((await store.stats()).entries, 0);
    const at = run.isDurable ? await reopen() : store;
    assert.deepEqual(await listed(at.entries()), []);
  });

  run.test('counts as stale what an update would freshen that was under way before', async (store) => {
    const head = headOf('http://a.example/');
    const { ref } = await mustPut(store, 'k', Buffer.from('body'), { head, tags: ['t'] });
    assert.equal(await store.invalidate({ tag: 't' }, { softMs: 5 }), 1);
    assert.equal(await store.updateHead(ref, head), undefined);
    const stale = await mustFindOne(store, 'k');
    const updated = await store.updateHead(stale.ref, head);
    assert.equal(updated?.head.invalidatedMs, undefined);
    assert.equal(await store.invalidate({ tag: 't' }, { softMs: 6 }), 1);
  });

  run.test('tells without looking whether something is stored, if it can', async (store, reopen) => {
    const tell = (at: ResponseStore, key: string): string => at.has?.(key) ?? 'maybe';
    const check = (at: ResponseStore, key: string, isStored: boolean): void => {
      assert.ok(['maybe', isStored ? 'present' : 'absent'].includes(tell(at, key)), `${key}: ${tell(at, key)}`);
    };
    check(store, 'k', false);
    const writer = store.create('k', headOf('http://a.example/'));
    check(store, 'k', false);
    await writer.commit();
    check(store, 'k', true);
    await mustPut(store, 'n k', Buffer.from('x'));
    const again = run.isDurable ? await reopen() : store;
    check(again, 'k', true);
    await again.invalidate({ key: 'k' });
    check(again, 'k', false);
    check(again, 'n k', true);
    await again.invalidate({ namespace: 'n' });
    check(again, 'n k', false);
  });

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

  const coversIncoming: readonly Selector[] = [
    { key: 'k' },
    { prefix: 'http://a.' },
    { host: 'a.example' },
    { tag: 't' },
    { tag: ['s', 't'] },
    { where: ({ head, tags, key }) => head.url.startsWith('http://a.') && tags[0] === 't' && key === 'k' },
  ];
  const asked = coversIncoming.flatMap((selector) => [
    { selector, options: {}, how: 'invalidated' },
    { selector, options: { softMs: 1 }, how: 'invalidated softly' },
  ]);
  for (const { selector, options, how } of asked) {
    run.test(`declines what was on its way in when ${nameOf(selector)} was ${how}`, async (store) => {
      const head = headOf('http://a.example/');
      const covered = store.create('k', head, { tags: ['t'] });
      await writeAll(covered, Buffer.from('from before'));
      const other = store.create('other', headOf('http://b.example/'), { tags: ['u'] });
      assert.equal(await store.invalidate(selector, options), 0);
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
