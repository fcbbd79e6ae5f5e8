import type { StoreRef } from './contract.js';
import { Sieve, type SieveLinks } from './sieve.js';

/** One stored response as the tiered store knows it. */
export interface KnownResponse {
  /** What callers hold: the disk tier's own ref, or (negative sequence) one for what is in memory alone. */
  readonly ref: StoreRef;
  readonly isOnDisk: boolean;
  /** Its copy in the memory tier, which may have been evicted since. */
  memory: StoreRef | undefined;
  /** The age at which it was certainly stored. */
  asOf: number;
}

/** A response to note. */
export type Noted = Omit<KnownResponse, 'asOf'>;

interface KnownKey extends SieveLinks<KnownKey> {
  readonly key: string;
  responses: readonly KnownResponse[];
  /** The age at which `responses` was all that the disk tier has; -1: it may have more. */
  completeAt: number;
}

/**
 * Which responses there are under the keys that were used last: so that the memory tier alone may answer for a key only
 * when it has everything there is. What is forgotten here is not lost, only asked of the disk again.
 */
export class KnownKeys {
  readonly #keys = new Map<string, KnownKey>();
  readonly #order = new Sieve<KnownKey>();
  readonly #maxKeys: number;
  readonly #discard: (memory: StoreRef) => void;
  #age = 0;
  #coversUnderWay = 0;
  /** Whether there ever was a response in memory alone: as long as the disk tier works, there is none. */
  hasMemoryOnly = false;

  /** `discard` is told of every copy in memory that nothing refers to any more. */
  constructor(maxKeys: number, discard: (memory: StoreRef) => void) {
    this.#maxKeys = maxKeys;
    this.#discard = discard;
  }

  /** All that is stored under the key, or `undefined` if only the disk can tell. */
  complete(key: string): readonly KnownResponse[] | undefined {
    const known = this.#keys.get(key);
    if (known === undefined || known.completeAt !== this.#age) return undefined;
    known.visited = true;
    return known.responses;
  }

  find(ref: StoreRef): KnownResponse | undefined {
    return this.#keys.get(ref.key)?.responses.find((response) => response.ref.sequence === ref.sequence);
  }

  /** As `find`, unless it may have been invalidated since. What is in memory alone, memory itself forgets. */
  current(ref: StoreRef): KnownResponse | undefined {
    const response = this.find(ref);
    const isInDoubt = this.#coversUnderWay > 0 || response?.asOf !== this.#age;
    return response?.isOnDisk && isInDoubt ? undefined : response;
  }

  /** Until the function returned is called, the disk may be invalidating any response. */
  beginCover(): () => void {
    this.#coversUnderWay += 1;
    return () => {
      this.#coversUnderWay -= 1;
    };
  }

  inMemoryOnly(key: string): readonly KnownResponse[] {
    return this.#keys.get(key)?.responses.filter((response) => !response.isOnDisk) ?? [];
  }

  /** The disk has just these. */
  confirm(key: string, onDisk: readonly StoreRef[]): void {
    const before = this.#keys.get(key)?.responses ?? [];
    const confirmed = onDisk.map((ref): KnownResponse => {
      const same = before.find((response) => response.ref.sequence === ref.sequence);
      if (same === undefined) return { ref, isOnDisk: true, memory: undefined, asOf: this.#age };
      same.asOf = this.#age;
      return same;
    });
    const known = this.#open(key);
    known.responses = [...before.filter((response) => !response.isOnDisk), ...confirmed];
    known.completeAt = this.#age;
    for (const response of before) if (!known.responses.includes(response)) this.#drop(response);
  }

  /** What goes and what comes in its place, in one step. */
  replace(key: string, gone: readonly number[], added?: Noted): void {
    const before = this.#keys.get(key)?.responses ?? [];
    const left = before.filter(({ ref }) => !gone.includes(ref.sequence) && ref.sequence !== added?.ref.sequence);
    for (const response of before) {
      if (!left.includes(response) && response.memory !== added?.memory) this.#drop(response);
    }
    if (added?.isOnDisk === false) this.hasMemoryOnly = true;
    if (added !== undefined) this.#open(key).responses = [{ ...added, asOf: this.#age }, ...left];
    else if (before.length > 0) this.#open(key).responses = left;
  }

  /** Forgets the copy in memory, which is the caller's to look after from now on. */
  detach(ref: StoreRef): StoreRef | undefined {
    const response = this.find(ref);
    const copy = response?.memory;
    if (response !== undefined) response.memory = undefined;
    return copy;
  }

  /** Notes a copy in memory. `false`: the response is not known any more, or has a copy. */
  link(ref: StoreRef, memory: StoreRef): boolean {
    const response = this.find(ref);
    if (response === undefined || response.memory !== undefined) return false;
    response.memory = memory;
    return true;
  }

  /** The disk must be asked about every key before memory may answer for it. */
  doubtEverything(): void {
    this.#age += 1;
  }

  /** The disk must be asked about this key. */
  doubt(key: string): void {
    const known = this.#keys.get(key);
    if (known !== undefined) known.completeAt = -1;
  }

  forget(key: string): void {
    const known = this.#keys.get(key);
    if (known === undefined) return;
    this.#keys.delete(key);
    this.#order.remove(known);
    for (const response of known.responses) this.#drop(response);
  }

  clear(): void {
    for (const key of [...this.#keys.keys()]) this.forget(key);
  }

  #open(key: string): KnownKey {
    const known = this.#keys.get(key);
    if (known !== undefined) return known;
    while (this.#keys.size >= this.#maxKeys) {
      const victim = this.#order.victim(() => false);
      if (victim === undefined) break;
      this.forget(victim.key);
    }
    const opened = { key, responses: [], completeAt: -1, newer: undefined, older: undefined, visited: false };
    this.#keys.set(key, opened);
    this.#order.add(opened);
    return opened;
  }

  #drop(response: KnownResponse): void {
    if (response.memory !== undefined) this.#discard(response.memory);
  }
}
