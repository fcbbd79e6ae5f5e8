import type { Readable } from 'node:stream';
import { packHead } from '../disk/head-codec.js';
import { type Applied, DiskIndex, type SegmentName } from '../disk/index-table.js';
import { filterHashOf, hashOfKey } from '../disk/key-hash.js';
import {
  bodyPlaces,
  fileBlockShift,
  framedBytesOf,
  headerWith,
  logBlockShift,
  type RecordHeader,
  recordBytesOf,
  recordHeaderBytes,
  recordTypes,
  writeHeader,
} from '../disk/record.js';
import { CacheError } from '../errors.js';
import type { StoredHead } from '../http/message.js';
import type { OpenAnswer, WriterFailure } from '../protocol/messages.js';
import type { WriterPool } from '../protocol/pool.js';
import { type RecordResult, WriteQueue } from '../protocol/write-queue.js';
import type {
  CommitResult,
  CreateOptions,
  DeclineReason,
  EntryWriter,
  ResponseStore,
  Selector,
  StoredResponse,
  StoreListener,
  StoreRef,
  StoreStats,
  UpdateOptions,
} from './contract.js';
import { type ByteRange, createBlockStream, createBytesStream } from './disk-body.js';
import { DiskEntryWriter, type WriterHost, type WrittenBody } from './disk-entry-writer.js';
import { DiskFiles } from './disk-files.js';
import { openBodyOf, type ReadRecord, type RecordPlace, readRecord } from './disk-record-reader.js';
import { covers, hostOfPrefix, hostOfUrl, tagBitsOf } from './disk-selector.js';

export interface DiskStoreSettings {
  readonly directory: string;
  readonly maxBytes: number;
  readonly maxEntryBytes: number;
  readonly segmentBytes: number;
  readonly maxOpenSegments: number;
  readonly nowMs: () => number;
  readonly onEvent: StoreListener;
}

const slabBytes = 2 * 1024 * 1024;
const maxSlabs = 6;
const maxHeadBytes = 512 * 1024;
/** What all writers together may hold in memory before bodies go to files of their own. */
const maxHeldBytes = 24 * 1024 * 1024;
/** Steps of a sequence number in a millisecond: numbers go on from those of an earlier run. */
const sequencesPerMs = 2048;
const nothing: readonly StoredResponse[] = [];

/** Responses in a log of segments on the disk. Made by `openDiskStore`. */
export class DiskStore implements ResponseStore, WriterHost {
  readonly #settings: DiskStoreSettings;
  readonly #pool: WriterPool;
  readonly #index: DiskIndex;
  readonly #files: DiskFiles;
  readonly #segmentBytes = new Map<number, number>();
  readonly #writers = new Set<DiskEntryWriter>();
  readonly #counters = new Map<string, number>();
  readonly queue: WriteQueue;
  #lastSequence: number;
  #nextFile = 1;
  #heldBytes = 0;
  #bytes = 0;
  #closing: Promise<void> | undefined;

