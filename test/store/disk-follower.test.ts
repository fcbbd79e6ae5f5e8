import { mkdir, readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { boardBytes, boardSlotBytes, writeBoardSlot } from '../../src/disk/board.js';
import { hashOfKey } from '../../src/disk/key-hash.js';
import { headerWith, recordHeaderBytes, recordTypes, sealRecord, writeHeader } from '../../src/disk/record.js';
import { DiskFiles } from '../../src/store/disk-files.js';
import { DiskFollower } from '../../src/store/disk-follower.js';
import { inTemporaryDirectory, openIn, store } from './disk-fixture.js';

const test = suite('what other processes write');

/** Records of a writer, without anything behind their headers. */
function logOf(writer: number, records: number): Buffer {
  const log = Buffer.alloc(records * recordHeaderBytes);
  const view = new DataView(log.buffer, log.byteOffset, log.byteLength);
  for (let i = 0; i < records; i += 1) {
    const header = headerWith({ type: recordTypes.removed, sequence: i * 64 + writer, hash: hashOfKey('k') });
    writeHeader(view, i * recordHeaderBytes, header);
    sealRecord(log, view, i * recordHeaderBytes, header);
  }
  return log;
}

test('is taken in once, whatever of it cannot be read at first', () =>
  inTemporaryDirectory(async (directory) => {
    const root = join(directory, 'offloop-1');
    const segments = join(root, 'segments');
    await mkdir(segments, { recursive: true });
    // More than is gathered before it is applied, and a log that breaks off behind that.
    const counts = new Map([
      [1, 10],
      [2, 40_000],
      [3, 20],
    ]);
    const board = Buffer.alloc(boardBytes);
    for (const [writer, records] of counts) {
      const log = logOf(writer, records);
      board.set(writeBoardSlot({ writer, segment: 1, usedBytes: log.byteLength }), writer * boardSlotBytes);
      if (writer === 2) log.fill(0, log.byteLength - recordHeaderBytes);
      await writeFile(join(segments, `0000000${writer}-00000001.seg`), log);
    }
    await writeFile(join(root, 'board'), board);
    const taken = new Map<string, number>();
    const failures: unknown[] = [];
    const files = new DiskFiles(directory, 8);
    const follower = new DiskFollower(
      {
        files,
        writer: 9,
        lane: 9,
        monotonicMs: () => 0,
        nowMs: () => 0,
        ordinalOf: ({ writer }) => writer,
        apply: (records) => {
          for (const { segment, offset } of records) {
            const at = `${segment.writer} ${offset}`;
            taken.set(at, (taken.get(at) ?? 0) + 1);
          }
        },
        onSeen: () => {},
        onLooked: () => {},
        onFailure: (failure) => failures.push(failure),
      },
      { writers: [], others: [], arrivals: 0 },
    );
    await follower.look();
    assert.is(failures.length, 1);
    assert.is(taken.size, 10 + 39_999 + 20, 'a log that cannot be read keeps nobody from the others');
    await writeFile(join(segments, '00000002-00000001.seg'), logOf(2, 40_000));
    await follower.look();
    await follower.look();
    assert.is(failures.length, 1);
    assert.is(taken.size, 10 + 40_000 + 20);
    assert.is(Math.max(...taken.values()), 1, 'nothing is taken in twice');
    await follower.close();
    files.close();
  }));

for (const harm of ['damaged', 'gone'] as const) {
  test(`is read from its segment when the hint is ${harm}`, () =>
    inTemporaryDirectory(async (directory) => {
      const writer = await openIn(directory);
      const reader = await openIn(directory);
      const removed = await store(writer, 'removed', 'x'.repeat(300_000));
      await store(writer, 'long', 'x'.repeat(500_000));
      await writer.remove(removed.ref);
      await store(writer, 'short', 'y');
      writer.queue.seal();
      await store(writer, 'next', 'z');
      const segments = join(directory, 'offloop-1', 'segments');
      const [hint = ''] = (await readdir(segments)).filter((name) => name.endsWith('.hint'));
      if (harm === 'gone') await rm(join(segments, hint));
      else await writeFile(join(segments, hint), 'nothing of any use');
      const keys: string[] = [];
      for await (const { ref } of reader.entries()) keys.push(ref.key);
      assert.equal(keys.sort(), ['long', 'next', 'short']);
      await Promise.all([writer.close(), reader.close()]);
    }));
}

test.run();
