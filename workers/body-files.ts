import { closeSync, constants, fdatasyncSync, mkdirSync, openSync, renameSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import { asLink, contentOf } from '../src/disk/body-content.js';
import type { SegmentName } from '../src/disk/index-table.js';
import { bodiesFolder, bodyFileNameOf, formatFolder, temporaryFolder } from '../src/disk/layout.js';
import { fileBlockShift } from '../src/disk/record.js';
import { failureOf } from '../src/protocol/failure.js';
import type { BodyAnswer, BodySlab, WriterSession } from '../src/protocol/messages.js';
import type { BodyTwins } from './body-twins.js';
import { syncFolder } from './files.js';

interface OpenBody {
  readonly fd: number;
  readonly crcs: number[];
  /** Checksum of the block that is not full yet, and how much of it there is. */
  crc: number;
  blockBytes: number;
  bytes: number;
}

const blockLimit = 2 ** fileBlockShift;

/** Writes bodies that have files of their own: in `tmp/` until they are whole and synced, then in `bodies/`. */
export class BodyFiles {
  readonly #root: string;
  readonly #writer: number;
  readonly #twins: BodyTwins | undefined;
  readonly #open = new Map<number, OpenBody>();

  /** With `twins`, files with the same bytes become links to one. */
  constructor(session: WriterSession, twins: BodyTwins | undefined) {
    this.#root = join(session.directory, formatFolder);
    this.#writer = session.writer;
    this.#twins = twins;
  }

  /** Writes every piece; the first failure of a file is the answer for the whole file. */
  write(slabs: readonly BodySlab[]): BodyAnswer[] {
    const answers = new Map<number, BodyAnswer>();
    for (const { buffer, pieces } of slabs) {
      for (let i = 0; i + 2 < pieces.length; i += 3) {
        const file = pieces[i] ?? 0;
        if (answers.get(file)?.outcome === 'failed') continue;
        try {
          const body = this.#open.get(file) ?? this.#begin(file);
          append(body, new Uint8Array(buffer, pieces[i + 1], pieces[i + 2]));
          answers.set(file, { file, outcome: 'written', bytes: body.bytes });
        } catch (error) {
          this.#giveUp(file);
          answers.set(file, { file, outcome: 'failed', failure: failureOf(error) });
        }
      }
    }
    return [...answers.values()];
  }

  finish(file: number): BodyAnswer {
    const body = this.#open.get(file);
    if (body === undefined) return { file, outcome: 'failed', failure: { code: '', message: 'no such body file' } };
    try {
      if (body.blockBytes > 0) body.crcs.push(body.crc);
      const crcs = Uint32Array.from(body.crcs);
      const { bytes } = body;
      const content = this.#settle(file, body, contentOf(crcs));
      this.#open.delete(file);
      closeSync(body.fd);
      return { file, outcome: 'finished', bytes, crcs, content };
    } catch (error) {
      this.#giveUp(file);
      return { file, outcome: 'failed', failure: failureOf(error) };
    }
  }

  /** Leaves nothing of a body file, finished or not, that no record refers to. */
  abandon(file: number): void {
    const body = this.#open.get(file);
    this.#open.delete(file);
    if (body !== undefined) closeSync(body.fd);
    rmSync(this.#temporaryOf(file), { force: true });
    this.remove(this.#nameOf(file));
  }

  /** On a disk that has become read-only nothing can be removed either: the next opening sweeps it. */
  #giveUp(file: number): void {
    try {
      this.abandon(file);
    } catch {
      // The failure that led here is the one to tell.
    }
  }

  /** Gives a whole file its name in `bodies/`, durably. Returns its content, marked if it became a link. */
  #settle(file: number, { fd, bytes }: OpenBody, content: number): number {
    const [folder, name] = bodyFileNameOf(this.#nameOf(file));
    const bodies = join(this.#root, bodiesFolder);
    if (mkdirSync(join(bodies, folder), { recursive: true, mode: 0o700 }) !== undefined) syncFolder(bodies);
    const path = join(bodies, folder, name);
    // What it is linked to was synced when it got its name.
    const isLink = this.#twins?.link(fd, { bytes, content }, path) === true;
    if (isLink) {
      rmSync(this.#temporaryOf(file));
    } else {
      fdatasyncSync(fd);
      renameSync(this.#temporaryOf(file), path);
    }
    syncFolder(join(bodies, folder));
    // The newest is the last to go.
    this.#twins?.remember({ ...this.#nameOf(file), bytes, content });
    return isLink ? asLink(content) : content;
  }

  remove(name: SegmentName): void {
    rmSync(join(this.#root, bodiesFolder, ...bodyFileNameOf(name)), { force: true });
  }

  #begin(file: number): OpenBody {
    const flags = constants.O_RDWR | constants.O_CREAT | constants.O_EXCL;
    const body = { fd: openSync(this.#temporaryOf(file), flags, 0o600), crcs: [], crc: 0, blockBytes: 0, bytes: 0 };
    this.#open.set(file, body);
    return body;
  }

  #nameOf(file: number): SegmentName {
    return { writer: this.#writer, number: file };
  }

  #temporaryOf(file: number): string {
    return join(this.#root, temporaryFolder, bodyFileNameOf(this.#nameOf(file))[1]);
  }
}

function append(body: OpenBody, bytes: Uint8Array): void {
  for (let done = 0; done < bytes.byteLength; ) {
    done += writeSync(body.fd, bytes, done, bytes.byteLength - done, body.bytes + done);
  }
  body.bytes += bytes.byteLength;
  for (let from = 0; from < bytes.byteLength; ) {
    const end = Math.min(bytes.byteLength, from + blockLimit - body.blockBytes);
    body.crc = crc32(bytes.subarray(from, end), body.crc);
    body.blockBytes += end - from;
    from = end;
    if (body.blockBytes < blockLimit) break;
    body.crcs.push(body.crc);
    body.crc = 0;
    body.blockBytes = 0;
  }
}
