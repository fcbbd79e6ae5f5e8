import { Readable } from 'node:stream';
import { areBlocksIntact } from '../disk/record.js';
import { CacheError } from '../errors.js';
import type { ReadHandle } from './disk-files.js';

/** A body on the disk: the file that it is in, where it starts there, and the checksums of its blocks. */
export interface OpenBlocks {
  readonly handle: ReadHandle;
  readonly startInFile: number;
  /** `undefined`: what is read was verified before. */
  readonly crcs: Uint32Array | undefined;
  readonly blockShift: number;
}

export interface BlockBody {
  readonly bodyBytes: number;
  open(): Promise<OpenBlocks>;
  onCorrupt(detail: string): void;
  /** What should hold it is not there. */
  onMissing(): void;
}

export interface ByteRange {
  readonly start?: number;
  readonly end?: number;
}

const spanBytes = 256 * 1024;
const copyBytes = 64 * 1024;

/** A body that is in memory as a whole. */
export function createBytesStream(body: Uint8Array, range: ByteRange = {}): Readable {
  const { start, end } = checkedRange(body.byteLength, range);
  let position = start;
  return new Readable({
    read() {
      if (position >= end) {
        this.push(null);
        return;
      }
      // A copy: whoever reads a body may do with the bytes as they please.
      const chunk = Buffer.from(body.subarray(position, Math.min(position + copyBytes, end)));
      position += chunk.byteLength;
      this.push(chunk);
    },
  });
}

/** Reads whole blocks and checks every one before any byte of it is handed out. */
export function createBlockStream(body: BlockBody, range: ByteRange = {}): Readable {
  const { start, end } = checkedRange(body.bodyBytes, range);
  let position = start;
  let opened: OpenBlocks | undefined;
  const next = async (): Promise<Uint8Array | null> => {
    if (position >= end) return null;
    opened ??= await openOrReport(body);
    if (stream.destroyed) opened.handle.close();
    const block = 2 ** opened.blockShift;
    const first = Math.floor(position / block);
    const from = first * block;
    const wanted = Math.min(Math.max(block, spanBytes), Math.ceil((end - from) / block) * block);
    const length = Math.min(wanted, body.bodyBytes - from);
    const bytes = await opened.handle.read(opened.startInFile + from, length);
    const { crcs, blockShift } = opened;
    if (bytes.byteLength < length || (crcs !== undefined && !areBlocksIntact(bytes, crcs, blockShift, first))) {
      const detail = `the body is damaged between its bytes ${from} and ${from + length}`;
      body.onCorrupt(detail);
      throw new CacheError('ERR_CACHE_CORRUPT', detail);
    }
    const chunk = bytes.subarray(position - from, Math.min(end - from, length));
    position += chunk.byteLength;
    return chunk;
  };
  const stream = new Readable({
    highWaterMark: spanBytes,
    read() {
      next().then(
        (chunk) => {
          this.push(chunk);
          if (chunk !== null && position >= end) this.push(null);
        },
        (error: unknown) => this.destroy(asCacheError(error)),
      );
    },
    destroy(error, done) {
      opened?.handle.close();
      done(error);
    },
  });
  return stream;
}

async function openOrReport(body: BlockBody): Promise<OpenBlocks> {
  try {
    return await body.open();
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') body.onMissing();
    throw error;
  }
}

function checkedRange(bodyBytes: number, range: ByteRange): { start: number; end: number } {
  const start = range.start ?? 0;
  const last = range.end ?? bodyBytes - 1;
  const isWhole = start === 0 && last === bodyBytes - 1;
  if (
    !isWhole &&
    !(Number.isInteger(start) && Number.isInteger(last) && 0 <= start && start <= last && last < bodyBytes)
  ) {
    throw new RangeError(`no bytes ${start} to ${last} in a body of ${bodyBytes}`);
  }
  return { start, end: last + 1 };
}

function asCacheError(error: unknown): Error {
  if (error instanceof CacheError) return error;
  return new CacheError('ERR_CACHE_ACCESS', 'a stored body could not be read', { cause: error });
}
