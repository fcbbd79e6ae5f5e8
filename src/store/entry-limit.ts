import type { DiskIndex } from '../disk/index-table.js';
import { recordTypes } from '../disk/record.js';
import { onceKnown, type RecordResult } from '../protocol/write-queue.js';
import type { Victim } from './disk-evictor.js';
import type { RecordWriter } from './disk-record-writer.js';
import type { DiskSpace } from './disk-space.js';

export interface EntryLimitHost {
  readonly index: DiskIndex;
  readonly space: DiskSpace;
  readonly records: RecordWriter;
  readonly maxEntries: number;
  /** What is to go when so many more come. */
  takeVictims(coming: number): readonly Victim[];
  onEvicted(entries: number): void;
}

const removalsAtOnce = 512;

/** Keeps no more responses than `maxEntries`: who comes makes another one go, in the same append to the log. */
export class EntryLimit {
  readonly #host: EntryLimitHost;
  /** Responses whose records are on their way, less those that are evicted for them. */
  #coming = 0;
  readonly #victims = new Set<number>();
  #trimming: Promise<void> | undefined;

  constructor(host: EntryLimitHost) {
    this.#host = host;
  }

  /** So many more are on their way: what has to go for them. */
  admit(coming: number): readonly Victim[] {
    const victims = this.#take(coming);
    this.#coming += coming;
    return victims;
  }

  /** They do not come after all, and so nothing has to go for them. */
  giveUp(coming: number, victims: readonly Victim[]): void {
    this.#coming -= coming;
    this.#spare(victims);
  }

  /** One that was admitted has come. */
  noteStored(): void {
    this.#coming -= 1;
  }

  /** Something was removed. Returns whether that was for others. */
  noteRemoved(sequence: number): boolean {
    const wasVictim = this.#victims.delete(sequence);
    if (wasVictim) this.#coming += 1;
    return wasVictim;
  }

  /** More may have been stored at once than is to be kept. */
  check(): void {
    if (this.#host.index.count + this.#coming > this.#host.maxEntries) this.trim();
  }

  /** More may have been stored by an earlier process. */
  trim(): void {
    this.#trimming ??= this.#trimEntries().finally(() => {
      this.#trimming = undefined;
    });
  }

  /** Resolves when nothing more is being removed. */
  async settled(): Promise<void> {
    await this.#trimming;
  }

  async #trimEntries(): Promise<void> {
    for (let isAll = false; !isAll; ) {
      const removals: Promise<RecordResult>[] = [];
      while (removals.length < removalsAtOnce) {
        const victims = this.#take(0);
        for (const victim of victims) removals.push(this.#evict(victim));
        if (victims.length === 0) break;
      }
      isAll = removals.length < removalsAtOnce;
      const results = await Promise.all(removals);
      const evicted = results.filter(({ outcome }) => outcome === 'written').length;
      if (evicted > 0) this.#host.onEvicted(evicted);
      if (evicted < removals.length) return;
    }
  }

  async #evict(victim: Victim): Promise<RecordResult> {
    const result = await this.#host.records.note({ type: recordTypes.removed, ...victim });
    if (result.outcome === 'failed') {
      onceKnown(result, (final) => {
        if (final.outcome === 'failed') this.#spare([victim]);
      });
    }
    return result;
  }

  #take(coming: number): readonly Victim[] {
    const victims = this.#host.takeVictims(this.#coming + coming);
    this.#coming -= victims.length;
    for (const { replaces } of victims) this.#victims.add(replaces);
    return victims;
  }

  /** They stay after all. */
  #spare(victims: readonly Victim[]): void {
    for (const { replaces } of victims) {
      this.#host.space.forgetEvicted(replaces);
      if (this.#victims.delete(replaces)) this.#coming += 1;
    }
  }
}
