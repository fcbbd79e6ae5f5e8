import { closeSync, constants, openSync, readdirSync, readSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { unpackHead } from '../src/disk/head-codec.js';
import {
  bodiesFolder,
  bodyFileNameOf,
  formatFolder,
  parseBodyFile,
  segmentFileOf,
  segmentsFolder,
  temporaryFolder,
} from '../src/disk/layout.js';
import {
  areBlocksIntact,
  blockCrcsOf,
  bodyPlaces,
  framedBytesOf,
  isHeadIntact,
  type RecordHeader,
  readHeader,
  recordHeaderBytes,
} from '../src/disk/record.js';
import { failureOf } from '../src/protocol/failure.js';
import type { CheckAnswer, CheckTask, OrphanAnswer, OrphanTask, WriterFailure } from '../src/protocol/messages.js';

/** A body file that no record refers to is left alone so long: its record may be on its way. */
const youngMs = 600_000;
const readBytes = 1024 * 1024;

/** Reads responses to the end, block by block, as far as the limit allows. */
export function checkRecords(task: CheckTask): CheckAnswer {
  const files = new ReadFiles(join(task.directory, formatFolder));
  const damaged: { place: number; key: string; detail: string }[] = [];
  let { startByte } = task;
  let done = 0;
  try {
    while (5 * done < task.places.length && (files.bytes < task.limitBytes || done === 0)) {
      const [writer = 0, number = 0, offset = 0, length = 0, sequence = 0] = task.places.slice(5 * done, 5 * done + 5);
      const segment = segmentPathOf({ writer, number });
      const left = Math.max(readBytes, task.limitBytes - files.bytes);
      const found = checkOne(files, { segment, offset, length, sequence }, startByte, left);
      if (typeof found === 'number') {
        startByte = found;
        break;
      }
      if (found !== undefined) damaged.push({ place: done, ...found });
      startByte = 0;
      done += 1;
    }
    return { done, startByte, bytes: files.bytes, damaged };
  } finally {
    files.close();
  }
}

interface Place {
  readonly segment: string;
  readonly offset: number;
  readonly length: number;
  readonly sequence: number;
}

/** `undefined`: good. A number: where in the body to go on, for more than was allowed is left of it. */
function checkOne(
  files: ReadFiles,
  { segment, offset, length, sequence }: Place,
  startByte: number,
  limitBytes: number,
): { readonly key: string; readonly detail: string } | number | undefined {
  const bytes = files.read(segment, offset, length);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const header = readHeader(view, 0);
  const isHere = header?.recordBytes === bytes.byteLength && header.sequence === sequence;
  if (header === undefined || !isHere) return { key: '', detail: 'the record is damaged' };
  if (!isHeadIntact(bytes, view, 0, header)) return { key: '', detail: 'the head does not match its checksum' };
  const unpacked = unpackHead(bytes.subarray(recordHeaderBytes, recordHeaderBytes + header.headBytes));
  if (unpacked === undefined) return { key: '', detail: 'the head cannot be read' };
  const { key } = unpacked;
  const crcs = blockCrcsOf(view, 0, header);
  const { bodyBytes, blockShift } = header;
  const framed = framedBytesOf(header.headBytes, bodyBytes, blockShift);
  const body = bodyOf(header);
  if (body === undefined) {
    const isGood = areBlocksIntact(bytes.subarray(framed, framed + bodyBytes), crcs, blockShift);
    return isGood ? undefined : { key, detail: 'the body does not match its checksum' };
  }
  const block = 2 ** blockShift;
  const span = Math.max(block, readBytes);
  for (let at = startByte, done = 0; at < bodyBytes; at += span, done += span) {
    if (done > 0 && done + span > limitBytes) return at;
    const wanted = Math.min(span, bodyBytes - at);
    const piece = files.read(body.path, body.start + at, wanted);
    if (piece.byteLength < wanted || !areBlocksIntact(piece, crcs, blockShift, at / block)) {
      return { key, detail: `the body is damaged between its bytes ${at} and ${at + wanted}` };
    }
  }
  if (header.place === bodyPlaces.file && files.sizeOf(body.path) !== bodyBytes) {
    return { key, detail: 'the body has another length' };
  }
  return undefined;
}

/** The file that the body is in, unless it is in the record. */
function bodyOf(header: RecordHeader): { readonly path: string; readonly start: number } | undefined {
  const name = { writer: header.bodyWriter, number: header.bodyNumber };
  switch (header.place) {
    case bodyPlaces.inline:
      return undefined;
    case bodyPlaces.log:
      return { path: segmentPathOf(name), start: header.bodyOffset };
    case bodyPlaces.file:
      return { path: join(bodiesFolder, ...bodyFileNameOf(name)), start: 0 };
  }
}

function segmentPathOf(name: { readonly writer: number; readonly number: number }): string {
  return join(segmentsFolder, segmentFileOf(name));
}

/** The file that was read last stays open: what is asked for is mostly in order. */
class ReadFiles {
  readonly #root: string;
  #path = '';
  #fd = -1;
  bytes = 0;

  constructor(root: string) {
    this.#root = root;
  }

  /** As many bytes as there are; none of a file that cannot be read. */
  read(path: string, position: number, length: number): Uint8Array {
    const bytes = new Uint8Array(length);
    let done = 0;
    try {
      const fd = this.#open(path);
      for (let count = -1; count !== 0 && done < length; done += count) {
        count = readSync(fd, bytes, done, length - done, position + done);
      }
    } catch {
      // Whatever it is, the caller finds that there is not enough.
    }
    this.bytes += done;
    return bytes.subarray(0, done);
  }

  sizeOf(path: string): number {
    return statSync(join(this.#root, path), { throwIfNoEntry: false })?.size ?? -1;
  }

  close(): void {
    if (this.#fd >= 0) closeSync(this.#fd);
    this.#fd = -1;
  }

  #open(path: string): number {
    if (this.#fd >= 0 && this.#path === path) return this.#fd;
    this.close();
    this.#fd = openSync(join(this.#root, path), constants.O_RDONLY);
    this.#path = path;
    return this.#fd;
  }
}

/** Body files in one folder that no response refers to, and that have been there for a while by the clock of the file system. */
export function findOrphans({ directory, folder, referred, remove }: OrphanTask): OrphanAnswer {
  const root = join(directory, formatFolder);
  const [folderName] = bodyFileNameOf({ writer: 0, number: folder });
  const path = join(root, bodiesFolder, folderName);
  const problems: WriterFailure[] = [];
  let files = 0;
  let bytes = 0;
  try {
    const known = new Set<string>();
    for (let i = 0; i < referred.length; i += 2) known.add(`${referred[i]}-${referred[i + 1]}`);
    let nowMs: number | undefined;
    for (const fileName of statSync(path, { throwIfNoEntry: false }) === undefined ? [] : readdirSync(path)) {
      const name = parseBodyFile(fileName);
      if (name === undefined || known.has(`${name.writer}-${name.number}`)) continue;
      nowMs ??= fileSystemNowMs(root);
      const here = statSync(join(path, fileName), { throwIfNoEntry: false });
      if (here === undefined || nowMs - here.mtimeMs < youngMs) continue;
      if (remove) rmSync(join(path, fileName), { force: true });
      files += 1;
      bytes += here.size;
    }
  } catch (error) {
    problems.push(failureOf(error));
  }
  return { files, bytes, problems };
}

function fileSystemNowMs(root: string): number {
  const probe = join(root, temporaryFolder, `probe-${process.pid}`);
  writeFileSync(probe, '', { mode: 0o600 });
  try {
    return statSync(probe).mtimeMs;
  } finally {
    rmSync(probe, { force: true });
  }
}
