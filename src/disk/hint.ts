import { crc32 } from 'node:zlib';
import { type RecordHeader, readHeader, recordHeaderBytes, sequenceAt } from './record.js';

/** A hint is the headers of a segment's records, so that opening does not read bodies. See FORMAT.md. */
const hintMagic = 0x314c4648;
const frameBytes = 16;
/** In a hint, a header's checksum field holds the record's offset in the segment. */
const offsetAt = 16;

/** Collects the headers of the records of one segment. */
export class HintBuilder {
  #rows = Buffer.alloc(64 * recordHeaderBytes);
  #usedBytes = 0;

  /** Takes the header at `at` of a record that is at `offset` in its segment. */
  add(bytes: Uint8Array, at: number, offset: number): void {
    if (this.#usedBytes + recordHeaderBytes > this.#rows.length) {
      const larger = Buffer.alloc(2 * this.#rows.length);
      this.#rows.copy(larger, 0, 0, this.#usedBytes);
      this.#rows = larger;
    }
    this.#rows.set(bytes.subarray(at, at + recordHeaderBytes), this.#usedBytes);
    this.#rows.writeUInt32LE(offset, this.#usedBytes + offsetAt);
    this.#usedBytes += recordHeaderBytes;
  }

  /** The hint's bytes, for what lies in the first `segmentBytes` of the segment: magic, length of the part of the segment that counts, number of rows, checksum, rows. */
  toBytes(segmentBytes: number): Uint8Array {
    let rowBytes = this.#usedBytes;
    while (rowBytes > 0 && this.#rows.readUInt32LE(rowBytes - recordHeaderBytes + offsetAt) >= segmentBytes) {
      rowBytes -= recordHeaderBytes;
    }
    const hint = Buffer.alloc(frameBytes + rowBytes);
    hint.writeUInt32LE(hintMagic, 0);
    hint.writeUInt32LE(segmentBytes, 4);
    hint.writeUInt32LE(rowBytes / recordHeaderBytes, 8);
    hint.set(this.#rows.subarray(0, rowBytes), frameBytes);
    hint.writeUInt32LE(crcOf(hint), 12);
    return hint;
  }
}

/** Whether a hint is whole, and speaks of no more than there is: what comes after its end is not part of the log. */
export function isHintIntact(hint: Uint8Array, segmentBytes: number): boolean {
  if (hint.byteLength < frameBytes) return false;
  const view = viewOf(hint);
  return (
    view.getUint32(0, true) === hintMagic &&
    view.getUint32(4, true) <= segmentBytes &&
    hint.byteLength === frameBytes + view.getUint32(8, true) * recordHeaderBytes &&
    view.getUint32(12, true) === crcOf(hint)
  );
}

export function rowCountOf(hint: Uint8Array): number {
  return viewOf(hint).getUint32(8, true);
}

/** The sequence of the first record that has one: segments are applied in this order. */
export function firstSequenceOf(hint: Uint8Array): number {
  let first = 0;
  forEachRow(hint, ({ sequence }) => {
    first = sequence;
    return first === 0;
  });
  return first;
}

/** Calls back with every row of an intact hint, in the order of the log, until that returns `false`. */
function forEachRow(hint: Uint8Array, visit: (header: RecordHeader, offset: number) => boolean): void {
  const view = viewOf(hint);
  for (let at = frameBytes; at < hint.byteLength; at += recordHeaderBytes) {
    const header = readHeader(view, at);
    if (header === undefined || !visit(header, view.getUint32(at + offsetAt, true))) return;
  }
}

/** The rows of an intact hint, one after the other. */
export class RowCursor {
  readonly view: DataView;
  #at = frameBytes;
  readonly #endAt: number;

  /** Records from `limitBytes` of the segment on are left out. */
  constructor(hint: Uint8Array, limitBytes = Infinity) {
    this.view = viewOf(hint);
    let endAt = hint.byteLength;
    while (endAt > frameBytes && this.view.getUint32(endAt - recordHeaderBytes + offsetAt, true) >= limitBytes) {
      endAt -= recordHeaderBytes;
    }
    this.#endAt = endAt;
  }

  get isAtEnd(): boolean {
    return this.#at >= this.#endAt;
  }

  /** Where the row is in `view`. */
  get at(): number {
    return this.#at;
  }

  /** `Infinity` at the end. */
  get sequence(): number {
    return this.isAtEnd ? Infinity : sequenceAt(this.view, this.#at);
  }

  /** `undefined` if the row cannot be one. */
  get header(): RecordHeader | undefined {
    return readHeader(this.view, this.#at);
  }

  /** Where the record is in its segment. */
  get offset(): number {
    return this.view.getUint32(this.#at + offsetAt, true);
  }

  advance(): void {
    this.#at += recordHeaderBytes;
  }

  /** What comes after a row that cannot be one is not read. */
  end(): void {
    this.#at = this.#endAt;
  }
}

function viewOf(hint: Uint8Array): DataView {
  return new DataView(hint.buffer, hint.byteOffset, hint.byteLength);
}

function crcOf(hint: Uint8Array): number {
  return crc32(hint.subarray(frameBytes), crc32(hint.subarray(0, 12)));
}
