import { close, constants, open, read, readdir, readFile, stat } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { SegmentName } from '../disk/index-table.js';
import {
  boardFile,
  bodiesFolder,
  bodyFileNameOf,
  formatFolder,
  hintFileOf,
  parseHintFile,
  parseSegmentFile,
  segmentFileOf,
  segmentsFolder,
  temporaryFolder,
} from '../disk/layout.js';
import { MergedReads } from './disk-reads.js';

const openFile = promisify(open);
const closeFile = promisify(close);
const nothing = new Uint8Array(0);
const readWhole = promisify(readFile);
const list = promisify(readdir);
const statFile = promisify(stat);
/** Read by one thread of libuv in one go, and looked at in one turn of the event loop. */
const pieceBytes = 1024 * 1024;

/** An open file of the cache: reads at any place, until it is closed and the last read is done. */
export interface ReadHandle {
  /** As many bytes as there are, `length` at most. */
  read(position: number, length: number): Promise<Uint8Array>;
  close(): void;
}

interface SegmentHandle {
  readonly opening: Promise<number>;
  /** Once it is open. */
  fd: number | undefined;
  readers: number;
  closing: boolean;
}

/** Reads files of a directory through libuv. Keeps the descriptors of segments, which every lookup needs, up to a cap. */
export class DiskFiles {
  readonly #root: string;
  readonly #maxOpen: number;
  /** In order of use, oldest first. */
  readonly #segments = new Map<number, SegmentHandle>();
  readonly #reads = new MergedReads(readBytes);

  constructor(directory: string, maxOpen: number) {
    this.#root = join(directory, formatFolder);
    this.#maxOpen = maxOpen;
  }

  /** As many bytes as there are, `length` at most, in memory that nobody else gets. */
  readSegment(ordinal: number, name: SegmentName, position: number, length: number): Promise<Uint8Array> {
    const handle = this.#segment(ordinal, name);
    handle.readers += 1;
    return new Promise((resolve, reject) => {
      const done = (error: Error | null, bytes: Uint8Array): void => {
        handle.readers -= 1;
        if (handle.closing) this.#release(handle);
        if (error === null) resolve(bytes);
        else reject(error);
      };
      const start = (fd: number): void => this.#reads.add({ fd, position, length, done });
      if (handle.fd !== undefined) start(handle.fd);
      else handle.opening.then(start, (error: Error) => done(error, nothing));
    });
  }

  /** A segment for a reader that takes its time. */
  openSegment(name: SegmentName): Promise<ReadHandle> {
    return this.#open(join(this.#root, segmentsFolder, segmentFileOf(name)));
  }

  openBoard(): Promise<ReadHandle> {
    return this.#open(join(this.#root, boardFile));
  }

