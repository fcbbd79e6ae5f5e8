import { setTimeout } from 'node:timers/promises';
import type { Recording } from './recording.js';

const maxCommitWaitMs = 500;

/** What is being stored right now, by key. */
export class Recordings {
  readonly #byKey = new Map<string, Set<Recording>>();

  add(key: string, recording: Recording): void {
    const ofKey = this.#byKey.get(key);
    if (ofKey === undefined) this.#byKey.set(key, new Set([recording]));
    else ofKey.add(recording);
  }

  remove(key: string, recording: Recording): void {
    const ofKey = this.#byKey.get(key);
    ofKey?.delete(recording);
    if (ofKey?.size === 0) this.#byKey.delete(key);
  }

  has(key: string): boolean {
    return this.#byKey.has(key);
  }

  /**
   * Waits for what has its whole body and is being committed: whoever has read it may ask for it again at once, and finds it stored.
   * Not for long: a disk that is slower than this must not be slower than the origin. `undefined`: nothing to wait for.
   */
  arrived(key: string): Promise<unknown> | undefined {
    const ofKey = this.#byKey.get(key);
    if (ofKey === undefined) return undefined;
    const over = [...ofKey].filter((recording) => recording.isOver);
    if (over.length === 0) return undefined;
    const limit = new AbortController();
    const committed = Promise.all(over.map((recording) => recording.finished)).then(() => limit.abort());
    const tooLate = setTimeout(maxCommitWaitMs, undefined, { signal: limit.signal }).catch(() => undefined);
    return Promise.race([committed, tooLate]);
  }

  async settled(key: string): Promise<void> {
    await Promise.all([...(this.#byKey.get(key) ?? [])].map((recording) => recording.finished));
  }

  /** Waits for what has its whole body; what is still arriving is not waited for. */
  async allSettled(): Promise<void> {
    const over = [...this.#byKey.values()].flatMap((ofKey) => [...ofKey].filter((recording) => recording.isOver));
    await Promise.all(over.map((recording) => recording.finished));
  }
}
