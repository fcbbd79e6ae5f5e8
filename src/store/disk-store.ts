import { join } from 'node:path';
import { isLink } from '../disk/body-content.js';
import { codecs } from '../disk/codecs.js';
import { type Applied, type BodyFile, DiskIndex, type LogPlace, type SegmentName } from '../disk/index-table.js';
import { hashOfKey, type KeyHash, namespaceHashOf } from '../disk/key-hash.js';
import { formatFolder } from '../disk/layout.js';
import {
  bodyPlaces,
  fileBlockShift,
  framedBytesOf,
  logBlockShift,
  type RecordHeader,
  recordTypes,
} from '../disk/record.js';
import { recordCostOf } from '../disk/slot-row.js';
import { CacheError } from '../errors.js';
import type { StoredHead } from '../http/message.js';
import type { LockMode, OpenAnswer, WriterFailure } from '../protocol/messages.js';
import type { WriterPool } from '../protocol/pool.js';
import { type RecordResult, WriteQueue } from '../protocol/write-queue.js';
import { Compression, type CompressionOptions } from './compression.js';
import type {
  CommitResult,
  CreateOptions,
  DeclineReason,
  EntryWriter,
  InvalidateOptions,
  Lease,
  MaintainReport,
  Presence,
  PresenceOptions,
  ResponseStore,
  Selector,
  StoredResponse,
  StoreListener,
  StoreRef,
  StoreStats,
  UpdateOptions,
  VerifyReport,
} from './contract.js';
import { DiskEntryWriter, type WriterHost, type WrittenBody } from './disk-entry-writer.js';
import { DiskEvictor, type Victim } from './disk-evictor.js';
import { DiskFiles } from './disk-files.js';
import { DiskInvalidation } from './disk-invalidation.js';
import { DiskReader, type FoundRecord } from './disk-reader.js';
import { RecordWriter } from './disk-record-writer.js';
import { DiskSharing } from './disk-sharing.js';
import { DiskSpace } from './disk-space.js';
import { DiskUpkeep } from './disk-upkeep.js';
import { LingeringFiles } from './lingering-files.js';
import { VersionTurns } from './version-turns.js';

export interface DiskStoreSettings {
  readonly directory: string;
  readonly lock: LockMode;
  readonly leaseMs: number;
  readonly maxBytes: number;
  readonly maxEntries: number;
  readonly minFreeBytes: number;
  readonly compression: CompressionOptions | undefined;
  readonly deduplicate: boolean;
  readonly maxEntryBytes: number;
  readonly segmentBytes: number;
  readonly maxOpenSegments: number;
  readonly stallMs: number;
  readonly after: (ms: number, callback: () => void) => () => void;
  readonly nowMs: () => number;
  readonly monotonicMs: () => number;
  readonly onEvent: StoreListener;
}

const slabBytes = 2 * 1024 * 1024;
const maxSlabs = 6;
/** What all writers together may hold in memory before bodies go to files of their own. */
const maxHeldBytes = 24 * 1024 * 1024;
const maxLossesInARow = 3;
const fullCodes: ReadonlySet<string> = new Set(['ENOSPC', 'EDQUOT', 'EFBIG']);
const nothing: readonly StoredResponse[] = [];
const noRefs: readonly StoreRef[] = [];
/** A head that is replaced while it is read is looked for again. */
const maxLookupTries = 4;