  constructor(settings: DiskStoreSettings, pool: WriterPool, opened: Extract<OpenAnswer, { outcome: 'opened' }>) {
    this.#settings = settings;
    this.#pool = pool;
    this.#index = new DiskIndex(opened.index);
    this.#files = new DiskFiles(settings.directory, settings.maxOpenSegments);
    this.#lastSequence = this.#index.lastSequence;
    for (const segment of opened.segments) {
      this.#segmentBytes.set(this.#index.ordinalOf(segment), segment.bytes);
      this.#bytes += segment.bytes;
    }
    for (const file of this.#index.bodyFiles()) this.#bytes += file.bytes;
    this.queue = new WriteQueue({
      pool,
      session: {
        directory: settings.directory,
        writer: opened.writer,
        nextSegment: 1,
        segmentBytes: settings.segmentBytes,
      },
      slabBytes,
      maxSlabs,
      apply: (header, segment, offset) => this.#apply(header, segment, offset),
      onWorkerLost: (cause) => {
        const message = 'the thread that writes the cache died; what it was storing is lost, it is started again';
        this.#settings.onEvent({ type: 'error', error: new CacheError('ERR_CACHE_WORKER', message, { cause }) });
      },
    });
  }

  get maxEntryBytes(): number {
    return this.#settings.maxEntryBytes;
  }

  async lookup(key: string): Promise<readonly StoredResponse[]> {
    if (this.#closing !== undefined) return nothing;
    const first = this.#index.find(hashOfKey(key));
    if (first < 0) return nothing;
    const second = this.#index.nextOf(first);
    if (second < 0) {
      const found = await this.#read(first, key);
      return found === undefined ? nothing : [found];
    }
    const slots = [first, second];
    for (let slot = this.#index.nextOf(second); slot >= 0; slot = this.#index.nextOf(slot)) slots.push(slot);
    const found = await Promise.all(slots.map((slot) => this.#read(slot, key)));
    return found.filter((response) => response !== undefined).sort((a, b) => b.ref.sequence - a.ref.sequence);
  }

  create(key: string, head: StoredHead, options: CreateOptions = {}): EntryWriter {
    const writer = new DiskEntryWriter(this, key, head, options);
    this.#writers.add(writer);
    return writer;
  }

  async updateHead(ref: StoreRef, head: StoredHead, options: UpdateOptions = {}): Promise<StoredResponse | undefined> {
    if (this.#closing !== undefined) return undefined;
    const hash = hashOfKey(ref.key);
    const slot = this.#index.slotOf(hash, ref.sequence);
    if (slot < 0) return undefined;
    const place = this.#placeOf(slot);
    const old = await this.#readAt(place, ref.key);
    if (old === undefined) return undefined;
    const isInLog = old.header.place !== bodyPlaces.file;
    const inline = old.header.place === bodyPlaces.inline;
    const { header } = old;
    const result = await this.#put(ref.key, head, old.tags, old.crcs, {
      type: recordTypes.freshened,
      hash,
      replaces: ref.sequence,
      priority: header.priority,
      expiresMs: options.expiresMs ?? 0,
      place: isInLog ? bodyPlaces.log : bodyPlaces.file,
      blockShift: header.blockShift,
      codec: header.codec,
      bodyBytes: header.bodyBytes,
      rawBytes: header.rawBytes,
      bodyWriter: inline ? place.segment.writer : header.bodyWriter,
      bodyNumber: inline ? place.segment.number : header.bodyNumber,
      bodyOffset: inline
        ? place.offset + framedBytesOf(header.headBytes, header.bodyBytes, header.blockShift)
        : header.bodyOffset,
    });
    if (result.outcome === 'failed' || result.applied.slot < 0) return undefined;
    return this.#responseAt(result.applied.slot, ref.key, head, header.rawBytes);
  }

  async remove(ref: StoreRef): Promise<boolean> {
    const hash = hashOfKey(ref.key);
    if (this.#closing !== undefined || this.#index.slotOf(hash, ref.sequence) < 0) return false;
    const result = await this.#note({ type: recordTypes.removed, hash, replaces: ref.sequence });
    return result.outcome === 'written' && result.applied.removed > 0;
  }

  async invalidate(selector: Selector): Promise<number> {
    if (this.#closing !== undefined) return 0;
    for (const writer of this.#writers) {
      if (covers(selector, { ...writer, tags: writer.options.tags ?? [] })) writer.supersede();
    }
    if ('key' in selector) {
      const result = await this.#note({ type: recordTypes.keyInvalidated, hash: hashOfKey(selector.key) });
      return result.outcome === 'written' ? result.applied.removed : 0;
    }
    await this.flush();
    const removals: Promise<boolean>[] = [];
    for await (const { ref } of this.entries(selector)) removals.push(this.remove(ref));
    return (await Promise.all(removals)).filter((removed) => removed).length;
  }

  async *entries(selector?: Selector): AsyncGenerator<StoredResponse> {
    if (selector !== undefined && 'key' in selector) {
      yield* await this.lookup(selector.key);
      return;
    }
    const host = selector !== undefined && 'prefix' in selector ? hostOfPrefix(selector.prefix) : undefined;
    const hostHash = host === undefined ? undefined : filterHashOf(host);
    const tagBits = selector !== undefined && 'tag' in selector ? tagBitsOf([selector.tag]) : 0;
    for (let slot = 0; slot < this.#index.slotEnd && this.#closing === undefined; slot += 1) {
      if (this.#index.sequenceOf(slot) === 0) continue;
      if (hostHash !== undefined && this.#index.hostHashOf(slot) !== hostHash) continue;
      if ((~this.#index.tagBitsOf(slot) & tagBits) !== 0) continue;
      const place = this.#placeOf(slot);
      const record = await this.#readAt(place, undefined);
      if (record === undefined || (selector !== undefined && !covers(selector, record))) continue;
      yield this.#respond(place, record);
    }
  }

  async stats(): Promise<StoreStats> {
    return {
      entries: this.#index.count,
      bytes: this.#bytes,
      maxBytes: this.#settings.maxBytes,
      counters: Object.fromEntries(this.#counters),
    };
  }

  flush(): Promise<void> {
    return this.queue.drained();
  }

  async clear(): Promise<void> {
    if (this.#closing !== undefined) return;
    for (const writer of this.#writers) writer.supersede();
    await this.#note({ type: recordTypes.cleared });
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  refusal(): DeclineReason | undefined {
    return this.#closing === undefined ? undefined : 'closed';
  }

  newFile(): number {
    this.#nextFile += 1;
    return this.#nextFile - 1;
  }

  openUnfinished(file: number): ReturnType<DiskFiles['openUnfinishedBody']> {
    return this.#files.openUnfinishedBody({ writer: this.queue.session.writer, number: file });
  }

  holdBytes(change: number): boolean {
    this.#heldBytes += change;
    return this.#heldBytes <= maxHeldBytes;
  }

  forget(writer: DiskEntryWriter): void {
    this.#writers.delete(writer);
  }

  reasonOf(failure: WriterFailure): DeclineReason {
    const isFull = failure.code === 'ENOSPC' || failure.code === 'EDQUOT' || failure.code === 'EFBIG';
    if (failure.code !== 'ERR_CACHE_WORKER') {
      const code = isFull ? 'ERR_CACHE_FULL' : 'ERR_CACHE_ACCESS';
      const error = new CacheError(code, `nothing could be written to ${this.#settings.directory}: ${failure.message}`);
      this.#settings.onEvent({ type: 'error', error });
    }
    return isFull ? 'no-space' : 'unavailable';
  }

  async commit(key: string, head: StoredHead, options: CreateOptions, body: WrittenBody): Promise<CommitResult> {
    const hash = hashOfKey(key);
    const own = options.replaces?.find((ref) => ref.key === key);
    for (const ref of options.replaces ?? []) {
      if (ref !== own) void this.#note({ type: recordTypes.removed, hash: hashOfKey(ref.key), replaces: ref.sequence });
    }
    const isFile = body.place === 'file';
    const tags = options.tags ?? [];
    const crcs = isFile ? body.crcs : undefined;
    const result = await this.#put(
      key,
      head,
      tags,
      crcs,
      {
        type: recordTypes.stored,
        hash,
        replaces: own?.sequence ?? 0,
        priority: Math.max(-128, Math.min(127, Math.trunc(options.priority ?? 0))),
        expiresMs: options.expiresMs ?? 0,
        place: isFile ? bodyPlaces.file : bodyPlaces.inline,
        blockShift: isFile ? fileBlockShift : logBlockShift,
        bodyBytes: body.bytes,
        rawBytes: body.bytes,
        bodyWriter: isFile ? this.queue.session.writer : 0,
        bodyNumber: isFile ? body.file : 0,
      },
      isFile ? [] : body.chunks,
    );
    if (result.outcome === 'failed') {
      if (isFile) this.queue.removeFiles([{ writer: this.queue.session.writer, number: body.file }]);
      return { outcome: 'declined', reason: this.reasonOf(result.failure) };
    }
    return { outcome: 'stored', response: this.#responseAt(result.applied.slot, key, head, body.bytes) };
  }

  async #close(): Promise<void> {
    for (const writer of this.#writers) writer.refuse('closed');
    await this.queue.drained();
    this.#files.close();
    await this.#pool.close({ kind: 'close', session: this.queue.session });
  }

  #apply(header: RecordHeader, segment: SegmentName, offset: number): Applied {
    const ordinal = this.#index.ordinalOf(segment);
    const before = this.#segmentBytes.get(ordinal) ?? 0;
    this.#segmentBytes.set(ordinal, offset + header.recordBytes);
    this.#bytes += offset + header.recordBytes - before;
    if (header.type === recordTypes.stored && header.place === bodyPlaces.file) this.#bytes += header.bodyBytes;
    const applied = this.#index.apply(header, ordinal, offset);
    const freed = this.#index.takeFreedFiles();
    for (const file of freed) this.#bytes -= file.bytes;
    this.queue.removeFiles(freed);
    return applied;
  }

  /** Appends a record without a head. */
  #note(fields: Partial<RecordHeader> & Pick<RecordHeader, 'type'>): Promise<RecordResult> {
    const header = headerWith({ ...fields, sequence: this.#nextSequence() });
    return new Promise((resolve) => {
      this.queue.append(recordHeaderBytes, (_, view, at) => writeHeader(view, at, header), resolve);
    });
  }

  /** Appends a record with a head and, unless its body is elsewhere, a body. */
  #put(
    key: string,
    head: StoredHead,
    tags: readonly string[],
    crcs: Uint32Array | undefined,
    fields: Partial<RecordHeader> & Pick<RecordHeader, 'type' | 'place' | 'blockShift' | 'bodyBytes'>,
    chunks: readonly Uint8Array[] = [],
  ): Promise<RecordResult> {
    let packed: Uint8Array;
    try {
      packed = packHead(key, head, tags);
    } catch (error) {
      return Promise.resolve(failed('', `a head cannot be stored: ${error instanceof Error ? error.message : error}`));
    }
    const headBytes = packed.byteLength;
    if (headBytes > maxHeadBytes) return Promise.resolve(failed('', `a head of ${headBytes} bytes is too large`));
    const header = headerWith({
      ...fields,
      sequence: this.#nextSequence(),
      headBytes,
      recordBytes: recordBytesOf(headBytes, fields.bodyBytes, fields.blockShift, fields.place),
      hostHash: filterHashOf(hostOfUrl(head.url)),
      tagBits: tagBitsOf(tags),
    });
    return new Promise((resolve) => {
      const fill = (bytes: Uint8Array, view: DataView, start: number): void => {
        writeHeader(view, start, header);
        bytes.set(packed, start + recordHeaderBytes);
        const table = start + recordHeaderBytes + headBytes;
        crcs?.forEach((crc, i) => {
          view.setUint32(table + 4 * i, crc, true);
        });
        let at = start + framedBytesOf(headBytes, header.bodyBytes, header.blockShift);
        for (const chunk of chunks) {
          bytes.set(chunk, at);
          at += chunk.byteLength;
        }
        bytes.fill(0, at, start + header.recordBytes);
      };
      this.queue.append(header.recordBytes, fill, resolve);
    });
  }

  #nextSequence(): number {
    this.#lastSequence = Math.max(this.#lastSequence + 1, Math.floor(this.#settings.nowMs() * sequencesPerMs));
    return this.#lastSequence;
  }

  #placeOf(slot: number): RecordPlace {
    const index = this.#index;
    const ordinal = index.segmentOf(slot);
    return {
      ordinal,
      segment: index.segmentAt(ordinal) ?? { writer: 0, number: 0 },
      offset: index.offsetOf(slot),
      recordBytes: index.recordBytesOf(slot),
      sequence: index.sequenceOf(slot),
    };
  }

  async #read(slot: number, key: string): Promise<StoredResponse | undefined> {
    this.#index.touch(slot);
    const place = this.#placeOf(slot);
    const record = await this.#readAt(place, key);
    return record === undefined ? undefined : this.#respond(place, record);
  }

  /** Reads a record that the index knows; `undefined` if it is of another key, damaged, or gone by the time it was read. */
  async #readAt(place: RecordPlace, key: string | undefined): Promise<ReadRecord | undefined> {
    let record: ReadRecord | string;
    try {
      record = await readRecord(this.#files, place);
    } catch (error) {
      record = error instanceof Error ? error.message : String(error);
    }
    if (this.#closing !== undefined) return undefined;
    if (typeof record === 'string') {
      this.#settings.onEvent({ type: 'corrupt', key: key ?? '', detail: record });
      return undefined;
    }
    if (key !== undefined && record.key !== key) return undefined;
    return this.#index.slotOf(record.header.hash, place.sequence) < 0 ? undefined : record;
  }

  #respond(place: RecordPlace, record: ReadRecord): StoredResponse {
    const { header, key, head, inlineBody, crcs } = record;
    const bodyBytes = header.bodyBytes;
    const onCorrupt = (detail: string): void => this.#settings.onEvent({ type: 'corrupt', key, detail });
    const open = async () => ({
      ...(await openBodyOf(this.#files, place, header)),
      crcs,
      blockShift: header.blockShift,
    });
    return {
      ref: { key, sequence: place.sequence },
      head,
      bodyBytes,
      tier: 'disk',
      inlineBody,
      openBody: (range?: ByteRange): Readable =>
        inlineBody === undefined
          ? createBlockStream({ bodyBytes, open, onCorrupt }, range)
          : createBytesStream(inlineBody, range),
    };
  }

  /** What was just stored: read again only if somebody wants its body. */
  #responseAt(slot: number, key: string, head: StoredHead, bodyBytes: number): StoredResponse {
    const place = this.#placeOf(slot);
    const onCorrupt = (detail: string): void => this.#settings.onEvent({ type: 'corrupt', key, detail });
    const open = async () => {
      const record = await readRecord(this.#files, place);
      if (typeof record === 'string') throw new CacheError('ERR_CACHE_CORRUPT', record);
      const { header, crcs } = record;
      return { ...(await openBodyOf(this.#files, place, header)), crcs, blockShift: header.blockShift };
    };
    return {
      ref: { key, sequence: place.sequence },
      head,
      bodyBytes,
      tier: 'disk',
      inlineBody: undefined,
      openBody: (range?: ByteRange): Readable => createBlockStream({ bodyBytes, open, onCorrupt }, range),
    };
  }
}

function failed(code: string, message: string): RecordResult {
  return { outcome: 'failed', failure: { code, message } };
}
