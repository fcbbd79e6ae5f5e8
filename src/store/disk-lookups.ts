import type { DiskIndex } from '../disk/index-table.js';
import { hashOfKey } from '../disk/key-hash.js';
import type { StoredResponse } from './contract.js';
import type { DiskCounters } from './disk-counters.js';
import type { DiskReader } from './disk-reader.js';

export interface LookupParts {
  readonly index: DiskIndex;
  readonly reader: DiskReader;
  readonly counters: DiskCounters;
  isOff(): boolean;
}

/** A head that is replaced while it is read is looked for again. */
const maxTries = 4;
const nothing: readonly StoredResponse[] = [];

/** Finds what is stored under a key. */
export class DiskLookups {
  readonly #parts: LookupParts;

  constructor(parts: LookupParts) {
    this.#parts = parts;
  }

  /** The newest first. */
  async find(key: string): Promise<readonly StoredResponse[]> {
    const { counters, index, isOff } = this.#parts;
    if (isOff()) return nothing;
    counters.lookups += 1;
    const hash = hashOfKey(key);
    let found: readonly StoredResponse[] | undefined;
    for (let tries = 0; tries < maxTries && found === undefined; tries += 1) {
      const first = index.find(hash);
      if (first < 0) {
        counters.absent += 1;
        return nothing;
      }
      const second = index.nextOf(first);
      found = second < 0 ? await this.#findOne(first, key) : await this.#findAll(first, key);
    }
    if (found === undefined || found.length === 0) return nothing;
    counters.hits += 1;
    return found;
  }

  /** `undefined`: while it was read, something took its place. */
  async #findOne(slot: number, key: string): Promise<readonly StoredResponse[] | undefined> {
    const { index, isOff, reader } = this.#parts;
    const sequence = index.sequenceOf(slot);
    index.touch(slot);
    const found = await reader.read(slot, key);
    if (isOff()) return nothing;
    if (found !== undefined) return [reader.responseOf(found)];
    return index.sequenceOf(slot) === sequence ? nothing : undefined;
  }

  async #findAll(first: number, key: string): Promise<readonly StoredResponse[] | undefined> {
    const { index } = this.#parts;
    const all: Promise<readonly StoredResponse[] | undefined>[] = [];
    for (let slot = first; slot >= 0; slot = index.nextOf(slot)) all.push(this.#findOne(slot, key));
    const found: StoredResponse[] = [];
    for (const one of await Promise.all(all)) {
      if (one === undefined) return undefined;
      found.push(...one);
    }
    return found.sort((a, b) => b.ref.sequence - a.ref.sequence);
  }
}
