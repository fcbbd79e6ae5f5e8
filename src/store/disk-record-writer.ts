import { draftOf } from '../disk/head-draft.js';
import { type KeyHash, namespaceHashOf } from '../disk/key-hash.js';
import {
  type BodyHeader,
  headerWith,
  type RecordHeader,
  recordBytesOf,
  recordHeaderBytes,
  recordTypes,
} from '../disk/record.js';
import { nextSequenceOf } from '../disk/sequences.js';
import type { StoredHead } from '../http/message.js';
import type { RecordResult, WriteQueue } from '../protocol/write-queue.js';
import { type Content, PendingRecords } from './disk-pending.js';
import { hostHashOf, tagBitsOf } from './disk-select.js';
import type { DiskSpace } from './disk-space.js';
import { namespaceOf } from './select.js';

/** A stored response to be appended. */
export interface NewRecord {
  readonly key: string;
  readonly head: StoredHead;
  readonly tags: readonly string[];
  readonly header: BodyHeader;
  /** What else it takes the place of. */
  readonly removes: readonly { readonly hash: KeyHash; readonly replaces: number }[];
  /** Checksums of the body's blocks, if the body is not part of the record. */
  readonly crcs: Uint32Array | undefined;
  /** The body, if it is. */
  readonly chunks: readonly Uint8Array[];
  /** They may change once `put` has returned. */
  readonly areLent: boolean;
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
    return this.#append([headerWith({ ...fields, sequence: this.nextSequence() })], leaving, undefined);
  }

  /** Appends a record that removes everything before it. */
  async noteCleared(): Promise<RecordResult> {
    const before = this.#clearedSequence;
    const sequence = this.nextSequence();
    this.#clearedSequence = sequence;
    const result = await this.#append([headerWith({ type: recordTypes.cleared, sequence })], nothing, undefined);
    if (result.outcome === 'failed' && this.#clearedSequence === sequence) this.#clearedSequence = before;
    return result;
  }

  /** Appends a record that flushes a namespace. `begin` is called with its sequence before anything else can be appended. */
  noteFlushed(namespaceHash: number, begin: (sequence: number) => void): Promise<RecordResult> {
    const sequence = this.nextSequence();
    begin(sequence);
    const header = headerWith({ type: recordTypes.namespaceFlushed, sequence, namespaceHash });
    return this.#append([header], nothing, undefined);
  }

  /** Appends a stored response. */
  put(record: NewRecord): Promise<RecordResult> {
    const draft = draftOf(record.key, record.head, record.tags, maxHeadBytes);
    if (draft === 'not-plain') return Promise.resolve(failed('metadata must be made of what msgpack can carry'));
    if (draft === 'too-large') {
      return Promise.resolve(failed(`a head of more than ${maxHeadBytes} bytes is too large`, 'too-large'));
    }
    const headBytes = draft.reservedBytes;
    const { header: body } = record;
    const { place, blockShift, bodyBytes } = body;
    const recordBytes = recordBytesOf(headBytes, bodyBytes, blockShift, place);
    if (recordBytes + record.removes.length * recordHeaderBytes > this.#queue.maxAppendBytes) {
      return Promise.resolve(failed(`a body of ${bodyBytes} bytes is too large`, 'too-large'));
    }
    const sequence = this.nextSequence();
    // Written out: to spread two objects into one costs 15 µs here.
    const header: RecordHeader = {
      type: body.type,
      codec: body.codec,
      place,
      blockShift,
      priority: body.priority,
      recordBytes,
      headBytes,
      hostHash: hostHashOf(record.head.url),
      sequence,
      hash: body.hash,
      replaces: body.replaces,
      expiresMs: body.expiresMs,
      bodyBytes,
      rawBytes: body.rawBytes,
      bodyWriter: body.bodyWriter,
      bodyNumber: body.bodyNumber,
      bodyOffset: body.bodyOffset,
      tagBits: tagBitsOf(record.tags),
      namespaceHash: namespaceHashOf(namespaceOf(record.key)),
    };
    const headers = [header];
    for (const ref of record.removes) headers.unshift(headerWith({ type: recordTypes.removed, sequence, ...ref }));
    return this.#append(headers, nothing, {
      draft,
      crcs: record.crcs,
      chunks: record.chunks,
      areLent: record.areLent,
    });
  }

  #append(
    headers: readonly RecordHeader[],
    alsoLeaving: readonly number[],
    content: Content | undefined,
  ): Promise<RecordResult> {
    return new Promise((resolve) => {
      const pending = new PendingRecords(headers, alsoLeaving, content, this.#space, this.#leaving, resolve);
      this.#makeRoom();
      this.#queue.append(pending);
    });
  }

  /** Higher than any before. */
  nextSequence(): number {
    this.#lastSequence = nextSequenceOf(this.#queue.session.lane, this.#lastSequence, this.#nowMs());
    return this.#lastSequence;
  }
}

const nothing: readonly number[] = [];

function failed(message: string, code = ''): RecordResult {
  return { outcome: 'failed', failure: { code, message } };
}
