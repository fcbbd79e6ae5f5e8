import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { firstSequenceOf, forEachRow, HintBuilder, isHintIntact, rowCountOf } from '../src/disk/hint.js';
import { DiskIndex } from '../src/disk/index-table.js';
import { hintFileOf, parseSegmentFile } from '../src/disk/layout.js';
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

export interface Replay {
  readonly index: DiskIndex;
  /** Oldest first. */
  readonly segments: SegmentInfo[];
  /** Hints that were missing or damaged, to be left for the next time. */
  readonly hints: readonly { readonly path: string; readonly bytes: Uint8Array }[];
}

/** Builds the index from what is in a segments folder: hints where there are good ones, the segments themselves elsewhere. */
export function replaySegments(folder: string): Replay {
  const found: { segment: SegmentInfo; hint: Uint8Array; firstSequence: number }[] = [];
  const hints: { path: string; bytes: Uint8Array }[] = [];
  let rows = 0;
  for (const fileName of readdirSync(folder)) {
    const name = parseSegmentFile(fileName);
    if (name === undefined) continue;
    const segment = { ...name, bytes: statSync(join(folder, fileName)).size };
    const path = join(folder, hintFileOf(name));
    let hint = readHint(path, segment.bytes);
    if (hint === undefined) {
      hint = scanSegment(join(folder, fileName), segment.bytes).toBytes(segment.bytes);
      hints.push({ path, bytes: hint });
    }
    rows += rowCountOf(hint);
    found.push({ segment, hint, firstSequence: firstSequenceOf(hint) });
  }
  found.sort((a, b) => a.firstSequence - b.firstSequence || a.segment.number - b.segment.number);
  const index = new DiskIndex(undefined, rows);
  for (const { segment } of found) index.ordinalOf(segment);
  for (const { segment, hint } of found) {
    const ordinal = index.ordinalOf(segment);
    forEachRow(hint, (header, offset) => {
      index.apply(header, ordinal, offset);
      return true;
    });
  }
  index.sweep(0, index.slotEnd);
  index.takeFreedFiles();
  return { index, segments: found.map(({ segment }) => segment), hints };
}

function readHint(path: string, segmentBytes: number): Uint8Array | undefined {
  try {
    const hint = readFileSync(path);
    return isHintIntact(hint, segmentBytes) ? hint : undefined;
  } catch {
    return undefined;
  }
}

/** Reads the first `limitBytes` of a segment, up to the first record that is not whole. */
export function scanSegment(path: string, limitBytes: number): HintBuilder {
  const bytes = readFileSync(path).subarray(0, limitBytes);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const hint = new HintBuilder();
  for (let at = 0; at < bytes.byteLength; ) {
    const header = readHeader(view, at);
    if (header === undefined || !isWhole(bytes, view, at, header)) break;
    hint.add(bytes, at, at);
    at += header.recordBytes;
  }
  return hint;
}

function isWhole(bytes: Uint8Array, view: DataView, at: number, header: RecordHeader): boolean {
  if (at + header.recordBytes > bytes.byteLength || !isHeadIntact(bytes, view, at, header)) return false;
  if (header.place !== bodyPlaces.inline) return true;
  const bodyAt = at + framedBytesOf(header.headBytes, header.bodyBytes, header.blockShift);
  const body = bytes.subarray(bodyAt, bodyAt + header.bodyBytes);
  return areBlocksIntact(body, blockCrcsOf(view, at, header), header.blockShift);
}
