import { addToHintCrc, beginHintCrc, type HintFrame, hintFrameBytes, readHintFrame } from '../disk/hint.js';
import type { SegmentName } from '../disk/index-table.js';
import { recordHeaderBytes } from '../disk/record.js';
import { rowBytes } from '../disk/slot-row.js';
import { roomFor } from '../disk/slot-table.js';
import type { PlacedHint, PlacedHints } from '../protocol/messages.js';
import { HintFiles } from './disk-files.js';

/** Read at the same time: as many as libuv has threads, and some that wait. */
const atOnce = 8;

interface FoundHint {
  readonly segment: SegmentName;
  readonly frame: Uint8Array;
  readonly counts: HintFrame;
}

/**
 * Reads the hints of a directory to where the index will have them, while the thread that is to open it starts: it would take as long again. Changes
 * nothing, so it needs no turn. `undefined`: there is nothing, or it cannot be read; the thread will see for itself.
 */
export async function placeHints(directory: string): Promise<PlacedHints | undefined> {
  const files = new HintFiles(directory);
  try {
    const found: FoundHint[] = [];
    await forEachOf(await files.list(), async (segment) => {
      const { bytes: frame, size } = await files.readStart(segment, hintFrameBytes);
      const counts = readHintFrame(frame, size);
      if (counts !== undefined) found.push({ segment, frame, counts });
    });
    return found.length === 0 ? undefined : await place(files, found);
  } catch {
    return undefined;
  }
}

async function place(files: HintFiles, found: readonly FoundHint[]): Promise<PlacedHints> {
  const records = found.reduce((sum, { counts }) => sum + counts.rows + counts.headers, 0);
  const rows = new SharedArrayBuffer(roomFor(records) * rowBytes);
  let used = 0;
  const places = found.map((hint) => {
    used += hint.counts.rows;
    return { hint, firstSlot: used - hint.counts.rows };
  });
  const hints: PlacedHint[] = [];
  await forEachOf(places, async ({ hint: { segment, frame, counts }, firstSlot }) => {
    const rowCount = counts.rows;
    const headers = new Uint8Array(counts.headers * recordHeaderBytes);
    const placed = new Uint8Array(rows, firstSlot * rowBytes, rowCount * rowBytes);
    let crc = beginHintCrc(frame);
    // One that is short does not match its checksum.
    await files.readInto(segment, hintFrameBytes, [placed, headers], (piece) => {
      crc = addToHintCrc(crc, piece);
    });
    hints.push({ segment, frame, firstSlot, rowCount, headers, crc });
  });
  return { rows, used, hints };
}

async function forEachOf<T>(items: readonly T[], work: (item: T) => Promise<void>): Promise<void> {
  const waiting = items.values();
  const take = async (): Promise<void> => {
    for (const item of waiting) await work(item);
  };
  await Promise.all(Array.from({ length: atOnce }, take));
}
