import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { MergedReads, type ReadBytes } from '../../src/store/disk-reads.js';
import { bodyOfNumber, inTemporaryDirectory, openIn, store } from './disk-fixture.js';

const test = suite('reads of one turn');
const KiB = 1024;

interface Asked {
  readonly fd: number;
  readonly position: number;
  readonly length: number;
}

/** A file whose bytes are the numbers of their kibibytes, of 255 KiB; what touches a byte of `bad` cannot be read. */
function countingRead(bad = -1): { readonly asked: Asked[]; readonly read: ReadBytes } {
  const asked: Asked[] = [];
  const read: ReadBytes = (fd, position, length, done) => {
    asked.push({ fd, position, length });
    const bytes = new Uint8Array(Math.max(0, Math.min(length, 255 * KiB - position)));
    for (let at = 0; at < bytes.length; at += 1) bytes[at] = (position + at) >> 10;
    const isBad = bad >= position && bad < position + length;
    setImmediate(() => done(isBad ? new Error('EIO') : null, bytes));
  };
  return { asked, read };
}

function readAll(reads: MergedReads, wanted: readonly Asked[]): Promise<(Uint8Array | Error)[]> {
  const read = (each: Asked): Promise<Uint8Array | Error> =>
    new Promise((resolve) => reads.add({ ...each, done: (error, bytes) => resolve(error ?? bytes) }));
  return Promise.all(wanted.map(read));
}

const at = (position: number, length: number, fd = 1): Asked => ({ fd, position, length });

const merges: readonly (readonly [name: string, wanted: readonly Asked[], asked: readonly Asked[]])[] = [
  ['one alone', [at(0, 10 * KiB)], [at(0, 10 * KiB)]],
  [
    'neighbours, asked for in any order, are one',
    [at(20 * KiB, KiB), at(0, 10 * KiB), at(10 * KiB, 10 * KiB)],
    [at(0, 21 * KiB)],
  ],
  ['a small gap between them is read along', [at(0, KiB), at(KiB + 500, KiB)], [at(0, 2 * KiB + 500)]],
  ['a wide one is not', [at(0, KiB), at(3 * KiB, KiB)], [at(0, KiB), at(3 * KiB, KiB)]],
  ['those of other files are apart', [at(0, KiB), at(KiB, KiB, 2)], [at(0, KiB), at(KiB, KiB, 2)]],
  ['the same place is read for each', [at(0, KiB), at(0, KiB)], [at(0, KiB), at(0, KiB)]],
  [
    'not more than 128 KiB together',
    [at(0, 60 * KiB), at(60 * KiB, 60 * KiB), at(120 * KiB, 60 * KiB)],
    [at(0, 120 * KiB), at(120 * KiB, 60 * KiB)],
  ],
];
for (const [name, wanted, expected] of merges) {
  test(name, async () => {
    const { asked, read } = countingRead();
    const got = await readAll(new MergedReads(read), wanted);
    assert.equal(asked, expected);
    for (const [index, bytes] of got.entries()) {
      const { position = 0, length = 0 } = wanted[index] ?? {};
      if (bytes instanceof Error) throw bytes;
      assert.is(bytes.byteLength, length);
      assert.is(bytes[0], position >> 10);
      assert.is(bytes.at(-1), (position + length - 1) >> 10);
    }
  });
}

test('where the file ends, each gets what there is of it', async () => {
  const { read } = countingRead();
  const [whole, part, none] = await readAll(new MergedReads(read), [
    at(200 * KiB, 54 * KiB),
    at(254 * KiB, 2 * KiB),
    at(256 * KiB, KiB),
  ]);
  assert.equal(
    [whole, part, none].map((bytes) => (bytes instanceof Uint8Array ? bytes.byteLength : bytes)),
    [54 * KiB, KiB, 0],
  );
});

test('a place that cannot be read fails alone', async () => {
  const { read } = countingRead(15 * KiB);
  const got = await readAll(new MergedReads(read), [at(0, 10 * KiB), at(10 * KiB, 10 * KiB), at(20 * KiB, 10 * KiB)]);
  assert.equal(
    got.map((bytes) => (bytes instanceof Error ? bytes.message : bytes[0])),
    [0, 'EIO', 20],
  );
});

test('bodies that were read together are each one their own', async () => {
  await inTemporaryDirectory(async (directory) => {
    const target = await openIn(directory);
    const numbers = [1, 2, 3, 4];
    for (const number of numbers) await store(target, `k${number}`, Buffer.alloc(20_000, number));
    const lookUp = async () => (await Promise.all(numbers.map((number) => target.lookup(`k${number}`)))).flat();
    for (const { inlineBody, isInlineBodyOwn, ref } of await lookUp()) {
      assert.is(isInlineBodyOwn, true);
      assert.ok(inlineBody?.every((byte) => `k${byte}` === ref.key));
      inlineBody?.fill(0);
    }
    for (const { inlineBody, ref } of await lookUp()) {
      assert.ok(inlineBody?.every((byte) => `k${byte}` === ref.key));
    }
    await target.close();
  });
});

test('a small body does not take along what was read with it', async () => {
  await inTemporaryDirectory(async (directory) => {
    const target = await openIn(directory);
    await store(target, 'small', bodyOfNumber(1));
    await store(target, 'large', Buffer.alloc(40_000));
    const [[small], [large]] = await Promise.all([target.lookup('small'), target.lookup('large')]);
    assert.is(small?.isInlineBodyOwn, false);
    assert.is(large?.isInlineBodyOwn, true);
    await target.close();
  });
});

test.run();
