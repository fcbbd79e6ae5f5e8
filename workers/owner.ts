import { readdirSync, renameSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { lanes } from '../src/disk/sequences.js';
import type { LockMode } from '../src/protocol/messages.js';
import { isAlive, type ProcessIdentity, readIdentity, silenceMs, thisProcess } from './process-identity.js';

/** Who has a directory open. */
export interface Owner extends ProcessIdentity {
  readonly writer: number;
  readonly lane: number;
  readonly lock: LockMode;
  readonly sinceMs: number;
}

export interface Owners {
  readonly living: readonly Owner[];
  /** Died without a word: their files are still there. */
  readonly dead: readonly Owner[];
}

export function ownersOf(root: string, nowMs: number): Owners {
  const living: Owner[] = [];
  const dead: Owner[] = [];
  for (const name of readdirSync(root)) {
    const writer = /^owner-([0-9a-f]{8})$/.exec(name)?.[1];
    if (writer === undefined) continue;
    const path = join(root, name);
    const identity = readIdentity(path);
    if (identity === undefined) {
      // Nobody's, or gone meanwhile.
      rmSync(path, { force: true });
      continue;
    }
    const owner: Owner = {
      ...identity,
      writer: Number.parseInt(writer, 16),
      lane: Number(identity.lane),
      lock: identity.lock === 'exclusive' ? 'exclusive' : 'shared',
      sinceMs: Number(identity.sinceMs),
    };
    (isAlive(owner, path, nowMs) ? living : dead).push(owner);
  }
  return { living, dead };
}

/** Why this process may not come in, if it may not. */
export function refusalOf(root: string, living: readonly Owner[], lock: LockMode): string | undefined {
  const inTheWay = lock === 'exclusive' ? living : living.filter((owner) => owner.lock === 'exclusive');
  const first = inTheWay.toSorted((a, b) => a.sinceMs - b.sinceMs)[0];
  if (first !== undefined) return lockedMessage(root, first);
  return living.length < lanes ? undefined : `${root} is in use ${lanes} times, which is as many as can share it`;
}

export function freeLaneOf(living: readonly Owner[]): number {
  const taken = new Set(living.map(({ lane }) => lane));
  let lane = 0;
  while (taken.has(lane)) lane += 1;
  return lane;
}

/** In turn. */
export function addOwner(root: string, owner: Pick<Owner, 'writer' | 'lane' | 'lock' | 'sinceMs'>): void {
  const { writer, ...rest } = owner;
  const claim = join(root, `claim-${process.pid}-owner-${writer}`);
  try {
    writeFileSync(claim, JSON.stringify({ ...thisProcess(), ...rest }), { mode: 0o600 });
    renameSync(claim, ownerPath(root, writer));
  } finally {
    rmSync(claim, { force: true });
  }
}

export function removeOwner(root: string, writer: number): void {
  rmSync(ownerPath(root, writer), { force: true });
}

export function giveSignOfLife(root: string, writer: number): void {
  const now = new Date();
  try {
    utimesSync(ownerPath(root, writer), now, now);
  } catch {
    // Without a sign of life, another machine may take this process for dead: no harm to what is in the directory.
  }
}

/** Files that a process began to claim something with, and died. */
export function sweepClaims(root: string, nowMs: number): void {
  for (const name of readdirSync(root)) {
    if (!/^claim-\d+-/.test(name)) continue;
    const { mtimeMs } = statSync(join(root, name), { throwIfNoEntry: false }) ?? {};
    if (mtimeMs !== undefined && nowMs - mtimeMs > silenceMs) rmSync(join(root, name), { force: true });
  }
}

function ownerPath(root: string, writer: number): string {
  return join(root, ownerFile(writer));
}

function ownerFile(writer: number): string {
  return `owner-${writer.toString(16).padStart(8, '0')}`;
}

function lockedMessage(root: string, { sinceMs, pid, host, lock, writer }: Owner): string {
  const since = Number.isFinite(sinceMs) ? new Date(sinceMs).toISOString() : 'some time ago';
  const who = pid === process.pid ? 'this process' : `process ${pid}`;
  const how = lock === 'exclusive' ? 'is in exclusive use by' : 'is in use by';
  return (
    `${root} ${how} ${who} on ${host} since ${since}; close that cache, open both with lock: 'shared', or give this one another ` +
    `directory (if that process is surely gone, remove ${ownerFile(writer)})`
  );
}
