import { Readable } from 'node:stream';
import { CacheError } from '../errors.js';
import type { ReadHandle } from './disk-files.js';

/** What a reader of a body that is still being written can see of it. */
export interface RunningSource {
  /** Bytes that can be read by now. */
  readonly readableBytes: number;
  /** Nothing more will come. */
  readonly isComplete: boolean;
  readonly failure: Error | undefined;
  /** Bytes from `position`, while they are in memory. */
  bufferedAt(position: number): Uint8Array | undefined;
  openFile(): Promise<ReadHandle>;
  /** Calls back once, when one of the above has changed. */
  onceChanged(callback: () => void): void;
}

const spanBytes = 256 * 1024;

/** The body from `start` on: what is there, then what comes, as slowly as the reader wants it. */
export function createRunningStream(source: RunningSource, start: number): Readable {
  let position = start;
  let handle: ReadHandle | undefined;
  const next = async (): Promise<Uint8Array | null> => {
    for (;;) {
      if (source.failure !== undefined) throw source.failure;
      if (stream.destroyed) return null;
      const buffered = source.bufferedAt(position);
      if (buffered !== undefined) return buffered;
      const length = Math.min(spanBytes, source.readableBytes - position);
      if (length > 0) {
        handle ??= await source.openFile();
        if (stream.destroyed) handle.close();
        return await handle.read(position, length);
      }
      if (source.isComplete) return null;
      await new Promise<void>((resolve) => source.onceChanged(resolve));
    }
  };
  const stream = new Readable({
    highWaterMark: spanBytes,
    read() {
      next().then(
        (chunk) => {
          position += chunk?.byteLength ?? 0;
          this.push(chunk);
        },
        (error: unknown) => this.destroy(asCacheError(error)),
      );
    },
    destroy(error, done) {
      handle?.close();
      done(error);
    },
  });
  return stream;
}

function asCacheError(error: unknown): Error {
  if (error instanceof CacheError) return error;
  return new CacheError('ERR_CACHE_ACCESS', 'a body could not be read while it was being stored', { cause: error });
}
