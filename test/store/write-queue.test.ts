import { setImmediate as nextTurn } from 'node:timers/promises';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { BatchTask, WriterFailure } from '../../src/protocol/messages.js';
import { type Append, type RecordResult, WriteQueue, type WriteQueueOptions } from '../../src/protocol/write-queue.js';

const test = suite('write queue');

/** A queue whose writer writes everything, nowhere. */
function queueWith(
  options: Partial<WriteQueueOptions>,
  freeBytes?: number,
): {
  readonly queue: WriteQueue;
  readonly failures: WriterFailure[];
} {
  const failures: WriterFailure[] = [];
  const unused = (): never => {
    throw new Error('nobody asked for that');
  };
  const batch = async ({ logs, bodies }: BatchTask) => ({
    buffers: [...logs, ...bodies].map(({ buffer }) => buffer),
    logs: logs.map(({ usedBytes }) => ({ outcome: 'written', segment: 1, offset: 0, usedBytes }) as const),
    ...{ bodies: [], moved: undefined, carried: [], freeBytes, problems: [] },
  });
  const queue = new WriteQueue({
    pool: { open: unused, check: unused, orphans: unused, close: unused, batch },
    session: {
      ...{ directory: '', writer: 1, lane: 0, lock: 'shared', last: { number: 0, usedBytes: 0 } },
      ...{ segmentBytes: 1024, compression: undefined, deduplicate: false },
    },
    slabBytes: 1024,
    maxSlabs: 2,
    stallMs: 1000,
    after: () => () => {},
    apply: () => ({ place: undefined, removed: 0 }),
    takeMoves: () => undefined,
    onMoved: () => {},
    measureFree: false,
    onFree: () => {},
    onFull: () => false,
    onFailure: (failure) => failures.push(failure),
    onWorkerLost: () => {},
    ...options,
  });
  return { queue, failures };
}

function appendOf(fill: () => void, settle: (result: RecordResult) => void, bytes = 0): Append {
  return { bytes, records: 0, row: undefined, fill, settle, giveUp: () => assert.unreachable() };
}

test('goes on when what is to be moved cannot be chosen', async () => {
  const { queue, failures } = queueWith({
    takeMoves: () => {
      throw new Error('no moves');
    },
  });
  queue.requestMoves();
  await queue.written();
  await queue.written();
  assert.equal(
    failures.map(({ message }) => message),
    ['no moves'],
  );
});

test('goes on when the loss of a worker cannot be told', async () => {
  let batches = 0;
  const { queue, failures } = queueWith(
    {
      onWorkerLost: () => {
        throw new Error('nobody to tell');
      },
      onFree: () => {
        batches += 1;
        if (batches === 1) throw new Error('lost');
      },
    },
    1,
  );
  await queue.written();
  await queue.drained();
  await queue.written();
  assert.ok(batches >= 2);
  assert.equal(
    failures.map(({ message }) => message),
    ['nobody to tell'],
  );
});

test('fails what cannot be filled in, at once or when its turn comes, and nothing behind it', async () => {
  const { queue } = queueWith({});
  const told: string[] = [];
  const tell =
    (name: string) =>
    ({ outcome }: RecordResult): void => {
      told.push(`${name} ${outcome}`);
    };
  const broken = (): never => {
    throw new Error('cannot be filled in');
  };
  queue.append(appendOf(broken, tell('first')));
  // Two slabs, and what comes after waits for one of them.
  for (let i = 0; i < 2; i += 1) queue.append(appendOf(() => {}, tell('full'), 1024));
  queue.append(appendOf(broken, tell('second'), 1024));
  queue.append(appendOf(() => {}, tell('last'), 8));
  while (told.length < 5) await nextTurn();
  assert.equal(told, ['first failed', 'full written', 'second failed', 'full written', 'last written']);
  await queue.drained();
});

test.run();
