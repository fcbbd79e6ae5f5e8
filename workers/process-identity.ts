import { readFileSync, readlinkSync, statSync } from 'node:fs';
import { hostname } from 'node:os';

/** Tells a process from every other one, of other machines, containers and boots too. */
export interface ProcessIdentity {
  readonly pid: number;
  readonly host: string;
  /** Tells one boot of a machine, and one container on it, from another; empty where there is no such thing. */
  readonly boot: string;
  readonly pidNamespace: string;
  /** When the process began, in clock ticks since the boot; empty where that cannot be found out. */
  readonly processStart: string;
}

/** Somebody on another machine who has not touched their file for so long is taken for dead, in ms. */
export const silenceMs = 60_000;

export function thisProcess(): ProcessIdentity {
  return {
    pid: process.pid,
    host: hostname(),
    boot: textOf(() => readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()),
    pidNamespace: textOf(() => readlinkSync('/proc/self/ns/pid')),
    processStart: processStartOf(process.pid),
  };
}

/** The fields of a JSON file that names a process; `undefined` if it is not one. */
export function readIdentity(path: string): (ProcessIdentity & Readonly<Record<string, unknown>>) | undefined {
  try {
    const value: unknown = JSON.parse(readFileSync(path, 'utf8'));
    if (typeof value !== 'object' || value === null || !('pid' in value) || typeof value.pid !== 'number') {
      return undefined;
    }
    const fields = value as Record<string, unknown>;
    const text = (name: string): string => String(fields[name] ?? '');
    return {
      ...fields,
      pid: value.pid,
      host: text('host'),
      boot: text('boot'),
      pidNamespace: text('pidNamespace'),
      processStart: text('processStart'),
    };
  } catch {
    return undefined;
  }
}

/** `path`: the file that the process touches as a sign of life. `nowMs` by the clock of its file system, which may not be ours. */
export function isAlive(one: ProcessIdentity, path: string, nowMs: number): boolean {
  const self = thisProcess();
  if (one.host === self.host && one.boot !== self.boot) return false;
  if (one.host !== self.host || one.pidNamespace !== self.pidNamespace) {
    // Another machine or container: its processes cannot be looked at, only the sign of life that they give.
    return nowMs - (statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0) <= silenceMs;
  }
  if (!isRunning(one.pid)) return false;
  const start = processStartOf(one.pid);
  return one.processStart === '' || start === '' || start === one.processStart;
}

/** Whether the machine has been up since: what the process wrote without syncing is there. */
export function isOfThisBoot(one: ProcessIdentity): boolean {
  const { host, boot } = thisProcess();
  return one.host === host && one.boot === boot && boot !== '';
}

function processStartOf(pid: number): string {
  // The second field may hold spaces and brackets; what follows the last bracket does not.
  return textOf(() => {
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').replace(/^.*\)/s, '').split(' ');
    // A process that has ended and was not waited for yet is a process no more.
    return fields[1] === 'Z' ? 'ended' : (fields[20] ?? '');
  });
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
