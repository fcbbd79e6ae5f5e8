import type { HeadRow } from '../disk/head-codec.js';
import { type HeadDraft, writeDraft } from '../disk/head-draft.js';
import { framedBytesOf, markDraft, type RecordHeader, recordHeaderBytes, writeHeader } from '../disk/record.js';
import { recordCostOf } from '../disk/slot-row.js';
import type { WriterFailure } from '../protocol/messages.js';
import type { Append, RecordResult } from '../protocol/write-queue.js';
import type { DiskSpace } from './disk-space.js';

/** What comes after the last of the headers. */
export interface Content {
  readonly draft: HeadDraft;
  /** Checksums of the body's blocks, if the body is not part of the record. */
  readonly crcs: Uint32Array | undefined;
  /** The body, if it is. */
  readonly chunks: readonly Uint8Array[];
  /** They are to be filled in, or copied, before anybody else has a turn. */
  readonly areLent: boolean;
}

/** Records on their way to the disk: what they cost, and what they take the place of. */
export class PendingRecords implements Append {
  readonly records: number;
  readonly bytes: number;
  readonly row: HeadRow | undefined;
  readonly #headers: readonly RecordHeader[];
  readonly #leaves: readonly number[];
  readonly #space: DiskSpace;
  readonly #leaving: Set<number>;
  readonly #resolve: (result: RecordResult) => void;
  #resolveLater: ((result: RecordResult) => void) | undefined;
  #isSettled = false;
  #content: Content | undefined;
  #heldBytes = 0;

  constructor(
    headers: readonly RecordHeader[],
    alsoLeaving: readonly number[],
    content: Content | undefined,
    space: DiskSpace,
    leaving: Set<number>,
    resolve: (result: RecordResult) => void,
  ) {
    let bytes = 0;
    let leaves = alsoLeaving;
    for (const header of headers) {
      const { recordBytes, replaces } = header;
      bytes += recordBytes;
      this.#heldBytes += recordCostOf(header);
      if (replaces > 0) leaves = [...leaves, replaces];
    }
    this.records = headers.length;
    this.bytes = bytes;
    this.row = content?.draft.kind === 'row' ? content.draft.row : undefined;
    this.#headers = headers;
    this.#leaves = leaves;
    this.#content = content;
    this.#space = space;
    this.#leaving = leaving;
    this.#resolve = resolve;
    for (const sequence of leaves) leaving.add(sequence);
    space.reserveRecords(this.#heldBytes);
  }

  fill(bytes: Uint8Array, view: DataView, start: number, mark: number): void {
    let at = start;
    let last = start;
    for (const header of this.#headers) {
      writeHeader(view, at, header);
      last = at;
      at += header.recordBytes;
    }
    const content = this.#content;
    const header = this.#headers.at(-1);
    // Copied now: what is waited for is the disk, and the chunks need not wait along.
    this.#content = undefined;
    if (content === undefined || header === undefined) return;
    markDraft(view, last, mark);
    writeDraft(bytes, view, last + recordHeaderBytes, content.draft);
    const table = last + recordHeaderBytes + header.headBytes;
    content.crcs?.forEach((crc, i) => {
      view.setUint32(table + 4 * i, crc, true);
    });
    let bodyAt = last + framedBytesOf(header.headBytes, header.bodyBytes, header.blockShift);
    for (const chunk of content.chunks) {
      bytes.set(chunk, bodyAt);
      bodyAt += chunk.byteLength;
    }
    bytes.fill(0, bodyAt, at);
  }

  own(): void {
    const content = this.#content;
    if (content?.areLent !== true) return;
    const chunks = content.chunks.map((chunk) => Buffer.from(chunk));
    this.#content = { ...content, chunks, areLent: false };
  }

  giveUp(failure: WriterFailure): void {
    // Space and what it takes the place of are not free before it is known what became of it.
    const later = new Promise<RecordResult>((resolve) => {
      this.#resolveLater = resolve;
    });
    this.#resolve({ outcome: 'failed', failure, later });
  }

  settle(result: RecordResult): void {
    if (this.#isSettled) return;
    this.#isSettled = true;
    const cost = result.outcome === 'failed' ? 0 : result.costBytes;
    this.#space.reserveRecords(cost - this.#heldBytes);
    this.#heldBytes = cost;
    for (const sequence of this.#leaves) this.#leaving.delete(sequence);
    (this.#resolveLater ?? this.#resolve)(result);
  }
}
