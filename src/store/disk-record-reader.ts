import { codecs, decode, isCodecKnown } from '../disk/codecs.js';
import { unpackHead } from '../disk/head-codec.js';
import { fileOf, type LogPlace } from '../disk/index-table.js';
import {
  areBlocksIntact,
  blockCrcsOf,
  bodyPlaces,
  framedBytesOf,
  isHeadIntact,
  type RecordHeader,
  readHeader,
} from '../disk/record.js';
import type { StoredHead } from '../http/message.js';
import type { DiskFiles, ReadHandle } from './disk-files.js';

/** A record that was read and found good. */
export interface ReadRecord {
  readonly header: RecordHeader;
  readonly key: string;
  readonly head: StoredHead;
  readonly tags: readonly string[];
  readonly crcs: Uint32Array;
  /** The whole verified body, decoded, if it came along. */
  readonly inlineBody: Uint8Array | undefined;
}

/** A record of up to this length is read in one go; of a longer one, this much of its beginning. */
const wholeRecordBytes = 256 * 1024;
const firstReadBytes = 16 * 1024;

/** Reads and verifies a record. A string says what is wrong with it; `undefined`: it is for another Node, which knows its codec. */
export async function readRecord(files: DiskFiles, place: LogPlace): Promise<ReadRecord | string | undefined> {
  const { ordinal, segment, offset, recordBytes } = place;
  const first = recordBytes <= wholeRecordBytes ? recordBytes : firstReadBytes;
  let bytes = await files.readSegment(ordinal, segment, offset, first);
  let view = viewOf(bytes);
  const header = readHeader(view, 0);
  if (header === undefined || header.recordBytes !== recordBytes || header.sequence !== place.sequence) {
    return 'the record is damaged';
  }
  const framed = framedBytesOf(header.headBytes, header.bodyBytes, header.blockShift);
  if (framed > recordBytes) return 'the record is damaged';
  if (framed > bytes.byteLength) {
    bytes = await files.readSegment(ordinal, segment, offset, framed);
    view = viewOf(bytes);
  }
  if (!isHeadIntact(bytes, view, 0, header)) return 'the head does not match its checksum';
  if (!isCodecKnown(header.codec)) return undefined;
  const headAt = recordHeaderEnd(header);
  const unpacked = unpackHead(bytes.subarray(headAt - header.headBytes, headAt));
  if (unpacked === undefined) return 'the head cannot be read';
  const crcs = blockCrcsOf(view, 0, header);
  if (header.place !== bodyPlaces.inline || framed + header.bodyBytes > bytes.byteLength) {
    return { header, ...unpacked, crcs, inlineBody: undefined };
  }
  const stored = bytes.subarray(framed, framed + header.bodyBytes);
  if (!areBlocksIntact(stored, crcs, header.blockShift)) return 'the body does not match its checksum';
  if (header.codec === codecs.identity) return { header, ...unpacked, crcs, inlineBody: stored };
  try {
    return { header, ...unpacked, crcs, inlineBody: await decode(header.codec, stored, header.rawBytes) };
  } catch {
    return 'the body cannot be decoded';
  }
}

/** Reads a whole coded body and decodes it. A string says what is wrong with it. */
export async function readCodedBody(
  { handle, startInFile }: { readonly handle: ReadHandle; readonly startInFile: number },
  header: RecordHeader,
  crcs: Uint32Array,
): Promise<Uint8Array | string> {
  const stored = await handle.read(startInFile, header.bodyBytes);
  const isWhole = stored.byteLength === header.bodyBytes && areBlocksIntact(stored, crcs, header.blockShift);
  if (!isWhole) return 'the body does not match its checksum';
  try {
    return await decode(header.codec, stored, header.rawBytes);
  } catch {
    return 'the body cannot be decoded';
  }
}

/** Opens what holds a record's body. */
export async function openBodyOf(
  files: DiskFiles,
  place: LogPlace,
  header: RecordHeader,
): Promise<{ readonly handle: ReadHandle; readonly startInFile: number }> {
  switch (header.place) {
    case bodyPlaces.inline: {
      const framed = framedBytesOf(header.headBytes, header.bodyBytes, header.blockShift);
      return { handle: await files.openSegment(place.segment), startInFile: place.offset + framed };
    }
    case bodyPlaces.log: {
      const segment = { writer: header.bodyWriter, number: header.bodyNumber };
      return { handle: await files.openSegment(segment), startInFile: header.bodyOffset };
    }
    case bodyPlaces.file:
      return { handle: await files.openBody(fileOf(header)), startInFile: 0 };
  }
}

function recordHeaderEnd(header: RecordHeader): number {
  return framedBytesOf(header.headBytes, 0, header.blockShift);
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
