import { crc32 } from 'node:zlib';
import { headerWith, type RecordHeader, readHeader, recordHeaderBytes, recordTypes } from './record.js';
import { isRow, readRow, rowBytes, writeRow } from './slot-row.js';

/**
 * A hint tells the index of a segment's records, so that opening does not read bodies: rows of the records that do nothing but to add a response, as
 * the index has them, and the headers of all others. See FORMAT.md.
 */
const hintMagic = 0x314c4648;
export const hintFrameBytes = 24;
const crcAt = 16;
/** In a hint, a header's checksum field holds the record's offset in the segment. */
const offsetAt = 16;
const typeAt = 4;
/** In a row. */
const rowOffsetAt = 24;

/** What comes first in a hint. */
export interface HintFrame {
  /** How much of the segment counts. */
  readonly segmentBytes: number;
  readonly rows: number;
  readonly headers: number;
  readonly crc: number;
}

/** A part of a hint, which grows. */
class Part {
  bytes: Buffer;
  usedBytes = 0;
  readonly #itemBytes: number;

  constructor(itemBytes: number) {
    this.#itemBytes = itemBytes;
    this.bytes = Buffer.alloc(64 * itemBytes);
  }

  /** Where the next item is. */
  next(): number {
    const at = this.usedBytes;
    this.usedBytes += this.#itemBytes;
    if (this.usedBytes > this.bytes.length) {
      const longer = Buffer.alloc(2 * this.bytes.length);
      this.bytes.copy(longer, 0, 0, at);
      this.bytes = longer;
    }
    return at;
  }

  /** Its items of what lies before `limitBytes` in the segment. */
  upTo(limitBytes: number, offsetInItem: number): Buffer {
    let end = this.usedBytes;
    while (end > 0 && this.bytes.readUInt32LE(end - this.#itemBytes + offsetInItem) >= limitBytes) {
      end -= this.#itemBytes;
    }
    return this.bytes.subarray(0, end);
  }
}

/** Collects what a hint says of the records of one segment. */
export class HintBuilder {
  readonly #rows = new Part(rowBytes);
  readonly #headers = new Part(recordHeaderBytes);

