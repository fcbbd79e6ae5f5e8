import type { DiskIndex } from '../disk/index-table.js';
import { filterHashOf, hashOfKey, namespaceHashOf } from '../disk/key-hash.js';
import { recordTypes } from '../disk/record.js';
import type { StoredHead } from '../http/message.js';
import type { WriteQueue } from '../protocol/write-queue.js';
import type { Candidate, InvalidateOptions, Selector, StoredResponse } from './contract.js';
import type { DiskEntryWriter } from './disk-entry-writer.js';
import type { DiskReader, FoundRecord } from './disk-reader.js';
import type { RecordWriter } from './disk-record-writer.js';
import { hostOfPrefix, hostOfSelector, tagBitsOf } from './disk-select.js';
import { createMatcher, tagsOf } from './select.js';

export interface InvalidationParts {
  readonly index: DiskIndex;
  readonly reader: DiskReader;
  readonly records: RecordWriter;
  readonly queue: WriteQueue;
  readonly writers: ReadonlySet<DiskEntryWriter>;
  isOff(): boolean;
  /** Gives what was found a new head. `undefined`: it was changed meanwhile, or could not be written. */
  freshen(found: FoundRecord, head: StoredHead): Promise<StoredResponse | undefined>;
  /** Slots were taken back: files and segments may be free. */
  onSwept(): void;
}

/** Changes that are under way at once: what more there is waits. */
const maxChanges = 512;
const slotsPerTurn = 4096;

/** Finds and invalidates what selectors cover in the disk store. */
export class DiskInvalidation {
  readonly #parts: InvalidationParts;
  /** What the invalidations under way cover, other than by key. */
  readonly #underWay = new Set<(candidate: Candidate) => boolean>();
  #isSweeping = false;
  #mustSweepAgain = false;

  constructor(parts: InvalidationParts) {
    this.#parts = parts;
  }

  /** An invalidation that is under way covers it, so that a new head for it comes too late. */
  isCovered(candidate: Candidate): boolean {
    if (this.#underWay.size === 0) return false;
    return [...this.#underWay].some((matches) => matches(candidate));
  }

  async invalidate(selector: Selector, { softMs }: InvalidateOptions = {}): Promise<number> {
    const matches = createMatcher(selector);
    for (const writer of this.#parts.writers) {
      const { key, head, options } = writer;
      if (matches({ key, head, tags: options.tags ?? [] })) writer.supersede('superseded');
    }
    if (softMs === undefined && 'key' in selector) return this.#invalidateKey(selector.key);
    if (softMs === undefined && 'namespace' in selector) return this.#flushNamespace(selector.namespace);
    this.#underWay.add(matches);
    try {
      await this.#parts.queue.written();
      return await this.#changeEach(selector, (found) =>
        softMs === undefined ? this.#remove(found) : this.#makeStale(found, softMs),
      );
    } finally {
      this.#underWay.delete(matches);
    }
  }

  /** What is stored and covered, one after the other. */
  async *find(selector: Selector | undefined): AsyncGenerator<FoundRecord> {
    const { index, reader } = this.#parts;
    const matches = selector === undefined ? () => true : createMatcher(selector);
    const key = selector !== undefined && 'key' in selector ? selector.key : undefined;
    for (const slot of key === undefined ? this.#slotsFor(selector) : this.#slotsOf(key)) {
      const found = await reader.read(slot, key);
      if (this.#parts.isOff()) return;
      if (found === undefined || index.sequenceOf(slot) !== found.place.sequence) continue;
      if (matches(found.record)) yield found;
    }
  }

  async headsUnder(key: string): Promise<readonly StoredHead[]> {
    const heads: StoredHead[] = [];
    for await (const { record } of this.find({ key })) heads.push(record.head);
    return heads;
  }

  async #changeEach(selector: Selector, change: (found: FoundRecord) => Promise<boolean> | false): Promise<number> {
    let changed = 0;
    let pending: Promise<boolean>[] = [];
    const settle = async () => {
      for (const isChanged of await Promise.all(pending)) if (isChanged) changed += 1;
      pending = [];
    };
    for await (const found of this.find(selector)) {
      const outcome = change(found);
      if (outcome !== false) pending.push(outcome);
      if (pending.length >= maxChanges) await settle();
    }
    await settle();
    return changed;
  }

  async #remove({ place, record }: FoundRecord): Promise<boolean> {
    const { records } = this.#parts;
    if (records.isLeaving(place.sequence)) return false;
    const removal = { type: recordTypes.removed, hash: record.header.hash, replaces: place.sequence };
    const result = await records.note(removal);
    return result.outcome === 'written' && result.applied.removed > 0;
  }

