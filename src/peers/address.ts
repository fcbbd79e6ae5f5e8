import { randomBytes } from 'node:crypto';
import { lstatSync, readdirSync, readFileSync, rmdirSync, rmSync } from 'node:fs';
import { chmod, mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { addressFileOf, parsePeerFile, socketFileOf } from '../disk/layout.js';

/** The shortest limit that systems set to the path of a socket (macOS: 104 with the end mark; Linux: 108). */
const maxPathBytes = 103;
const folderPattern = /^offloop-[A-Za-z0-9]{6}$/;
const socketName = 's';

/** Where a writer is to listen: in the folder, if the path is not too long for that, else in a folder of its own that nobody else can enter. */
export async function newAddress(root: string, writer: number): Promise<string> {
  if (process.platform === 'win32') return `\\\\.\\pipe\\offloop-${randomBytes(16).toString('hex')}`;
  const path = join(root, socketFileOf(writer));
  if (Buffer.byteLength(path) <= maxPathBytes) return path;
  return join(await mkdtemp(join(tmpdir(), 'offloop-')), socketName);
}

/** Somebody listens there now: says so to the others, as a whole or not at all. */
export async function announce(root: string, writer: number, address: string): Promise<void> {
  if (process.platform !== 'win32') await chmod(address, 0o600);
  const path = join(root, addressFileOf(writer));
  await rm(`${path}.tmp`, { force: true });
  await writeFile(`${path}.tmp`, address, { mode: 0o600, flag: 'wx' });
  await rename(`${path}.tmp`, path);
}

/** Where a writer listens; `undefined` if it does not. */
export async function addressOf(root: string, writer: number): Promise<string | undefined> {
  const address = await readFile(join(root, addressFileOf(writer)), 'utf8').catch(() => '');
  return address === '' ? undefined : address;
}

/** Removes what a writer that is gone, or does not listen any more, has left of its address. */
export function retract(root: string, writer: number): void {
  const path = join(root, addressFileOf(writer));
  removeFolderOf(readAddress(path));
  for (const file of [path, `${path}.tmp`, join(root, socketFileOf(writer))]) rmSync(file, { force: true });
}

/** Removes the addresses of all who are not among the living. */
export function sweepAddresses(root: string, living: ReadonlySet<number>): void {
  const gone = new Set<number>();
  for (const file of readdirSync(root)) {
    const writer = parsePeerFile(file);
    if (writer !== undefined && !living.has(writer)) gone.add(writer);
  }
  for (const writer of gone) retract(root, writer);
}

/** Of a socket with a folder of its own. Nothing else is touched, whatever a file says. */
export function removeFolderOf(address: string): void {
  const folder = dirname(address);
  if (basename(address) !== socketName || !folderPattern.test(basename(folder))) return;
  try {
    if (lstatSync(address, { throwIfNoEntry: false })?.isSocket() === true) rmSync(address);
    rmdirSync(folder);
  } catch {
    // Gone, or not ours after all.
  }
}

function readAddress(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
