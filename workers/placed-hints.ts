import { type HintParts, isFrameOf } from '../src/disk/hint.js';
import type { DiskIndex, SegmentName } from '../src/disk/index-table.js';
import { segmentFileOf } from '../src/disk/layout.js';
import { rowBytes } from '../src/disk/slot-row.js';
import type { PlacedRows } from '../src/disk/slot-table.js';
import type { PlacedHint, PlacedHints } from '../src/protocol/messages.js';

/** Hints that were read while this thread was starting, with their rows where the index has them. A hint never changes, but for being damaged. */
export class PlacedReader {
  /** What was read. */
  readonly rows: PlacedRows | undefined;
  readonly #unused = new Map<string, PlacedHint>();

  constructor(placed: PlacedHints | undefined) {
    this.rows = placed;
    for (const hint of placed?.hints ?? []) this.#unused.set(segmentFileOf(hint.segment), hint);
  }

  /** The hint of a segment of this length; `undefined` if it was not read, or is not good. */
  take(
    segment: SegmentName,
    segmentBytes: number,
  ): { readonly hint: HintParts; readonly firstSlot: number } | undefined {
    const file = segmentFileOf(segment);
    const placed = this.#unused.get(file);
    if (placed === undefined || this.rows === undefined) return undefined;
    const { frame, headers, firstSlot, rowCount, crc } = placed;
    const rows = new Uint8Array(this.rows.rows, firstSlot * rowBytes, rowCount * rowBytes);
    const hintBytes = frame.byteLength + rows.byteLength + headers.byteLength;
    if (!isFrameOf(frame, hintBytes, crc, segmentBytes)) return undefined;
    this.#unused.delete(file);
    return { hint: { frame, rows, headers }, firstSlot };
  }

  /** Gives up the rows of hints that were not taken. */
  releaseUnused(index: DiskIndex): void {
    for (const { firstSlot, rowCount } of this.#unused.values()) {
      for (let slot = firstSlot; slot < firstSlot + rowCount; slot += 1) index.releaseRow(slot);
    }
    this.#unused.clear();
  }
}
