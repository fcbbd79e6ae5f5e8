import { isHintIntact, RowCursor } from '../disk/hint.js';
import type { SegmentName } from '../disk/index-table.js';
import { framedBytesOf, isHeadIntact, type RecordHeader, readHeader, recordHeaderBytes } from '../disk/record.js';
import type { DiskFiles } from './disk-files.js';

/** A record of another process's log. */
export interface ForeignRecord {
  readonly header: RecordHeader;
  readonly segment: SegmentName;
  readonly offset: number;
}

export type TakeRecord = (record: ForeignRecord) => void;

const readBytes = 256 * 1024;

/** Reads the records of segments that other processes have written, or are writing. */
export class ForeignLog {
  readonly #files: DiskFiles;
  readonly #ordinalOf: (segment: SegmentName) => number;

  constructor(files: DiskFiles, ordinalOf: (segment: SegmentName) => number) {
    this.#files = files;
    this.#ordinalOf = ordinalOf;
  }

  /** Of a segment that is not written any more: by its hint, or without a good one up to its last good record. */
  async readSealed(segment: SegmentName, from: number, take: TakeRecord): Promise<void> {
    const hint = await this.#files.readHint(segment).catch(ifGone);
    if (hint === undefined || !isHintIntact(hint, Infinity)) {
      await this.#readUpToDamage(segment, from, take);
      return;
    }
    for (const rows = new RowCursor(hint); !rows.isAtEnd; rows.advance()) {
      const { header, offset } = rows;
      if (header === undefined) return;
      if (offset >= from) take({ header, segment, offset });
    }
  }

  /** Of a segment that is written, up to where it was acknowledged. */
  async readOpen(segment: SegmentName, from: number, end: number, take: TakeRecord): Promise<void> {
    for (let at = from; at < end; ) {
      const bytes = await this.#read(segment, at, Math.min(readBytes, end - at));
      if (bytes === undefined) return;
      const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
      const start = at;
      while (at - start + recordHeaderBytes <= bytes.byteLength) {
        const header = readHeader(view, at - start);
        if (header === undefined) throw new Error('the log of another process cannot be read');
        take({ header, segment, offset: at });
        at += header.recordBytes;
      }
      if (at === start) return;
    }
  }

  async #readUpToDamage(segment: SegmentName, from: number, take: TakeRecord): Promise<void> {
    let length = readBytes;
    for (let at = from; ; ) {
      const bytes = await this.#read(segment, at, length);
      if (bytes === undefined) return;
      const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
      const start = at;
      let needed = 0;
      for (;;) {
        const header = readHeader(view, at - start);
        if (header === undefined) break;
        needed = framedBytesOf(header.headBytes, header.bodyBytes, header.blockShift);
        if (at - start + needed > bytes.byteLength) break;
        if (!isHeadIntact(bytes, view, at - start, header)) return;
        take({ header, segment, offset: at });
        at += header.recordBytes;
        needed = 0;
      }
      // Nothing is left, or what comes next is no record; or its head is longer than what was read.
      if (at === start && needed <= length) return;
      length = Math.max(readBytes, needed);
    }
  }

  /** `undefined`: it was dropped meanwhile. */
  #read(segment: SegmentName, position: number, length: number): Promise<Uint8Array | undefined> {
    return this.#files.readSegment(this.#ordinalOf(segment), segment, position, length).catch(ifGone);
  }
}

/** Dropped meanwhile: there is nothing to know of it. */
function ifGone(error: unknown): undefined {
  if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
  throw error;
}
