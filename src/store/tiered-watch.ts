/** What changed under a key since somebody began to look: whoever carries a look over a wait asks here if it still holds. */
export class Watch {
  readonly key: string;
  #changed: Set<number> | undefined;
  #isAllChanged = false;

  constructor(key: string) {
    this.key = key;
  }

  /** Nothing under the key came, changed or went. */
  get isUntouched(): boolean {
    return !this.#isAllChanged && this.#changed === undefined;
  }

  /** Whatever there is under the key was invalidated or cleared. */
  get isCovered(): boolean {
    return this.#isAllChanged;
  }

  /** The response of this sequence is what it was. */
  holds(sequence: number): boolean {
    return !this.#isAllChanged && this.#changed?.has(sequence) !== true;
  }

  note(sequences: readonly number[] | 'all'): void {
    if (sequences === 'all') this.#isAllChanged = true;
    else {
      this.#changed ??= new Set();
      for (const sequence of sequences) this.#changed.add(sequence);
    }
  }
}

export class Watches {
  readonly #byKey = new Map<string, Set<Watch>>();

  open(key: string): Watch {
    const watch = new Watch(key);
    const watches = this.#byKey.get(key);
    if (watches === undefined) this.#byKey.set(key, new Set([watch]));
    else watches.add(watch);
    return watch;
  }

  close(watch: Watch): void {
    const watches = this.#byKey.get(watch.key);
    watches?.delete(watch);
    if (watches?.size === 0) this.#byKey.delete(watch.key);
  }

  note(key: string, sequences: readonly number[] | 'all'): void {
    for (const watch of this.#byKey.get(key) ?? []) watch.note(sequences);
  }

  noteEverything(): void {
    for (const watches of this.#byKey.values()) for (const watch of watches) watch.note('all');
  }
}
