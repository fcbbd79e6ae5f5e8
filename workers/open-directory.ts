import { randomBytes } from 'node:crypto';
import { lstatSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { bodiesFolder, formatFolder, segmentsFolder, temporaryFolder } from '../src/disk/layout.js';
import { failureOf } from '../src/protocol/failure.js';
import type { OpenAnswer, OpenTask } from '../src/protocol/messages.js';
import { freeBytesOf, writeFileDurably } from './files.js';
import { claimDirectory, releaseDirectory } from './owner.js';
import { replaySegments } from './replay.js';
import { sweep } from './sweep.js';

/** Makes a directory ours and reads what it holds. Changes nothing that is not ours. */
export function openDirectory(task: OpenTask): OpenAnswer {
  const root = join(task.directory, formatFolder);
  let isClaimed = false;
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
    const locked = claimDirectory(root, task.nowMs);
    if (locked !== undefined) return failed('ERR_CACHE_LOCKED', locked);
    isClaimed = true;
    const { index, segments, hints } = replaySegments(join(root, segmentsFolder));
    for (const { path, bytes } of hints) writeFileDurably(path, bytes);
    sweep(root, index.bodyFiles());
    const freeBytes = task.measureFree ? freeBytesOf(root) : undefined;
    return { outcome: 'opened', writer: newWriter(segments), lane: 0, index: index.toParts(), segments, freeBytes };
  } catch (error) {
    if (isClaimed) giveUp(root);
    return { outcome: 'failed', failure: failureOf(error) };
  }
}

/** Otherwise this process would stand in its own way when it tries again. */
function giveUp(root: string): void {
  try {
    releaseDirectory(root);
  } catch {
    // The error that the opening failed with is the one to tell.
  }
}

function newWriter(segments: readonly { readonly writer: number }[]): number {
  const taken = new Set(segments.map(({ writer }) => writer));
  for (;;) {
    const writer = randomBytes(4).readUInt32LE();
    if (!taken.has(writer)) return writer;
  }
}

function failed(code: string, message: string): OpenAnswer {
  return { outcome: 'failed', failure: { code, message } };
}
