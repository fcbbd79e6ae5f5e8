import { codecs, encode } from '../src/disk/codecs.js';
import { packRow } from '../src/disk/head-codec.js';
import { firstRowMark, packedMark, readDraft } from '../src/disk/head-draft.js';
import {
  bodyPlaces,
  draftMarkOf,
  framedBytesOf,
  type RecordHeader,
  readHeader,
  recordBytesOf,
  recordHeaderBytes,
  recordTypes,
  writeHeader,
} from '../src/disk/record.js';
import type { LogSlab, WriterSession } from '../src/protocol/messages.js';

/**
 * Packs the heads of a slab in their places, and compresses the bodies whose records name a codec, if that pays. A packed head is shorter
 * than the room that was left for it: what comes behind moves up.
 * Returns how long the records are then.
 */
export function packHeads(
  { buffer, usedBytes, rows, isPacked }: LogSlab,
  compression: WriterSession['compression'],
): number {
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
      const isNew = header.type === recordTypes.stored && header.place === bodyPlaces.inline;
      const mayEncode = isNew && header.codec !== codecs.identity;
      const encoded = mayEncode ? encodedBody(bytes, at, header, compression) : undefined;
      const codec = mayEncode && encoded === undefined ? codecs.identity : header.codec;
      const bodyBytes = encoded?.byteLength ?? header.bodyBytes;
      const recordBytes = recordBytesOf(headBytes, bodyBytes, header.blockShift, header.place);
      const from = at + recordHeaderBytes + header.headBytes;
      const rest = to + recordHeaderBytes + headBytes;
      let end = rest + at + header.recordBytes - from;
      if (encoded === undefined) bytes.copyWithin(rest, from, at + header.recordBytes);
      else {
        const bodyAt = to + framedBytesOf(headBytes, bodyBytes, header.blockShift);
        bytes.set(encoded, bodyAt);
        end = bodyAt + bodyBytes;
      }
      writeHeader(view, to, { ...header, headBytes, recordBytes, codec, bodyBytes });
      bytes.set(packed, to + recordHeaderBytes);
      bytes.fill(0, Math.min(end, to + recordBytes), to + recordBytes);
      to += recordBytes;
    }
    at += header.recordBytes;
  }
  return to;
}

/** `undefined`: it stays as it is. */
function encodedBody(
  bytes: Uint8Array,
  at: number,
  { codec, headBytes, bodyBytes, blockShift }: RecordHeader,
  compression: WriterSession['compression'],
): Uint8Array | undefined {
  if (compression === undefined) return undefined;
  const bodyAt = at + framedBytesOf(headBytes, bodyBytes, blockShift);
  const encoded = encode(codec, bytes.subarray(bodyAt, bodyAt + bodyBytes), compression.level);
  if (encoded === undefined || encoded.byteLength > bodyBytes * (1 - compression.minGain)) return undefined;
  return encoded.byteLength < bodyBytes ? encoded : undefined;
}
