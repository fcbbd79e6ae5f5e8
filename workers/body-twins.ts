import { closeSync, constants, fstatSync, linkSync, openSync, readSync, utimesSync } from 'node:fs';
import { join } from 'node:path';
import { contentKeyOf } from '../src/disk/body-content.js';
import type { BodyFile, SegmentName } from '../src/disk/index-table.js';
import { bodiesFolder, bodyFileNameOf } from '../src/disk/layout.js';

const maxRemembered = 16_384;
/** Reading two files takes the writer's time: longer ones are not compared. */
const maxComparedBytes = 256 * 1024 * 1024;
const stepBytes = 256 * 1024;

/** Remembers body files by their content, so that one that comes with the same bytes can become a link to an older one. */
export class BodyTwins {
  readonly #root: string;
  readonly #names = new Map<number, SegmentName>();

  constructor(root: string) {
    this.#root = root;
  }

  /** Something whole and synced is in `bodies/`. */
  remember(file: BodyFile): void {
    const key = contentKeyOf(file);
    this.#names.delete(key);
    this.#names.set(key, { writer: file.writer, number: file.number });
    if (this.#names.size <= maxRemembered) return;
    for (const [oldest] of this.#names) {
      this.#names.delete(oldest);
      return;
    }
  }

  /**
   * Makes `path` a link to a file that has, byte for byte, what was written to `fd`. `false`: none is known, or it cannot be linked to (it is gone, has
   * too many links, or the file system has none); then nothing was done.
   */
  link(fd: number, content: Pick<BodyFile, 'bytes' | 'content'>, path: string): boolean {
    const key = contentKeyOf(content);
    const name = this.#names.get(key);
    if (name === undefined || content.bytes > maxComparedBytes) return false;
    const older = join(this.#root, bodiesFolder, ...bodyFileNameOf(name));
    try {
      if (!hasBytesOf(older, fd, content.bytes)) return false;
      // As new as the file that it stands in for: a link that no record names yet must not look like an old orphan.
      const { atime, mtime } = fstatSync(fd);
      utimesSync(older, atime, mtime);
      linkSync(older, path);
      return true;
    } catch {
      // Its own bytes are there: the plain file is as good.
      return false;
    }
  }
}

function hasBytesOf(path: string, fd: number, bytes: number): boolean {
  const other = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW);
  try {
    const { size } = fstatSync(other);
    return size === bytes && isSame(other, fd, bytes);
  } finally {
    closeSync(other);
  }
}

function isSame(one: number, other: number, bytes: number): boolean {
  const a = Buffer.allocUnsafe(stepBytes);
  const b = Buffer.allocUnsafe(stepBytes);
  for (let at = 0; at < bytes; ) {
    const length = Math.min(stepBytes, bytes - at);
    if (!isRead(one, a, length, at) || !isRead(other, b, length, at)) return false;
    if (a.compare(b, 0, length, 0, length) !== 0) return false;
    at += length;
  }
  return true;
}

function isRead(fd: number, into: Buffer, length: number, position: number): boolean {
  for (let done = 0; done < length; ) {
    const count = readSync(fd, into, done, length - done, position + done);
    if (count === 0) return false;
    done += count;
  }
  return true;
}
