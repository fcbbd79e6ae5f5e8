import type { Readable } from 'node:stream';
import { type Applied, DiskIndex, type LogPlace, type SegmentName } from '../disk/index-table.js';
import { filterHashOf, hashOfKey } from '../disk/key-hash.js';
import {
  bodyPlaces,
  fileBlockShift,
  framedBytesOf,
  logBlockShift,
  type RecordHeader,
  recordTypes,
} from '../disk/record.js';
import { CacheError } from '../errors.js';
import type { StoredHead } from '../http/message.js';
import type { OpenAnswer, WriterFailure } from '../protocol/messages.js';
import type { WriterPool } from '../protocol/pool.js';
import { WriteQueue } from '../protocol/write-queue.js';
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
import { RecordWriter } from './disk-record-writer.js';
import { hostOfPrefix, hostOfSelector, tagBitsOf } from './disk-select.js';
import { DiskSpace, fileCostOf } from './disk-space.js';
import { matcherOf } from './memory-select.js';

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
/** What all writers together may hold in memory before bodies go to files of their own. */
const maxHeldBytes = 24 * 1024 * 1024;
const nothing: readonly StoredResponse[] = [];

/** Responses in a log of segments on the disk. Made by `openDiskStore`. */
export class DiskStore implements ResponseStore, WriterHost {
  readonly #settings: DiskStoreSettings;
  readonly #pool: WriterPool;
  readonly #index: DiskIndex;
  readonly #files: DiskFiles;
  readonly #space: DiskSpace;
  readonly #records: RecordWriter;
  readonly #writers = new Set<DiskEntryWriter>();
  readonly #counters = new Map<string, number>();
  readonly queue: WriteQueue;
  #nextFile = 1;
  #heldBytes = 0;
  #closing: Promise<void> | undefined;

