import type { StoredHead } from '../http/message.js';
import { isOutversioned } from '../http/version.js';
import type {
  CommitResult,
  CreateOptions,
  DeclineReason,
  EntryWriter,
  InvalidateOptions,
  Presence,
  ResponseStore,
  Selector,
  StoredResponse,
  StoreListener,
  StoreRef,
  StoreStats,
  UpdateOptions,
} from './contract.js';
import type { MemoryBody } from './memory-body.js';
import { headCostBytes } from './memory-cost.js';
import { MemoryResponse } from './memory-response.js';
import { MemoryWriter, ownHead, type WriterHost } from './memory-writer.js';
import { createMatcher } from './select.js';
import { PrioritySieve, type SieveLinks } from './sieve.js';

export interface MemoryStoreOptions {
  /** Memory to use for everything: bodies, heads, what is being written, and the store's own objects. */
  readonly maxBytes: number;
  /** The longest body to keep, in bytes. @default a quarter of `maxBytes` */
  readonly maxEntryBytes?: number;
  /** Told of evictions. */
  readonly onEvent?: StoreListener;
  /** Clock, ms since the epoch. @default Date.now */
  readonly nowMs?: () => number;
}

/** Holds responses in the memory of this process until it ends, or they are evicted. */
export interface MemoryStore extends ResponseStore {
  /** `lookup` without the promise. */
  peek(key: string): readonly StoredResponse[];
}

export function createMemoryStore(options: MemoryStoreOptions): MemoryStore {
  return new MemoryResponseStore(options);
}

/** How many evicted responses to remember by their sequence; older ones count as superseded, which only costs a store. */
const maxEvictedRemembered = 1024;

/** One stored response and its place in the order of eviction. */
interface Slot extends SieveLinks<Slot> {
  readonly key: string;
  readonly tags: readonly string[];
  readonly priority: number;
  readonly body: MemoryBody;
  response: MemoryResponse;
  expiresMs: number;
  costBytes: number;
}

