import type { HeadRow } from '../disk/head-codec.js';
import { draftOf, writeDraft } from '../disk/head-draft.js';
import { filterHashOf, type KeyHash, namespaceHashOf } from '../disk/key-hash.js';
import {
  framedBytesOf,
  headerWith,
  markDraft,
  type RecordHeader,
  recordBytesOf,
  recordCostOf,
  recordHeaderBytes,
  recordTypes,
  writeHeader,
} from '../disk/record.js';
import { nextSequenceOf } from '../disk/sequences.js';
import type { StoredHead } from '../http/message.js';
import type { RecordResult, WriteQueue } from '../protocol/write-queue.js';
import { hostOfUrl, tagBitsOf } from './disk-select.js';
import type { DiskSpace } from './disk-space.js';
import { namespaceOf } from './select.js';

/** A stored response to be appended. */
export interface NewRecord {
  readonly key: string;
  readonly head: StoredHead;
  readonly tags: readonly string[];
  readonly header: Partial<RecordHeader> & Pick<RecordHeader, 'type' | 'place' | 'blockShift' | 'bodyBytes'>;
  /** What else it takes the place of. */
  readonly removes: readonly { readonly hash: KeyHash; readonly replaces: number }[];
  /** Checksums of the body's blocks, if the body is not part of the record. */
  readonly crcs: Uint32Array | undefined;
  /** The body, if it is. */
  readonly chunks: readonly Uint8Array[];
}

const maxHeadBytes = 512 * 1024;

/** Puts records together, in the slabs that they are written from. Heads are packed by the worker: here they get room for the longest they can be. */
export class RecordWriter {
  readonly #queue: WriteQueue;
  readonly #space: DiskSpace;
  readonly #nowMs: () => number;
  readonly #makeRoom: () => void;
  /** What records that are on their way take the place of or remove. */
  readonly #leaving = new Set<number>();
  /** Everything older is gone, or will be. */
  #clearedSequence = 0;
  #lastSequence: number;

  constructor(
    queue: WriteQueue,
    space: DiskSpace,
    options: { readonly lastSequence: number; readonly nowMs: () => number; readonly makeRoom: () => void },
  ) {
    this.#queue = queue;
    this.#space = space;
    this.#lastSequence = options.lastSequence;
    this.#nowMs = options.nowMs;
    this.#makeRoom = options.makeRoom;
  }

  /** Whether something that was queued already removes this or takes its place. */
  isLeaving(sequence: number): boolean {
    return sequence < this.#clearedSequence || this.#leaving.has(sequence);
  }

  /** Another process's record was seen: whatever comes now is newer. */
  observe(sequence: number): void {
    this.#lastSequence = Math.max(this.#lastSequence, sequence);
  }

  /** Appends a record without a head. `leaving`: what it removes besides what its header says. */
  note(
    fields: Partial<RecordHeader> & Pick<RecordHeader, 'type'>,
    leaving: readonly number[] = [],
  ): Promise<RecordResult> {
    return this.#append([headerWith({ ...fields, sequence: this.nextSequence() })], leaving, undefined, () => {});
  }

