import { linkSync, readdirSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { isAlive, readIdentity, silenceMs, thisProcess } from './process-identity.js';

/** Somebody else has had the turn all the time that was waited for it. */
class TurnTakenError extends Error {
  readonly code = 'ERR_CACHE_LOCKED';
}

const waitMs = 30_000;

/**
 * Does what only one process at a time may do to a directory: opening, and putting in order what a dead process left. Others wait.
 *
 * A turn file's number only ever grows and the highest one counts, so two processes that both find the last holder dead cannot both
 * take its place: the second one's `link` fails, or it finds a higher number when it looks again.
 */
export function inTurn<T>(root: string, work: () => T): T {
  const path = takeTurn(root);
  try {
    return work();
  } finally {
    endTurn(root, path);
  }
}

function takeTurn(root: string): string {
  const mine = join(root, `claim-${process.pid}-${Math.random().toString(36).slice(2)}`);
  const start = performance.now();
  try {
    writeFileSync(mine, JSON.stringify({ ...thisProcess(), released: false }), { mode: 0o600, flag: 'wx' });
    for (;;) {
      const last = highestOf(root);
      const holder = last === 0 ? undefined : holderOf(join(root, turnFile(last)), statSync(mine).mtimeMs);
      if (holder !== undefined) {
        if (performance.now() - start > waitMs) {
          throw new TurnTakenError(
            `${root} has been kept by process ${holder.pid} on ${holder.host}, which is opening it`,
          );
        }
        sleep(3);
        continue;
      }
      const next = last + 1;
      const path = join(root, turnFile(next));
      if (!linked(mine, path)) continue;
      if (highestOf(root) === next) {
        for (const number of numbersIn(root)) if (number < next) rmSync(join(root, turnFile(number)), { force: true });
        return path;
      }
      rmSync(path, { force: true });
    }
  } finally {
    rmSync(mine, { force: true });
  }
}

/** Its file stays, so that numbers never start again. */
function endTurn(root: string, path: string): void {
  const ended = join(root, `claim-${process.pid}-ended-${Math.random().toString(36).slice(2)}`);
  try {
    writeFileSync(ended, JSON.stringify({ ...thisProcess(), released: true }), { mode: 0o600 });
    renameSync(ended, path);
  } catch {
    // No space: a turn that is nobody's ends as well.
    rmSync(ended, { force: true });
    rmSync(path, { force: true });
  }
}

function holderOf(path: string, nowMs: number) {
  const holder = readIdentity(path);
  if (holder === undefined || holder.released === true || !isAlive(holder, path, nowMs)) return undefined;
  // Nobody takes that long: a thread that died in a process that lives.
  return nowMs - (statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0) > silenceMs ? undefined : holder;
}

function turnFile(number: number): string {
  return `turn-${number}`;
}

function numbersIn(root: string): number[] {
  return readdirSync(root).flatMap((name) => (/^turn-[1-9]\d{0,14}$/.test(name) ? [Number(name.slice(5))] : []));
}

function highestOf(root: string): number {
  return Math.max(0, ...numbersIn(root));
}

function linked(from: string, to: string): boolean {
  try {
    linkSync(from, to);
    return true;
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'EEXIST') return false;
    throw error;
  }
}

function sleep(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
}
