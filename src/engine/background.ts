import { publish } from '../diagnostics.js';

/** Work that no caller waits for: each at most once at a time, all awaited when the cache closes, failures published. */
export class Background {
  readonly #running = new Map<string, Promise<void>>();

  /** Starts the work, unless work of the same name is under way. */
  once(name: string, work: () => Promise<void>): void {
    if (this.#running.has(name)) return;
    const run = work()
      .catch((error: unknown) => publish('error', { error, during: 'background' }))
      .finally(() => this.#running.delete(name));
    this.#running.set(name, run);
  }

  async settled(): Promise<void> {
    while (this.#running.size > 0) await Promise.all(this.#running.values());
  }
}
