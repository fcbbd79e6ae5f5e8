import assert from 'node:assert/strict';
import type { StoredHead } from '../../src/http/message.js';
import type { ResponseStore } from '../../src/store/contract.js';
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
const url = 'http://example.com/a';
const kibibyte = 1024;

/** What is stored appears as a whole, or not at all. */
export function testCommits(run: ContractRun): void {
  run.test('finds nothing under a key never seen', async (store) => {
    assert.deepEqual(await store.lookup(key), []);
  });

  run.test('shows nothing of a response before it is committed', async (store) => {
    const writer = store.create(key, headOf(url));
    await writeAll(writer, bytesOf(100_000));
    assert.deepEqual(await store.lookup(key), []);
    assert.deepEqual(await listed(store.entries()), []);
    assert.equal((await store.stats()).entries, 0);
    const result = await writer.commit();
    assert.equal(result.outcome, 'stored');
    await assertBody(await mustFindOne(store, key), bytesOf(100_000));
  });

  run.test('hands back from commit what a lookup finds', async (store) => {
    const stored = await mustPut(store, key, bytesOf(5000));
    const found = await mustFindOne(store, key);
    assert.deepEqual(found.ref, stored.ref);
    assert.deepEqual(found.head, stored.head);
    await assertBody(stored, bytesOf(5000));
  });

  for (const length of [0, 1, 64 * kibibyte, 256 * kibibyte, 1024 * kibibyte, 5 * 1024 * kibibyte]) {
    for (const bodyBytes of length > 1 ? [length - 1, length, length + 1] : [length]) {
      run.test(`gives back a body of ${bodyBytes} bytes as it came`, async (store, reopen) => {
        const body = bytesOf(bodyBytes, bodyBytes);
        const writer = store.create(key, headOf(url), { expectedBytes: bodyBytes });
        await writeAll(writer, body, 48_000);
        assert.equal((await writer.commit()).outcome, 'stored');
        await assertBody(await mustFindOne(store, key), body);
        if (run.isDurable) await assertBody(await mustFindOne(await reopen(), key), body);
      });
    }
  }

  run.test('puts together a body of unknown length from uneven chunks', async (store) => {
    const body = bytesOf(300_000);
    const writer = store.create(key, headOf(url));
    for (let at = 0, size = 1; at < body.length; at += size, size = (size * 3 + 1) % 20_011) {
      size = Math.max(size, 1);
      if (!writer.write(body.subarray(at, at + size))) await writer.ready();
    }
    assert.equal((await writer.commit()).outcome, 'stored');
    await assertBody(await mustFindOne(store, key), body);
  });

  run.test('puts together a long body from short chunks', async (store) => {
    const body = bytesOf(2_500_000);
    const writer = store.create(key, headOf(url), { expectedBytes: body.length });
    await writeAll(writer, body, 3000);
    assert.equal((await writer.commit()).outcome, 'stored');
    await assertBody(await mustFindOne(store, key), body);
  });

  run.test('takes empty chunks for what they are', async (store) => {
    const writer = store.create(key, headOf(url));
    writer.write(new Uint8Array(0));
    writer.write(Buffer.from('ab'));
    writer.write(new Uint8Array(0));
    writer.write(Buffer.from('c'));
    assert.equal((await writer.commit()).outcome, 'stored');
    await assertBody(await mustFindOne(store, key), Buffer.from('abc'));
  });

  run.test('stores the bytes of a view and not those around it', async (store) => {
    const slab = bytesOf(64 * kibibyte);
    const writer = store.create(key, headOf(url));
    writer.write(new Uint8Array(slab.buffer, slab.byteOffset + 1000, 50));
    assert.equal((await writer.commit()).outcome, 'stored');
    await assertBody(await mustFindOne(store, key), slab.subarray(1000, 1050));
  });

  run.test('leaves no trace of an aborted response, however often it is aborted', async (store, reopen) => {
    const writer = store.create(key, headOf(url));
    await writeAll(writer, bytesOf(700_000));
    await writer.abort();
    await writer.abort();
    assertDeclined(await writer.commit());
    assert.deepEqual(await store.lookup(key), []);
    assert.deepEqual(await listed(store.entries()), []);
    assert.equal((await store.stats()).entries, 0);
    if (run.isDurable) assert.deepEqual(await (await reopen()).lookup(key), []);
  });

  run.test('aborts a response that has no body yet', async (store) => {
    const writer = store.create(key, headOf(url));
    await writer.abort();
    assert.deepEqual(await store.lookup(key), []);
  });

  run.test('keeps what was stored when a later response for the same key is aborted', async (store) => {
    const old = await mustPut(store, key, Buffer.from('old'));
    const writer = store.create(key, headOf(url), { replaces: [old.ref] });
    writer.write(Buffer.from('new'));
    await writer.abort();
    await assertBody(await mustFindOne(store, key), Buffer.from('old'));
  });

  run.test('counts only the first of two commits, and nothing written after it', async (store) => {
    const writer = store.create(key, headOf(url));
    writer.write(Buffer.from('once'));
    const [first, second] = await Promise.all([writer.commit(), writer.commit()]);
    assert.equal(first.outcome, 'stored');
    writer.write(Buffer.from(' and again'));
    const third = await writer.commit();
    await assertBody(await mustFindOne(store, key), Buffer.from('once'));
    if (first.outcome !== 'stored') return;
    for (const later of [second, third]) {
      if (later.outcome === 'stored') assert.deepEqual(later.response.ref, first.response.ref);
    }
  });

  run.test('keeps what was committed when it is aborted afterwards', async (store) => {
    const writer = store.create(key, headOf(url));
    writer.write(Buffer.from('kept'));
    await writer.commit();
    await writer.abort();
    await assertBody(await mustFindOne(store, key), Buffer.from('kept'));
  });

  for (const [claim, expectedBytes] of [
    ['shorter', 4],
    ['longer', 2],
    ['longer than nothing', 0],
  ] as const) {
    run.test(`declines a body that is not of the announced length: ${claim} (RFC 9111 §3.3)`, async (store) => {
      assertDeclined(await put(store, key, Buffer.from('abc'), { expectedBytes }), 'length-mismatch');
      assert.deepEqual(await store.lookup(key), []);
    });
  }

  const tight = { maxBytes: 8 * 1024 * kibibyte, maxEntryBytes: 100_000 };
  run.testWithin(tight, 'declines a body that is too large, announced or not', async (store) => {
    assertDeclined(await put(store, key, bytesOf(100_001), { expectedBytes: 100_001 }), 'too-large');
    assertDeclined(await put(store, key, bytesOf(100_001)), 'too-large');
    assertDeclined(await put(store, key, bytesOf(3_000_000)), 'too-large');
    assert.deepEqual(await store.lookup(key), []);
    await mustPut(store, key, bytesOf(100_000));
    await assertBody(await mustFindOne(store, key), bytesOf(100_000));
  });

  run.test('declines a body that is longer than this one may be', async (store) => {
    assertDeclined(await put(store, key, bytesOf(1001), { maxBytes: 1000 }), 'too-large');
    assertDeclined(await put(store, key, bytesOf(1001), { maxBytes: 1000, expectedBytes: 1001 }), 'too-large');
    assert.equal((await put(store, key, bytesOf(1000), { maxBytes: 1000, expectedBytes: 1000 })).outcome, 'stored');
  });

  run.test('declines a version that is not higher than that of the same variant', async (store, reopen) => {
    const putVersion = (at: ResponseStore, version: number | undefined, more: Partial<StoredHead> = {}) =>
      put(at, key, Buffer.from(`v${version}`), {
        head: headOf(url, { ...(version !== undefined && { version }), ...more }),
      });
    const german = { selecting: ['accept-language', 'de'] };
    assert.equal((await putVersion(store, 5)).outcome, 'stored');
    for (const version of [5, 4, 0]) assertDeclined(await putVersion(store, version), 'version-mismatch');
    assert.equal((await putVersion(store, 2, german)).outcome, 'stored');
    const at = run.isDurable ? await reopen() : store;
    assertDeclined(await putVersion(at, 5), 'version-mismatch');
    assertDeclined(await putVersion(at, 1, german), 'version-mismatch');
    assert.equal((await at.lookup(key)).length, 2);
    const [old] = (await at.lookup(key)).filter(({ head }) => head.version === 5);
    assert.ok(old !== undefined);
    assert.ok((await at.updateHead(old.ref, { ...old.head, responseTimeMs: 1 })) !== undefined);
    assertDeclined(await putVersion(at, 5), 'version-mismatch');
    assert.equal((await putVersion(at, 6)).outcome, 'stored');
    await at.invalidate({ key });
    assert.equal((await putVersion(at, 1)).outcome, 'stored');
    assert.equal((await putVersion(at, undefined)).outcome, 'stored');
  });

  run.test('stores no lower version after a higher one, of many at the same time', async (store) => {
    const versions = [3, 1, 4, 1, 5, 9, 2, 6];
    const writers = versions.map((version) => {
      const writer = store.create(key, headOf(url, { version }));
      writer.write(bytesOf(version * 40_000, version));
      return writer;
    });
    const results = await Promise.all(writers.map((writer) => writer.commit()));
    const stored = versions.filter((_, i) => results[i]?.outcome === 'stored');
    assert.equal(Math.max(...stored), 9);
    for (const result of results) if (result.outcome === 'declined') assertDeclined(result, 'version-mismatch');
    const found = (await store.lookup(key)).map(({ head }) => head.version);
    assert.deepEqual([...found].sort(), [...new Set(stored)].sort());
    assert.equal(found[0], 9);
  });

  run.testWithin(tight, 'a writer that tells early why it will decline tells it once it is certain', async (store) => {
    const announced = store.create(key, headOf(url), { expectedBytes: 100_001 });
    const unannounced = store.create(key, headOf(url));
    if (!('declined' in announced)) return;
    assert.equal(announced.declined, 'too-large');
    await writeAll(unannounced, bytesOf(100_000));
    assert.equal(unannounced.declined, undefined);
    unannounced.write(Buffer.from('x'));
    assert.equal(unannounced.declined, 'too-large');
    await Promise.all([announced.abort(), unannounced.abort()]);
  });

  run.testWithin(tight, 'stores on when more was stored than fits', async (store) => {
    for (let i = 0; i < 200; i += 1) await put(store, `${key}/${i}`, bytesOf(90_000, i));
    const { bytes, maxBytes, entries } = await store.stats();
    assert.ok(bytes <= maxBytes, `${bytes} of ${maxBytes} bytes in use`);
    const found = await listed(store.entries());
    assert.equal(found.length, entries);
    assert.ok(entries > 0, 'something is left');
    for (const response of found) {
      await assertBody(response, bytesOf(90_000, Number(response.ref.key.slice(key.length + 1))));
    }
  });
}
