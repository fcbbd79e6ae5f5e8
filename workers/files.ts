import {
  closeSync,
  constants,
  fdatasyncSync,
  fsyncSync,
  openSync,
  renameSync,
  rmSync,
  statfsSync,
  writeSync,
} from 'node:fs';
import { dirname } from 'node:path';

/** Makes names created, renamed or removed in a folder durable. */
export function syncFolder(path: string): void {
  const fd = openSync(path, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

/** What is free on the device for users without privileges; `undefined` where that cannot be told. */
export function freeBytesOf(path: string): number | undefined {
  try {
    const { bavail, bsize } = statfsSync(path);
    return bavail * bsize;
  } catch {
    return undefined;
  }
}

/** A file that is there as a whole or not at all, whenever the power goes. */
export function writeFileDurably(path: string, bytes: Uint8Array): void {
  writeFileWhole(path, bytes, fdatasyncSync);
  syncFolder(dirname(path));
}

/** A file that is there as a whole or not at all, unless the power goes: then it may be there with anything in it. */
export function writeFileWhole(path: string, bytes: Uint8Array, sync: (fd: number) => void = () => {}): void {
  const temporary = `${path}.tmp`;
  rmSync(temporary, { force: true });
  const fd = openSync(temporary, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL, 0o600);
  try {
    for (let done = 0; done < bytes.byteLength; ) done += writeSync(fd, bytes, done);
    sync(fd);
  } finally {
    closeSync(fd);
  }
  renameSync(temporary, path);
}
