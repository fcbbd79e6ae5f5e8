import { mkdir, readdir, stat, symlink, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { StoredResponse, StoreEvent } from '../../src/store/contract.js';
import type { DiskStore } from '../../src/store/disk-store.js';
import { bodyOf, bytesOf, headOf, inTemporaryDirectory, MiB, openIn, store, textAt } from './disk-fixture.js';

const test = suite('disk store');

test('gives back what was stored, before and after it is opened again', () =>
  inTemporaryDirectory(async (directory) => {
    const head = headOf('https://a.test/1', {
      status: 203,
      statusText: 'caf\xe9',
      httpVersion: '2.0',
      fields: ['Set-Cookie', 'a=1', 'set-cookie', 'b=2', 'X-Latin', '\xff\x00\x80', 'X-Lines', 'a\nb', 'X-Empty', ''],
      selecting: ['accept', 'text/html'],
      ttlMs: 1500,
      invalidatedMs: 1_790_000_000_999,
      metadata: { crawl: 7, at: new Date(5), deep: [null, { x: 'ü' }] },
    });
    const body = bytesOf(200_000, 1);
    const first = await openIn(directory);
    const writer = first.create('k', head);
    writer.write(body);
    const result = await writer.commit({ trailers: ['X-Sum', '1'] });
    assert.is(result.outcome, 'stored');
    const check = async (from: Awaited<ReturnType<typeof openIn>>): Promise<void> => {
      const found = await from.lookup('k');
      assert.is(found.length, 1);
      assert.equal(found[0]?.head, { ...head, trailers: ['X-Sum', '1'] });
      assert.is(found[0]?.bodyBytes, body.byteLength);
      assert.ok(body.equals(await bodyOf(found[0])));
    };
    await check(first);
    await first.close();
    const second = await openIn(directory);
    await check(second);
    await second.close();
  }));

test('keeps bodies of every size', () =>
  inTemporaryDirectory(async (directory) => {
    const sizes = [0, 1, 65_535, 65_536, 65_537, 250_000, 300_000, MiB, MiB + 1, 5 * MiB + 3];
    const first = await openIn(directory);
    await Promise.all(sizes.map((size) => store(first, `k${size}`, bytesOf(size, size))));
    for (const size of sizes) {
      const [found] = await first.lookup(`k${size}`);
      assert.ok(bytesOf(size, size).equals(await bodyOf(found)), `${size} bytes`);
    }
    await first.close();
    const second = await openIn(directory);
    for (const size of sizes) {
      const [found] = await second.lookup(`k${size}`);
      assert.ok(bytesOf(size, size).equals(await bodyOf(found)), `${size} bytes, opened again`);
    }
    await second.close();
  }));

/** One response in chunks that are the caller's again when `commit` has returned: he writes over them at once. */
async function storeLent(target: DiskStore, key: string, chunks: readonly Buffer[]): Promise<StoredResponse> {
  const writer = target.create(key, headOf(key));
  for (const chunk of chunks) writer.write(chunk, true);
  const committed = writer.commit();
  for (const chunk of chunks) chunk.fill(0xee);
  const result = await committed;
  if (result.outcome !== 'stored') throw new Error(`declined: ${result.reason}`);
  return result.response;
}

for (const sizes of [[20_000], [100, 20_000], [20_000, 100, 9000], [700_000], [2 * MiB], [2 * MiB, 100]]) {
  test(`keeps what is lent as it was when it was committed: ${sizes.join(' + ')} bytes`, () =>
    inTemporaryDirectory(async (directory) => {
      const target = await openIn(directory);
      const chunks = sizes.map((size) => bytesOf(size, size));
      const body = Buffer.concat(chunks);
      assert.ok(body.equals(await bodyOf(await storeLent(target, 'k', chunks))));
      const [found] = await target.lookup('k');
      assert.ok(body.equals(await bodyOf(found)));
      await target.close();
    }));
}

test('keeps what is lent also if it has to wait for room, and for those who read along', () =>
  inTemporaryDirectory(async (directory) => {
    const target = await openIn(directory);
    // More than all batches hold, so that what comes last waits in line.
    const waiting = Array.from({ length: 24 }, (_, i) => storeLent(target, `k${i}`, [bytesOf(MiB - 1000, i)]));
    const writer = target.create('read', headOf('read'));
    const lent = bytesOf(30_000, 99);
    writer.write(lent, true);
    const reader = writer.openBody();
    const committed = writer.commit();
    lent.fill(0xee);
    assert.ok(bytesOf(30_000, 99).equals(await buffer(reader)));
    assert.is((await committed).outcome, 'stored');
    await Promise.all(waiting);
    for (let i = 0; i < waiting.length; i += 1) {
      const [found] = await target.lookup(`k${i}`);
      assert.ok(bytesOf(MiB - 1000, i).equals(await bodyOf(found)), `k${i}`);
    }
    const [found] = await target.lookup('read');
    assert.ok(bytesOf(30_000, 99).equals(await bodyOf(found)));
    await target.close();
  }));

test('a new head leaves the body as it is, and outdates the old ref', () =>
  inTemporaryDirectory(async (directory) => {
    for (const size of [10, 400_000, 2 * MiB]) {
      const key = `k${size}`;
      const first = await openIn(directory);
      const old = await store(first, key, bytesOf(size, 3));
      const fresh = await first.updateHead(old.ref, headOf(key, { status: 299 }));
      assert.is(fresh?.head.status, 299);
      const again = fresh && (await first.updateHead(fresh.ref, headOf(key, { status: 298 })));
      assert.is(again?.head.status, 298);
      assert.is(await first.updateHead(old.ref, headOf(key)), undefined);
      assert.is(await first.remove(old.ref), false);
      assert.is((await first.stats()).counters.freshened, 2);
      await first.close();
      const second = await openIn(directory);
      const found = await second.lookup(key);
      assert.equal(
        found.map(({ head }) => head.status),
        [298],
      );
      assert.ok(bytesOf(size, 3).equals(await bodyOf(found[0])));
      await second.close();
    }
  }));

test('what is removed, replaced, invalidated or cleared stays away', () =>
  inTemporaryDirectory(async (directory) => {
    const first = await openIn(directory);
    const removed = await store(first, 'removed', '1');
    const replaced = await store(first, 'replaced', 'old');
    await store(first, 'replaced', 'new', { replaces: [replaced.ref] });
    await store(first, 'invalid', '1');
    await store(first, 'invalid', '2');
    assert.is(await first.remove(removed.ref), true);
    assert.is(await first.remove(removed.ref), false);
    assert.is(await first.invalidate({ key: 'invalid' }), 2);
    const check = async (from: Awaited<ReturnType<typeof openIn>>): Promise<void> => {
      assert.equal(await from.lookup('removed'), []);
      assert.equal(await from.lookup('invalid'), []);
      assert.is((await from.lookup('replaced')).length, 1);
      assert.is(await textAt(from, 'replaced'), 'new');
    };
    await check(first);
    await first.close();
    const second = await openIn(directory);
    await check(second);
    await second.clear();
    assert.equal(await second.lookup('replaced'), []);
    await store(second, 'after', 'x');
    await second.close();
    const third = await openIn(directory);
    assert.equal(await third.lookup('replaced'), []);
    assert.is(await textAt(third, 'after'), 'x');
    await third.close();
  }));

test('invalidates by prefix, host and tag, and counts', () =>
  inTemporaryDirectory(async (directory) => {
    const target = await openIn(directory);
    await store(target, 'https://a.test/x/1', '1', { tags: ['t', 'u'] });
    await store(target, 'https://a.test/x/2', '2', { tags: ['u'] });
    await store(target, 'https://a.test:8080/x/3', '3');
    await store(target, 'https://b.test/x/1', '4', { tags: ['t'] });
    assert.is(await target.invalidate({ tag: 't' }), 2);
    assert.is(await textAt(target, 'https://a.test/x/1'), undefined);
    assert.is(await target.invalidate({ prefix: 'https://a.test/x/2' }), 1);
    assert.is(await target.invalidate({ prefix: 'https://a.te' }), 1);
    await store(target, 'https://a.test/x/5', '1');
    await store(target, 'https://a.test:8080/x/6', '1');
    assert.is(await target.invalidate({ host: 'A.test' }), 2);
    assert.is((await target.stats()).entries, 0);
    await target.close();
  }));

test('removes what a dead process left, and nothing that is not its own', () =>
  inTemporaryDirectory(async (directory) => {
    const first = await openIn(directory);
    await store(first, 'large', bytesOf(2 * MiB, 1));
    await first.close();
    const root = join(directory, 'offloop-1');
    const left = ['bodies/0a/00000001-0000000a', 'tmp/00000001-0000000b', 'segments/00000001-00000001.hint'];
    const foreign = ['bodies/0a/notes.txt', 'tmp/notes.txt', 'segments/notes.hint'];
    await mkdir(join(root, 'bodies/0a'));
    for (const file of [...left, ...foreign]) await writeFile(join(root, file), 'x');
    await writeFile(join(directory, 'notes.txt'), 'x');
    const second = await openIn(directory);
    assert.ok(bytesOf(2 * MiB, 1).equals(await bodyOf((await second.lookup('large'))[0])));
    await second.close();
    const files = await readdir(root, { recursive: true });
    for (const file of left) assert.not(files.includes(file), file);
    for (const file of foreign) assert.ok(files.includes(file), file);
    assert.equal((await readdir(directory)).sort(), ['notes.txt', 'offloop-1']);
  }));

test('keeps all it makes to its user', () =>
  inTemporaryDirectory(async (directory) => {
    const target = await openIn(join(directory, 'deep', 'cache'));
    await store(target, 'small', 'x');
    await store(target, 'large', bytesOf(2 * MiB, 1));
    await target.close();
    for (const name of await readdir(directory, { recursive: true })) {
      const here = await stat(join(directory, name));
      assert.is(here.mode & 0o777, here.isDirectory() ? 0o700 : 0o600, name);
    }
  }));

test('is not used in place of a file, and does not follow a link', () =>
  inTemporaryDirectory(async (directory) => {
    await writeFile(join(directory, 'file'), 'x');
    await mkdir(join(directory, 'a'));
    await writeFile(join(directory, 'a', 'offloop-1'), 'x');
    await mkdir(join(directory, 'b'));
    await symlink(directory, join(directory, 'b', 'offloop-1'));
    for (const [name, code] of [
      ['file', 'ERR_CACHE_ACCESS'],
      ['file/below', 'ERR_CACHE_ACCESS'],
      ['a', 'ERR_CACHE_FORMAT'],
      ['b', 'ERR_CACHE_FORMAT'],
    ] as const) {
      try {
        await openIn(join(directory, name));
        assert.unreachable();
      } catch (error) {
        assert.is((error as { code?: string }).code, code, `${name}: ${error}`);
      }
    }
    assert.equal((await readdir(directory)).sort(), ['a', 'b', 'file']);
  }));

test('evicts the oldest first and tells', () =>
  inTemporaryDirectory(async (directory) => {
    const events: StoreEvent[] = [];
    const target = await openIn(directory, { maxBytes: 8 * MiB, onEvent: (event) => events.push(event) });
    for (let i = 0; i < 100; i += 1) await store(target, `k${i}`, bytesOf(150_000, i));
    await store(target, 'large', bytesOf(MiB + 500_000, 1));
    const { bytes, entries, counters } = await target.stats();
    assert.ok(bytes <= 8 * MiB, `${bytes} bytes`);
    assert.ok((await sizeOf(directory)) <= 8 * MiB, 'on the disk as well');
    assert.is(entries + (counters.evicted ?? 0), 101);
    assert.ok(events.length > 0 && events.every(({ type }) => type === 'evict'));
    assert.equal(await target.lookup('k0'), []);
    for (const key of ['k99', 'large']) assert.is((await target.lookup(key)).length, 1);
    await target.close();
    const again = await openIn(directory, { maxBytes: 8 * MiB });
    assert.is((await again.stats()).entries, entries);
    await again.close();
    const smaller = await openIn(directory, { maxBytes: 2 * MiB });
    await smaller.flush();
    assert.ok((await smaller.stats()).bytes <= 2 * MiB);
    await smaller.close();
  }));

async function sizeOf(directory: string): Promise<number> {
  let bytes = 0;
  for (const name of await readdir(directory, { recursive: true })) {
    const here = await stat(join(directory, name));
    if (here.isFile()) bytes += here.size;
  }
  return bytes;
}

for (const [first, second] of [
  ['exclusive', 'shared'],
  ['exclusive', 'exclusive'],
  ['shared', 'exclusive'],
] as const) {
  test(`where one has a directory ${first}, one that wants it ${second} is told who has it`, () =>
    inTemporaryDirectory(async (directory) => {
      const one = await openIn(directory, { lock: first });
      try {
        await openIn(directory, { lock: second });
        assert.unreachable();
      } catch (error) {
        assert.is((error as { code?: string }).code, 'ERR_CACHE_LOCKED');
        assert.match(String(error), directory);
        assert.match(String(error), first === 'exclusive' ? 'exclusive use by this process' : 'in use by this process');
      }
      await one.close();
      await (await openIn(directory, { lock: second })).close();
    }));
}

test('takes over from an owner in another container once that gives no sign of life', () =>
  inTemporaryDirectory(async (directory) => {
    await (await openIn(directory)).close();
    const owner = join(directory, 'offloop-1', 'owner-00000001');
    await writeFile(
      owner,
      JSON.stringify({ pid: 1, host: 'elsewhere', boot: '', pidNamespace: '', sinceMs: 0, lane: 0 }),
    );
    try {
      await openIn(directory, { lock: 'exclusive' });
      assert.unreachable();
    } catch (error) {
      assert.is((error as { code?: string }).code, 'ERR_CACHE_LOCKED');
      assert.match(String(error), 'process 1 on elsewhere');
    }
    const { mtimeMs } = await stat(owner);
    await utimes(owner, new Date(mtimeMs - 70_000), new Date(mtimeMs - 70_000));
    await (await openIn(directory, { lock: 'exclusive' })).close();
    assert.not((await readdir(join(directory, 'offloop-1'))).includes('owner-00000001'));
  }));

test('a body can be read while it is written', () =>
  inTemporaryDirectory(async (directory) => {
    const target = await openIn(directory);
    for (const size of [100_000, 3 * MiB]) {
      const body = bytesOf(size, 9);
      const writer = target.create(`k${size}`, headOf('https://a.test/'));
      const early = bodyOf({ openBody: () => writer.openBody() } as never);
      writer.write(body.subarray(0, size / 2));
      const late = bodyOf({ openBody: () => writer.openBody({ start: 10 }) } as never);
      writer.write(body.subarray(size / 2));
      assert.is((await writer.commit()).outcome, 'stored');
      assert.ok(body.equals(await early));
      assert.ok(body.subarray(10).equals(await late));
    }
    await target.close();
  }));

test('bodies that are not whole never keep each other waiting, however many there are', () =>
  inTemporaryDirectory(async (directory) => {
    await using target = await openIn(directory);
    const half = Buffer.alloc(10_000, 'x');
    const writers = Array.from({ length: 3000 }, (_, number) =>
      target.create(`k${number}`, headOf(`https://a/${number}`)),
    );
    const results = writers.map(async (writer) => {
      for (let part = 0; part < 2; part += 1) if (!writer.write(half)) await writer.ready();
      return (await writer.commit()).outcome;
    });
    assert.ok((await Promise.all(results)).every((outcome) => outcome === 'stored'));
  }));

test('tells what was absent a moment ago, to those who are content with that', () =>
  inTemporaryDirectory(async (directory) => {
    let ms = 1000;
    await using target = await openIn(directory, { monotonicMs: () => ms });
    await target.lookup('k');
    assert.is(target.has('k'), 'absent');
    ms += 100;
    assert.is(target.has('k', { asLastSeen: true }), 'absent');
    ms += 1000;
    assert.is(target.has('k', { asLastSeen: true }), 'maybe');
    assert.is(target.has('k'), 'maybe');
    await target.lookup('k');
    assert.is(target.has('k'), 'absent');
  }));

test('declines what is too large, of the wrong length, or too late', () =>
  inTemporaryDirectory(async (directory) => {
    const target = await openIn(directory, { maxEntryBytes: 1000 });
    const large = target.create('k', headOf('k'));
    large.write(bytesOf(1001, 1));
    assert.equal(await large.commit(), { outcome: 'declined', reason: 'too-large' });
    const short = target.create('k', headOf('k'), { expectedBytes: 5 });
    short.write(bytesOf(4, 1));
    assert.equal(await short.commit(), { outcome: 'declined', reason: 'length-mismatch' });
    const invalidated = target.create('k', headOf('k'));
    await target.invalidate({ key: 'k' });
    assert.equal(await invalidated.commit(), { outcome: 'declined', reason: 'superseded' });
    const open = target.create('k', headOf('k'));
    await target.close();
    assert.equal(await open.commit(), { outcome: 'declined', reason: 'closed' });
    assert.equal(await target.create('k', headOf('k')).commit(), { outcome: 'declined', reason: 'closed' });
    assert.equal(await target.lookup('k'), []);
    await target.close();
  }));

test('metadata that cannot be stored, or that changes meanwhile, harms no other response of the batch', () =>
  inTemporaryDirectory(async (directory) => {
    const events: StoreEvent[] = [];
    const target = await openIn(directory, { onEvent: (event) => events.push(event) });
    const list = [1];
    const put = (key: string, metadata: unknown) => target.create(key, headOf(key, { metadata })).commit();
    const commits = [
      put('before', 'good'),
      put('function', { call: () => 1 }),
      put(
        'proxy',
        new Proxy(
          {},
          {
            ownKeys: (): never[] => {
              throw new Error('no');
            },
          },
        ),
      ),
      put('sparse', new Array(1e9)),
      put('changing', list),
      put('after', 'good'),
    ];
    list.push(...new Array<number>(10_000).fill(2));
    const outcomes = (await Promise.all(commits)).map(({ outcome }) => outcome);
    assert.equal(outcomes, ['stored', 'declined', 'declined', 'declined', 'stored', 'stored']);
    assert.equal((await target.lookup('changing'))[0]?.head.metadata, [1]);
    assert.equal(events, []);
    await target.close();
  }));

test.run();
