import { existsSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { LogEnd } from '../src/disk/board.js';
import { hintFileOf, parseSegmentFile, segmentFileOf, segmentsFolder } from '../src/disk/layout.js';
import type { BoardFile } from './board-file.js';
import { writeFileDurably } from './files.js';
import { type Owner, removeOwner } from './owner.js';
import { isOfThisBoot } from './process-identity.js';
import { scanSegment } from './replay.js';

/**
 * Puts the logs of processes that died in order, so that they end for everybody where they ended for those who followed them. In turn
 * only.
 */
export function adopt(root: string, board: BoardFile, dead: readonly Owner[]): void {
  const ends = board.read();
  for (const owner of dead) {
    const end = ends[owner.lane];
    // After a power cut the board tells of another time than the logs: those are read up to their last good record then.
    if (end?.writer === owner.writer && isOfThisBoot(owner)) endLog(join(root, segmentsFolder), end);
    if (end?.writer === owner.writer) board.clear(owner.lane);
    removeOwner(root, owner.writer);
  }
}

/** Empties the lanes of all who are not there. */
export function clearLanes(board: BoardFile, living: readonly Owner[]): void {
  for (const [lane, end] of board.read().entries()) {
    if (end !== undefined && !living.some((owner) => owner.writer === end.writer)) board.clear(lane);
  }
}

export function clearWriter(board: BoardFile, writer: number): void {
  for (const [lane, end] of board.read().entries()) if (end?.writer === writer) board.clear(lane);
}

/** What comes after the end of a log was never acknowledged, and must not come to light. */
export function endLog(folder: string, { writer, segment, usedBytes }: LogEnd): void {
  for (const file of readdirSync(folder)) {
    const name = parseSegmentFile(file);
    if (name?.writer === writer && name.number > segment) rmSync(join(folder, file), { force: true });
  }
  const name = { writer, number: segment };
  const path = join(folder, segmentFileOf(name));
  const hint = join(folder, hintFileOf(name));
  if (segment === 0 || !existsSync(path) || existsSync(hint)) return;
  writeFileDurably(hint, scanSegment(path, usedBytes).toBytes(usedBytes));
}