  /** The hint of a segment that was sealed. */
  readHint(name: SegmentName): Promise<Uint8Array> {
    return readWhole(join(this.#root, segmentsFolder, hintFileOf(name)));
  }

  /** The numbers of a writer's segments, the oldest first. */
  async segmentsOf(writer: number): Promise<readonly number[]> {
    return (await this.segments()).get(writer) ?? [];
  }

  /** By writer. */
  async segments(): Promise<ReadonlyMap<number, readonly number[]>> {
    const byWriter = new Map<number, number[]>();
    for (const file of (await list(join(this.#root, segmentsFolder))).sort()) {
      const name = parseSegmentFile(file);
      if (name === undefined) continue;
      const numbers = byWriter.get(name.writer);
      if (numbers === undefined) byWriter.set(name.writer, [name.number]);
      else numbers.push(name.number);
    }
    return byWriter;
  }

  openBody(name: SegmentName): Promise<ReadHandle> {
    return this.#open(join(this.#root, bodiesFolder, ...bodyFileNameOf(name)));
  }

  /** A body file that is being written: it moves to its place when it is whole. */
  async openUnfinishedBody(name: SegmentName): Promise<ReadHandle> {
    try {
      return await this.#open(join(this.#root, temporaryFolder, bodyFileNameOf(name)[1]));
    } catch {
      return this.openBody(name);
    }
  }

  forgetSegment(ordinal: number): void {
    const handle = this.#segments.get(ordinal);
    if (handle === undefined) return;
    this.#segments.delete(ordinal);
    handle.closing = true;
    this.#release(handle);
  }

  close(): void {
    for (const ordinal of [...this.#segments.keys()]) this.forgetSegment(ordinal);
  }

  #segment(ordinal: number, name: SegmentName): SegmentHandle {
    const known = this.#segments.get(ordinal);
    if (known !== undefined) {
      if (this.#segments.size > this.#maxOpen >> 1) {
        this.#segments.delete(ordinal);
        this.#segments.set(ordinal, known);
      }
      return known;
    }
    const path = join(this.#root, segmentsFolder, segmentFileOf(name));
    const handle: SegmentHandle = {
      opening: openFile(path, constants.O_RDONLY),
      fd: undefined,
      readers: 0,
      closing: false,
    };
    handle.opening.then(
      (fd) => {
        handle.fd = fd;
      },
      () => {
        if (this.#segments.get(ordinal) === handle) this.#segments.delete(ordinal);
      },
    );
    this.#segments.set(ordinal, handle);
    if (this.#segments.size > this.#maxOpen) {
      const [oldest] = this.#segments.keys();
      if (oldest !== undefined) this.forgetSegment(oldest);
    }
    return handle;
  }

  #release(handle: SegmentHandle): void {
    if (handle.readers > 0) return;
    handle.opening.then(closeFile).catch(() => {});
  }

  async #open(path: string): Promise<ReadHandle> {
    const fd = await openFile(path, constants.O_RDONLY);
    let reading = 0;
    let isClosed = false;
    const release = (): void => {
      if (isClosed && reading === 0) close(fd, () => {});
    };
    return {
      async read(position, length) {
        reading += 1;
        try {
          return await readAt(fd, position, length);
        } finally {
          reading -= 1;
          release();
        }
      },
      close() {
        if (isClosed) return;
        isClosed = true;
        release();
      },
    };
  }
}

/** The hints in a directory, for who reads them before anybody has it open. */
export class HintFiles {
  readonly #folder: string;

  constructor(directory: string) {
    this.#folder = join(directory, formatFolder, segmentsFolder);
  }

  /** The segments that have one. */
  async list(): Promise<readonly SegmentName[]> {
    return (await list(this.#folder)).flatMap((file) => parseHintFile(file) ?? []);
  }

  /** How long a hint is, and its first `length` bytes. */
  async readStart(name: SegmentName, length: number): Promise<{ readonly bytes: Uint8Array; readonly size: number }> {
    const path = join(this.#folder, hintFileOf(name));
    const [{ size }, bytes] = await Promise.all([statFile(path), withFile(path, (fd) => readAt(fd, 0, length))]);
    return { bytes, size };
  }

  /** Fills buffers with what comes from `position` on, one after the other, as far as there is as much. `onPiece` is called with each piece, in order. */
  readInto(
    name: SegmentName,
    position: number,
    buffers: readonly Uint8Array[],
    onPiece: (bytes: Uint8Array) => void,
  ): Promise<void> {
    return withFile(join(this.#folder, hintFileOf(name)), async (fd) => {
      let at = position;
      for (const buffer of buffers) {
        for (let done = 0; done < buffer.byteLength; ) {
          const count = await readPart(fd, buffer, done, Math.min(pieceBytes, buffer.byteLength - done), at);
          if (count === 0) return;
          onPiece(buffer.subarray(done, done + count));
          done += count;
          at += count;
        }
      }
    });
  }
}

async function withFile<T>(path: string, work: (fd: number) => Promise<T>): Promise<T> {
  const fd = await openFile(path, constants.O_RDONLY);
  try {
    return await work(fd);
  } finally {
    close(fd, () => {});
  }
}

function readAt(fd: number, position: number, length: number): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    readBytes(fd, position, length, (error, bytes) => (error === null ? resolve(bytes) : reject(error)));
  });
}

function readPart(fd: number, buffer: Uint8Array, at: number, length: number, position: number): Promise<number> {
  return new Promise((resolve, reject) => {
    read(fd, buffer, at, length, position, (error, count) => (error === null ? resolve(count) : reject(error)));
  });
}

function readBytes(
  fd: number,
  position: number,
  length: number,
  done: (error: Error | null, bytes: Uint8Array) => void,
): void {
  const buffer = Buffer.allocUnsafe(length);
  const next = (from: number): void => {
    read(fd, buffer, from, length - from, position + from, (error, count) => {
      if (error !== null) done(error, buffer);
      else if (count === 0) done(null, buffer.subarray(0, from));
      else if (from + count === length) done(null, buffer);
      else next(from + count);
    });
  };
  next(0);
}
