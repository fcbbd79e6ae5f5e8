import { crc32 } from 'node:zlib';
import { codecs } from './codecs.js';
import type { KeyHash } from './key-hash.js';

/** Layout of a record: drawn and explained in FORMAT.md. */
export const recordHeaderBytes = 104;
const magic = 0x314c464f;
const crcAt = 16;

export const recordTypes = {
  begin: 0,
  stored: 1,
  freshened: 2,
  removed: 3,
  keyInvalidated: 4,
  cleared: 5,
  namespaceFlushed: 6,
  moved: 7,
} as const;
export type RecordType = (typeof recordTypes)[keyof typeof recordTypes];
const lastRecordType = recordTypes.moved;

/** Where the bytes of a body are: behind the head, in a file of their own, or behind the head of an older record. */
export const bodyPlaces = { inline: 0, file: 1, log: 2 } as const;
export type BodyPlace = (typeof bodyPlaces)[keyof typeof bodyPlaces];

/** In place of `bodyOffset` of a `removed` record: it removes the response under just this head. */
export const exactRemoval = 1;

/** Blocks of bodies in the log, and of bodies in files: 64 KiB and 256 KiB. */
export const logBlockShift = 16;
export const fileBlockShift = 18;

export interface RecordHeader {
  readonly type: RecordType;
  readonly codec: number;
  readonly place: BodyPlace;
  readonly blockShift: number;
  readonly priority: number;
  readonly recordBytes: number;
  readonly headBytes: number;
  readonly hostHash: number;
  readonly sequence: number;
  readonly hash: KeyHash;
  /** The sequence that this record takes the place of or removes; 0 for none. */
  readonly replaces: number;
  /** ms since the epoch; 0 for never. */
  readonly expiresMs: number;
  readonly bodyBytes: number;
  /** Length once decoded. */
  readonly rawBytes: number;
  /** `file`: writer and number of the body file. `log`: writer and number of the segment, and where the body starts. */
  readonly bodyWriter: number;
  readonly bodyNumber: number;
  readonly bodyOffset: number;
  readonly tagBits: number;
  /** 53 bits of the hash of the namespace; 0 for the empty one. */
  readonly namespaceHash: number;
}

const noHash: KeyHash = { a: 0, b: 0, c: 0, d: 0 };

/** A header with nothing in it but what is given: the rest is 0. */
export function headerWith(fields: Partial<RecordHeader> & Pick<RecordHeader, 'type' | 'sequence'>): RecordHeader {
  return {
    codec: codecs.identity,
    place: bodyPlaces.inline,
    blockShift: logBlockShift,
    priority: 0,
    recordBytes: recordHeaderBytes,
    headBytes: 0,
    hostHash: 0,
    hash: noHash,
    replaces: 0,
    expiresMs: 0,
    bodyBytes: 0,
    rawBytes: 0,
    bodyWriter: 0,
    bodyNumber: 0,
    bodyOffset: 0,
    tagBits: 0,
    namespaceHash: 0,
    ...fields,
  };
}

/** What is known of a stored response before its record is put together. */
export type BodyHeader = Omit<
  RecordHeader,
  'sequence' | 'headBytes' | 'recordBytes' | 'hostHash' | 'tagBits' | 'namespaceHash'
>;

function blockCountOf(bodyBytes: number, blockShift: number): number {
  return Math.ceil(bodyBytes / 2 ** blockShift);
}

/** Header, head and table of block checksums: what has to be read to know what is stored. */
export function framedBytesOf(headBytes: number, bodyBytes: number, blockShift: number): number {
  return recordHeaderBytes + headBytes + 4 * blockCountOf(bodyBytes, blockShift);
}

/** Length of a whole record, a multiple of 8. */
export function recordBytesOf(headBytes: number, bodyBytes: number, blockShift: number, place: BodyPlace): number {
  const framed = framedBytesOf(headBytes, bodyBytes, blockShift);
  return Math.ceil((framed + (place === bodyPlaces.inline ? bodyBytes : 0)) / 8) * 8;
}

/** Says that a record's head is a draft. The mark stands where its checksum will be. */
export function markDraft(view: DataView, at: number, mark: number): void {
  view.setUint32(at + crcAt, mark, true);
}

export function draftMarkOf(view: DataView, at: number): number {
  return view.getUint32(at + crcAt, true);
}

export function writeHeader(view: DataView, at: number, header: RecordHeader): void {
  view.setUint32(at, magic, true);
  view.setUint8(at + 4, header.type);
  view.setUint8(at + 5, header.codec);
  view.setUint8(at + 6, header.place | (header.blockShift << 2));
  view.setInt8(at + 7, header.priority);
  view.setUint32(at + 8, header.recordBytes, true);
  view.setUint32(at + 12, header.headBytes, true);
  view.setUint32(at + crcAt, 0, true);
  view.setUint32(at + 20, header.hostHash, true);
  setUint53(view, at + 24, header.sequence);
  view.setUint32(at + 32, header.hash.a, true);
  view.setUint32(at + 36, header.hash.b, true);
  view.setUint32(at + 40, header.hash.c, true);
  view.setUint32(at + 44, header.hash.d, true);
  setUint53(view, at + 48, header.replaces);
  view.setFloat64(at + 56, header.expiresMs, true);
  setUint53(view, at + 64, header.bodyBytes);
  setUint53(view, at + 72, header.rawBytes);
  view.setUint32(at + 80, header.bodyWriter, true);
  view.setUint32(at + 84, header.bodyNumber, true);
  view.setUint32(at + 88, header.bodyOffset, true);
  view.setUint32(at + 92, header.tagBits, true);
  setUint53(view, at + 96, header.namespaceHash);
}

