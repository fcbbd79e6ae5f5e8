import { Readable } from 'node:stream';
import { CacheError } from '../errors.js';
import type { ReadHandle } from './disk-files.js';

/** What a reader of a body that is still being written can see of it. */
export interface RunningSource {
  /** Nothing more will come. */
  readonly isComplete: boolean;
  readonly failure: Error | undefined;
  /** Bytes that can be read from the file by now. */
  readonly fileBytes: number;
  /** Bytes from `position` on, if they are in memory. */
  bufferedAt(position: number): Uint8Array | undefined;
  /** The bytes at `position` were in memory once, and nothing else has them. */
  isLost(position: number): boolean;
  openFile(): Promise<ReadHandle>;
  /** Calls back once, when one of the above has changed. */
  onceChanged(callback: () => void): void;
  attach(reader: object): void;
  detach(reader: object): void;
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
      // A copy: whoever reads a body may do with the bytes as they please.
      if (buffered !== undefined) return Buffer.from(buffered.subarray(0, spanBytes));
      const length = Math.min(spanBytes, source.fileBytes - position);
      if (length > 0) {
        handle ??= await source.openFile();
        if (stream.destroyed) {
          handle.close();
          return null;
        }
        return await handle.read(position, length);
      }
      if (source.isLost(position)) {
        throw new CacheError('ERR_CACHE_FULL', 'the body is not stored, and this reader is too far behind');
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
      source.detach(stream);
      handle?.close();
      done(error);
    },
  });
  source.attach(stream);
  return stream;
}

function asCacheError(error: unknown): Error {
  if (error instanceof CacheError) return error;
  return new CacheError('ERR_CACHE_ACCESS', 'a body could not be read while it was being stored', { cause: error });
}
