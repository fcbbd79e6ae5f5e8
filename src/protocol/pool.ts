import { Piscina } from 'piscina';
import type {
  BatchAnswer,
  BatchTask,
  CheckAnswer,
  CheckTask,
  CloseAnswer,
  CloseTask,
  OpenAnswer,
  OpenTask,
  OrphanAnswer,
  OrphanTask,
  WriterTask,
} from './messages.js';

/** The one thread that writes for a store. Does not keep the process alive while it has nothing to do. */
export interface WriterPool {
  open(task: OpenTask): Promise<OpenAnswer>;
  batch(task: BatchTask): Promise<BatchAnswer>;
  check(task: CheckTask): Promise<CheckAnswer>;
  orphans(task: OrphanTask): Promise<OrphanAnswer>;
  /** Seals the log and ends the thread. */
  close(task: CloseTask | undefined): Promise<CloseAnswer>;
}

export function createWriterPool(worker: URL): WriterPool {
  const pool = new Piscina<WriterTask, unknown>({
    filename: worker.href,
    minThreads: 1,
    maxThreads: 1,
    stricterFIFO: true,
    // A task spans all of its work, but the thread must be able to die of an error between two of them.
    atomics: 'disabled',
    recordTiming: false,
    closeTimeout: 5_000,
  });
  // A worker that cannot even start leaves the tasks that wait for it without an answer.
  const waiting = new Set<(error: unknown) => void>();
  pool.on('error', (error) => {
    for (const reject of waiting) reject(error);
  });
  const run = async <T>(task: WriterTask, transferList: ArrayBuffer[] = []): Promise<T> => {
    let fail: ((error: unknown) => void) | undefined;
    const failed = new Promise<never>((_, reject) => {
      fail = reject;
      waiting.add(reject);
    });
    try {
      return await Promise.race([pool.run(task, { transferList }) as Promise<T>, failed]);
    } finally {
      if (fail !== undefined) waiting.delete(fail);
    }
  };
  return {
    open: (task) => run<OpenAnswer>(task),
    batch: (task) =>
      run<BatchAnswer>(
        task,
        [...task.logs, ...task.bodies].map(({ buffer }) => buffer),
      ),
    check: (task) => run<CheckAnswer>(task),
    orphans: (task) => run<OrphanAnswer>(task),
    async close(task) {
      try {
        return task === undefined ? { problems: [] } : await run<CloseAnswer>(task);
      } finally {
        await pool.close();
      }
    },
  };
}

/** An answer of a worker whose buffers move to the thread that asked, instead of being copied. */
export function moving<T extends object>(answer: T, buffers: readonly ArrayBuffer[]): T {
  const transferable = {
    get [Piscina.transferableSymbol]() {
      return buffers;
    },
    get [Piscina.valueSymbol]() {
      return answer;
    },
  };
  // The pool unwraps what `move` has marked before it is posted; its types know single transferables only.
  return Piscina.move(transferable as never) as unknown as T;
}
