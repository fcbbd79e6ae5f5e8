import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { isHintIntact, RowCursor } from '../src/disk/hint.js';
import type { SegmentName } from '../src/disk/index-table.js';
import { hintFileOf, parseSegmentFile, segmentFileOf } from '../src/disk/layout.js';
import {
  exactRemoval,
  headerWith,
  type RecordHeader,
  recordHeaderBytes,
  recordTypes,
  sealRecord,
  writeHeader,
} from '../src/disk/record.js';
import { lateSequences } from '../src/disk/sequences.js';
import { readFirstSequence } from './replay.js';

/**
 * What a segment that is about to be dropped says of responses in other writers' segments: that they are gone. Segments are dropped oldest
 * first, so that what a writer says of its own is not needed any more; but those of several writers overlap.
 */
export class CarryOver {
  readonly #folder: string;
  /** By segment file. They never change. */
  readonly #firstSequences = new Map<string, number>();

  constructor(folder: string) {
    this.#folder = folder;
  }

  /** Records to be appended before the segment goes; none if no other writer's segment that is left is as old. */
  recordsOf(name: SegmentName): Uint8Array {
    const from = this.#oldestOfOthers(name);
    if (from === Infinity || from > this.#endOf(name) + lateSequences) return nothing;
    const hint = readFileSync(join(this.#folder, hintFileOf(name)));
    if (!isHintIntact(hint, Infinity)) return nothing;
    const kept: RecordHeader[] = [];
    for (const rows = new RowCursor(hint); !rows.isAtEnd; rows.advance()) {
      const { header } = rows;
      const carried = header === undefined || header.sequence + lateSequences < from ? undefined : carriedOf(header);
      if (carried !== undefined) kept.push(carried);
    }
    return bytesOf(kept);
  }

  forget(name: SegmentName): void {
    this.#firstSequences.delete(segmentFileOf(name));
  }

  #oldestOfOthers({ writer }: SegmentName): number {
    let oldest = Infinity;
    for (const file of readdirSync(this.#folder)) {
      const other = parseSegmentFile(file);
      if (other !== undefined && other.writer !== writer) oldest = Math.min(oldest, this.#firstOf(other));
    }
    return oldest;
  }

  /** Nothing in the segment is newer. */
  #endOf({ writer, number }: SegmentName): number {
    return this.#firstOf({ writer, number: number + 1 });
  }

  #firstOf(name: SegmentName): number {
    const file = segmentFileOf(name);
    let first = this.#firstSequences.get(file);
    if (first === undefined) {
      first = readFirstSequence(join(this.#folder, file)) ?? Infinity;
      if (first !== Infinity) this.#firstSequences.set(file, first);
    }
    return first;
  }
}

const nothing = new Uint8Array(0);

/** What a record says of others, without what it adds itself. */
function carriedOf({ type, sequence, hash, replaces, namespaceHash }: RecordHeader): RecordHeader | undefined {
  switch (type) {
    case recordTypes.removed:
    case recordTypes.stored:
    case recordTypes.freshened: {
      if (replaces === 0) return undefined;
      // A new head has taken the place of that one alone: what it was a head of may live on under a newer one still.
      const bodyOffset = type === recordTypes.freshened ? exactRemoval : 0;
      return headerWith({ type: recordTypes.removed, sequence, hash, replaces, bodyOffset });
    }
    case recordTypes.keyInvalidated:
    case recordTypes.cleared:
    case recordTypes.namespaceFlushed:
      return headerWith({ type, sequence, hash, replaces, namespaceHash });
    default:
      return undefined;
  }
}

function bytesOf(headers: readonly RecordHeader[]): Uint8Array {
  const bytes = new Uint8Array(headers.length * recordHeaderBytes);
  const view = new DataView(bytes.buffer);
  for (const [i, header] of headers.entries()) {
    writeHeader(view, i * recordHeaderBytes, header);
    sealRecord(bytes, view, i * recordHeaderBytes, header);
  }
  return bytes;
}
