import { closeSync, constants, openSync, readdirSync, readFileSync, readSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { LogEnd } from '../src/disk/board.js';
import { firstSequenceOf, HeaderCursor, HintBuilder, type HintParts, isHintIntact, partsOf } from '../src/disk/hint.js';
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
  recordTypes,
} from '../src/disk/record.js';
import { lateSequences } from '../src/disk/sequences.js';
import { rowBytes } from '../src/disk/slot-row.js';
import { failureOf } from '../src/protocol/failure.js';
import type { PlacedHints, SegmentInfo } from '../src/protocol/messages.js';
import { LogCursor } from './log-cursor.js';
import { PlacedReader } from './placed-hints.js';

export interface Replay {
  readonly index: DiskIndex;
  /** Oldest first. */
  readonly segments: SegmentInfo[];
  /** Hints that were missing or damaged, to be left for the next time. */
  readonly hints: readonly { readonly path: string; readonly bytes: Uint8Array }[];
}

interface FoundSegment {
  readonly segment: SegmentInfo;
  readonly hint: HintParts;
  /** Where its rows are in the index, if they are there already. */
  readonly firstSlot: number | undefined;
  readonly firstSequence: number;
  readonly limitBytes: number;
  /** What is to be written in place of a hint that is not there. */
  readonly missing: Uint8Array | undefined;
}

/**
 * Builds the index from what is in a segments folder: hints where there are good ones, the segments themselves elsewhere. `ends`: of the
 * logs that others are writing, which count up to there. `placed`: hints that were read already.
 */
export function replaySegments(
  folder: string,
  ends: ReadonlyMap<number, LogEnd> = new Map(),
  placed?: PlacedHints,
): Replay {
  const found: FoundSegment[] = [];
  const hints: { path: string; bytes: Uint8Array }[] = [];
  const read = new PlacedReader(placed);
  for (const fileName of readdirSync(folder)) {
    const name = parseSegmentFile(fileName);
    const end = name && ends.get(name.writer);
    if (name === undefined || (end !== undefined && name.number > end.segment)) continue;
    const limitBytes = end?.segment === name.number ? end.usedBytes : Infinity;
    const segment = readUnlessGone(() => readSegment(folder, name, limitBytes, read));
    if (segment === undefined) continue;
    if (segment.missing !== undefined && end === undefined)
      hints.push({ path: join(folder, hintFileOf(name)), bytes: segment.missing });
    found.push(segment);
  }
  found.sort((a, b) => a.firstSequence - b.firstSequence || a.segment.number - b.segment.number);
  return { index: indexOf(found, read), segments: found.map(({ segment }) => segment), hints };
}

function indexOf(found: readonly FoundSegment[], read: PlacedReader): DiskIndex {
  const records = found.reduce((sum, { hint }) => sum + recordsIn(hint), 0);
  const index = new DiskIndex(undefined, records, read.rows);
  read.releaseUnused(index);
  const cleared = Math.max(0, ...found.map(lastClearedIn));
  // Now, so that what comes before it is not put in to be taken out again.
  if (cleared > 0) index.recent.noteCleared(cleared);
  for (const { segment } of found) index.ordinalOf(segment);
  const logs = found.map(({ segment, hint, firstSlot = index.placeRows(hint.rows), limitBytes }) => {
    const rows = { first: firstSlot, count: hint.rows.byteLength / rowBytes };
    return new LogCursor(index, index.ordinalOf(segment), rows, new HeaderCursor(hint.headers, limitBytes), limitBytes);
  });
  applyInOrder(index, logs);
  index.sweep(0, index.slotEnd);
  index.takeFreedFiles();
  return index;
}

function readSegment(folder: string, name: SegmentName, limitBytes: number, read: PlacedReader): FoundSegment {
  const path = join(folder, segmentFileOf(name));
  const { size } = statSync(path);
  const bytes = Math.min(limitBytes, size);
  const placed = read.take(name, size);
  const whole = placed === undefined ? readHint(join(folder, hintFileOf(name)), size) : undefined;
  const isThere = placed !== undefined || whole !== undefined;
  const missing = isThere ? undefined : scanSegment(path, bytes).toBytes(bytes);
  const hint = placed?.hint ?? partsOf(whole ?? missing ?? nothing);
  const hintBytes = hint.frame.byteLength + hint.rows.byteLength + hint.headers.byteLength;
  const segment = { ...name, bytes: bytes + hintBytes };
  return { segment, hint, firstSlot: placed?.firstSlot, firstSequence: firstSequenceOf(hint), limitBytes, missing };
}

const nothing = new Uint8Array(0);

function recordsIn({ rows, headers }: HintParts): number {
  return rows.byteLength / rowBytes + headers.byteLength / recordHeaderBytes;
}

/** Everything that was stored before is gone. */
function lastClearedIn({ hint, limitBytes }: FoundSegment): number {
  let last = 0;
  for (const cursor = new HeaderCursor(hint.headers, limitBytes); !cursor.isAtEnd; cursor.advance()) {
    const header = cursor.type === recordTypes.cleared ? cursor.header : undefined;
    if (header === undefined) continue;
    last = Math.max(last, header.replaces > 0 ? header.replaces : header.sequence);
  }
  return last;
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

/** Applies the records of all segments by their sequences, each log in its own order. `logs`: the oldest first. */
function applyInOrder(index: DiskIndex, logs: readonly LogCursor[]): void {
  const open: LogCursor[] = [];
  let next = 0;
  for (;;) {
    // Segments of one writer come one after the other, so that there is seldom more than one per writer to choose from.
    while (next < logs.length && (open.length === 0 || sequenceOf(logs[next]) <= lowestOf(open))) {
      const log = logs[next];
      if (log !== undefined) open.push(log);
      next += 1;
    }
    const log = takeLowest(open);
    if (log === undefined) return;
    log.applyUpTo(Math.min(lowestOf(open), sequenceOf(logs[next])));
    index.recent.forgetBefore(index.lastSequence - lateSequences);
    if (!log.isAtEnd) open.push(log);
  }
}

function takeLowest(open: LogCursor[]): LogCursor | undefined {
  let lowest = 0;
  for (let i = 1; i < open.length; i += 1) if (sequenceOf(open[i]) < sequenceOf(open[lowest])) lowest = i;
  return open.splice(lowest, 1)[0];
}

function lowestOf(open: readonly LogCursor[]): number {
  return open.reduce((lowest, log) => Math.min(lowest, log.sequence), Infinity);
}

function sequenceOf(log: LogCursor | undefined): number {
  return log?.sequence ?? Infinity;
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