class MemoryResponseStore implements MemoryStore, WriterHost {
  readonly maxEntryBytes: number;
  readonly #maxBytes: number;
  readonly #onEvent: StoreListener | undefined;
  readonly #nowMs: () => number;
  readonly #slots = new Map<string, Slot[]>();
  readonly #order = new PrioritySieve<Slot>();
  readonly #writers = new Set<MemoryWriter>();
  /** Writers of what was invalidated before it was committed. */
  readonly #superseded = new WeakSet<MemoryWriter>();
  readonly #evicted = new Set<number>();
  readonly #counters = {
    lookups: 0,
    hits: 0,
    stored: 0,
    declined: 0,
    freshened: 0,
    removed: 0,
    invalidated: 0,
    softInvalidated: 0,
    evicted: 0,
    versionMismatches: 0,
  };
  #entries = 0;
  #storedBytes = 0;
  #incomingBytes = 0;
  #sequence = 0;
  #isClosed = false;

  constructor({ maxBytes, maxEntryBytes = Math.floor(maxBytes / 4), onEvent, nowMs = Date.now }: MemoryStoreOptions) {
    this.#maxBytes = maxBytes;
    this.maxEntryBytes = maxEntryBytes;
    this.#onEvent = onEvent;
    this.#nowMs = nowMs;
  }

  peek(key: string): readonly StoredResponse[] {
    this.#counters.lookups += 1;
    const slots = this.#slots.get(key);
    if (slots === undefined) return [];
    this.#counters.hits += 1;
    for (const slot of slots) slot.visited = true;
    return slots.map((slot) => slot.response);
  }

  async lookup(key: string): Promise<readonly StoredResponse[]> {
    return this.peek(key);
  }

  create(key: string, head: StoredHead, options: CreateOptions = {}): EntryWriter {
    const writer = new MemoryWriter(this, key, head, options);
    this.#writers.add(writer);
    return writer;
  }

  async updateHead(ref: StoreRef, head: StoredHead, options: UpdateOptions = {}): Promise<StoredResponse | undefined> {
    const updated = this.#setHead(ref, head, options);
    if (updated !== undefined) this.#counters.freshened += 1;
    return updated;
  }

  #setHead(ref: StoreRef, head: StoredHead, options: UpdateOptions = {}): StoredResponse | undefined {
    const slot = this.#find(ref);
    const own = ownHead(head);
    if (slot === undefined || own === undefined) return undefined;
    const costBytes = slot.body.costBytes + headCostBytes(slot.key, own, slot.tags);
    slot.visited = true;
    if (!this.#makeRoom(costBytes - slot.costBytes, slot.priority, slot)) return undefined;
    this.#storedBytes += costBytes - slot.costBytes;
    slot.costBytes = costBytes;
    slot.expiresMs = options.expiresMs ?? slot.expiresMs;
    slot.response = new MemoryResponse(this.#nextRef(slot.key), own, slot.body);
    const others = (this.#slots.get(slot.key) ?? []).filter((other) => other !== slot);
    this.#slots.set(slot.key, [slot, ...others]);
    return slot.response;
  }

  async remove(ref: StoreRef): Promise<boolean> {
    const slot = this.#find(ref);
    if (slot === undefined) return false;
    this.#drop(slot);
    this.#counters.removed += 1;
    return true;
  }

  async invalidate(selector: Selector, { softMs }: InvalidateOptions = {}): Promise<number> {
    const matches = createMatcher(selector);
    for (const writer of this.#writers) {
      const { key, head, options } = writer;
      if (matches({ key, head, tags: options.tags ?? [] })) this.#superseded.add(writer);
    }
    const covered = this.#select(selector);
    if (softMs !== undefined) return this.#makeStale(covered, softMs);
    for (const slot of covered) this.#drop(slot);
    this.#counters.invalidated += covered.length;
    return covered.length;
  }

  async *entries(selector?: Selector): AsyncIterable<StoredResponse> {
    for (const slot of this.#select(selector)) yield slot.response;
  }

  async stats(): Promise<StoreStats> {
    return {
      entries: this.#entries,
      bytes: this.#storedBytes + this.#incomingBytes,
      maxBytes: this.#maxBytes,
      counters: { ...this.#counters },
    };
  }

  has(key: string): Presence {
    return this.#slots.has(key) ? 'present' : 'absent';
  }

  async flush(): Promise<void> {}

  async clear(): Promise<void> {
    for (const writer of this.#writers) this.#superseded.add(writer);
    this.#slots.clear();
    this.#order.clear();
    this.#entries = 0;
    this.#storedBytes = 0;
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    await this.clear();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  reserve(bytes: number, priority: number): DeclineReason | undefined {
    this.#incomingBytes += bytes;
    if (bytes <= 0) return undefined;
    if (this.#incomingBytes > Math.max(this.#maxBytes / 2, this.maxEntryBytes)) return 'overloaded';
    return this.#makeRoom(0, priority) ? undefined : 'no-space';
  }

  refusal(writer: MemoryWriter): DeclineReason | undefined {
    return this.#isClosed ? 'closed' : this.#superseded.has(writer) ? 'superseded' : undefined;
  }

  leave(writer: MemoryWriter): void {
    this.#writers.delete(writer);
  }

  keep(writer: MemoryWriter, head: StoredHead): CommitResult {
    const { key, body, options } = writer;
    const { replaces = [], priority = 0, expiresMs = Number.POSITIVE_INFINITY } = options;
    const tags = [...(options.tags ?? [])];
    const replaced = replaces.map((ref) => this.#find(ref) ?? (this.#evicted.has(ref.sequence) ? 'evicted' : 'gone'));
    if (replaced.includes('gone')) return this.decline('superseded');
    if (head.version !== undefined && this.#isOutversioned(key, head)) {
      this.#counters.versionMismatches += 1;
      return this.decline('version-mismatch');
    }
    const costBytes = body.costBytes + headCostBytes(key, head, tags);
    if (costBytes > this.#maxBytes) return this.decline('too-large');
    for (const slot of replaced) if (typeof slot === 'object') this.#drop(slot);
    if (!this.#makeRoom(costBytes, priority)) return this.decline('no-space');
    const response = new MemoryResponse(this.#nextRef(key), head, body);
    const slot: Slot = {
      newer: undefined,
      older: undefined,
      visited: false,
      key,
      tags,
      priority,
      body,
      response,
      expiresMs,
      costBytes,
    };
    const others = this.#slots.get(key);
    this.#slots.set(key, others === undefined ? [slot] : [slot, ...others]);
    this.#order.add(slot);
    this.#entries += 1;
    this.#storedBytes += costBytes;
    this.#counters.stored += 1;
    return { outcome: 'stored', response };
  }

  decline(reason: DeclineReason): CommitResult {
    this.#counters.declined += 1;
    return { outcome: 'declined', reason };
  }

  #isOutversioned(key: string, head: StoredHead): boolean {
    return (this.#slots.get(key) ?? []).some(({ response }) => isOutversioned(head, response.head));
  }

  #nextRef(key: string): StoreRef {
    this.#sequence += 1;
    return { key, sequence: this.#sequence };
  }

  #find(ref: StoreRef): Slot | undefined {
    return this.#slots.get(ref.key)?.find((slot) => slot.response.ref.sequence === ref.sequence);
  }

  #select(selector: Selector | undefined): Slot[] {
    if (selector !== undefined && 'key' in selector) return [...(this.#slots.get(selector.key) ?? [])];
    const all = [...this.#slots.values()].flat();
    if (selector === undefined) return all;
    const matches = createMatcher(selector);
    return all.filter(({ key, tags, response }) => matches({ key, tags, head: response.head }));
  }

  #makeStale(slots: readonly Slot[], softMs: number): number {
    let stale = 0;
    for (const { response } of slots) {
      const { ref, head } = response;
      if (head.invalidatedMs !== undefined) continue;
      if (this.#setHead(ref, { ...head, invalidatedMs: softMs }) !== undefined) stale += 1;
    }
    this.#counters.softInvalidated += stale;
    return stale;
  }

  #drop(slot: Slot): void {
    const slots = this.#slots.get(slot.key) ?? [];
    if (slots.length <= 1) this.#slots.delete(slot.key);
    else {
      const others = slots.filter((other) => other !== slot);
      this.#slots.set(slot.key, others);
    }
    this.#order.remove(slot);
    this.#entries -= 1;
    this.#storedBytes -= slot.costBytes;
  }

  /** Evicts until `bytes` more fit. `false`: only what has a higher priority is left. */
  #makeRoom(bytes: number, priority: number, keep?: Slot): boolean {
    const nowMs = this.#nowMs();
    let entries = 0;
    let evictedBytes = 0;
    let fits = true;
    while (this.#storedBytes + this.#incomingBytes + bytes > this.#maxBytes) {
      const victim = this.#order.victim(priority, (slot) => slot.expiresMs <= nowMs);
      if (victim === undefined || victim === keep) {
        fits = false;
        break;
      }
      this.#drop(victim);
      this.#rememberEvicted(victim.response.ref.sequence);
      entries += 1;
      evictedBytes += victim.costBytes;
    }
    this.#counters.evicted += entries;
    if (entries > 0) this.#onEvent?.({ type: 'evict', entries, bytes: evictedBytes });
    return fits;
  }

  #rememberEvicted(sequence: number): void {
    this.#evicted.add(sequence);
    if (this.#evicted.size <= maxEvictedRemembered) return;
    for (const oldest of this.#evicted) {
      this.#evicted.delete(oldest);
      break;
    }
  }
}
