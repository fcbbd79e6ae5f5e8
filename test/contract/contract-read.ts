import assert from 'node:assert/strict';
import type { StoredHead } from '../../src/http/message.js';
import {
  assertBody,
  assertSameBytes,
  bytesOf,
  type ContractRun,
  headOf,
  mustFindOne,
  mustPut,
  readAll,
} from './contract-kit.js';

const key = 'GET http://example.com/a';
const url = 'http://example.com/a';

/** What comes back is what went in. */
export function testReading(run: ContractRun): void {
  const everything: StoredHead = headOf('http://example.com/%C3%A9?q=1', {
    status: 203,
    statusText: 'Tr\u00e8s bien',
    httpVersion: '2.0',
    fields: [
      'Link',
      '<a>',
      'X-Bytes',
      '\u0080\u00ff \u00e9',
      'Link',
      '<b>',
      'link',
      '',
      'Set-Cookie',
      'a=1',
      'Set-Cookie',
      'b=2',
    ],
    method: 'QUERY',
    selecting: ['accept-language', 'de, en;q=0.5', 'x-raw', '\u00ff'],
    ttlMs: 0,
    expiresAtMs: 1_700_000_100_000,
    lifetimeFraction: 0.875,
    idleTtlMs: 60_000,
    lastUsedMs: 1_700_000_000_444,
    version: 7,
    invalidatedMs: 1_700_000_000_555,
    metadata: { label: 'Grüße 🎈', depth: { list: [1, -2.5, 'x', null, true] } },
  });

  run.test('gives back a head field by field, byte by byte', async (store, reopen) => {
    await mustPut(store, key, Buffer.from('body'), { head: everything, trailers: ['X-Sum', '\u00e0', 'X-Sum', 'b'] });
    const expected = { ...everything, trailers: ['X-Sum', '\u00e0', 'X-Sum', 'b'] };
    assert.deepEqual({ ...(await mustFindOne(store, key)).head }, expected);
    if (run.isDurable) assert.deepEqual({ ...(await mustFindOne(await reopen(), key)).head }, expected);
  });

  run.test('leaves out of a head what it never had', async (store, reopen) => {
    await mustPut(store, key, Buffer.from('body'), { head: headOf(url) });
    assert.deepEqual({ ...(await mustFindOne(store, key)).head }, headOf(url));
    if (run.isDurable) assert.deepEqual({ ...(await mustFindOne(await reopen(), key)).head }, headOf(url));
  });

  run.test('keeps the metadata as it was when it was stored', async (store) => {
    const metadata = { note: 'first' };
    await mustPut(store, key, Buffer.from('body'), { head: headOf(url, { metadata }) });
    metadata.note = 'changed by its owner';
    assert.deepEqual((await mustFindOne(store, key)).head.metadata, { note: 'first' });
  });

  run.test('takes keys of any length and any characters', async (store, reopen) => {
    const keys = [
      '',
      ' ',
      '../../etc/passwd',
      'a\u0000b',
      'é',
      'e\u0301',
      '🎈',
      '__proto__',
      'constructor',
      'x'.repeat(100_000),
    ];
    for (const [i, odd] of keys.entries()) await mustPut(store, odd, Buffer.from(`body ${i}`));
    for (const [i, odd] of keys.entries()) await assertBody(await mustFindOne(store, odd), Buffer.from(`body ${i}`));
    if (!run.isDurable) return;
    const again = await reopen();
    for (const [i, odd] of keys.entries()) await assertBody(await mustFindOne(again, odd), Buffer.from(`body ${i}`));
  });

  run.test('keeps the same body under two keys, and one when the other is removed', async (store) => {
    const body = bytesOf(100_000);
    const first = await mustPut(store, `${key}1`, body);
    await mustPut(store, `${key}2`, body);
    assert.equal(await store.remove(first.ref), true);
    await assertBody(await mustFindOne(store, `${key}2`), body);
  });

  for (const bodyBytes of [100, 64 * 1024, 700_000, 3_000_000]) {
    run.test(`reads any part of a body of ${bodyBytes} bytes`, async (store) => {
      const body = bytesOf(bodyBytes);
      await mustPut(store, key, body);
      const response = await mustFindOne(store, key);
      const last = bodyBytes - 1;
      const middle = bodyBytes >> 1;
      for (const [start, end] of [
        [0, 0],
        [0, last],
        [last, last],
        [1, last - 1],
        [middle, middle + 10],
        [middle, undefined],
        [undefined, middle],
      ] as const) {
        const range = { ...(start !== undefined && { start }), ...(end !== undefined && { end }) };
        assertSameBytes(await readAll(response.openBody(range)), body.subarray(start ?? 0, (end ?? last) + 1));
      }
    });
  }

  run.test('throws a RangeError for a part that is not within the body', async (store) => {
    await mustPut(store, key, bytesOf(1000));
    const response = await mustFindOne(store, key);
    for (const range of [
      { start: 1000 },
      { start: 0, end: 1000 },
      { start: -1 },
      { start: 10, end: 9 },
      { start: 0.5 },
      { start: Number.NaN },
      { end: -1 },
      { start: 0, end: Number.POSITIVE_INFINITY },
    ]) {
      assert.throws(() => response.openBody(range), RangeError, JSON.stringify(range));
    }
    await mustPut(store, `${key}/empty`, new Uint8Array(0));
    const empty = await mustFindOne(store, `${key}/empty`);
    assert.throws(() => empty.openBody({ start: 0, end: 0 }), RangeError);
  });

  run.test('serves several readers of one body, each at its own pace', async (store) => {
    const body = bytesOf(2_000_000);
    await mustPut(store, key, body);
    const response = await mustFindOne(store, key);
    const abandoned = response.openBody();
    await abandoned[Symbol.asyncIterator]().next();
    abandoned.destroy();
    const bodies = await Promise.all([readAll(response.openBody()), readAll(response.openBody({ start: 999_999 }))]);
    assertSameBytes(bodies[0], body);
    assertSameBytes(bodies[1], body.subarray(999_999));
  });

  run.test('reads no further ahead of a reader that does not read than it must', async (store) => {
    await mustPut(store, key, bytesOf(8_000_000));
    const stream = (await mustFindOne(store, key)).openBody();
    const chunks = stream[Symbol.asyncIterator]();
    const first = await chunks.next();
    assert.ok(
      first.value.length + stream.readableLength <= 3 * 1024 * 1024,
      `${stream.readableLength} bytes read ahead`,
    );
    stream.destroy();
  });

  run.test('keeps its own bytes when a reader writes over those it was handed', async (store) => {
    await mustPut(store, key, bytesOf(10_000));
    const chunks: Buffer[] = await (await mustFindOne(store, key)).openBody().toArray();
    for (const chunk of chunks) chunk.fill(0);
    await assertBody(await mustFindOne(store, key), bytesOf(10_000));
  });
}
