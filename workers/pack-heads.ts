import { packRow } from '../src/disk/head-codec.js';
import { firstRowMark, packedMark, readDraft } from '../src/disk/head-draft.js';
import { draftMarkOf, readHeader, recordBytesOf, recordHeaderBytes, writeHeader } from '../src/disk/record.js';
import type { LogSlab } from '../src/protocol/messages.js';

/**
 * Packs the heads of a slab in their places. A packed head is shorter than the room that was left for it: what comes behind moves up.
 * Returns how long the records are then.
 */
export function packHeads({ buffer, usedBytes, rows, isPacked }: LogSlab): number {
  if (isPacked) return usedBytes;
  const bytes = new Uint8Array(buffer, 0, usedBytes);
  const view = new DataView(buffer, 0, usedBytes);
  let to = 0;
  for (let at = 0; at < usedBytes; ) {
    const header = readHeader(view, at);
    if (header === undefined) throw new Error('a slab does not hold records back to back');
    const mark = draftMarkOf(view, at);
    if (mark === packedMark) {
      bytes.copyWithin(to, at, at + header.recordBytes);
      to += header.recordBytes;
    } else {
      const row = mark < firstRowMark ? readDraft(bytes, view, at + recordHeaderBytes) : rows[mark - firstRowMark];
      if (row === undefined) throw new Error('a head is missing');
      const packed = packRow(row);
      if (packed.byteLength > header.headBytes) throw new Error('a head is longer than the room that was left for it');
      const headBytes = packed.byteLength;
      const recordBytes = recordBytesOf(headBytes, header.bodyBytes, header.blockShift, header.place);
      const from = at + recordHeaderBytes + header.headBytes;
      const rest = to + recordHeaderBytes + headBytes;
      bytes.copyWithin(rest, from, at + header.recordBytes);
      writeHeader(view, to, { ...header, headBytes, recordBytes });
      bytes.set(packed, to + recordHeaderBytes);
      bytes.fill(0, Math.min(rest + at + header.recordBytes - from, to + recordBytes), to + recordBytes);
      to += recordBytes;
    }
    at += header.recordBytes;
  }
  return to;
}
