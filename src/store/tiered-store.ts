import type { StoredHead } from '../http/message.js';
import { SeenKeys } from './admission.js';
import type {
  Admission,
  CreateOptions,
  EntryWriter,
  InvalidateOptions,
  Lease,
  LookupOptions,
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
import { attempt, isOnDisk, memoryOnlyRef, TieredChanges, type Tiers } from './tiered-changes.js';
import { KnownKeys, type KnownResponse } from './tiered-known.js';
import { Promotions } from './tiered-promotion.js';
import { MemoryCopy, SharedResponse, TappedResponse } from './tiered-response.js';
import { HitTurns } from './tiered-turns.js';
import { Watches } from './tiered-watch.js';
import { TieredWriter } from './tiered-writer.js';

export interface TieredStoreOptions {
  /** The fast tier. With a `peek`, a hit in it costs no turn of the event loop but the caller's own `await`. */
  readonly memory: ResponseStore & { peek?(key: string): readonly StoredResponse[] };
  /**
   * The lasting tier. With a `peekRefs` (the current refs under a key, without I/O), a key need not be read from disk
   * again after an invalidation that may have covered it. One that others write to as well has a `refresh`: `undefined` if what it knows of
   * them is recent enough, else something to wait for; and calls `onForeignChange` when they have changed something.
   */
  readonly disk: ResponseStore & {
    peekRefs?(key: string): readonly StoreRef[];
    refresh?(): Promise<void> | undefined;
    onForeignChange?: (() => void) | undefined;
  };
  /** What goes to memory, unless `create` says so itself. @default 'auto' */
  readonly admission?: Admission;
  /** The longest body to copy to memory, in bytes: at most the memory tier's own limit. @default 1 MiB */
  readonly maxMemoryEntryBytes?: number;
  /** Bytes that may wait for promotion. @default 8 MiB */
  readonly maxPromotionBytes?: number;
  /** Keys to know all stored responses of, some 300 bytes each. @default 65536 */
  readonly maxKnownKeys?: number;
  /** Told when a tier throws. What the tiers do on their own, they tell their own listeners. */
  readonly onEvent?: StoreListener;
}

/** Memory over disk: what is stored goes to disk and, if admitted, to memory; what is read from disk is promoted. */
export function createTieredStore(options: TieredStoreOptions): ResponseStore {
  return new TieredStore(options);
}

class TieredStore implements ResponseStore {
  readonly #memory: TieredStoreOptions['memory'];
  readonly #disk: TieredStoreOptions['disk'];
  readonly #admission: Admission;
  readonly #maxMemoryEntryBytes: number;
  readonly #tiers: Tiers;
  readonly #known: KnownKeys;
  readonly #watches = new Watches();
  readonly #changes: TieredChanges;
  readonly #promotions: Promotions;
  readonly #seen = new SeenKeys();
  readonly #turns = new HitTurns();
  readonly #counters = { memoryHits: 0, diskHits: 0, misses: 0 };
  #softInvalidations = 0;
  #isClosed = false;

  constructor(options: TieredStoreOptions) {
    const { memory, disk, admission = 'auto', maxMemoryEntryBytes = 1024 * 1024, onEvent } = options;
    this.#memory = memory;
    this.#disk = disk;
    this.#admission = admission;
    this.#maxMemoryEntryBytes = maxMemoryEntryBytes;
    const discard = (ref: StoreRef) => void attempt(this.#tiers, () => memory.remove(ref), false);
    this.#known = new KnownKeys(options.maxKnownKeys ?? 65_536, discard);
    this.#tiers = { memory, disk, known: this.#known, watches: this.#watches, onEvent, discard };
    this.#changes = new TieredChanges(this.#tiers);
    if ('onForeignChange' in disk) disk.onForeignChange = () => this.#doubtEverything();
    this.#promotions = new Promotions(memory, this.#known, options.maxPromotionBytes ?? 8 * 1024 * 1024);
  }

  async lookup(key: string, options?: LookupOptions): Promise<readonly StoredResponse[]> {
    if (this.#isClosed) return [];
    const turning = this.#turns.due();
    if (turning !== undefined) await turning;
    const refreshing = this.#disk.refresh?.();
    if (refreshing !== undefined) await refreshing;
    // Read before `known` is: what is linked after this counts as not there.
    const copies = this.#memory.peek?.(key) ?? (await this.#memory.lookup(key));
    const known = this.#complete(key);
    const inMemory = known && this.#fromMemory(known, copies);
    if (inMemory === undefined) return this.#lookUpOnDisk(key, copies, options?.admission ?? this.#admission);
    this.#counters[inMemory.length === 0 ? 'misses' : 'memoryHits'] += 1;
    if (inMemory.length > 0) this.#turns.noteHit();
    return inMemory;
  }

  create(key: string, head: StoredHead, options: CreateOptions = {}): EntryWriter {
    const { replaces = [], admission = this.#admission, ...rest } = options;
    const isAdmitted = this.#admits(key, admission, rest.expectedBytes);
    const softInvalidations = this.#softInvalidations;
    return new TieredWriter({
      disk: this.#disk.create(key, head, { ...rest, replaces: replaces.filter(isOnDisk) }),
      memory: isAdmitted ? this.#memory.create(key, head, rest) : undefined,
      maxMemoryBytes: this.#maxMemoryEntryBytes,
      fitsMemory: rest.expectedBytes !== undefined,
      commitBoth: ({ disk, memory }, commitOptions) => {
        // The disk declines what was covered meanwhile; if it is not there to do so, memory must not keep it alone.
        const isFromBefore = softInvalidations !== this.#softInvalidations;
        if (isFromBefore) void memory?.abort();
        return this.#changes.commit(
          key,
          head,
          replaces,
          { disk, memory: isFromBefore ? undefined : memory },
          commitOptions,
        );
      },
    });
  }

  updateHead(ref: StoreRef, head: StoredHead, options?: UpdateOptions): Promise<StoredResponse | undefined> {
    return this.#changes.updateHead(ref, head, options);
  }

  remove(ref: StoreRef): Promise<boolean> {
    return this.#changes.remove(ref);
  }

  async invalidate(selector: Selector, options: InvalidateOptions = {}): Promise<number> {
    let covered = 0;
    for await (const { ref, head } of this.#memoryOnly(selector)) {
      const isChanged = options.softMs === undefined || (await this.#makeStale(ref, head, options.softMs));
      if (isChanged) covered += 1;
    }
    const isSoft = options.softMs !== undefined;
    if (isSoft) this.#softInvalidations += 1;
    const uncover = this.#known.beginCover();
    this.#cover(selector, isSoft);
    if (!isSoft) await this.#memory.invalidate(selector);
    covered += await attempt(this.#tiers, () => this.#disk.invalidate(selector, options), 0);
    // Again: what was looked up or promoted in between may be from before the disk was done.
    this.#cover(selector, isSoft);
    uncover();
    return covered;
  }

  async *entries(selector?: Selector): AsyncIterable<StoredResponse> {
    yield* this.#disk.entries(selector);
    yield* this.#memoryOnly(selector);
  }

  async stats(): Promise<StoreStats> {
    const [disk, memory] = await Promise.all([this.#disk.stats(), this.#memory.stats()]);
    let memoryOnly = 0;
    for await (const _ of this.#memoryOnly(undefined)) memoryOnly += 1;
    const { entries, bytes, maxBytes } = memory;
    return {
      entries: disk.entries + memoryOnly,
      bytes: disk.bytes,
      maxBytes: disk.maxBytes,
      counters: {
        ...this.#counters,
        ...this.#promotions.counters,
        promotionsDepth: this.#promotions.depth,
        ...prefixed('disk', disk.counters),
        ...prefixed('memory', { ...memory.counters, entries, bytes, maxBytes }),
      },
    };
  }

  has(key: string, options?: PresenceOptions): Presence {
    if (this.#isClosed) return 'absent';
    if (this.#known.inMemoryOnly(key).length > 0) return 'present';
    return this.#disk.has?.(key, options) ?? 'maybe';
  }

  lease(key: string): Lease | undefined {
    return this.#disk.lease?.(key);
  }

  namespaces(namespace: string): { readonly count: number; readonly isUsed: boolean } {
    return this.#disk.namespaces?.(namespace) ?? { count: 0, isUsed: false };
  }

  /** What is in memory has no checksums. */
  async verify(options?: { readonly repair?: boolean }): Promise<VerifyReport> {
    const nothing = { checked: 0, damaged: 0, repaired: 0, bytes: 0, orphans: 0, orphanBytes: 0 };
    const report = (await this.#disk.verify?.(options)) ?? nothing;
    if (report.repaired > 0) this.#known.doubtEverything();
    return report;
  }

  async maintain(): Promise<MaintainReport> {
    const nothing = { expired: 0, moved: 0, droppedSegments: 0, freedBytes: 0 };
    return (await this.#disk.maintain?.()) ?? nothing;
  }

  /** Waits for promotions too. */
  async flush(): Promise<void> {
    await Promise.all([this.#disk.flush(), this.#promotions.settled()]);
    await this.#memory.flush();
  }

  async clear(): Promise<void> {
    const uncover = this.#known.beginCover();
    this.#forgetEverything();
    await Promise.all([this.#memory.clear(), attempt(this.#tiers, () => this.#disk.clear(), undefined)]);
    this.#forgetEverything();
    uncover();
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#forgetEverything();
    await Promise.all([this.#disk.close(), this.#memory.close()]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  /** All that is stored under the key, if that can be told without reading from disk. */
  #complete(key: string): readonly KnownResponse[] | undefined {
    const known = this.#known.complete(key);
    const refs = known === undefined ? this.#disk.peekRefs?.(key) : undefined;
    if (refs === undefined) return known;
    this.#known.confirm(key, refs);
    return this.#known.complete(key);
  }

  /** `undefined` if memory does not have them all. */
  #fromMemory(known: readonly KnownResponse[], copies: readonly StoredResponse[]): StoredResponse[] | undefined {
    const found: StoredResponse[] = [];
    for (const response of known) {
      const copy = copyOf(response, copies);
      if (copy !== undefined) found.push(new MemoryCopy(response.ref, copy));
      else if (response.isOnDisk) return undefined;
      else if (this.#memory.peek !== undefined) this.#known.replace(response.ref.key, [response.ref.sequence]);
    }
    return found;
  }

  async #lookUpOnDisk(
    key: string,
    copies: readonly StoredResponse[],
    admission: Admission,
  ): Promise<readonly StoredResponse[]> {
    const watch = this.#watches.open(key);
    const onDisk = await attempt(this.#tiers, () => this.#disk.lookup(key), []);
    this.#watches.close(watch);
    const alone = this.#fromMemory(this.#known.inMemoryOnly(key), copies) ?? [];
    const found = this.#isClosed ? [] : [...alone, ...onDisk];
    this.#counters[found.length === 0 ? 'misses' : 'diskHits'] += 1;
    if (!watch.isUntouched || this.#isClosed) return found;
    this.#known.confirm(
      key,
      onDisk.map(({ ref }) => ref),
    );
    return found.map((response) => this.#promoting(response, copies, admission));
  }

  /** Sees to it that the next lookup finds it in memory. */
  #promoting(response: StoredResponse, copies: readonly StoredResponse[], admission: Admission): StoredResponse {
    const known = this.#known.find(response.ref);
    if (known === undefined || !known.isOnDisk) return response;
    if (copyOf(known, copies) !== undefined) return response;
    if (!this.#admits(response.ref.key, admission, response.bodyBytes)) return response;
    // Evicted, or linked while this lookup was under way.
    const copy = this.#known.detach(response.ref);
    if (copy !== undefined) this.#tiers.discard(copy);
    if (response.inlineBody === undefined) return new TappedResponse(response, (tapped) => this.#tap(tapped));
    this.#promotions.offer(response, response.inlineBody);
    return new SharedResponse(response);
  }

  #tap(response: StoredResponse) {
    return this.#known.current(response.ref) && this.#promotions.tap(response);
  }

  #admits(key: string, admission: Admission, bodyBytes = 0): boolean {
    if (admission === 'never' || this.#isClosed) return false;
    return bodyBytes <= this.#maxMemoryEntryBytes && (admission === 'always' || this.#seen.see(key));
  }

  async #makeStale(ref: StoreRef, head: StoredHead, softMs: number): Promise<boolean> {
    if (head.invalidatedMs !== undefined) return false;
    return (await this.#changes.updateHead(ref, { ...head, invalidatedMs: softMs })) !== undefined;
  }

  /** Soft: what is in memory alone stays known, and copies of what the disk has go when its new head is seen. */
  #cover(selector: Selector, isSoft: boolean): void {
    if ('key' in selector) {
      if (isSoft) this.#known.doubt(selector.key);
      else this.#known.forget(selector.key);
      this.#watches.note(selector.key, 'all');
    } else this.#doubtEverything();
  }

  #doubtEverything(): void {
    this.#known.doubtEverything();
    this.#watches.noteEverything();
  }

  #forgetEverything(): void {
    this.#promotions.clear();
    this.#watches.noteEverything();
    this.#known.clear();
  }

  async *#memoryOnly(selector: Selector | undefined): AsyncIterable<StoredResponse> {
    if (!this.#known.hasMemoryOnly) return;
    for await (const copy of this.#memory.entries(selector)) {
      const ref = memoryOnlyRef(copy.ref);
      if (this.#known.find(ref) !== undefined) yield new MemoryCopy(ref, copy);
    }
  }
}

function copyOf({ memory }: KnownResponse, copies: readonly StoredResponse[]): StoredResponse | undefined {
  return memory && copies.find(({ ref }) => ref.sequence === memory.sequence);
}

function prefixed(tier: string, counters: Readonly<Record<string, number>>): Record<string, number> {
  return Object.fromEntries(Object.entries(counters).map(([name, value]) => [`${tier}.${name}`, value]));
}