  /** Takes the header at `at` of a record that is at `offset` in its segment. */
  add(bytes: Uint8Array, at: number, offset: number): void {
    const header = readHeader(viewOf(bytes), at);
    if (header !== undefined && isRow(header)) {
      const rowAt = this.#rows.next();
      writeRow(viewOf(this.#rows.bytes), rowAt, header, offset);
      return;
    }
    const headerAt = this.#headers.next();
    this.#headers.bytes.set(bytes.subarray(at, at + recordHeaderBytes), headerAt);
    this.#headers.bytes.writeUInt32LE(offset, headerAt + offsetAt);
  }

  /** The hint's bytes, for what lies in the first `segmentBytes` of the segment. */
  toBytes(segmentBytes: number): Uint8Array {
    const rows = this.#rows.upTo(segmentBytes, rowOffsetAt);
    const headers = this.#headers.upTo(segmentBytes, offsetAt);
    const frame = Buffer.alloc(hintFrameBytes);
    frame.writeUInt32LE(hintMagic, 0);
    frame.writeUInt32LE(segmentBytes, 4);
    frame.writeUInt32LE(rows.length / rowBytes, 8);
    frame.writeUInt32LE(headers.length / recordHeaderBytes, 12);
    frame.writeUInt32LE(hintCrcOf(frame, rows, headers), crcAt);
    return Buffer.concat([frame, rows, headers]);
  }
}

/** `undefined`: these bytes cannot be the first of a hint of `hintBytes`. Says nothing of the checksum. */
export function readHintFrame(bytes: Uint8Array, hintBytes: number): HintFrame | undefined {
  if (bytes.byteLength < hintFrameBytes) return undefined;
  const view = viewOf(bytes);
  const rows = view.getUint32(8, true);
  const headers = view.getUint32(12, true);
  const isWhole = hintBytes === hintFrameBytes + rows * rowBytes + headers * recordHeaderBytes;
  if (view.getUint32(0, true) !== hintMagic || view.getUint32(20, true) !== 0 || !isWhole) return undefined;
  return { segmentBytes: view.getUint32(4, true), rows, headers, crc: view.getUint32(crcAt, true) };
}

/** A hint, in its parts: the rows may lie elsewhere. */
export interface HintParts {
  readonly frame: Uint8Array;
  readonly rows: Uint8Array;
  readonly headers: Uint8Array;
}

export function partsOf(hint: Uint8Array): HintParts {
  const frame = readHintFrame(hint, hint.byteLength);
  const headersAt = hintFrameBytes + (frame?.rows ?? 0) * rowBytes;
  return {
    frame: hint.subarray(0, hintFrameBytes),
    rows: hint.subarray(hintFrameBytes, headersAt),
    headers: hint.subarray(headersAt),
  };
}

/** Whether a hint that starts like this is whole, and speaks of no more than there is: what comes after its end is not part of the log. */
export function isFrameOf(frame: Uint8Array, hintBytes: number, crc: number, segmentBytes: number): boolean {
  const read = readHintFrame(frame, hintBytes);
  return read !== undefined && read.segmentBytes <= segmentBytes && read.crc === crc;
}

function hintCrcOf(frame: Uint8Array, rows: Uint8Array, headers: Uint8Array): number {
  return addToHintCrc(addToHintCrc(beginHintCrc(frame), rows), headers);
}

/** The checksum of a hint that is read piece by piece: first its frame, then all that follows. */
export function beginHintCrc(frame: Uint8Array): number {
  return crc32(frame.subarray(0, crcAt));
}

export function addToHintCrc(crc: number, piece: Uint8Array): number {
  return crc32(piece, crc);
}

export function isHintIntact(hint: Uint8Array, segmentBytes: number): boolean {
  if (hint.byteLength < hintFrameBytes) return false;
  const { frame, rows, headers } = partsOf(hint);
  return isFrameOf(frame, hint.byteLength, hintCrcOf(frame, rows, headers), segmentBytes);
}

/** The headers in a hint, one after the other. */
export class HeaderCursor {
  readonly #view: DataView;
  #at = 0;
  readonly #endAt: number;

  /** Records from `limitBytes` of the segment on are left out. */
  constructor(headers: Uint8Array, limitBytes = Infinity) {
    this.#view = viewOf(headers);
    let endAt = headers.byteLength;
    while (endAt > 0 && this.#view.getUint32(endAt - recordHeaderBytes + offsetAt, true) >= limitBytes) {
      endAt -= recordHeaderBytes;
    }
    this.#endAt = endAt;
  }

  get isAtEnd(): boolean {
    return this.#at >= this.#endAt;
  }

  get type(): number {
    return this.#view.getUint8(this.#at + typeAt);
  }

  /** `undefined` if what is there cannot be one. */
  get header(): RecordHeader | undefined {
    return readHeader(this.#view, this.#at);
  }

  /** Where the record is in its segment; `Infinity` at the end. */
  get offset(): number {
    return this.isAtEnd ? Infinity : this.#view.getUint32(this.#at + offsetAt, true);
  }

  advance(): void {
    this.#at += recordHeaderBytes;
  }
}

/** What an intact hint says of the records, one after the other in the order of the log. Of those that have a row, what the index needs. */
export class RowCursor {
  readonly #headers: HeaderCursor;
  readonly #rows: DataView;
  #at = 0;

  constructor(hint: Uint8Array) {
    const { rows, headers } = partsOf(hint);
    this.#rows = viewOf(rows);
    this.#headers = new HeaderCursor(headers);
  }

  get isAtEnd(): boolean {
    return this.#at >= this.#rows.byteLength && this.#headers.isAtEnd;
  }

  /** `undefined` if what is there cannot be one. */
  get header(): RecordHeader | undefined {
    if (!this.#isAtRow) return this.#headers.header;
    return headerWith({ type: recordTypes.stored, ...readRow(this.#rows, this.#at) });
  }

  /** Where the record is in its segment. */
  get offset(): number {
    return this.#isAtRow ? this.#rowOffset : this.#headers.offset;
  }

  advance(): void {
    if (this.#isAtRow) this.#at += rowBytes;
    else this.#headers.advance();
  }

  get #isAtRow(): boolean {
    return this.#rowOffset < this.#headers.offset;
  }

  get #rowOffset(): number {
    return this.#at >= this.#rows.byteLength ? Infinity : this.#rows.getUint32(this.#at + rowOffsetAt, true);
  }
}

/** The number of the first record that has one: segments are applied in this order. */
export function firstSequenceOf(hint: HintParts): number {
  const headers = new HeaderCursor(hint.headers);
  const first = hint.rows.byteLength === 0 ? undefined : readRow(viewOf(hint.rows), 0);
  for (; !headers.isAtEnd && headers.offset < (first?.offset ?? Infinity); headers.advance()) {
    const sequence = headers.header?.sequence ?? 0;
    if (sequence > 0) return sequence;
  }
  return first?.sequence ?? 0;
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
