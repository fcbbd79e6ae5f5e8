import assert from 'node:assert/strict';
import {
  assertBody,
  assertDeclined,
  assertFails,
  assertSameBytes,
  bytesOf,
  type ContractRun,
  headOf,
  mustFindOne,
  readAll,
  writeAll,
} from './contract-kit.js';

const key = 'GET http://example.com/a';
const url = 'http://example.com/a';
const mebibyte = 1024 * 1024;

/** Readers of a body that is still on its way in. */
export function testLiveBodies(run: ContractRun): void {
  for (const bodyBytes of [0, 10, 200_000, 5 * mebibyte]) {
    run.test(
      `serves readers of a body of ${bodyBytes} bytes from before, within and near the end of it`,
      async (store) => {
        const body = bytesOf(bodyBytes);
        const writer = store.create(key, headOf(url));
        const reads = [readAll(writer.openBody())];
        await writeAll(writer, body.subarray(0, bodyBytes >> 1));
        reads.push(readAll(writer.openBody()));
        await writeAll(writer, body.subarray(bodyBytes >> 1));
        reads.push(readAll(writer.openBody()));
        assert.equal((await writer.commit()).outcome, 'stored');
        for (const read of await Promise.all(reads)) assertSameBytes(read, body);
        await assertBody(await mustFindOne(store, key), body);
      },
    );
  }

  run.test('hands bytes to a reader before the body is complete', async (store) => {
    const writer = store.create(key, headOf(url));
    const chunks = writer.openBody()[Symbol.asyncIterator]();
    for (const text of ['first', 'second']) {
      const next = chunks.next();
      writer.write(Buffer.from(text));
      assert.equal(String((await next).value), text);
    }
    await writer.commit();
    assert.equal((await chunks.next()).done, true);
  });

  run.test('starts a reader where it asks to start, also ahead of the writer', async (store) => {
    const body = bytesOf(400_000);
    const writer = store.create(key, headOf(url));
    await writeAll(writer, body.subarray(0, 150_000));
    const reads = [0, 1, 100_000, 150_000, 300_000].map(async (start) => ({
      start,
      read: await readAll(writer.openBody({ start })),
    }));
    await writeAll(writer, body.subarray(150_000));
    await writer.commit();
    for (const { start, read } of await Promise.all(reads)) assertSameBytes(read, body.subarray(start));
  });

  run.test('lets readers of different pace each finish, also long after the commit', async (store) => {
    const body = bytesOf(3 * mebibyte);
    const writer = store.create(key, headOf(url));
    const slow = writer.openBody();
    const slowChunks = slow[Symbol.asyncIterator]();
    const slowRead: Buffer[] = [];
    const fast = readAll(writer.openBody());
    for (let at = 0; at < body.length; at += 100_000) {
      await writeAll(writer, body.subarray(at, at + 100_000));
      if (slowRead.length < 3) slowRead.push((await slowChunks.next()).value);
    }
    await writer.commit();
    assertSameBytes(await fast, body);
    for (let next = await slowChunks.next(); !next.done; next = await slowChunks.next()) slowRead.push(next.value);
    assertSameBytes(Buffer.concat(slowRead), body);
  });

  run.test('holds little for a reader that does not read', async (store) => {
    const writer = store.create(key, headOf(url));
    const stuck = writer.openBody();
    const chunks = stuck[Symbol.asyncIterator]();
    writer.write(Buffer.from('x'));
    await chunks.next();
    for (let i = 0; i < 8; i += 1) await writeAll(writer, bytesOf(mebibyte, i));
    assert.ok(stuck.readableLength <= 2 * mebibyte, `${stuck.readableLength} bytes wait for it`);
    assert.equal((await writer.commit()).outcome, 'stored');
    assert.ok(stuck.readableLength <= 2 * mebibyte, `${stuck.readableLength} bytes wait for it`);
    stuck.destroy();
  });

  run.test('goes on storing when a reader gives up', async (store) => {
    const body = bytesOf(2 * mebibyte);
    const writer = store.create(key, headOf(url));
    const leaving = writer.openBody();
    const staying = readAll(writer.openBody());
    await writeAll(writer, body.subarray(0, mebibyte));
    leaving.destroy();
    await writeAll(writer, body.subarray(mebibyte));
    assert.equal((await writer.commit()).outcome, 'stored');
    assertSameBytes(await staying, body);
    await assertBody(await mustFindOne(store, key), body);
  });

  run.test('fails every reader of a response that is aborted, and never ends one short', async (store) => {
    const writer = store.create(key, headOf(url));
    const early = assertFails(writer.openBody());
    await writeAll(writer, bytesOf(500_000));
    const later = assertFails(writer.openBody());
    const ahead = assertFails(writer.openBody({ start: 600_000 }));
    await writer.abort();
    await Promise.all([early, later, ahead]);
  });

  run.test('fails every reader of a response that turned out short of its length', async (store) => {
    const writer = store.create(key, headOf(url), { expectedBytes: 1000 });
    const reader = assertFails(writer.openBody());
    await writeAll(writer, bytesOf(999));
    assertDeclined(await writer.commit(), 'length-mismatch');
    await reader;
  });

  const tight = { maxBytes: 8 * mebibyte, maxEntryBytes: 100_000 };
  run.testWithin(tight, 'serves a reader that keeps up all of a body that is too large to store', async (store) => {
    const body = bytesOf(mebibyte);
    const writer = store.create(key, headOf(url));
    const chunks: Buffer[] = [];
    const reader = writer.openBody();
    const iterator = reader[Symbol.asyncIterator]();
    let read = 0;
    for (let at = 0; at < body.length; at += 16_384) {
      await writeAll(writer, body.subarray(at, at + 16_384));
      while (read < at + 16_384) {
        const { value } = await iterator.next();
        chunks.push(value);
        read += value.length;
      }
    }
    assertDeclined(await writer.commit(), 'too-large');
    assert.equal((await iterator.next()).done, true);
    assertSameBytes(Buffer.concat(chunks), body);
  });
}