  /** Appends a record that removes everything before it. */
  async noteCleared(): Promise<RecordResult> {
    const before = this.#clearedSequence;
    const sequence = this.nextSequence();
    this.#clearedSequence = sequence;
    const result = await this.#append([headerWith({ type: recordTypes.cleared, sequence })], [], undefined, () => {});
    if (result.outcome === 'failed' && this.#clearedSequence === sequence) this.#clearedSequence = before;
    return result;
  }

  /** Appends a record that flushes a namespace. `begin` is called with its sequence before anything else can be appended. */
  noteFlushed(namespaceHash: number, begin: (sequence: number) => void): Promise<RecordResult> {
    const sequence = this.nextSequence();
    begin(sequence);
    const header = headerWith({ type: recordTypes.namespaceFlushed, sequence, namespaceHash });
    return this.#append([header], [], undefined, () => {});
  }

  /** Appends a stored response. */
  put(record: NewRecord): Promise<RecordResult> {
    const draft = draftOf(record.key, record.head, record.tags, maxHeadBytes);
    if (draft === 'not-plain') return Promise.resolve(failed('metadata must be made of what msgpack can carry'));
    if (draft === 'too-large') {
      return Promise.resolve(failed(`a head of more than ${maxHeadBytes} bytes is too large`, 'too-large'));
    }
    const headBytes = draft.reservedBytes;
    const { place, blockShift, bodyBytes } = record.header;
    const recordBytes = recordBytesOf(headBytes, bodyBytes, blockShift, place);
    if (recordBytes + record.removes.length * recordHeaderBytes > this.#queue.maxAppendBytes) {
      return Promise.resolve(failed(`a body of ${bodyBytes} bytes is too large`, 'too-large'));
    }
    const sequence = this.nextSequence();
    const header = headerWith({
      ...record.header,
      sequence,
      headBytes,
      recordBytes,
      hostHash: filterHashOf(hostOfUrl(record.head.url)),
      tagBits: tagBitsOf(record.tags),
      namespaceHash: namespaceHashOf(namespaceOf(record.key)),
    });
    const removals = record.removes.map((ref) => headerWith({ type: recordTypes.removed, sequence, ...ref }));
    const row = draft.kind === 'row' ? draft.row : undefined;
    return this.#append([...removals, header], [], row, (bytes, view, start, mark) => {
      markDraft(view, start, mark);
      writeDraft(bytes, view, start + recordHeaderBytes, draft);
      const table = start + recordHeaderBytes + headBytes;
      record.crcs?.forEach((crc, i) => {
        view.setUint32(table + 4 * i, crc, true);
      });
      let at = start + framedBytesOf(headBytes, bodyBytes, blockShift);
      for (const chunk of record.chunks) {
        bytes.set(chunk, at);
        at += chunk.byteLength;
      }
      bytes.fill(0, at, start + header.recordBytes);
    });
  }

  /** `fill` writes what comes after the last header. */
  #append(
    headers: readonly RecordHeader[],
    alsoLeaving: readonly number[],
    row: HeadRow | undefined,
    fill: (bytes: Uint8Array, view: DataView, start: number, mark: number) => void,
  ): Promise<RecordResult> {
    let recordBytes = 0;
    let costBytes = 0;
    for (const header of headers) {
      recordBytes += header.recordBytes;
      costBytes += recordCostOf(header.recordBytes);
    }
    const leaving = [...alsoLeaving];
    for (const { replaces } of headers) if (replaces > 0) leaving.push(replaces);
    for (const sequence of leaving) this.#leaving.add(sequence);
    this.#space.reserveRecords(costBytes);
    this.#makeRoom();
    let heldBytes = costBytes;
    return new Promise((resolve) => {
      this.#queue.append(
        { bytes: recordBytes, records: headers.length, row },
        (bytes, view, start, mark) => {
          let at = start;
          for (const header of headers) {
            writeHeader(view, at, header);
            if (header === headers.at(-1)) fill(bytes, view, at, mark);
            at += header.recordBytes;
          }
        },
        (result) => {
          // A record that was given up because the disk did not answer may be written after all.
          const cost = result.outcome === 'failed' ? 0 : result.costBytes;
          this.#space.reserveRecords(cost - heldBytes);
          heldBytes = cost;
          for (const sequence of leaving) this.#leaving.delete(sequence);
          resolve(result);
        },
      );
    });
  }

  /** Higher than any before. */
  nextSequence(): number {
    this.#lastSequence = nextSequenceOf(this.#queue.session.lane, this.#lastSequence, this.#nowMs());
    return this.#lastSequence;
  }
}

function failed(message: string, code = ''): RecordResult {
  return { outcome: 'failed', failure: { code, message } };
}
