import { randomBytes } from 'node:crypto';
import { lstatSync, mkdirSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { bodiesFolder, formatFolder, parseSegmentFile, segmentsFolder, temporaryFolder } from '../src/disk/layout.js';
import { sweepAddresses } from '../src/peers/address.js';
import { failureOf } from '../src/protocol/failure.js';
import type { OpenAnswer, OpenTask } from '../src/protocol/messages.js';
import { adopt, clearLanes, clearWriter } from './adopt.js';
import { BoardFile } from './board-file.js';
import { inTurn } from './directory-turn.js';
import { freeBytesOf, writeFileDurably } from './files.js';
import { addOwner, freeLaneOf, ownersOf, refusalOf, removeOwner, sweepClaims } from './owner.js';
import { replaySegments } from './replay.js';
import { sweep } from './sweep.js';

/** Makes this process one of a directory's owners and reads what it holds. Changes nothing that is not ours. */
export function openDirectory(task: OpenTask): OpenAnswer {
  const root = join(task.directory, formatFolder);
  try {
    if (lstatSync(root, { throwIfNoEntry: false }) === undefined) mkdirSync(root, { recursive: true, mode: 0o700 });
    // Not what a link leads to: in a directory that others can write, that could be anything.
    const here = lstatSync(root);
    if (!here.isDirectory())
      return failed('ERR_CACHE_FORMAT', `${root} is not a folder of a cache; use another directory`);
    if (process.getuid !== undefined && here.uid !== process.getuid()) {
      return failed('ERR_CACHE_ACCESS', `${root} belongs to another user (uid ${here.uid}); use another directory`);
    }
    for (const folder of [segmentsFolder, bodiesFolder, temporaryFolder]) {
      mkdirSync(join(root, folder), { recursive: true, mode: 0o700 });
    }
    return inTurn(root, () => enter(root, task));
  } catch (error) {
    return { outcome: 'failed', failure: failureOf(error) };
  }
}

function enter(root: string, { lock, nowMs, measureFree, placed }: OpenTask): OpenAnswer {
  const { mtimeMs } = statSync(root);
  const { living, dead } = ownersOf(root, mtimeMs);
  const refusal = refusalOf(root, living, lock);
  if (refusal !== undefined) return failed('ERR_CACHE_LOCKED', refusal);
  const board = new BoardFile(root);
  let writer: number | undefined;
  try {
    adopt(root, board, dead);
    clearLanes(board, living);
    const others = board.read().flatMap((end) => end ?? []);
    const lane = freeLaneOf(living);
    writer = newWriter(root, others);
    addOwner(root, { writer, lane, lock, sinceMs: nowMs });
    if (lock === 'shared') board.publish(lane, { writer, segment: 0, usedBytes: 0 });
    const arrivals = board.noteArrival();
    const ends = new Map(others.map((end) => [end.writer, end]));
    const { index, segments, hints } = replaySegments(join(root, segmentsFolder), ends, placed);
    for (const { path, bytes } of hints) writeFileDurably(path, bytes);
    sweep(root, index.bodyFiles(), new Set(ends.keys()));
    sweepClaims(root, mtimeMs);
    sweepAddresses(root, new Set([...living.map((owner) => owner.writer), writer]));
    const freeBytes = measureFree ? freeBytesOf(root) : undefined;
    return { outcome: 'opened', writer, lane, others, arrivals, index: index.toParts(), segments, freeBytes };
  } catch (error) {
    if (writer !== undefined) giveUp(root, board, writer);
    throw error;
  } finally {
    board.close();
  }
}

/** Otherwise this process would stand in its own way when it tries again. */
function giveUp(root: string, board: BoardFile, writer: number): void {
  try {
    clearWriter(board, writer);
    removeOwner(root, writer);
  } catch {
    // The error that the opening failed with is the one to tell.
  }
}

function newWriter(root: string, others: readonly { readonly writer: number }[]): number {
  const taken = new Set(others.map(({ writer }) => writer));
  for (const file of readdirSync(join(root, segmentsFolder))) {
    const name = parseSegmentFile(file);
    if (name !== undefined) taken.add(name.writer);
  }
  for (;;) {
    const writer = randomBytes(4).readUInt32LE();
    if (!taken.has(writer)) return writer;
  }
}

function failed(code: string, message: string): OpenAnswer {
  return { outcome: 'failed', failure: { code, message } };
}
