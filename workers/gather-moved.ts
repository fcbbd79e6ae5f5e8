import { closeSync, constants, openSync, readSync } from 'node:fs';
import { join } from 'node:path';
import { segmentFileOf } from '../src/disk/layout.js';
import {
  areBlocksIntact,
  blockCrcsOf,
  bodyPlaces,
  framedBytesOf,
  isHeadIntact,
  readHeader,
  recordBytesOf,
  recordTypes,
  sealRecord,
  writeHeader,
} from '../src/disk/record.js';
import { failureOf } from '../src/protocol/failure.js';
import type { MoveTask } from '../src/protocol/messages.js';

/**
 * Records to be appended, back to back, and how long each is: `damaged`, `gone` with a segment that another process dropped, or `too-long` to fit at all. Ends before the first that would go
 * beyond the limit.
 */
export interface GatheredRecords {
  readonly bytes: Uint8Array;
  readonly lengths: readonly (number | 'damaged' | 'gone' | 'too-long')[];
}

/** Reads what is to be moved, checks every byte of it, and makes records of it that stand by themselves. */
export function gatherMoved(folder: string, { places, limitBytes }: MoveTask): GatheredRecords {
  const files = new SegmentFiles(folder);
  const records: Uint8Array[] = [];
  const lengths: (number | 'damaged' | 'gone' | 'too-long')[] = [];
  let total = 0;
  try {
    for (let i = 0; i + 4 < places.length; i += 5) {
      const [writer = 0, number = 0, offset = 0, length = 0, sequence = 0] = places.slice(i, i + 5);
      const record = movedRecord(files, files.read({ writer, number }, offset, length), sequence);
      if (record === undefined) lengths.push(files.takeMissing() ? 'gone' : 'damaged');
      else if (record.byteLength > limitBytes) lengths.push('too-long');
      else if (total + record.byteLength > limitBytes) break;
      else {
        lengths.push(record.byteLength);
        records.push(record);
        total += record.byteLength;
      }
    }
  } finally {
    files.close();
  }
  const bytes = new Uint8Array(total);
  let at = 0;
  for (const record of records) {
    bytes.set(record, at);
    at += record.byteLength;
  }
  return { bytes, lengths };
}

/** `undefined` for what is damaged. */
function movedRecord(files: SegmentFiles, bytes: Uint8Array, sequence: number): Uint8Array | undefined {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const header = readHeader(view, 0);
  if (header === undefined || header.recordBytes !== bytes.byteLength || header.sequence !== sequence) return undefined;
  if (!isHeadIntact(bytes, view, 0, header)) return undefined;
  const { headBytes, bodyBytes, blockShift } = header;
  if (header.place === bodyPlaces.file) {
    writeHeader(view, 0, { ...header, type: recordTypes.moved });
    sealRecord(bytes, view, 0, header);
    return bytes;
  }
  const framed = framedBytesOf(headBytes, bodyBytes, blockShift);
  const body =
    header.place === bodyPlaces.inline
      ? bytes.subarray(framed, framed + bodyBytes)
      : files.read({ writer: header.bodyWriter, number: header.bodyNumber }, header.bodyOffset, bodyBytes);
  const isWhole = body.byteLength === bodyBytes && areBlocksIntact(body, blockCrcsOf(view, 0, header), blockShift);
  if (!isWhole) return undefined;
  const place = bodyPlaces.inline;
  const recordBytes = recordBytesOf(headBytes, bodyBytes, blockShift, place);
  const record = new Uint8Array(recordBytes);
  record.set(bytes.subarray(0, framed));
  record.set(body, framed);
  const moved = { ...header, type: recordTypes.moved, place, recordBytes, bodyWriter: 0, bodyNumber: 0, bodyOffset: 0 };
  const recordView = new DataView(record.buffer);
  writeHeader(recordView, 0, moved);
  sealRecord(record, recordView, 0, moved);
  return record;
}

interface Name {
  readonly writer: number;
  readonly number: number;
}

/** Segments that are read from, open until all is done. */
class SegmentFiles {
  readonly #folder: string;
  readonly #open = new Map<string, number>();
  #isMissing = false;

  constructor(folder: string) {
    this.#folder = folder;
  }

  /** As many bytes as there are; none of a file that is not there. */
  read(name: Name, position: number, length: number): Uint8Array {
    const bytes = new Uint8Array(length);
    let done = 0;
    try {
      const fd = this.#fdOf(name);
      for (let count = -1; count !== 0 && done < length; done += count) {
        count = readSync(fd, bytes, done, length - done, position + done);
      }
    } catch (error) {
      // Damaged, gone or unreadable: it is about to be dropped in any case.
      if (failureOf(error).code === 'ENOENT') this.#isMissing = true;
    }
    return bytes.subarray(0, done);
  }

  /** Whether something was not there since this was last asked. */
  takeMissing(): boolean {
    const isMissing = this.#isMissing;
    this.#isMissing = false;
    return isMissing;
  }

  close(): void {
    for (const fd of this.#open.values()) closeSync(fd);
  }

  #fdOf(name: Name): number {
    const file = segmentFileOf(name);
    const known = this.#open.get(file);
    if (known !== undefined) return known;
    const fd = openSync(join(this.#folder, file), constants.O_RDONLY);
    this.#open.set(file, fd);
    return fd;
  }
}
