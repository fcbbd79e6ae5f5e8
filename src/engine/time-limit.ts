interface Wait {
  readonly giveUp: () => void;
}

/**
 * Gives up waiting for promises that do not settle: after `limitMs` at the earliest, after twice that at the latest. One timer serves all
 * who wait, so that what settles at once, as nearly everything does, costs next to nothing.
 */
export class TimeLimit {
  readonly #limitMs: number;
  /** Who began to wait since the timer last went off, and who did before. */
  #younger = new Set<Wait>();
  #older = new Set<Wait>();
  #timer: NodeJS.Timeout | undefined;

  constructor(limitMs: number) {
    this.#limitMs = limitMs;
  }

  /** Settles as `work` does, or rejects with what `late` makes. */
  settle<T>(work: Promise<T>, late: () => Error): Promise<T> {
    return new Promise((resolve, reject) => {
      const wait: Wait = { giveUp: () => reject(late()) };
      this.#add(wait);
      work.then(
        (value) => {
          this.#remove(wait);
          resolve(value);
        },
        (error: unknown) => {
          this.#remove(wait);
          reject(error);
        },
      );
    });
  }

  #add(wait: Wait): void {
    this.#younger.add(wait);
    if (this.#timer === undefined) this.#timer = setTimeout(() => this.#tick(), this.#limitMs);
    else this.#timer.ref();
  }

  #remove(wait: Wait): void {
    if (!this.#younger.delete(wait)) this.#older.delete(wait);
    // A process that has nothing else to do need not wait for this.
    if (this.#younger.size + this.#older.size === 0) this.#timer?.unref();
  }

  #tick(): void {
    const late = this.#older;
    this.#older = this.#younger;
    this.#younger = new Set();
    this.#timer = this.#older.size === 0 ? undefined : setTimeout(() => this.#tick(), this.#limitMs);
    for (const { giveUp } of late) giveUp();
  }
}
