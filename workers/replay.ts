import { closeSync, constants, openSync, readdirSync, readFileSync, readSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { LogEnd } from '../src/disk/board.js';
import { firstSequenceOf, HintBuilder, isHintIntact, RowCursor, rowCountOf } from '../src/disk/hint.js';
import { DiskIndex, type SegmentName } from '../src/disk/index-table.js';
import { hintFileOf, parseSegmentFile, segmentFileOf } from '../src/disk/layout.js';
import {
  areBlocksIntact,
  blockCrcsOf,
  bodyPlaces,
  framedBytesOf,
  isHeadIntact,
  type RecordHeader,
  readHeader,
  recordHeaderBytes,
} from '../src/disk/record.js';
import { lateSequences } from '../src/disk/sequences.js';
import { failureOf } from '../src/protocol/failure.js';
import type { SegmentInfo } from '../src/protocol/messages.js';

export interface Replay {
  readonly index: DiskIndex;
  /** Oldest first. */
  readonly segments: SegmentInfo[];
  /** Hints that were missing or damaged, to be left for the next time. */
  readonly hints: readonly { readonly path: string; readonly bytes: Uint8Array }[];
}

interface FoundSegment {
  readonly segment: SegmentInfo;
  readonly hint: Uint8Array;
  readonly firstSequence: number;
  readonly limitBytes: number;
}

/**
 * Builds the index from what is in a segments folder: hints where there are good ones, the segments themselves elsewhere. `ends`: of the
 * logs that others are writing, which count up to there.
 */
export function replaySegments(folder: string, ends: ReadonlyMap<number, LogEnd> = new Map()): Replay {
  const found: FoundSegment[] = [];
  const hints: { path: string; bytes: Uint8Array }[] = [];
  let rows = 0;
  for (const fileName of readdirSync(folder)) {
    const name = parseSegmentFile(fileName);
    const end = name && ends.get(name.writer);
    if (name === undefined || (end !== undefined && name.number > end.segment)) continue;
    const limitBytes = end?.segment === name.number ? end.usedBytes : Infinity;
    const segment = readUnlessGone(() => readSegment(folder, name, limitBytes));
    if (segment === undefined) continue;
    if (segment.isHintMissing && end === undefined)
      hints.push({ path: join(folder, hintFileOf(name)), bytes: segment.hint });
    rows += rowCountOf(segment.hint);
    found.push(segment);
  }
  found.sort((a, b) => a.firstSequence - b.firstSequence || a.segment.number - b.segment.number);
  const index = new DiskIndex(undefined, rows);
  for (const { segment } of found) index.ordinalOf(segment);
  applyInOrder(
    index,
    found.map(({ segment, hint, limitBytes }) => ({
      ordinal: index.ordinalOf(segment),
      rows: new RowCursor(hint, limitBytes),
    })),
  );
  index.sweep(0, index.slotEnd);
  index.takeFreedFiles();
  return { index, segments: found.map(({ segment }) => segment), hints };
}

function readSegment(
  folder: string,
  name: SegmentName,
  limitBytes: number,
): FoundSegment & { readonly isHintMissing: boolean } {
  const path = join(folder, segmentFileOf(name));
  const bytes = Math.min(limitBytes, statSync(path).size);
  const whole = readHint(join(folder, hintFileOf(name)), statSync(path).size);
  const hint = whole ?? scanSegment(path, bytes).toBytes(bytes);
  const segment = { ...name, bytes: bytes + hint.byteLength };
  return { segment, hint, firstSequence: firstSequenceOf(hint), limitBytes, isHintMissing: whole === undefined };
}

/** Another process may have dropped it meanwhile. */
function readUnlessGone<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    if (failureOf(error).code === 'ENOENT') return undefined;
    throw error;
  }
}

interface Source {
  readonly ordinal: number;
  readonly rows: RowCursor;
}

/** Applies the records of all segments by their sequences, each log in its own order. `sources`: the oldest first. */
function applyInOrder(index: DiskIndex, sources: readonly Source[]): void {
  const open: Source[] = [];
  let next = 0;
  for (;;) {
    // Segments of one writer come one after the other, so that there is seldom more than one per writer to choose from.
    while (next < sources.length && (open.length === 0 || sequenceOf(sources[next]) <= lowestOf(open))) {
      const source = sources[next];
      if (source !== undefined) open.push(source);
      next += 1;
    }
    const source = takeLowest(open);
    if (source === undefined) return;
    const limit = Math.min(lowestOf(open), sequenceOf(sources[next]));
    applyUpTo(index, source, limit);
    if (!source.rows.isAtEnd) open.push(source);
  }
}

function applyUpTo(index: DiskIndex, { ordinal, rows }: Source, limit: number): void {
  let applied = 0;
  for (; !rows.isAtEnd && (applied === 0 || rows.sequence <= limit); rows.advance()) {
    if (!index.applyPlain(rows.view, rows.at, ordinal, rows.offset)) {
      const { header } = rows;
      if (header === undefined) {
        rows.end();
        return;
      }
      index.apply(header, ordinal, rows.offset);
    }
    applied += 1;
    if (applied % 4096 === 0) index.recent.forgetBefore(index.lastSequence - lateSequences);
  }
  index.recent.forgetBefore(index.lastSequence - lateSequences);
}

function takeLowest(open: Source[]): Source | undefined {
  let lowest = 0;
  for (let i = 1; i < open.length; i += 1) if (sequenceOf(open[i]) < sequenceOf(open[lowest])) lowest = i;
  return open.splice(lowest, 1)[0];
}

function lowestOf(open: readonly Source[]): number {
  return open.reduce((lowest, source) => Math.min(lowest, sequenceOf(source)), Infinity);
}

function sequenceOf(source: Source | undefined): number {
  return source?.rows.sequence ?? Infinity;
}

/** The number of the first record that has one; `undefined` if there is none, or no such segment. */
export function readFirstSequence(path: string): number | undefined {
  let fd: number;
  try {
    fd = openSync(path, constants.O_RDONLY);
  } catch {
    return undefined;
  }
  try {
    const bytes = new Uint8Array(2 * recordHeaderBytes);
    readSync(fd, bytes, 0, bytes.byteLength, 0);
    const view = new DataView(bytes.buffer);
    const [begin, first] = [readHeader(view, 0), readHeader(view, recordHeaderBytes)];
    const sequence = begin?.sequence || first?.sequence;
    return sequence === 0 ? undefined : sequence;
  } finally {
    closeSync(fd);
  }
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
