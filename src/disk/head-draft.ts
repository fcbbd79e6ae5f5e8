import type { StoredHead } from '../http/message.js';
import { plainCopyOf } from '../http/plain-value.js';
import { type HeadRow, joinedLines, rowOf } from './head-codec.js';

/**
 * A head on its way to the worker that packs it: its parts as they are, copied into the slab where the packed head will be. Values that a slab
 * cannot carry (metadata, lines with odd characters) make the whole row go along with the slab instead.
 */
export type HeadDraft =
  | {
      readonly kind: 'text';
      readonly row: HeadRow;
      /** The text of all strings, one after the other. */
      readonly text: string;
      /** An upper bound for the packed head, and what the draft itself takes. */
      readonly reservedBytes: number;
    }
  | { readonly kind: 'row'; readonly row: HeadRow; readonly reservedBytes: number };

/** Marks in the place of a record's checksum, which comes last: what the head area holds. */
export const packedMark = 0;
export const textMark = 1;
/** This plus the position of the row among the slab's rows. */
export const firstRowMark = 2;

const columns = 14;
const tagsColumn = 13;
const isNull = 0xffff_ffff;
const isNumber = 0xffff_fffe;
/** What msgpack adds to a row at the most: a prefix of 9 bytes for each value, and one of 5 for the row itself. */
const prefixBytes = 9 * (columns + 1) + 5;

/** A string says why the head cannot be stored. */
export function draftOf(
  key: string,
  head: StoredHead,
  tags: readonly string[],
  maxBytes: number,
): HeadDraft | 'too-large' | 'not-plain' {
  const row = rowOf(key, head, tags);
  const joinedTags = joinedLines(tags);
  const strings: string[] = [];
  let isPlain = row.length === columns && (tags.length === 0 || typeof joinedTags === 'string');
  for (let column = 0; column < columns && isPlain; column += 1) {
    const value = column === tagsColumn && tags.length > 0 ? joinedTags : row[column];
    if (typeof value === 'string') strings.push(value);
    else if (typeof value !== 'number' && value !== null && !(Array.isArray(value) && value.length === 0))
      isPlain = false;
  }
  if (!isPlain) {
    const copy = plainCopyOf(row, maxBytes);
    if (copy.kind !== 'plain') return copy.kind;
    // It is a copy of a list.
    return { kind: 'row', row: copy.value as HeadRow, reservedBytes: copy.packedBytes };
  }
  const text = strings.join('');
  const reservedBytes = prefixBytes + 4 * columns + 8 * columns + 4 + Buffer.byteLength(text) + 5 * tags.length;
  return reservedBytes > maxBytes ? 'too-large' : { kind: 'text', row, text, reservedBytes };
}

/** Copies a text draft to `at`: a word for every column, the numbers, and the text with its length in bytes. */
export function writeDraft(bytes: Uint8Array, view: DataView, at: number, draft: HeadDraft): void {
  if (draft.kind === 'row') return;
  let numberAt = at + 4 * columns;
  for (let column = 0; column < columns; column += 1) {
    const value = draft.row[column];
    if (typeof value === 'number') {
      view.setUint32(at + 4 * column, isNumber, true);
      view.setFloat64(numberAt, value, true);
      numberAt += 8;
    } else view.setUint32(at + 4 * column, typeof value === 'string' ? value.length : lengthOf(value), true);
  }
  const area = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  view.setUint32(numberAt, area.write(draft.text, numberAt + 4, 'utf8'), true);
}

/** The row that `writeDraft` wrote. */
export function readDraft(bytes: Uint8Array, view: DataView, at: number): HeadRow {
  const row: unknown[] = [];
  const lengths: number[] = [];
  let numberAt = at + 4 * columns;
  for (let column = 0; column < columns; column += 1) {
    const word = view.getUint32(at + 4 * column, true);
    lengths.push(word);
    if (word === isNumber) {
      row.push(view.getFloat64(numberAt, true));
      numberAt += 8;
    } else row.push(null);
  }
  const area = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const text = area.toString('utf8', numberAt + 4, numberAt + 4 + view.getUint32(numberAt, true));
  let from = 0;
  for (const [column, length] of lengths.entries()) {
    if (length === isNull || length === isNumber) continue;
    const value = text.slice(from, from + length);
    from += length;
    row[column] = column === tagsColumn ? value.split('\n') : value;
  }
  return row;
}

/** Lists of lines are joined with one character between them; no lines at all are null, and read as none. */
function lengthOf(value: unknown): number {
  if (!Array.isArray(value) || value.length === 0) return isNull;
  return value.reduce((sum: number, line: string) => sum + line.length, value.length - 1);
}
