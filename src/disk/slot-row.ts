import type { KeyHash } from './key-hash.js';
import { bodyPlaces, type RecordHeader, recordHeaderBytes, recordTypes } from './record.js';

/**
 * A response in the index, and in the hint of its segment, is a row of 48 bytes, the same in both, so that opening reads the rows of a hint to where
 * they stay. What few responses have is kept elsewhere. Drawn in FORMAT.md.
 */
export const rowBytes = 48;
export const rowWords = rowBytes / 4;
export const rowDoubles = rowBytes / 8;

/** Words of a row; `sequence` is a double. */
export const rowPlaces = {
  hash: 0,
  sequence: 4,
  offset: 6,
  recordBytes: 7,
  host: 8,
  expiry: 9,
  /** Bit 0: it was used. Bit 1: it can be found. Bit 2: its chain goes on. Bits 8-15: its priority. From bit 16 on: a number for its namespace. In a hint only the priority. */
  use: 10,
  /** In a hint: the bits of its tags. */
  segment: 11,
} as const;

/** In `use`: it can be found. */
export const isLinkedBit = 2;
/** In `use`: there is another one in its chain. */
export const hasNextBit = 4;
const prioritiesFrom = 8;

type RowFields = Pick<RecordHeader, 'type' | 'place' | 'replaces' | 'namespaceHash'>;

/** Whether a record does nothing but to add a response, with its body behind it, to the empty namespace: a row says all that the index needs of it. */
export function isRow({ type, place, replaces, namespaceHash }: RowFields): boolean {
  const adds = type === recordTypes.stored || type === recordTypes.moved;
  return adds && place === bodyPlaces.inline && replaces === 0 && namespaceHash === 0;
}

/** What a record and its part of the hint take. */
export function recordCostOf(header: RowFields & Pick<RecordHeader, 'recordBytes'>): number {
  return header.recordBytes + (isRow(header) ? rowBytes : recordHeaderBytes);
}

/** What a record takes at the most once it was moved. */
export function movedCostOf(recordBytes: number): number {
  return recordBytes + recordHeaderBytes;
}

export function useOf(priority: number): number {
  return (priority & 0xff) << prioritiesFrom;
}

export function priorityIn(use: number): number {
  return (use << (24 - prioritiesFrom)) >> 24;
}

/** In seconds, rounded up; 0 for never. What is beyond the year 2106 is never. */
export function expiryOf(expiresMs: number): number {
  const seconds = Math.max(1, Math.ceil(expiresMs / 1000));
  return expiresMs === 0 || !(seconds <= 0xffff_ffff) ? 0 : seconds;
}

/** Writes a record's row as it is in a hint. */
export function writeRow(view: DataView, at: number, header: RecordHeader, offset: number): void {
  const word = (place: number, value: number): void => view.setUint32(at + 4 * place, value, true);
  const { a, b, c, d } = header.hash;
  word(rowPlaces.hash, a);
  word(rowPlaces.hash + 1, b);
  word(rowPlaces.hash + 2, c);
  word(rowPlaces.hash + 3, d);
  view.setFloat64(at + 4 * rowPlaces.sequence, header.sequence, true);
  word(rowPlaces.offset, offset);
  word(rowPlaces.recordBytes, header.recordBytes);
  word(rowPlaces.host, header.hostHash);
  word(rowPlaces.expiry, expiryOf(header.expiresMs));
  word(rowPlaces.use, useOf(header.priority));
  word(rowPlaces.segment, header.tagBits);
}

/** What a row in a hint says of its record. */
export function readRow(
  view: DataView,
  at: number,
): Pick<RecordHeader, 'hash' | 'sequence' | 'recordBytes' | 'hostHash' | 'expiresMs' | 'priority' | 'tagBits'> & {
  readonly offset: number;
} {
  const word = (place: number): number => view.getUint32(at + 4 * place, true);
  const hash: KeyHash = {
    a: word(rowPlaces.hash),
    b: word(rowPlaces.hash + 1),
    c: word(rowPlaces.hash + 2),
    d: word(rowPlaces.hash + 3),
  };
  return {
    hash,
    sequence: view.getFloat64(at + 4 * rowPlaces.sequence, true),
    offset: word(rowPlaces.offset),
    recordBytes: word(rowPlaces.recordBytes),
    hostHash: word(rowPlaces.host),
    expiresMs: 1000 * word(rowPlaces.expiry),
    priority: priorityIn(word(rowPlaces.use)),
    tagBits: word(rowPlaces.segment),
  };
}
