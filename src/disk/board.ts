import { crc32 } from 'node:zlib';
import { lanes } from './sequences.js';

/** How far a writer's log is: what lies beyond was not acknowledged yet, and is nobody else's business. */
export interface LogEnd {
  readonly writer: number;
  /** The number of the last segment that has anything in it; 0 for none. */
  readonly segment: number;
  /** How much of it counts. */
  readonly usedBytes: number;
}

/**
 * The board has a slot for each lane, so that one short read tells how far every log is; and one more, for how often somebody came:
 * who has come and gone meanwhile is in no lane. See FORMAT.md.
 */
export const boardSlotBytes = 32;
export const boardBytes = (lanes + 1) * boardSlotBytes;
const arrivalsLane = lanes;

export function writeBoardSlot(end: LogEnd): Uint8Array {
  const slot = new Uint8Array(boardSlotBytes);
  const view = new DataView(slot.buffer);
  view.setUint32(4, end.writer, true);
  view.setUint32(8, end.segment, true);
  view.setUint32(12, end.usedBytes, true);
  view.setUint32(0, crc32(slot.subarray(4)), true);
  return slot;
}

/** `empty`: nobody is in this lane. `torn`: it was read while it was written. */
export function readBoardSlot(board: Uint8Array, lane: number): LogEnd | 'empty' | 'torn' {
  const slot = board.subarray(lane * boardSlotBytes, (lane + 1) * boardSlotBytes);
  if (slot.byteLength < boardSlotBytes || slot.every((byte) => byte === 0)) return 'empty';
  const view = new DataView(slot.buffer, slot.byteOffset, slot.byteLength);
  if (view.getUint32(0, true) !== crc32(slot.subarray(4))) return 'torn';
  return { writer: view.getUint32(4, true), segment: view.getUint32(8, true), usedBytes: view.getUint32(12, true) };
}

export function writeArrivals(count: number): { readonly slot: Uint8Array; readonly lane: number } {
  return { slot: writeBoardSlot({ writer: count, segment: 0, usedBytes: 0 }), lane: arrivalsLane };
}

/** How often somebody came; `torn` as above. */
export function readArrivals(board: Uint8Array): number | 'torn' {
  const slot = readBoardSlot(board, arrivalsLane);
  if (slot === 'empty') return 0;
  return slot === 'torn' ? slot : slot.writer;
}
