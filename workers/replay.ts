import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { HintBuilder, type HintRow, parseHint } from '../src/disk/hint.js';
import { DiskIndex } from '../src/disk/index-table.js';
import { hintFileOf, parseSegmentFile, segmentFileOf } from '../src/disk/layout.js';
import {
  areBlocksIntact,
  blockCrcsOf,
  bodyPlaces,
  framedBytesOf,
  isHeadIntact,
  type RecordHeader,
  readHeader,
} from '../src/disk/record.js';
import type { SegmentInfo } from '../src/protocol/messages.js';
import { writeFileDurably } from './files.js';

interface ReadSegment extends SegmentInfo {
  readonly rows: readonly HintRow[];
  /** The sequence of its first record that has one: segments are applied in this order. */
  readonly firstSequence: number;
}

/** Builds the index from what is in a segments folder: hints where there are good ones, the segments themselves elsewhere. */
export function replaySegments(folder: string): { index: DiskIndex; segments: SegmentInfo[] } {
  const segments: ReadSegment[] = [];
  for (const fileName of readdirSync(folder)) {
    const name = parseSegmentFile(fileName);
    if (name === undefined) continue;
    const bytes = statSync(join(folder, fileName)).size;
    const rows = readHint(join(folder, hintFileOf(name)), bytes) ?? readWithoutHint(folder, { ...name, bytes });
    const firstSequence = rows.find((row) => row.header.sequence > 0)?.header.sequence ?? 0;
    segments.push({ ...name, bytes, rows, firstSequence });
  }
  segments.sort((a, b) => a.firstSequence - b.firstSequence || a.number - b.number);
  const index = new DiskIndex();
  for (const segment of segments) index.ordinalOf(segment);
  for (const segment of segments) {
    const ordinal = index.ordinalOf(segment);
    for (const { header, offset } of segment.rows) index.apply(header, ordinal, offset);
  }
  index.takeFreedFiles();
  return { index, segments: segments.map(({ writer, number, bytes }) => ({ writer, number, bytes })) };
}

function readHint(path: string, segmentBytes: number): readonly HintRow[] | undefined {
  try {
    return parseHint(readFileSync(path), segmentBytes);
  } catch {
    return undefined;
  }
}

/** Reads a segment that has no good hint, and leaves one for the next time. */
function readWithoutHint(folder: string, segment: SegmentInfo): readonly HintRow[] {
  const { rows, hint } = scanSegment(join(folder, segmentFileOf(segment)), segment.bytes);
  writeFileDurably(join(folder, hintFileOf(segment)), hint.toBytes(segment.bytes));
  return rows;
}

/** Reads the first `limitBytes` of a segment, up to the first record that is not whole. */
export function scanSegment(
  path: string,
  limitBytes: number,
): { readonly rows: readonly HintRow[]; readonly hint: HintBuilder } {
  const bytes = readFileSync(path).subarray(0, limitBytes);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const hint = new HintBuilder();
  const rows: HintRow[] = [];
  for (let at = 0; at < bytes.byteLength; ) {
    const header = readHeader(view, at);
    if (header === undefined || !isWhole(bytes, view, at, header)) break;
    rows.push({ header, offset: at });
    hint.add(bytes, at, at);
    at += header.recordBytes;
  }
  return { rows, hint };
}

function isWhole(bytes: Uint8Array, view: DataView, at: number, header: RecordHeader): boolean {
  if (at + header.recordBytes > bytes.byteLength || !isHeadIntact(bytes, view, at, header)) return false;
  if (header.place !== bodyPlaces.inline) return true;
  const bodyAt = at + framedBytesOf(header.headBytes, header.bodyBytes, header.blockShift);
  const body = bytes.subarray(bodyAt, bodyAt + header.bodyBytes);
  return areBlocksIntact(body, blockCrcsOf(view, at, header), header.blockShift);
}