/** Responses in a log of segments on the disk. Made by `openDiskStore`. */
export class DiskStore implements ResponseStore, WriterHost {
  readonly #settings: DiskStoreSettings;
  readonly #pool: WriterPool;
  readonly #index: DiskIndex;
  readonly #files: DiskFiles;
  readonly #reader: DiskReader;
  readonly #space: DiskSpace;
  readonly #records: RecordWriter;
  readonly #invalidation: DiskInvalidation;
  readonly #evictor: DiskEvictor;
  readonly #upkeep: DiskUpkeep;
  readonly #versions = new VersionTurns((key) => this.#invalidation.headsUnder(key));
  /** Unless nobody else may come. */
  readonly #sharing: DiskSharing | undefined;
  readonly #lingering: LingeringFiles;
  /** Told when another process has changed something. */
  onForeignChange: (() => void) | undefined;
  readonly #compression: Compression | undefined;
  readonly #writers = new Set<DiskEntryWriter>();
  readonly #counters = {
    lookups: 0,
    hits: 0,
    absent: 0,
    stored: 0,
    declined: 0,
    freshened: 0,
    removed: 0,
    invalidated: 0,
    softInvalidated: 0,
    namespacesFlushed: 0,
    evicted: 0,
    reinserted: 0,
    corrupt: 0,
    compressed: 0,
    compressedRawBytes: 0,
    compressionSavedBytes: 0,
    deduplicated: 0,
    deduplicatedBytes: 0,
    workersLost: 0,
  };
  readonly queue: WriteQueue;
  #nextFile = 1;
  #heldBytes = 0;
  /** Responses whose records are on their way, less those that are evicted for them. */
  #comingEntries = 0;
  readonly #victims = new Set<number>();
  #triedToCompress = 0;
  #awaitingRoom: (() => void)[] = [];
  #trimming: Promise<void> | undefined;
  #lossesInARow = 0;
  #isDown = false;
  #closing: Promise<void> | undefined;

  constructor(settings: DiskStoreSettings, pool: WriterPool, opened: Extract<OpenAnswer, { outcome: 'opened' }>) {
    this.#settings = settings;
    this.#pool = pool;
    this.#index = new DiskIndex(opened.index);
    this.#files = new DiskFiles(settings.directory, settings.maxOpenSegments);
    this.#reader = new DiskReader({
      index: this.#index,
      files: this.#files,
      onDamage: (key, hash, sequence, detail) => this.#heal(key, hash, sequence, detail),
      onMissing: (key, place, file) => this.#onMissing(key, place, file),
      onFailure: (failure) => this.#report(failure),
    });
    const { maxBytes, minFreeBytes, segmentBytes } = settings;
    // Time for what is to be kept: a segment and a half, or what a busy store takes meanwhile.
    const headroomBytes = Math.max(Math.min(1.5 * segmentBytes, maxBytes / 8), Math.min(2 * slabBytes, maxBytes / 32));
    this.#space = new DiskSpace({ maxBytes, minFreeBytes, headroomBytes }, this.#index, opened.segments, {
      isOpen: (name) => this.#mayBeWritten(name),
      slackBytes: () => (this.#sharing?.isFirst === false ? settings.segmentBytes : 0),
    });
    if (opened.freeBytes !== undefined) this.#space.noteFree(opened.freeBytes);
    this.#compression = settings.compression && new Compression(settings.compression);
    this.queue = new WriteQueue({
      pool,
      session: {
        directory: settings.directory,
        writer: opened.writer,
        lane: opened.lane,
        lock: settings.lock,
        last: { number: 0, usedBytes: 0 },
        segmentBytes,
        compression: this.#compression && { level: this.#compression.level, minGain: this.#compression.minGain },
        deduplicate: settings.deduplicate,
      },
      slabBytes,
      maxSlabs,
      stallMs: settings.stallMs,
      after: settings.after,
      apply: (header, segment, offset) => this.#apply(header, segment, offset),
      takeMoves: () => this.#evictor.takeMoves(),
      onMoved: (answer) => this.#evictor.settleMoves(answer),
      onCarried: (segment, bytes) => {
        // Each record is a header, and one more in the hint.
        this.#space.reserveRecords(2 * bytes);
        this.#space.settle(segment, this.#index.ordinalOf(segment), bytes, 2 * bytes);
      },
      measureFree: minFreeBytes > 0,
      onFree: (bytes) => {
        this.#space.noteFree(bytes);
        this.#evictor.makeRoom();
      },
      onFull: () => {
        this.#space.shrink(2 * slabBytes);
        return this.#evictor.makeRoom();
      },
      onFailure: (failure) => this.#report(failure),
      onWorkerLost: (cause) => this.#onWorkerLost(cause),
    });
    this.#records = new RecordWriter(this.queue, this.#space, {
      lastSequence: this.#index.lastSequence,
      nowMs: settings.nowMs,
      makeRoom: () => this.#evictor.makeRoom(),
    });
    this.#invalidation = new DiskInvalidation({
      index: this.#index,
      reader: this.#reader,
      records: this.#records,
      queue: this.queue,
      writers: this.#writers,
      isOff: () => this.#isOff,
      freshen: (found, head) => this.#freshen(found, head, undefined),
      onSwept: () => this.#onSwept(),
    });
    this.#lingering = new LingeringFiles(settings.after, (files) => this.queue.removeFiles(files));
    this.#sharing = settings.lock === 'exclusive' ? undefined : this.#share(opened);
    if (this.#sharing === undefined) this.#index.recent.turnOff();
    this.#evictor = this.#createEvictor(opened.writer);
    this.#upkeep = new DiskUpkeep({
      directory: settings.directory,
      index: this.#index,
      space: this.#space,
      pool,
      records: this.#records,
      evictor: this.#evictor,
      nowMs: settings.nowMs,
      isOff: () => this.#isOff,
      settled: async () => {
        do await this.queue.written();
        while (this.#evictor.isMoving && !this.#isOff);
      },
      heal: (key, hash, sequence, detail) => this.#heal(key, hash, sequence, detail),
      onFailure: (failure) => this.#report(failure),
    });
    this.#evictor.makeRoom();
    this.#trim();
  }

  get maxEntryBytes(): number {
    return this.#settings.maxEntryBytes;
  }

  lookup(key: string): Promise<readonly StoredResponse[]> {
    const refreshing = this.#sharing?.refresh();
    return refreshing === undefined ? this.#lookup(key) : refreshing.then(() => this.#lookup(key));
  }

  /** What other processes did is known well enough; otherwise wait. */
  refresh(): Promise<void> | undefined {
    return this.#sharing?.refresh();
  }

  /** What is stored under a key, told without I/O. */
  peekRefs(key: string): readonly StoreRef[] {
    const refs: StoreRef[] = [];
    for (let slot = this.#index.find(hashOfKey(key)); slot >= 0; slot = this.#index.nextOf(slot)) {
      const sequence = this.#index.sequenceOf(slot);
      if (!this.#records.isLeaving(sequence)) refs.push({ key, sequence });
    }
    return refs;
  }

  async #lookup(key: string): Promise<readonly StoredResponse[]> {
    if (this.#isOff) return nothing;
    this.#counters.lookups += 1;
    const hash = hashOfKey(key);
    let found: readonly StoredResponse[] | undefined;
    for (let tries = 0; tries < maxLookupTries && found === undefined; tries += 1) {
      const first = this.#index.find(hash);
      if (first < 0) {
        this.#counters.absent += 1;
        return nothing;
      }
      const second = this.#index.nextOf(first);
      found = second < 0 ? await this.#findOne(first, key) : await this.#findAll(first, key);
    }
    if (found === undefined || found.length === 0) return nothing;
    this.#counters.hits += 1;
    return found;
  }

  create(key: string, head: StoredHead, options: CreateOptions = {}): EntryWriter {
    const writer = new DiskEntryWriter(this, key, head, options);
    this.#writers.add(writer);
    return writer;
  }

  async updateHead(ref: StoreRef, head: StoredHead, options: UpdateOptions = {}): Promise<StoredResponse | undefined> {
    if (this.#isOff) return undefined;
    const slot = this.#slotOf(ref);
    if (slot < 0) return undefined;
    const old = await this.#reader.read(slot, ref.key);
    if (old === undefined || this.#isOff || this.#invalidation.isCovered(old.record)) return undefined;
    const updated = await this.#freshen(old, head, options.expiresMs);
    if (updated !== undefined) this.#counters.freshened += 1;
    return updated;
  }

  async remove(ref: StoreRef): Promise<boolean> {
    if (this.#isOff || this.#slotOf(ref) < 0) return false;
    const removal = { type: recordTypes.removed, hash: hashOfKey(ref.key), replaces: ref.sequence };
    const result = await this.#records.note(removal);
    const isRemoved = result.outcome === 'written' && result.applied.removed > 0;
    if (isRemoved) this.#counters.removed += 1;
    return isRemoved;
  }

  async invalidate(selector: Selector, options: InvalidateOptions = {}): Promise<number> {
    if (this.#isOff) return 0;
    // What others stored before this call is covered too.
    await this.#sharing?.look();
    const covered = await this.#invalidation.invalidate(selector, options);
    if (options.softMs !== undefined || !('key' in selector || 'namespace' in selector))
      this.#sharing?.tellInvalidated();
    this.#counters[options.softMs === undefined ? 'invalidated' : 'softInvalidated'] += covered;
    if (options.softMs === undefined && 'namespace' in selector) this.#counters.namespacesFlushed += 1;
    return covered;
  }

  async *entries(selector?: Selector): AsyncGenerator<StoredResponse> {
    if (this.#isOff) return;
    await this.#sharing?.look();
    for await (const found of this.#invalidation.find(selector)) yield this.#reader.responseOf(found);
  }

  has(key: string, { asLastSeen = false }: PresenceOptions = {}): Presence {
    if (!this.#isOff && this.#sharing?.isRecent({ asLastSeen }) === false) return 'maybe';
    if (!this.#isOff && this.#index.find(hashOfKey(key)) >= 0) return 'present';
    this.#counters.absent += 1;
    return 'absent';
  }

  lease(key: string): Lease | undefined {
    return this.#isOff ? undefined : this.#sharing?.lease(key);
  }

  namespaces(namespace: string): { readonly count: number; readonly isUsed: boolean } {
    const { namespaces } = this.#index;
    return { count: namespaces.usedCount, isUsed: namespaces.isUsed(namespaceHashOf(namespace)) };
  }

  async stats(): Promise<StoreStats> {
    return {
      entries: this.#index.count,
      bytes: this.#space.shownBytes,
      maxBytes: this.#settings.maxBytes,
      counters: {
        ...this.#counters,
        compressionSkipped: Math.max(0, this.#triedToCompress - this.#counters.compressed),
        versionMismatches: this.#versions.mismatches,
        peers: this.#sharing?.peers ?? 0,
        leasesWaited: this.#sharing?.leasesWaited ?? 0,
      },
    };
  }

  async verify({ repair = false }: { readonly repair?: boolean } = {}): Promise<VerifyReport> {
    await this.#sharing?.look();
    return this.#upkeep.verify(repair);
  }

  async maintain(): Promise<MaintainReport> {
    await this.#sharing?.look();
    return this.#upkeep.maintain();
  }

  async flush(): Promise<void> {
    await Promise.all([...this.#writers].map((writer) => writer.settled()));
    await this.#trimming;
    await this.queue.written();
  }

  async clear(): Promise<void> {
    if (this.#isOff) return;
    for (const writer of this.#writers) writer.supersede('superseded');
    await this.#sharing?.look();
    await this.#records.noteCleared();
    this.#evictor.makeRoom();
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  inTurn(key: string, head: StoredHead, store: () => Promise<CommitResult>): Promise<CommitResult> {
    return this.#versions.run(key, head, store);
  }

  refusal(): DeclineReason | undefined {
    if (this.#closing !== undefined) return 'closed';
    if (this.#isDown) return 'unavailable';
    if (this.#space.isStarved) {
      // A batch tells whether that is still so.
      this.queue.seal();
      return 'no-space';
    }
    return this.queue.isStalled ? 'overloaded' : undefined;
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
    this.#evictor.makeRoom();
  }

  holdBytes(change: number): boolean {
    this.#heldBytes += change;
    if (change < 0 && this.isRoomy()) for (const resolve of this.#awaitingRoom.splice(0)) resolve();
    return this.#heldBytes <= maxHeldBytes;
  }

  isRoomy(): boolean {
    return this.#heldBytes <= maxHeldBytes / 2;
  }

  async room(): Promise<void> {
    // What is being written gives room when it is done. With nothing under way, those who wait would wait for each other.
    while (!this.isRoomy() && this.queue.isBusy) {
      const roomy = new Promise<void>((resolve) => this.#awaitingRoom.push(resolve));
      await Promise.race([roomy, this.queue.drained()]);
    }
  }

  forget(writer: DiskEntryWriter, isDeclined: boolean): void {
    if (isDeclined) this.#counters.declined += 1;
    this.#writers.delete(writer);
  }

  reasonOf(failure: WriterFailure): DeclineReason {
    if (fullCodes.has(failure.code)) return 'no-space';
    if (failure.code === 'too-large') return 'too-large';
    return failure.code === 'ETIMEDOUT' ? 'overloaded' : 'unavailable';
  }

  async commit(key: string, head: StoredHead, options: CreateOptions, body: WrittenBody): Promise<CommitResult> {
    const isFile = body.place === 'file';
    if (isFile) this.#space.addFile(this.#fileOf(body));
    const hash = hashOfKey(key);
    const replaced =
      options.replaces === undefined || options.replaces.length === 0
        ? noRefs
        : options.replaces.filter((ref) => !this.#space.wasEvicted(ref.sequence));
    if (replaced.some((ref) => this.#slotOf(ref) < 0)) {
      if (isFile) this.#giveBack(this.#fileOf(body));
      return { outcome: 'declined', reason: 'superseded' };
    }
    const own = replaced.find((ref) => ref.key === key);
    const others = replaced.length === 0 ? noRefs : replaced.filter((ref) => ref !== own);
    const coming = own === undefined ? 1 : 0;
    const mayCompress = this.#compression !== undefined && !isFile;
    const codec = mayCompress ? this.#compression.codecFor(head.fields, body.bytes) : codecs.identity;
    const victims = this.#takeVictims(coming);
    this.#comingEntries += coming;
    const result = await this.#records.put({
      key,
      head,
      tags: options.tags ?? [],
      crcs: isFile ? body.crcs : undefined,
      removes:
        others.length === 0
          ? victims
          : [...victims, ...others.map((ref) => ({ hash: hashOfKey(ref.key), replaces: ref.sequence }))],
      chunks: isFile ? [] : body.chunks,
      areLent: !isFile && body.areLent,
      header: {
        type: recordTypes.stored,
        hash,
        replaces: own?.sequence ?? 0,
        priority: Math.max(-128, Math.min(127, Math.trunc(options.priority ?? 0))),
        expiresMs: options.expiresMs ?? 0,
        codec,
        place: isFile ? bodyPlaces.file : bodyPlaces.inline,
        blockShift: isFile ? fileBlockShift : logBlockShift,
        bodyBytes: body.bytes,
        rawBytes: body.bytes,
        bodyWriter: isFile ? this.queue.session.writer : 0,
        bodyNumber: isFile ? body.file : 0,
        bodyOffset: isFile ? body.content : 0,
      },
    });
    if (result.outcome === 'failed') {
      onceKnown(result, (final) => {
        if (final.outcome === 'written') {
          if (final.applied.place !== undefined) this.#onStored(codec, victims);
          return;
        }
        this.#comingEntries -= coming;
        this.#spare(victims);
        if (isFile) this.#giveBack(this.#fileOf(body));
      });
      return { outcome: 'declined', reason: this.reasonOf(result.failure) };
    }
    const { place } = result.applied;
    if (place === undefined) return { outcome: 'declined', reason: 'superseded' };
    this.#onStored(codec, victims);
    return { outcome: 'stored', response: this.#reader.responseAt(place, key, head, body.bytes) };
  }

  get #isOff(): boolean {
    return this.#closing !== undefined || this.#isDown;
  }

  async #close(): Promise<void> {
    for (const writer of this.#writers) writer.supersede('closed');
    await Promise.all([...this.#writers].map((writer) => writer.settled()));
    this.#lingering.flush();
    await this.queue.drained();
    await this.#sharing?.close();
    this.#files.close();
    const canSeal = !this.#isDown && !this.queue.isStalled;
    try {
      const task = canSeal ? ({ kind: 'close', session: this.queue.session } as const) : undefined;
      const [problem] = (await this.#pool.close(task)).problems;
      if (problem !== undefined) this.#report(problem);
    } catch (cause) {
      const message = 'the thread that writes the cache died while the cache was being closed';
      this.#settings.onEvent({ type: 'error', error: new CacheError('ERR_CACHE_WORKER', message, { cause }) });
    }
  }

  #report({ code, message }: WriterFailure): void {
    const as = fullCodes.has(code) ? 'ERR_CACHE_FULL' : 'ERR_CACHE_ACCESS';
    const error = new CacheError(as, `the cache in ${this.#settings.directory} could not be written: ${message}`);
    this.#settings.onEvent({ type: 'error', error });
  }

  #onWorkerLost(cause: unknown): void {
    this.#counters.workersLost += 1;
    this.#lossesInARow += 1;
    this.#isDown = this.#lossesInARow >= maxLossesInARow;
    const what = this.#isDown ? 'died again and again; the cache is off' : 'died; what it was storing is not stored';
    const error = new CacheError('ERR_CACHE_WORKER', `the thread that writes the cache ${what}`, { cause });
    this.#settings.onEvent({ type: this.#isDown ? 'down' : 'error', error });
  }

  #apply(header: RecordHeader, segment: SegmentName, offset: number): Applied {
    const ordinal = this.#index.ordinalOf(segment);
    this.#space.settle(segment, ordinal, header.recordBytes, recordCostOf(header));
    if (header.type === recordTypes.stored) this.#noteStored(header);
    const isEviction = header.type === recordTypes.removed && this.#victims.delete(header.replaces);
    if (isEviction) this.#comingEntries += 1;
    this.#sharing?.tell(header, isEviction);
    // What is freshened may have been evicted along with its file while the new head was on its way.
    const isHeadOnly = header.type === recordTypes.freshened && header.place === bodyPlaces.file;
    if (isHeadOnly && !this.#index.isKnown(header.hash, header.replaces)) return { place: undefined, removed: 0 };
    const applied = this.#index.apply(header, ordinal, offset);
    this.#freeFiles();
    return applied;
  }

  #share(opened: Extract<OpenAnswer, { outcome: 'opened' }>): DiskSharing {
    return new DiskSharing(
      {
        index: this.#index,
        files: this.#files,
        space: this.#space,
        records: this.#records,
        writers: this.#writers,
        root: join(this.#settings.directory, formatFolder),
        leaseMs: this.#settings.leaseMs,
        nowMs: this.#settings.nowMs,
        monotonicMs: this.#settings.monotonicMs,
        after: this.#settings.after,
        onChange: () => {
          this.#evictor.makeRoom();
          this.onForeignChange?.();
        },
        onFlushed: () => this.#invalidation.sweepSoon(),
        onEvicted: (entries) => {
          this.#counters.evicted += entries;
        },
        onFailure: (failure) => this.#report(failure),
      },
      opened,
    );
  }

  #mayBeWritten(name: SegmentName): boolean {
    const { writer, last } = this.queue.session;
    if (name.writer === writer) return name.number >= last.number;
    return this.#sharing?.isOpenElsewhere(name) ?? false;
  }

  #onMissing(key: string, place: LogPlace, file: SegmentName | 'body'): void {
    if (this.#isOff || this.#sharing?.explains(place, file)) return;
    this.#heal(key, this.#index.hashOf(place.slot), place.sequence, 'its file is gone');
  }

  #createEvictor(writer: number): DiskEvictor {
    return new DiskEvictor({
      index: this.#index,
      space: this.#space,
      writer,
      maxEntries: this.#settings.maxEntries,
      nowMs: this.#settings.nowMs,
      isLeaving: (sequence) => this.#records.isLeaving(sequence),
      newSequence: () => this.#records.nextSequence(),
      dropSegment: (segment) => this.queue.dropSegments([segment]),
      forgetSegment: (ordinal) => this.#files.forgetSegment(ordinal),
      requestMoves: () => this.queue.requestMoves(),
      seal: () => this.queue.seal(),
      noteGone: (hash, sequence) => {
        void this.#records.note({ type: recordTypes.removed, hash, replaces: sequence });
      },
      freeFiles: () => this.#freeFiles(),
      onEvicted: (entries, bytes) => this.#onEvicted(entries, bytes),
      onMoved: (entries, damaged) => {
        this.#counters.reinserted += entries;
        this.#counters.corrupt += damaged;
      },
    });
  }

  #noteStored({ replaces, codec, place, bodyBytes, rawBytes, bodyOffset }: RecordHeader): void {
    if (replaces === 0) this.#comingEntries -= 1;
    if (place === bodyPlaces.file && isLink(bodyOffset)) {
      this.#counters.deduplicated += 1;
      this.#counters.deduplicatedBytes += bodyBytes;
    }
    if (codec === codecs.identity) return;
    this.#counters.compressed += 1;
    this.#counters.compressedRawBytes += rawBytes;
    this.#counters.compressionSavedBytes += rawBytes - bodyBytes;
  }

  #onEvicted(entries: number, bytes: number): void {
    this.#counters.evicted += entries;
    if (entries > 0) this.#settings.onEvent({ type: 'evict', entries, bytes });
  }

  #onStored(codec: number, victims: readonly Victim[]): void {
    this.#counters.stored += 1;
    if (codec !== codecs.identity) this.#triedToCompress += 1;
    if (victims.length > 0) this.#onEvicted(victims.length, 0);
    if (this.#index.count + this.#comingEntries > this.#settings.maxEntries) this.#trim();
    this.#lossesInARow = 0;
  }

  /** More may have been stored by an earlier process, or at once, than is to be kept. */
  #trim(): void {
    this.#trimming ??= this.#trimEntries().finally(() => {
      this.#trimming = undefined;
    });
  }

  async #trimEntries(): Promise<void> {
    const atOnce = 512;
    for (let isAll = false; !isAll; ) {
      const removals: Promise<RecordResult>[] = [];
      while (removals.length < atOnce) {
        const victims = this.#takeVictims(0);
        for (const victim of victims) removals.push(this.#evict(victim));
        if (victims.length === 0) break;
      }
      isAll = removals.length < atOnce;
      const results = await Promise.all(removals);
      const evicted = results.filter(({ outcome }) => outcome === 'written').length;
      if (evicted > 0) this.#onEvicted(evicted, 0);
      if (evicted < removals.length) return;
    }
  }

  async #evict(victim: Victim): Promise<RecordResult> {
    const result = await this.#records.note({ type: recordTypes.removed, ...victim });
    if (result.outcome === 'failed') {
      onceKnown(result, (final) => {
        if (final.outcome === 'failed') this.#spare([victim]);
      });
    }
    return result;
  }

  /** What is to go when so many more come. */
  #takeVictims(coming: number): readonly Victim[] {
    const victims = this.#evictor.takeVictims(this.#comingEntries + coming);
    this.#comingEntries -= victims.length;
    for (const { replaces } of victims) this.#victims.add(replaces);
    return victims;
  }

  /** They stay after all. */
  #spare(victims: readonly Victim[]): void {
    for (const { replaces } of victims) {
      this.#space.forgetEvicted(replaces);
      if (this.#victims.delete(replaces)) this.#comingEntries += 1;
    }
  }

  #freeFiles(): void {
    const freed = this.#index.takeFreedFiles();
    for (const file of freed) this.#space.removeFile(file);
    if (this.#sharing?.hadOthers) this.#lingering.add(freed);
    else this.queue.removeFiles(freed);
  }

  #onSwept(): void {
    this.#freeFiles();
    this.#evictor.makeRoom();
  }

  /** Appends a new head for a body that stays. `undefined`: it was changed meanwhile, or could not be written. */
  async #freshen(
    { place, record }: FoundRecord,
    head: StoredHead,
    expiresMs: number | undefined,
  ): Promise<StoredResponse | undefined> {
    const { header, key, tags, crcs } = record;
    const { sequence, segment, offset } = place;
    const slot = this.#slotOf({ key, sequence });
    if (slot < 0) return undefined;
    if (!this.#index.isHeadIn(slot, place.ordinal)) {
      // It was moved since it was read.
      const again = await this.#reader.read(slot, key);
      return again && this.#freshen(again, head, expiresMs);
    }
    const inline = header.place === bodyPlaces.inline;
    const result = await this.#records.put({
      key,
      head,
      tags,
      crcs,
      removes: [],
      chunks: [],
      areLent: false,
      header: {
        type: recordTypes.freshened,
        hash: header.hash,
        replaces: sequence,
        priority: header.priority,
        expiresMs: expiresMs ?? header.expiresMs,
        place: header.place === bodyPlaces.file ? bodyPlaces.file : bodyPlaces.log,
        blockShift: header.blockShift,
        codec: header.codec,
        bodyBytes: header.bodyBytes,
        rawBytes: header.rawBytes,
        bodyWriter: inline ? segment.writer : header.bodyWriter,
        bodyNumber: inline ? segment.number : header.bodyNumber,
        bodyOffset: inline
          ? offset + framedBytesOf(header.headBytes, header.bodyBytes, header.blockShift)
          : header.bodyOffset,
      },
    });
    if (result.outcome === 'failed' || result.applied.place === undefined) return undefined;
    return this.#reader.responseAt(result.applied.place, key, head, header.rawBytes);
  }

  #fileOf({ file: number, bytes, content }: Extract<WrittenBody, { place: 'file' }>): BodyFile {
    return { writer: this.queue.session.writer, number, bytes, content };
  }

  #giveBack(file: BodyFile): void {
    this.#space.removeFile(file);
    this.queue.removeFiles([file]);
  }

  /** The slot of what a ref names; -1 if that is gone, or will be when what is queued is written. */
  #slotOf(ref: StoreRef): number {
    return this.#records.isLeaving(ref.sequence) ? -1 : this.#index.slotOf(hashOfKey(ref.key), ref.sequence);
  }

  /** `undefined`: while it was read, something took its place. */
  async #findOne(slot: number, key: string): Promise<readonly StoredResponse[] | undefined> {
    const sequence = this.#index.sequenceOf(slot);
    this.#index.touch(slot);
    const found = await this.#reader.read(slot, key);
    if (this.#isOff) return nothing;
    if (found !== undefined) return [this.#reader.responseOf(found)];
    return this.#index.sequenceOf(slot) === sequence ? nothing : undefined;
  }

  async #findAll(first: number, key: string): Promise<readonly StoredResponse[] | undefined> {
    const all: Promise<readonly StoredResponse[] | undefined>[] = [];
    for (let slot = first; slot >= 0; slot = this.#index.nextOf(slot)) all.push(this.#findOne(slot, key));
    const found: StoredResponse[] = [];
    for (const one of await Promise.all(all)) {
      if (one === undefined) return undefined;
      found.push(...one);
    }
    return found.sort((a, b) => b.ref.sequence - a.ref.sequence);
  }

  /** Removes one damaged response, and no newer one. */
  #heal(key: string, hash: KeyHash, sequence: number, detail: string): void {
    if (this.#isOff || this.#records.isLeaving(sequence) || this.#index.slotOf(hash, sequence) < 0) return;
    this.#counters.corrupt += 1;
    this.#settings.onEvent({ type: 'corrupt', key, detail });
    void this.#records.note({ type: recordTypes.removed, hash, replaces: sequence });
  }
}

/** Calls back when it is known what became of a record that was not written in time. */
function onceKnown(
  result: Extract<RecordResult, { outcome: 'failed' }>,
  callback: (final: RecordResult) => void,
): void {
  if (result.later === undefined) callback(result);
  else void result.later.then(callback);
}
