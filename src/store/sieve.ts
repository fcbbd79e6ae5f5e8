/** What an element carries for the list it is in; only `Sieve` writes `newer` and `older`. */
export interface SieveLinks<T> {
  newer: T | undefined;
  older: T | undefined;
  /** Set it on every use; the hand clears it in passing. */
  visited: boolean;
}

/**
 * SIEVE (Zhang et al., NSDI 2024): a queue in order of arrival and a hand that walks it from old to new. What was used
 * since the hand last passed stays where it is; the first that was not goes. A hit writes one bit and moves nothing, and
 * a scan cannot push out what is used.
 */
export class Sieve<T extends SieveLinks<T>> {
  #newest: T | undefined;
  #oldest: T | undefined;
  #hand: T | undefined;

  get isEmpty(): boolean {
    return this.#newest === undefined;
  }

  add(element: T): void {
    element.older = this.#newest;
    element.newer = undefined;
    if (this.#newest === undefined) this.#oldest = element;
    else this.#newest.newer = element;
    this.#newest = element;
  }

  remove(element: T): void {
    if (this.#hand === element) this.#hand = element.newer;
    if (element.newer === undefined) this.#newest = element.older;
    else element.newer.older = element.older;
    if (element.older === undefined) this.#oldest = element.newer;
    else element.older.newer = element.newer;
    element.newer = undefined;
    element.older = undefined;
  }

  /** Who should go next; the caller removes it. What `isUseless` goes at once, used or not. */
  victim(isUseless: (element: T) => boolean): T | undefined {
    let element = this.#hand ?? this.#oldest;
    while (element?.visited && !isUseless(element)) {
      element.visited = false;
      element = element.newer ?? this.#oldest;
    }
    this.#hand = element;
    return element;
  }
}

/** A SIEVE for each priority: nothing goes while something of a lower priority is there. */
export class PrioritySieve<T extends SieveLinks<T> & { readonly priority: number }> {
  readonly #levels = new Map<number, Sieve<T>>();
  #ascending: readonly number[] = [];

  add(element: T): void {
    let level = this.#levels.get(element.priority);
    if (level === undefined) {
      level = new Sieve<T>();
      this.#levels.set(element.priority, level);
      this.#ascending = [...this.#levels.keys()].sort((a, b) => a - b);
    }
    level.add(element);
  }

  remove(element: T): void {
    const level = this.#levels.get(element.priority);
    level?.remove(element);
    if (level?.isEmpty) {
      this.#levels.delete(element.priority);
      this.#ascending = this.#ascending.filter((priority) => priority !== element.priority);
    }
  }

  /** Who should go next to make room for something of `priority`: never something of a higher one. */
  victim(priority: number, isUseless: (element: T) => boolean): T | undefined {
    const lowest = this.#ascending[0];
    return lowest === undefined || lowest > priority ? undefined : this.#levels.get(lowest)?.victim(isUseless);
  }

  clear(): void {
    this.#levels.clear();
    this.#ascending = [];
  }
}
