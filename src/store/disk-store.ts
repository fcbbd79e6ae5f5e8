import { join } from 'node:path';
import { type Applied, DiskIndex, type LogPlace, type SegmentName } from '../disk/index-table.js';
import { hashOfKey, type KeyHash, namespaceHashOf } from '../disk/key-hash.js';
import { formatFolder } from '../disk/layout.js';
import { bodyPlaces, type RecordHeader, recordTypes } from '../disk/record.js';
import { recordCostOf } from '../disk/slot-row.js';
import { CacheError } from '../errors.js';
import type { StoredHead } from '../http/message.js';
import type { LockMode, OpenAnswer, WriterFailure } from '../protocol/messages.js';
import type { WriterPool } from '../protocol/pool.js';
import { WriteQueue } from '../protocol/write-queue.js';
import { Compression, type CompressionOptions } from './compression.js';
import type {
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
import { DiskCommits, isOutOfSpace } from './disk-commits.js';
import { DiskCounters } from './disk-counters.js';
import { DiskEvictor } from './disk-evictor.js';
import { DiskFiles } from './disk-files.js';
import { DiskInvalidation } from './disk-invalidation.js';
import { DiskLookups } from './disk-lookups.js';
import { DiskReader } from './disk-reader.js';
import { RecordWriter } from './disk-record-writer.js';
import { DiskSharing } from './disk-sharing.js';
import { DiskSpace } from './disk-space.js';
import { DiskUpkeep } from './disk-upkeep.js';
import { DiskWriters } from './disk-writers.js';
import { EntryLimit } from './entry-limit.js';
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
const maxLossesInARow = 3;

/** Responses in a log of segments on the disk. Made by `openDiskStore`. */
export class DiskStore implements ResponseStore {
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
  readonly #lookups: DiskLookups;
  readonly #limit: EntryLimit;
  readonly #commits: DiskCommits;
  readonly #writers: DiskWriters;
  readonly #counters = new DiskCounters();
  readonly queue: WriteQueue;
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
    this.#lookups = new DiskLookups({
      index: this.#index,
      reader: this.#reader,
      counters: this.#counters,
      isOff: () => this.#isOff,
    });
    this.#space = new DiskSpace({ maxBytes, minFreeBytes, headroomBytes }, this.#index, opened.segments, {
      isOpen: (name) => this.#mayBeWritten(name),
      slackBytes: () => (this.#sharing?.isFirst === false ? settings.segmentBytes : 0),
    });
    if (opened.freeBytes !== undefined) this.#space.noteFree(opened.freeBytes);
    const compression = settings.compression && new Compression(settings.compression);
    this.queue = new WriteQueue({
      pool,
      session: {
        directory: settings.directory,
        writer: opened.writer,
        lane: opened.lane,
        lock: settings.lock,
        last: { number: 0, usedBytes: 0 },
        segmentBytes,
        compression: compression && { level: compression.level, minGain: compression.minGain },
        deduplicate: settings.deduplicate,
      },
      slabBytes,
      maxSlabs,
      stallMs: settings.stallMs,
      after: settings.after,
      apply: (header, segment, offset) => this.#apply(header, segment, offset),
      takeMoves: () => this.#evictor.takeMoves(),
      onMoved: (answer) => this.#evictor.settleMoves(answer),
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
    this.#limit = new EntryLimit({
      index: this.#index,
      space: this.#space,
      records: this.#records,
      maxEntries: settings.maxEntries,
      takeVictims: (coming) => this.#evictor.takeVictims(coming),
      onEvicted: (entries) => this.#onEvicted(entries, 0),
    });
    this.#commits = new DiskCommits({
      index: this.#index,
      space: this.#space,
      records: this.#records,
      reader: this.#reader,
      queue: this.queue,
      compression,
      limit: this.#limit,
      counters: this.#counters,
      onEvicted: (entries) => this.#onEvicted(entries, 0),
      onStored: () => {
        this.#lossesInARow = 0;
      },
    });
    this.#writers = new DiskWriters({
      queue: this.queue,
      files: this.#files,
      space: this.#space,
      evictor: { makeRoom: () => this.#evictor.makeRoom() },
      commits: this.#commits,
      versions: this.#versions,
      counters: this.#counters,
      maxEntryBytes: settings.maxEntryBytes,
      refusal: () => this.#refusal(),
    });
    this.#invalidation = new DiskInvalidation({
      index: this.#index,
      reader: this.#reader,
      records: this.#records,
      queue: this.queue,
      writers: this.#writers.all,
      isOff: () => this.#isOff,
      freshen: (found, head) => this.#commits.freshen(found, head, undefined),
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
    this.#limit.trim();
  }

  lookup(key: string): Promise<readonly StoredResponse[]> {
    const refreshing = this.#sharing?.refresh();
    return refreshing === undefined ? this.#lookups.find(key) : refreshing.then(() => this.#lookups.find(key));
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

  create(key: string, head: StoredHead, options: CreateOptions = {}): EntryWriter {
    return this.#writers.create(key, head, options);
  }

  async updateHead(ref: StoreRef, head: StoredHead, options: UpdateOptions = {}): Promise<StoredResponse | undefined> {
    if (this.#isOff) return undefined;
    const slot = this.#commits.slotOf(ref);
    if (slot < 0) return undefined;
    const old = await this.#reader.read(slot, ref.key);
    if (old === undefined || this.#isOff || this.#invalidation.isCovered(old.record)) return undefined;
    const updated = await this.#commits.freshen(old, head, options.expiresMs);
    if (updated !== undefined) this.#counters.freshened += 1;
    return updated;
  }

  async remove(ref: StoreRef): Promise<boolean> {
    if (this.#isOff || this.#commits.slotOf(ref) < 0) return false;
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
        ...this.#counters.snapshot(),
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
    await this.#writers.settled();
    await this.#limit.settled();
    await this.queue.written();
  }

  async clear(): Promise<void> {
    if (this.#isOff) return;
    this.#writers.supersede('superseded');
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

  #refusal(): DeclineReason | undefined {
    if (this.#closing !== undefined) return 'closed';
    if (this.#isDown) return 'unavailable';
    if (this.#space.isStarved) {
      // A batch tells whether that is still so.
      this.queue.seal();
      return 'no-space';
    }
    return this.queue.isStalled ? 'overloaded' : undefined;
  }

  get #isOff(): boolean {
    return this.#closing !== undefined || this.#isDown;
  }

  async #close(): Promise<void> {
    this.#writers.supersede('closed');
    await this.#writers.settled();
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
    const as = isOutOfSpace({ code }) ? 'ERR_CACHE_FULL' : 'ERR_CACHE_ACCESS';
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
    if (header.type === recordTypes.stored) {
      if (header.replaces === 0) this.#limit.noteStored();
      this.#counters.noteWritten(header);
    }
    const isEviction = header.type === recordTypes.removed && this.#limit.noteRemoved(header.replaces);
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
        writers: this.#writers.all,
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

  #onEvicted(entries: number, bytes: number): void {
    this.#counters.evicted += entries;
    if (entries > 0) this.#settings.onEvent({ type: 'evict', entries, bytes });
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

  /** Removes one damaged response, and no newer one. */
  #heal(key: string, hash: KeyHash, sequence: number, detail: string): void {
    if (this.#isOff || this.#records.isLeaving(sequence) || this.#index.slotOf(hash, sequence) < 0) return;
    this.#counters.corrupt += 1;
    this.#settings.onEvent({ type: 'corrupt', key, detail });
    void this.#records.note({ type: recordTypes.removed, hash, replaces: sequence });
  }
}