  constructor(settings: DiskStoreSettings, pool: WriterPool, opened: Extract<OpenAnswer, { outcome: 'opened' }>) {
    this.#settings = settings;
    this.#pool = pool;
    this.#index = new DiskIndex(opened.index);
    this.#files = new DiskFiles(settings.directory, settings.maxOpenSegments);
    this.#space = new DiskSpace(settings.maxBytes, this.#index, opened.segments);
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
      onProblem: ({ code, message }) => {
        this.#settings.onEvent({ type: 'error', error: new CacheError('ERR_CACHE_ACCESS', `${code} ${message}`) });
      },
      onWorkerLost: (cause) => {
        const message = 'the thread that writes the cache died; what it was storing is lost, it is started again';
        this.#settings.onEvent({ type: 'error', error: new CacheError('ERR_CACHE_WORKER', message, { cause }) });
      },
    });
    this.#records = new RecordWriter(this.queue, this.#space, {
      lastSequence: this.#index.lastSequence,
      nowMs: settings.nowMs,
      makeRoom: () => this.#makeRoom(),
    });
    this.#makeRoom();
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
    const slot = this.#slotOf(ref);
    if (slot < 0) return undefined;
    const place = this.#placeOf(slot);
    const old = await this.#readAt(place, ref.key);
    if (old === undefined || this.#slotOf(ref) < 0) return undefined;
    const isInLog = old.header.place !== bodyPlaces.file;
    const inline = old.header.place === bodyPlaces.inline;
    const { header } = old;
    const result = await this.#records.put({
      key: ref.key,
      head,
      tags: old.tags,
      crcs: old.crcs,
      removes: [],
      chunks: [],
      header: {
        type: recordTypes.freshened,
        hash,
        replaces: ref.sequence,
        priority: header.priority,
        expiresMs: options.expiresMs ?? header.expiresMs,
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
      },
    });
    if (result.outcome === 'failed' || result.applied.place === undefined) return undefined;
    return this.#responseAt(result.applied.place, ref.key, head, header.rawBytes);
  }

  async remove(ref: StoreRef): Promise<boolean> {
    if (this.#closing !== undefined || this.#slotOf(ref) < 0) return false;
    const removal = { type: recordTypes.removed, hash: hashOfKey(ref.key), replaces: ref.sequence };
    const result = await this.#records.note(removal);
    return result.outcome === 'written' && result.applied.removed > 0;
  }

  async invalidate(selector: Selector): Promise<number> {
    if (this.#closing !== undefined) return 0;
    const matches = matcherOf(selector);
    for (const writer of this.#writers) {
      const { key, head, options } = writer;
      if (matches({ key, url: head.url, tags: options.tags ?? [] })) writer.supersede('superseded');
    }
    if ('key' in selector) {
      const hash = hashOfKey(selector.key);
      const leaving: number[] = [];
      for (let slot = this.#index.find(hash); slot >= 0; slot = this.#index.nextOf(slot)) {
        leaving.push(this.#index.sequenceOf(slot));
      }
      const result = await this.#records.note({ type: recordTypes.keyInvalidated, hash }, leaving);
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
    const matches = selector === undefined ? () => true : matcherOf(selector);
    const mayMatch = this.#filterOf(selector);
    for (let slot = 0; slot < this.#index.slotEnd && this.#closing === undefined; slot += 1) {
      if (this.#index.sequenceOf(slot) === 0 || !mayMatch(slot)) continue;
      const place = this.#placeOf(slot);
      const record = await this.#readAt(place, undefined);
      if (record === undefined || !matches({ key: record.key, url: record.head.url, tags: record.tags })) continue;
      yield this.#respond(place, record);
    }
  }

  async stats(): Promise<StoreStats> {
    return {
      entries: this.#index.count,
      bytes: this.#space.usedBytes,
      maxBytes: this.#settings.maxBytes,
      counters: Object.fromEntries(this.#counters),
    };
  }

  flush(): Promise<void> {
    return this.queue.drained();
  }

  async clear(): Promise<void> {
    if (this.#closing !== undefined) return;
    for (const writer of this.#writers) writer.supersede('superseded');
    await this.#records.noteCleared();
    this.#makeRoom();
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

  reserveFile(bytes: number): void {
    this.#space.reserve(bytes);
    this.#makeRoom();
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
    const isFile = body.place === 'file';
    const hash = hashOfKey(key);
    const replaced = options.replaces?.filter((ref) => !this.#space.wasEvicted(ref.sequence)) ?? [];
    if (replaced.some((ref) => this.#slotOf(ref) < 0)) {
      if (isFile) this.#giveBack(body.file, body.bytes);
      return { outcome: 'declined', reason: 'superseded' };
    }
    const own = replaced.find((ref) => ref.key === key);
    const others = replaced.filter((ref) => ref !== own);
    const result = await this.#records.put({
      key,
      head,
      tags: options.tags ?? [],
      crcs: isFile ? body.crcs : undefined,
      removes: others.map((ref) => ({ hash: hashOfKey(ref.key), replaces: ref.sequence })),
      chunks: isFile ? [] : body.chunks,
      header: {
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
    });
    if (result.outcome === 'failed') {
      if (isFile) this.#giveBack(body.file, body.bytes);
      return { outcome: 'declined', reason: this.reasonOf(result.failure) };
    }
    const { place } = result.applied;
    if (place === undefined) return { outcome: 'declined', reason: 'superseded' };
    return { outcome: 'stored', response: this.#responseAt(place, key, head, body.bytes) };
  }

  async #close(): Promise<void> {
    for (const writer of this.#writers) writer.supersede('closed');
    await this.queue.drained();
    this.#files.close();
    await this.#pool.close({ kind: 'close', session: this.queue.session });
  }

  #apply(header: RecordHeader, segment: SegmentName, offset: number): Applied {
    const ordinal = this.#index.ordinalOf(segment);
    this.#space.settle(segment, ordinal, header.recordBytes);
    // What is freshened may have been evicted along with its file while the new head was on its way.
    const isHeadOnly = header.type === recordTypes.freshened && header.place === bodyPlaces.file;
    if (isHeadOnly && this.#index.slotOf(header.hash, header.replaces) < 0) return { place: undefined, removed: 0 };
    const applied = this.#index.apply(header, ordinal, offset);
    this.#freeFiles();
    return applied;
  }

  #makeRoom(): void {
    const eviction = this.#space.evict();
    if (eviction !== undefined) {
      const { segments, entries, bytes } = eviction;
      for (const { ordinal } of segments) this.#files.forgetSegment(ordinal);
      this.queue.dropSegments(segments);
      this.#freeFiles();
      if (entries > 0) this.#settings.onEvent({ type: 'evict', entries, bytes });
    }
    if (this.#space.isOver) this.queue.seal();
  }

  #freeFiles(): void {
    const freed = this.#index.takeFreedFiles();
    for (const file of freed) this.#space.release(fileCostOf(file.bytes));
    this.queue.removeFiles(freed);
  }

  /** Tells without reading heads which slots cannot be covered by a selector. */
  #filterOf(selector: Selector | undefined): (slot: number) => boolean {
    if (selector === undefined || 'key' in selector) return () => true;
    if ('tag' in selector) {
      const bits = tagBitsOf([selector.tag]);
      return (slot) => (this.#index.tagBitsOf(slot) & bits) !== 0;
    }
    const host = 'host' in selector ? hostOfSelector(selector.host) : hostOfPrefix(selector.prefix);
    if (host === undefined) return () => true;
    const hash = filterHashOf(host);
    return (slot) => this.#index.hostHashOf(slot) === hash;
  }

  #giveBack(file: number, bytes: number): void {
    this.#space.release(fileCostOf(bytes));
    this.queue.removeFiles([{ writer: this.queue.session.writer, number: file }]);
  }

  /** The slot of what a ref names; -1 if that is gone, or will be when what is queued is written. */
  #slotOf(ref: StoreRef): number {
    return this.#records.isLeaving(ref.sequence) ? -1 : this.#index.slotOf(hashOfKey(ref.key), ref.sequence);
  }

  #placeOf(slot: number): RecordPlace {
    return this.#named(this.#index.placeOf(slot));
  }

  #named(place: LogPlace): RecordPlace {
    return { ...place, segment: this.#index.segmentAt(place.ordinal) ?? { writer: 0, number: 0 } };
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
  #responseAt(at: LogPlace, key: string, head: StoredHead, bodyBytes: number): StoredResponse {
    const place = this.#named(at);
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
