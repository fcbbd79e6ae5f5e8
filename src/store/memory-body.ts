import { Readable } from 'node:stream';
import { CacheError } from '../errors.js';

const firstBlockBytes = 4 * 1024;
const maxBlockBytes = 256 * 1024;
/** What a `Buffer` of its own costs besides its bytes. */
const blockOverheadBytes = 450;
const readBytes = 64 * 1024;

/**
 * The bytes of one body, in blocks of our own: a chunk from a socket is often a small view of a 64 KiB slab, and holding
 * the chunk would hold the slab. Grows, then is either whole or broken; readers may be opened at any time.
 */
export class MemoryBody {
  /** Length so far. */
  bytes = 0;
  /** Bytes of the blocks. */
  #heldBytes = 0;
  #blocks: Buffer[] = [];
  /** Where the first block that is still held starts. */
  #firstByte = 0;
  /** Free bytes at the end of the last block. */
  #freeBytes = 0;
  #state: 'growing' | 'whole' | Error = 'growing';
  #readers: Set<BodyReader> | undefined;

  append(chunk: Uint8Array, expectedBytes = 0): void {
    let taken = 0;
    while (taken < chunk.length) {
      if (this.#freeBytes === 0) this.#addBlock(chunk.length - taken, expectedBytes - this.bytes);
      const block = this.#lastBlock();
      const end = taken + Math.min(this.#freeBytes, chunk.length - taken);
      block.set(chunk.subarray(taken, end), block.length - this.#freeBytes);
      this.#freeBytes -= end - taken;
      this.bytes += end - taken;
      taken = end;
    }
    this.#wakeReaders();
  }

  /** Forgets all but the last `keepBytes`; without readers, everything. A reader that is further behind fails. */
  keepLast(keepBytes: number): void {
    const keepFrom = this.#readers === undefined ? this.bytes : this.bytes - keepBytes;
    let block = this.#blocks[0];
    while (block !== undefined && this.#firstByte + block.length <= keepFrom) {
      this.#blocks.shift();
      this.#heldBytes -= block.length;
      this.#firstByte += block.length;
      block = this.#blocks[0];
    }
    if (block !== undefined && this.#readers === undefined) {
      this.#blocks = [];
      this.#heldBytes = 0;
      this.#freeBytes = 0;
      this.#firstByte = this.bytes;
    }
    for (const reader of this.#readers ?? []) reader.checkBehind();
  }

  /** No more bytes will come. Gives back what was allocated and not used; a body of moderate size becomes one block. */
  finish(): void {
    const last = this.#blocks.length - 1;
    if (last > 0 && this.#heldBytes - this.#freeBytes <= maxBlockBytes && this.#firstByte === 0) {
      this.#blocks = [this.#joined()];
    } else if (last >= 0 && this.#freeBytes > 0) {
      const block = this.#lastBlock();
      this.#blocks[last] = ownCopy(block, 0, block.length - this.#freeBytes);
    }
    this.#freeBytes = 0;
    this.#heldBytes = this.bytes - this.#firstByte;
    this.#state = 'whole';
    this.#wakeReaders();
    this.#readers = undefined;
  }

  /** Destroys every reader, now and to come. */
  fail(error: Error): void {
    this.#state = error;
    this.#blocks = [];
    this.#heldBytes = 0;
    this.#freeBytes = 0;
    const readers = this.#readers;
    this.#readers = undefined;
    for (const reader of readers ?? []) reader.destroy(error);
  }

  /** Memory that the blocks occupy. */
  get costBytes(): number {
    return this.#heldBytes + this.#blocks.length * blockOverheadBytes;
  }

  get isWhole(): boolean {
    return this.#state === 'whole';
  }

  /** The body itself, if it lies in one block. */
  get single(): Buffer | undefined {
    return this.bytes === 0 ? Buffer.alloc(0) : this.#blocks.length === 1 ? this.#blocks[0] : undefined;
  }

  /** From `start` up to `end` (exclusive), waiting for what is not there yet. */
  open(start: number, end: number): Readable {
    const reader = new BodyReader(this, start, end);
    if (this.#state instanceof Error) reader.destroy(this.#state);
    else if (this.#state === 'growing') {
      this.#readers ??= new Set();
      this.#readers.add(reader);
      reader.checkBehind();
    }
    return reader;
  }

  forget(reader: BodyReader): void {
    this.#readers?.delete(reader);
    if (this.#readers?.size === 0) this.#readers = undefined;
  }

  isForgotten(position: number): boolean {
    return position < this.#firstByte;
  }

  /** A copy: whoever reads a body may do with the bytes as they please. */
  copy(start: number, maxBytes: number): Buffer {
    let blockStart = this.#firstByte;
    for (const block of this.#blocks) {
      if (start < blockStart + block.length) {
        const from = start - blockStart;
        return ownCopy(block, from, Math.min(block.length, from + maxBytes, this.bytes - blockStart));
      }
      blockStart += block.length;
    }
    throw new RangeError(`byte ${start} of a body of ${this.bytes}`);
  }

  #addBlock(chunkBytes: number, expectedBytes: number): void {
    const grownBytes = Math.max(firstBlockBytes, this.#heldBytes >> 1);
    // A Content-Length is only a claim: it earns memory in proportion to what has come.
    const wantedBytes = Math.max(chunkBytes, Math.min(expectedBytes, 16 * chunkBytes));
    const exact = this.#blocks.length === 0 && wantedBytes <= maxBlockBytes;
    const blockBytes = exact ? wantedBytes : Math.min(maxBlockBytes, Math.max(wantedBytes, grownBytes));
    this.#blocks.push(Buffer.allocUnsafeSlow(blockBytes));
    this.#heldBytes += blockBytes;
    this.#freeBytes = blockBytes;
  }

  #lastBlock(): Buffer {
    const block = this.#blocks.at(-1);
    if (block === undefined) throw new RangeError('a body without blocks');
    return block;
  }

  #joined(): Buffer {
    const whole = Buffer.allocUnsafeSlow(this.bytes);
    let position = 0;
    for (const block of this.#blocks) position += block.copy(whole, position, 0, this.bytes - position);
    return whole;
  }

  #wakeReaders(): void {
    for (const reader of this.#readers ?? []) reader.wake();
  }
}

/** Not `Buffer.from`: that would take small ones out of a slab shared with others. */
function ownCopy(source: Buffer, start: number, end: number): Buffer {
  const copy = Buffer.allocUnsafeSlow(end - start);
  source.copy(copy, 0, start, end);
  return copy;
}

class BodyReader extends Readable {
  readonly #body: MemoryBody;
  readonly #end: number;
  #position: number;
  #isWaiting = false;

  constructor(body: MemoryBody, start: number, end: number) {
    super({ highWaterMark: readBytes });
    this.#body = body;
    this.#position = start;
    this.#end = end;
  }

  override _read(): void {
    this.#isWaiting = false;
    for (;;) {
      const availableBytes = Math.min(this.#body.bytes, this.#end) - this.#position;
      if (availableBytes > 0) {
        const chunk = this.#body.copy(this.#position, Math.min(availableBytes, readBytes));
        this.#position += chunk.length;
        if (!this.push(chunk)) return;
      } else if (this.#position >= this.#end || this.#body.isWhole) {
        this.push(null);
        return;
      } else {
        this.#isWaiting = true;
        return;
      }
    }
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.#body.forget(this);
    done(error);
  }

  wake(): void {
    if (this.#isWaiting) this._read();
  }

  checkBehind(): void {
    if (!this.#body.isForgotten(this.#position)) return;
    this.destroy(
      new CacheError('ERR_CACHE_FULL', 'the body is too large to keep in memory for a reader this far behind'),
    );
  }
}