/**
 * The header at `at`, or `undefined` if what is there cannot be one: every length is checked against the others, so that
 * none leads outside the record. Says nothing of checksums.
 */
export function readHeader(view: DataView, at: number): RecordHeader | undefined {
  if (at + recordHeaderBytes > view.byteLength || view.getUint32(at, true) !== magic) return undefined;
  const type = view.getUint8(at + 4);
  const flags = view.getUint8(at + 6);
  const place = flags & 3;
  const blockShift = flags >> 2;
  if (!isRecordType(type) || !isBodyPlace(place) || blockShift < 12 || blockShift > 30) return undefined;
  const headBytes = view.getUint32(at + 12, true);
  const recordBytes = view.getUint32(at + 8, true);
  const bodyBytes = getUint64(view, at + 64);
  if (recordBytes !== recordBytesOf(headBytes, bodyBytes, blockShift, place)) return undefined;
  return {
    type,
    codec: view.getUint8(at + 5),
    place,
    blockShift,
    priority: view.getInt8(at + 7),
    recordBytes,
    headBytes,
    hostHash: view.getUint32(at + 20, true),
    sequence: getUint64(view, at + 24),
    hash: {
      a: view.getUint32(at + 32, true),
      b: view.getUint32(at + 36, true),
      c: view.getUint32(at + 40, true),
      d: view.getUint32(at + 44, true),
    },
    replaces: getUint64(view, at + 48),
    expiresMs: view.getFloat64(at + 56, true),
    bodyBytes,
    rawBytes: getUint64(view, at + 72),
    bodyWriter: view.getUint32(at + 80, true),
    bodyNumber: view.getUint32(at + 84, true),
    bodyOffset: view.getUint32(at + 88, true),
    tagBits: view.getUint32(at + 92, true),
    namespaceHash: getUint64(view, at + 96),
  };
}

/** Fills in the checksums of a record whose other bytes are all in place. */
export function sealRecord(bytes: Uint8Array, view: DataView, at: number, header: RecordHeader): void {
  const framed = framedBytesOf(header.headBytes, header.bodyBytes, header.blockShift);
  if (header.place === bodyPlaces.inline && header.bodyBytes > 0) {
    const table = at + recordHeaderBytes + header.headBytes;
    const bodyAt = at + framed;
    const block = 2 ** header.blockShift;
    for (let i = 0, from = 0; from < header.bodyBytes; i += 1, from += block) {
      const end = Math.min(from + block, header.bodyBytes);
      view.setUint32(table + 4 * i, crc32(bytes.subarray(bodyAt + from, bodyAt + end)), true);
    }
  }
  view.setUint32(at + crcAt, headCrcOf(bytes, at, framed), true);
}

/** Whether header, head and table of checksums are as they were written; `bytes` must hold all of them. */
export function isHeadIntact(bytes: Uint8Array, view: DataView, at: number, header: RecordHeader): boolean {
  const framed = framedBytesOf(header.headBytes, header.bodyBytes, header.blockShift);
  return at + framed <= bytes.byteLength && view.getUint32(at + crcAt, true) === headCrcOf(bytes, at, framed);
}

/** The checksums of a body's blocks, in order. */
export function blockCrcsOf(view: DataView, at: number, header: RecordHeader): Uint32Array {
  const count = blockCountOf(header.bodyBytes, header.blockShift);
  const crcs = new Uint32Array(count);
  const table = at + recordHeaderBytes + header.headBytes;
  for (let i = 0; i < count; i += 1) crcs[i] = view.getUint32(table + 4 * i, true);
  return crcs;
}

/** Whether these bytes, which start at block `first` of a body, are what was written. All but the last must be whole. */
export function areBlocksIntact(bytes: Uint8Array, crcs: Uint32Array, blockShift: number, first = 0): boolean {
  const block = 2 ** blockShift;
  for (let i = first, from = 0; from < bytes.byteLength; i += 1, from += block) {
    if (crc32(bytes.subarray(from, Math.min(from + block, bytes.byteLength))) !== crcs[i]) return false;
  }
  return true;
}

function headCrcOf(bytes: Uint8Array, at: number, framed: number): number {
  return crc32(bytes.subarray(at + crcAt + 4, at + framed), crc32(bytes.subarray(at, at + crcAt)));
}

function isRecordType(value: number): value is RecordType {
  return value <= lastRecordType;
}

function isBodyPlace(value: number): value is BodyPlace {
  return value <= bodyPlaces.log;
}

function setUint53(view: DataView, at: number, value: number): void {
  view.setUint32(at, value >>> 0, true);
  view.setUint32(at + 4, Math.floor(value / 2 ** 32), true);
}

function getUint64(view: DataView, at: number): number {
  return view.getUint32(at, true) + view.getUint32(at + 4, true) * 2 ** 32;
}