  #makeStale(found: FoundRecord, softMs: number): Promise<boolean> | false {
    const { head } = found.record;
    if (head.invalidatedMs !== undefined) return false;
    return this.#parts.freshen(found, { ...head, invalidatedMs: softMs }).then((updated) => updated !== undefined);
  }

  async #invalidateKey(key: string): Promise<number> {
    const { index, records } = this.#parts;
    const leaving = [...this.#slotsOf(key)].map((slot) => index.sequenceOf(slot));
    const result = await records.note({ type: recordTypes.keyInvalidated, hash: hashOfKey(key) }, leaving);
    return result.outcome === 'written' ? result.applied.removed : 0;
  }

  /** One record, however much the namespace holds. */
  async #flushNamespace(namespace: string): Promise<number> {
    const { index, records } = this.#parts;
    const namespaceHash = namespaceHashOf(namespace);
    let flushed = 0;
    const result = await records.noteFlushed(namespaceHash, (sequence) => {
      flushed = index.flushNamespace(namespaceHash, sequence);
    });
    this.sweepSoon();
    return result.outcome === 'written' ? flushed : 0;
  }

  /** Takes back what flushed namespaces held, a little in each turn of the event loop. */
  sweepSoon(): void {
    this.#mustSweepAgain = true;
    if (!this.#isSweeping) this.#sweepFrom(0);
  }

  #sweepFrom(slot: number): void {
    this.#isSweeping = true;
    if (slot === 0) this.#mustSweepAgain = false;
    setImmediate(() => {
      this.#isSweeping = false;
      if (this.#parts.isOff()) return;
      const next = this.#parts.index.sweep(slot, slotsPerTurn);
      if (next < 0) this.#parts.onSwept();
      if (next >= 0 || this.#mustSweepAgain) this.#sweepFrom(Math.max(0, next));
    });
  }

  *#slotsOf(key: string): Generator<number> {
    const { index } = this.#parts;
    for (let slot = index.find(hashOfKey(key)); slot >= 0; slot = index.nextOf(slot)) yield slot;
  }

  *#slotsFor(selector: Selector | undefined): Generator<number> {
    const { index } = this.#parts;
    const mayMatch = this.#filterOf(selector);
    for (let slot = 0; slot < index.slotEnd; slot += 1) {
      if (index.sequenceOf(slot) !== 0 && mayMatch(slot)) yield slot;
    }
  }

  /** Tells without reading heads which slots cannot be covered by a selector. */
  #filterOf(selector: Selector | undefined): (slot: number) => boolean {
    const { index } = this.#parts;
    if (selector === undefined || 'key' in selector || 'where' in selector) return () => true;
    if ('tag' in selector) {
      const bits = tagBitsOf(tagsOf(selector));
      return (slot) => (index.tagBitsOf(slot) & bits) !== 0;
    }
    if ('namespace' in selector) {
      const namespaceHash = namespaceHashOf(selector.namespace);
      return (slot) => index.namespaceOf(slot) === namespaceHash;
    }
    const host = 'host' in selector ? hostOfSelector(selector.host) : hostOfPrefix(selector.prefix);
    if (host === undefined) return () => true;
    const hash = filterHashOf(host);
    return (slot) => index.hostHashOf(slot) === hash;
  }
}
