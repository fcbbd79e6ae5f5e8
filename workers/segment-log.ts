import { closeSync, constants, fdatasyncSync, fsyncSync, ftruncateSync, openSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import type { LogEnd } from '../src/disk/board.js';
import { HintBuilder } from '../src/disk/hint.js';
import { formatFolder, hintFileOf, segmentFileOf, segmentsFolder } from '../src/disk/layout.js';
import { headerWith, readHeader, recordHeaderBytes, recordTypes, sealRecord, writeHeader } from '../src/disk/record.js';
import { sequencesPerMs } from '../src/disk/sequences.js';
import { failureOf } from '../src/protocol/failure.js';
import type {
  LogAnswer,
  LogSlab,
  MoveAnswer,
  MoveTask,
  WriterSession,
  WrittenAnswer,
} from '../src/protocol/messages.js';
import { endLog } from './adopt.js';
import { syncFolder, writeFileDurably, writeFileWhole } from './files.js';
import { gatherMoved } from './gather-moved.js';
import { packHeads } from './pack-heads.js';

interface OpenSegment {
  readonly number: number;
  readonly fd: number;
  readonly hint: HintBuilder;
  usedBytes: number;
  /** How much of it was acknowledged. */
  syncedBytes: number;
}

/** Appends slabs of records to segments, one `fdatasync` for as many slabs as are given together. */
export class SegmentLog {
  readonly #folder: string;
  readonly #writer: number;
  readonly #segmentBytes: number;
  /** Tells others how far this log is. */
  readonly #publish: (end: LogEnd) => void;
  readonly #compression: WriterSession['compression'];
  #next: number;
  #open: OpenSegment | undefined;

  constructor(session: WriterSession, publish: (end: LogEnd) => void) {
    this.#publish = publish;
    this.#folder = join(session.directory, formatFolder, segmentsFolder);
    this.#writer = session.writer;
    this.#segmentBytes = session.segmentBytes;
    this.#compression = session.compression;
    this.#next = session.last.number + 1;
    // What a worker that was lost had begun and was not acknowledged is forgotten.
    const { number, usedBytes } = session.last;
    if (number > 0) endLog(this.#folder, { writer: this.#writer, segment: number, usedBytes });
  }

  /** Everything that is answered as written or moved is durable. */
  append(
    slabs: readonly LogSlab[],
    moves?: MoveTask,
  ): { readonly logs: LogAnswer[]; readonly moved: MoveAnswer | undefined } {
    let failed: Extract<LogAnswer, { outcome: 'failed' }> | undefined;
    const answers = slabs.map((slab) => {
      // What comes after a failure must not get into the log before it, if it is tried again.
      const answer =
        failed === undefined ? this.#write(slab) : { ...failed, usedBytes: packHeads(slab, this.#compression) };
      if (answer.outcome === 'failed') failed = answer;
      return answer;
    });
    let moved: MoveAnswer | undefined;
    if (moves !== undefined)
      moved = failed === undefined ? this.#move(moves) : { outcome: 'failed', failure: failed.failure };
    if (moved?.outcome !== 'moved' && answers.every(({ outcome }) => outcome === 'failed'))
      return { logs: answers, moved };
    const segment = this.#open;
    try {
      if (segment !== undefined) {
        fdatasyncSync(segment.fd);
        segment.syncedBytes = segment.usedBytes;
        this.#publish({ writer: this.#writer, segment: segment.number, usedBytes: segment.usedBytes });
      }
      return { logs: answers, moved };
    } catch (error) {
      // After a failed sync nobody knows what is on the disk: what is in this segment stays, nothing more is added to it.
      this.#forget();
      const failure = failureOf(error);
      const logs = answers.map(
        ({ usedBytes, ...answer }): LogAnswer =>
          answer.outcome === 'written' ? { outcome: 'failed', failure, usedBytes } : { ...answer, usedBytes },
      );
      return { logs, moved: moved && { outcome: 'failed', failure } };
    }
  }

  /** Appends records that are complete. Throws if they cannot be made durable. */
  appendWhole(bytes: Uint8Array): WrittenAnswer | undefined {
    if (bytes.byteLength === 0) return undefined;
    const answer = this.#append(bytes, Date.now() * sequencesPerMs);
    if (answer.outcome === 'failed')
      throw Object.assign(new Error(answer.failure.message), { code: answer.failure.code });
    if (this.#open !== undefined) fdatasyncSync(this.#open.fd);
    return answer;
  }

  /** Seals the segment that is open, if any: it gets its hint and is never written again. */
  seal(): void {
    const segment = this.#open;
    if (segment === undefined) return;
    this.#open = undefined;
    try {
      if (segment.syncedBytes < segment.usedBytes) fdatasyncSync(segment.fd);
      // It says nothing that the segment does not say: what is lost of it with the power costs the next opening some time.
      writeFileWhole(this.#hintPathOf(segment), segment.hint.toBytes(segment.usedBytes));
    } finally {
      closeSync(segment.fd);
    }
  }

  #hintPathOf({ number }: OpenSegment): string {
    return join(this.#folder, hintFileOf({ writer: this.#writer, number }));
  }

  #write(slab: LogSlab): LogAnswer {
    if (slab.usedBytes === 0) return { outcome: 'written', segment: this.#open?.number ?? 0, offset: 0, usedBytes: 0 };
    const usedBytes = packHeads(slab, this.#compression);
    const bytes = new Uint8Array(slab.buffer, 0, usedBytes);
    sealRecords(bytes);
    return this.#append(bytes);
  }

  #move(task: MoveTask): MoveAnswer {
    const { bytes, lengths } = gatherMoved(this.#folder, task);
    const answer = bytes.byteLength === 0 ? nowhere : this.#append(bytes, task.sequence);
    if (answer.outcome === 'failed') return { outcome: 'failed', failure: answer.failure };
    const places: number[] = [];
    let at = answer.offset;
    for (const length of lengths) {
      if (typeof length === 'string') places.push(length === 'damaged' ? 0 : 1, 0);
      else {
        places.push(at, length);
        at += length;
      }
    }
    return { outcome: 'moved', segment: answer.segment, places };
  }

  /** `beginSequence`: where a segment that is begun stands among others, if its records do not say so. */
  #append(bytes: Uint8Array, beginSequence = 0): LogAnswer {
    const usedBytes = bytes.byteLength;
    try {
      const segment = this.#segmentFor(usedBytes, beginSequence);
      const offset = segment.usedBytes;
      try {
        writeWhole(segment.fd, bytes, offset);
      } catch (error) {
        this.#takeBack(segment);
        if (failureOf(error).code !== 'EFBIG' || segment.usedBytes === recordHeaderBytes) throw error;
        // A limit on the length of a file: there is room in the next one.
        this.seal();
        return this.#append(bytes, beginSequence);
      }
      addRows(segment.hint, bytes, offset);
      segment.usedBytes += usedBytes;
      return { outcome: 'written', segment: segment.number, offset, usedBytes };
    } catch (error) {
      return { outcome: 'failed', failure: failureOf(error), usedBytes };
    }
  }

  #segmentFor(bytes: number, beginSequence: number): OpenSegment {
    const open = this.#open;
    if (open !== undefined && open.usedBytes + bytes <= this.#segmentBytes) return open;
    this.seal();
    const number = this.#next;
    this.#next += 1;
    const path = join(this.#folder, segmentFileOf({ writer: this.#writer, number }));
    const fd = openSync(path, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL, 0o600);
    const segment: OpenSegment = { number, fd, hint: new HintBuilder(), usedBytes: recordHeaderBytes, syncedBytes: 0 };
    try {
      const begin = new Uint8Array(recordHeaderBytes);
      const view = new DataView(begin.buffer);
      const header = headerWith({
        type: recordTypes.begin,
        sequence: beginSequence,
        bodyWriter: this.#writer,
        bodyNumber: number,
      });
      writeHeader(view, 0, header);
      sealRecord(begin, view, 0, header);
      writeWhole(fd, begin, 0);
      segment.hint.add(begin, 0, 0);
      syncFolder(this.#folder);
    } catch (error) {
      closeSync(fd);
      rmSync(path, { force: true });
      throw error;
    }
    this.#open = segment;
    return segment;
  }

  // What a failed write left behind the last good record must not be there when the next one is appended.
  #takeBack(segment: OpenSegment): void {
    try {
      ftruncateSync(segment.fd, segment.usedBytes);
    } catch {
      this.#forget();
    }
  }

  #forget(): void {
    const segment = this.#open;
    this.#open = undefined;
    if (segment === undefined) return;
    try {
      fsyncSync(segment.fd);
    } catch {
      // It is given up because it failed already.
    }
    try {
      // What was not acknowledged does not count, here and for others.
      writeFileDurably(this.#hintPathOf(segment), segment.hint.toBytes(segment.syncedBytes));
    } catch {
      // Opening reads it up to its last good record.
    } finally {
      closeSync(segment.fd);
    }
  }
}

const nowhere: LogAnswer = { outcome: 'written', segment: 0, offset: 0, usedBytes: 0 };

function sealRecords(bytes: Uint8Array): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let at = 0; at < bytes.byteLength; ) {
    const header = readHeader(view, at);
    if (header === undefined) throw new Error('a slab does not hold records back to back');
    sealRecord(bytes, view, at, header);
    at += header.recordBytes;
  }
}

function addRows(hint: HintBuilder, bytes: Uint8Array, offset: number): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let at = 0; at < bytes.byteLength; ) {
    hint.add(bytes, at, offset + at);
    at += view.getUint32(at + 8, true);
  }
}

function writeWhole(fd: number, bytes: Uint8Array, position: number): void {
  for (let done = 0; done < bytes.byteLength; ) {
    done += writeSync(fd, bytes, done, bytes.byteLength - done, position + done);
  }
}
