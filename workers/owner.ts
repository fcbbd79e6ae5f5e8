import {
  linkSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';

/** Who has a directory open. */
interface Owner {
  readonly pid: number;
  readonly host: string;
  /** Tells one boot of a machine, and one container on it, from another; empty where there is no such thing. */
  readonly boot: string;
  readonly pidNamespace: string;
  /** When the process began, in clock ticks since the boot; empty where that cannot be found out. */
  readonly processStart: string;
  readonly sinceMs: number;
  readonly released: boolean;
}

/**
 * Makes this process the owner of a directory. Returns a sentence about the live owner if there is one.
 *
 * An owner file's number only ever grows and the highest one counts, so two processes that both find the last owner dead
 * cannot both take its place: the second one's `link` fails, or it finds a higher number when it looks again.
 */
export function claimDirectory(root: string, nowMs: number): string | undefined {
  const mine = join(root, `claim-${process.pid}-${Math.random().toString(36).slice(2)}`);
  const owner = { ...thisProcess(), sinceMs: nowMs, released: false };
  try {
    writeFileSync(mine, JSON.stringify(owner), { mode: 0o600, flag: 'wx' });
    for (;;) {
      const last = highestOf(root);
      const living = last === 0 ? undefined : livingOwner(join(root, ownerFile(last)), statSync(mine).mtimeMs);
      if (living !== undefined) return lockedMessage(root, living, last);
      const next = last + 1;
      if (!linked(mine, join(root, ownerFile(next)))) continue;
      if (highestOf(root) === next) {
        for (const number of numbersIn(root)) if (number < next) rmSync(join(root, ownerFile(number)), { force: true });
        return undefined;
      }
      rmSync(join(root, ownerFile(next)), { force: true });
    }
  } finally {
    rmSync(mine, { force: true });
  }
}

/** Gives the directory up, if this process owns it. */
export function releaseDirectory(root: string): void {
  const last = highestOf(root);
  const path = join(root, ownerFile(last));
  const owner = readOwner(path);
  if (owner === undefined || owner.pid !== process.pid || owner.processStart !== thisProcess().processStart) return;
  const released = join(root, `claim-${process.pid}-released`);
  writeFileSync(released, JSON.stringify({ ...owner, released: true }), { mode: 0o600 });
  renameSync(released, path);
}

/** Gives a sign of life now and then, until the thread ends. Twice is fine. */
export function keepClaim(root: string): void {
  if (beating.has(root)) return;
  beating.add(root);
  const last = join(root, ownerFile(highestOf(root)));
  const timer = setInterval(() => {
    const now = new Date();
    try {
      utimesSync(last, now, now);
    } catch {
      // Without a sign of life, another machine may take the directory over: no harm to what is in it.
    }
  }, silenceMs / 6);
  timer.unref();
}

const silenceMs = 60_000;
const beating = new Set<string>();

function ownerFile(number: number): string {
  return `owner-${number}`;
}

function numbersIn(root: string): number[] {
  return readdirSync(root).flatMap((name) => (/^owner-[1-9]\d{0,14}$/.test(name) ? [Number(name.slice(6))] : []));
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

/** `nowMs` by the clock of the file system, which may not be ours. */
function livingOwner(path: string, nowMs: number): Owner | undefined {
  const owner = readOwner(path);
  if (owner === undefined || owner.released) return undefined;
  const self = thisProcess();
  if (owner.host === self.host && owner.boot !== self.boot) return undefined;
  if (owner.host !== self.host || owner.pidNamespace !== self.pidNamespace) {
    // Another machine or container: its processes cannot be looked at, only the sign of life that they give.
    return nowMs - statSync(path).mtimeMs > silenceMs ? undefined : owner;
  }
  if (!isRunning(owner.pid)) return undefined;
  const start = processStartOf(owner.pid);
  return owner.processStart !== '' && start !== '' && start !== owner.processStart ? undefined : owner;
}

function readOwner(path: string): Owner | undefined {
  try {
    const value: unknown = JSON.parse(readFileSync(path, 'utf8'));
    if (typeof value !== 'object' || value === null || !('pid' in value) || typeof value.pid !== 'number') {
      return undefined;
    }
    const text = (name: string): string => String((value as Record<string, unknown>)[name] ?? '');
    return {
      pid: value.pid,
      host: text('host'),
      boot: text('boot'),
      pidNamespace: text('pidNamespace'),
      processStart: text('processStart'),
      sinceMs: Number(text('sinceMs')),
      released: text('released') === 'true',
    };
  } catch {
    return undefined;
  }
}

function lockedMessage(root: string, owner: Owner, number: number): string {
  const since = Number.isFinite(owner.sinceMs) ? new Date(owner.sinceMs).toISOString() : 'some time ago';
  const who = owner.pid === process.pid ? 'this process' : `process ${owner.pid}`;
  return (
    `${root} is in use by ${who} on ${owner.host} since ${since}; close that cache or give this one another directory ` +
    `(if that process is surely gone, remove ${ownerFile(number)})`
  );
}

function thisProcess(): Omit<Owner, 'sinceMs' | 'released'> {
  return {
    pid: process.pid,
    host: hostname(),
    boot: textOf(() => readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()),
    pidNamespace: textOf(() => readlinkSync('/proc/self/ns/pid')),
    processStart: processStartOf(process.pid),
  };
}

function processStartOf(pid: number): string {
  // The second field may hold spaces and brackets; what follows the last bracket does not.
  return textOf(() => readFileSync(`/proc/${pid}/stat`, 'utf8').replace(/^.*\)/s, '').split(' ')[20] ?? '');
}

function textOf(read: () => string): string {
  try {
    return read();
  } catch {
    return '';
  }
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'EPERM';
  }
}
