import type { WriteQueue } from '../protocol/write-queue.js';

/** What all writers together may hold in memory before bodies go to files of their own. */
const maxHeldBytes = 24 * 1024 * 1024;

/** The bytes of bodies that writers hold in memory. */
export class HeldBytes {
  #bytes = 0;
  #waiting: (() => void)[] = [];

  /** `false` when they are too many. */
  change(bytes: number): boolean {
    this.#bytes += bytes;
    if (bytes < 0 && this.isRoomy) for (const resolve of this.#waiting.splice(0)) resolve();
    return this.#bytes <= maxHeldBytes;
  }

  get isRoomy(): boolean {
    return this.#bytes <= maxHeldBytes / 2;
  }

  /** Resolves when that is so, or nothing is being written: with nothing under way, those who wait would wait for each other. */
  async room(queue: WriteQueue): Promise<void> {
    while (!this.isRoomy && queue.isBusy) {
      const roomy = new Promise<void>((resolve) => this.#waiting.push(resolve));
      await Promise.race([roomy, queue.drained()]);
    }
  }
}
