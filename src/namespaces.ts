import { CacheError } from './errors.js';
import { namespaceWordOf } from './http/key.js';
import type { ResponseStore } from './store/contract.js';

/** The namespaces in use: those that were used since the cache was opened, and those that hold something from before. */
export class Namespaces {
  readonly #store: ResponseStore;
  readonly #max: number;
  /** By name, the word that keys begin with. */
  readonly #admitted = new Map<string, string>();

  constructor(store: ResponseStore, max: number) {
    this.#store = store;
    this.#max = max;
  }

  /** Throws `ERR_CACHE_OPTIONS` for one too many. */
  admit(name: string): void {
    if (this.#admitted.has(name)) return;
    const word = namespaceWordOf(name);
    if (!this.#isUsed(word) && this.#count() >= this.#max) {
      throw new CacheError(
        'ERR_CACHE_OPTIONS',
        `cache options: "namespace" is ${JSON.stringify(name)}, and there are ${this.#max} others (maxNamespaces). Flush one that is not needed any more with invalidate({ namespace }), or allow more.`,
      );
    }
    this.#admitted.set(name, word);
  }

  /** A namespace was flushed: it counts again when it is used again. */
  release(word: string): void {
    for (const [name, own] of this.#admitted) if (own === word) this.#admitted.delete(name);
  }

  releaseAll(): void {
    this.#admitted.clear();
  }

  #count(): number {
    const stored = this.#store.namespaces?.('').count ?? 0;
    return stored + [...this.#admitted.values()].filter((word) => !this.#isUsed(word)).length;
  }

  #isUsed(word: string): boolean {
    return this.#store.namespaces?.(word).isUsed ?? false;
  }
}
