import { close, constants, open, read } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { SegmentName } from '../disk/index-table.js';
import {
  bodiesFolder,
  bodyFileNameOf,
  formatFolder,
  segmentFileOf,
  segmentsFolder,
  temporaryFolder,
} from '../disk/layout.js';

const openFile = promisify(open);
const closeFile = promisify(close);

/** An open file of the cache: reads at any place, until it is closed and the last read is done. */
export interface ReadHandle {
  /** As many bytes as there are, `length` at most. */
  read(position: number, length: number): Promise<Uint8Array>;
  close(): void;
}

interface SegmentHandle {
  readonly fd: Promise<number>;
  readers: number;
  closing: boolean;
}

/** Reads files of a directory through libuv. Keeps the descriptors of segments, which every lookup needs, up to a cap. */
export class DiskFiles {
  readonly #root: string;
  readonly #maxOpen: number;
  /** In order of use, oldest first. */
  readonly #segments = new Map<number, SegmentHandle>();

  constructor(directory: string, maxOpen: number) {
    this.#root = join(directory, formatFolder);
    this.#maxOpen = maxOpen;
  }

  async readSegment(ordinal: number, name: SegmentName, position: number, length: number): Promise<Uint8Array> {
    const handle = this.#segment(ordinal, name);
    handle.readers += 1;
    try {
      return await readAt(await handle.fd, position, length);
    } finally {
      handle.readers -= 1;
      if (handle.closing) this.#release(handle);
    }
  }

  /** A segment for a reader that takes its time. */
  openSegment(name: SegmentName): Promise<ReadHandle> {
    return this.#open(join(this.#root, segmentsFolder, segmentFileOf(name)));
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
    const handle = { fd: openFile(path, constants.O_RDONLY), readers: 0, closing: false };
    handle.fd.catch(() => {
      if (this.#segments.get(ordinal) === handle) this.#segments.delete(ordinal);
    });
    this.#segments.set(ordinal, handle);
    if (this.#segments.size > this.#maxOpen) {
      const [oldest] = this.#segments.keys();
      if (oldest !== undefined) this.forgetSegment(oldest);
    }
    return handle;
  }

  #release(handle: SegmentHandle): void {
    if (handle.readers > 0) return;
    handle.fd.then(closeFile).catch(() => {});
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

function readAt(fd: number, position: number, length: number): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    const buffer = Buffer.allocUnsafe(length);
    const next = (done: number): void => {
      read(fd, buffer, done, length - done, position + done, (error, count) => {
        if (error !== null) reject(error);
        else if (count === 0) resolve(buffer.subarray(0, done));
        else if (done + count === length) resolve(buffer);
        else next(done + count);
      });
    };
    submitSoon(() => next(0));
  });
}

/**
 * Reads that come up in one turn of the event loop are handed to libuv together: waking one of its threads is the greater part of what a
 * small read costs here, and only the first of a batch has to.
 */
let waiting: (() => void)[] = [];

function submitSoon(submit: () => void): void {
  waiting.push(submit);
  if (waiting.length > 1) return;
  setImmediate(() => {
    const batch = waiting;
    waiting = [];
    for (const start of batch) start();
  });
}
