import type { StoredHead } from '../http/message.js';
import { isOutversioned } from '../http/version.js';
import type {
  CommitResult,
  DeclineReason,
  ResponseStore,
  StoredResponse,
  StoreListener,
  StoreRef,
  UpdateOptions,
} from './contract.js';
import type { KnownKeys, Noted } from './tiered-known.js';
import { MemoryCopy } from './tiered-response.js';
import type { Watch, Watches } from './tiered-watch.js';
import { memoryMayFollow, type TierWriters, type TrailerOptions } from './tiered-writer.js';

export interface Tiers {
  readonly memory: ResponseStore;
  readonly disk: ResponseStore;
  readonly known: KnownKeys;
  readonly watches: Watches;
  readonly onEvent: StoreListener | undefined;
  /** Removes a copy from memory that nothing refers to any more; nobody waits for it. */
  readonly discard: (memory: StoreRef) => void;
}

/** The ref by which callers know what is in the memory tier alone. */
export function memoryOnlyRef(memory: StoreRef): StoreRef {
  return { key: memory.key, sequence: -1 - memory.sequence };
}

export function isOnDisk(ref: StoreRef): boolean {
  return ref.sequence >= 0;
}

/** A tier that breaks its promise and throws is one that has failed: the other goes on. */
export async function attempt<T>(tiers: Tiers, work: () => Promise<T>, otherwise: T): Promise<T> {
  try {
    return await work();
  } catch (error) {
    tiers.onEvent?.({ type: 'error', error: error instanceof Error ? error : new Error(String(error)) });
    return otherwise;
  }
}

/**
 * Changes of single responses, in both tiers. The disk decides which of two changes of one response wins; what memory
 * holds becomes visible only by a link to a response in `known`, which forgets what has changed.
 */
export class TieredChanges {
  readonly #tiers: Tiers;
  /** Refs that a change is under way for: a second one has lost already. */
  readonly #claimed = new Map<string, Set<number>>();

  constructor(tiers: Tiers) {
    this.#tiers = tiers;
  }

