import { crc32 } from 'node:zlib';
import { type RecordHeader, readHeader, recordHeaderBytes } from './record.js';

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

  /** The hint's bytes: magic, length of the part of the segment that counts, number of rows, checksum, rows. */
  toBytes(segmentBytes: number): Uint8Array {
    const hint = Buffer.alloc(frameBytes + this.#usedBytes);
    hint.writeUInt32LE(hintMagic, 0);
    hint.writeUInt32LE(segmentBytes, 4);
    hint.writeUInt32LE(this.#usedBytes / recordHeaderBytes, 8);
    hint.set(this.#rows.subarray(0, this.#usedBytes), frameBytes);
    hint.writeUInt32LE(crcOf(hint), 12);
    return hint;
  }
}

export interface HintRow {
  readonly header: RecordHeader;
  readonly offset: number;
}

/** The rows of a hint, or `undefined` if it is damaged or speaks of more than there is. What comes after its end is not
 * part of the log. */
export function parseHint(hint: Uint8Array, segmentBytes: number): readonly HintRow[] | undefined {
  if (hint.byteLength < frameBytes) return undefined;
  const view = new DataView(hint.buffer, hint.byteOffset, hint.byteLength);
  const count = view.getUint32(8, true);
  if (
    view.getUint32(0, true) !== hintMagic ||
    view.getUint32(4, true) > segmentBytes ||
    hint.byteLength !== frameBytes + count * recordHeaderBytes ||
    view.getUint32(12, true) !== crcOf(hint)
  ) {
    return undefined;
  }
  const rows: HintRow[] = [];
  for (let at = frameBytes; at < hint.byteLength; at += recordHeaderBytes) {
    const header = readHeader(view, at);
    if (header === undefined) return undefined;
    rows.push({ header, offset: view.getUint32(at + offsetAt, true) });
  }
  return rows;
}

function crcOf(hint: Uint8Array): number {
  return crc32(hint.subarray(frameBytes), crc32(hint.subarray(0, 12)));
}