  async commit(
    key: string,
    head: StoredHead,
    replaces: readonly StoreRef[],
    writers: TierWriters,
    options?: TrailerOptions,
  ): Promise<CommitResult> {
    const { known, watches } = this.#tiers;
    const isCurrent = replaces.every((ref) => isOnDisk(ref) || known.current(ref) !== undefined);
    if (!isCurrent || !this.#claim(replaces)) {
      await Promise.all([writers.disk.abort(), writers.memory?.abort()]);
      return declined('superseded');
    }
    const watch = watches.open(key);
    try {
      const onDisk = await attempt(this.#tiers, () => writers.disk.commit(options), declined('unavailable'));
      if (onDisk.outcome === 'stored') {
        return await this.#committed(onDisk.response, replaces, writers, watch, options);
      }
      if (!memoryMayFollow(onDisk.reason)) {
        await writers.memory?.abort();
        return onDisk;
      }
      return await this.#commitInMemory(key, head, replaces, writers, watch, options, onDisk.reason);
    } finally {
      watches.close(watch);
      this.#release(replaces);
    }
  }

  async updateHead(ref: StoreRef, head: StoredHead, options?: UpdateOptions): Promise<StoredResponse | undefined> {
    if (!this.#claim([ref])) return undefined;
    const { disk, known, watches } = this.#tiers;
    const watch = watches.open(ref.key);
    try {
      const updated = isOnDisk(ref)
        ? await attempt(this.#tiers, () => disk.updateHead(ref, head, options), undefined)
        : undefined;
      const copy = known.current(ref)?.memory;
      if (updated === undefined) {
        const alone = copy && (await this.#updateInMemory(ref, copy, head, watch, options));
        if (alone === undefined) this.#change(ref.key, [ref.sequence]);
        return alone;
      }
      if (copy !== undefined) known.detach(ref);
      this.#changeOnDisk([ref], updated.ref, watch);
      if (copy === undefined) return updated;
      const held = await this.#holding(updated.ref, () => this.#tiers.memory.updateHead(copy, head, options));
      if (held === undefined) this.#tiers.discard(copy);
      return held ?? updated;
    } finally {
      watches.close(watch);
      this.#release([ref]);
    }
  }

  async remove(ref: StoreRef): Promise<boolean> {
    if (!this.#claim([ref])) return false;
    const { disk, known, memory } = this.#tiers;
    try {
      const isRemoved = isOnDisk(ref) && (await attempt(this.#tiers, () => disk.remove(ref), false));
      const copy = known.current(ref)?.memory;
      if (copy !== undefined) known.detach(ref);
      this.#change(ref.key, [ref.sequence]);
      const wasInMemory = copy !== undefined && (await memory.remove(copy));
      return isRemoved || wasInMemory;
    } finally {
      this.#release([ref]);
    }
  }

  /** The disk has it; memory may follow. */
  async #committed(
    response: StoredResponse,
    replaces: readonly StoreRef[],
    writers: TierWriters,
    watch: Watch,
    options?: TrailerOptions,
  ): Promise<CommitResult> {
    const { ref } = response;
    const isCurrent = this.#changeOnDisk(replaces, ref, watch);
    const { memory } = writers;
    if (!isCurrent) await memory?.abort();
    if (!isCurrent || memory === undefined) return { outcome: 'stored', response };
    const held = await this.#holding(ref, async () => {
      const result = await memory.commit(options);
      return result.outcome === 'stored' ? result.response : undefined;
    });
    return { outcome: 'stored', response: held ?? response };
  }

  /** The disk took nothing, and not because something newer is there. */
  async #commitInMemory(
    key: string,
    head: StoredHead,
    replaces: readonly StoreRef[],
    { memory }: TierWriters,
    watch: Watch,
    options: TrailerOptions | undefined,
    reason: DeclineReason,
  ): Promise<CommitResult> {
    const { disk, known } = this.#tiers;
    if (memory === undefined) return declined(reason);
    if (head.version !== undefined) {
      const onDisk = await attempt(this.#tiers, () => disk.lookup(key), []);
      if (onDisk.some((response) => isOutversioned(head, response.head))) {
        await memory.abort();
        return declined('version-mismatch');
      }
    }
    for (const ref of replaces) {
      // What it replaces must not come back from disk when memory has evicted this.
      const isRemoved = isOnDisk(ref) && (await attempt(this.#tiers, () => disk.remove(ref), false));
      if (!isRemoved && known.current(ref) === undefined) {
        await memory.abort();
        return declined('superseded');
      }
    }
    const result = await memory.commit(options);
    if (result.outcome === 'declined') return declined(result.reason === 'version-mismatch' ? result.reason : reason);
    const gone = replaces.map(({ sequence }) => sequence);
    const response = this.#holdAlone(key, gone, result.response, watch);
    return response === undefined ? declined('superseded') : { outcome: 'stored', response };
  }

  /** The disk has lost it, or never had it. */
  async #updateInMemory(
    ref: StoreRef,
    copy: StoreRef,
    head: StoredHead,
    watch: Watch,
    options?: UpdateOptions,
  ): Promise<StoredResponse | undefined> {
    const { disk, known, memory } = this.#tiers;
    if (isOnDisk(ref)) await attempt(this.#tiers, () => disk.remove(ref), false);
    const updated = await memory.updateHead(copy, head, options);
    if (updated === undefined) return undefined;
    known.detach(ref);
    return this.#holdAlone(ref.key, [ref.sequence], updated, watch);
  }

  #holdAlone(key: string, gone: number[], copy: StoredResponse, watch: Watch): StoredResponse | undefined {
    if (watch.isCovered) {
      this.#tiers.discard(copy.ref);
      return undefined;
    }
    const ref = memoryOnlyRef(copy.ref);
    this.#change(key, gone, { ref, isOnDisk: false, memory: copy.ref });
    return new MemoryCopy(ref, copy);
  }

  /** Links what `work` puts in memory, if the response is still known by then. */
  async #holding(ref: StoreRef, work: () => Promise<StoredResponse | undefined>): Promise<StoredResponse | undefined> {
    const copy = await work();
    if (copy === undefined) return undefined;
    if (this.#tiers.known.link(ref, copy.ref)) return new MemoryCopy(ref, copy);
    this.#tiers.discard(copy.ref);
    return undefined;
  }

  /** Notes a change that has happened, in one step. */
  #change(key: string, gone: readonly number[], added?: Noted): void {
    this.#tiers.known.replace(key, gone, added);
    this.#tiers.watches.note(key, added === undefined ? gone : [...gone, added.ref.sequence]);
  }

  /** `false` if the disk may have changed it again before we heard of it. */
  #changeOnDisk(gone: readonly StoreRef[], added: StoreRef, watch: Watch): boolean {
    const isCurrent = watch.holds(added.sequence);
    const goneSequences = gone.map(({ sequence }) => sequence);
    this.#change(added.key, goneSequences, isCurrent ? { ref: added, isOnDisk: true, memory: undefined } : undefined);
    if (!isCurrent) {
      this.#tiers.known.doubt(added.key);
      this.#tiers.watches.note(added.key, [added.sequence]);
    }
    return isCurrent;
  }

  #claim(refs: readonly StoreRef[]): boolean {
    if (refs.some((ref) => this.#claimed.get(ref.key)?.has(ref.sequence))) return false;
    for (const { key, sequence } of refs) {
      const claimed = this.#claimed.get(key);
      if (claimed === undefined) this.#claimed.set(key, new Set([sequence]));
      else claimed.add(sequence);
    }
    return true;
  }

  #release(refs: readonly StoreRef[]): void {
    for (const { key, sequence } of refs) {
      const claimed = this.#claimed.get(key);
      claimed?.delete(sequence);
      if (claimed?.size === 0) this.#claimed.delete(key);
    }
  }
}

function declined(reason: DeclineReason): CommitResult {
  return { outcome: 'declined', reason };
}
