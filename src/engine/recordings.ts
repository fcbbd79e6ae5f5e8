import { setTimeout } from 'node:timers/promises';
import type { Recording } from './recording.js';

const maxCommitWaitMs = 500;

/** What is being stored right now, by key. */
export class Recordings {
  readonly #byKey = new Map<string, readonly Recording[]>();

  add(key: string, recording: Recording): void {
    const ofKey = this.#byKey.get(key);
    this.#byKey.set(key, ofKey === undefined ? [recording] : [...ofKey, recording]);
  }

  remove(key: string, recording: Recording): void {
    const ofKey = this.#byKey.get(key);
    if (ofKey === undefined || (ofKey.length === 1 && ofKey[0] === recording)) this.#byKey.delete(key);
    else
      this.#byKey.set(
        key,
        ofKey.filter((other) => other !== recording),
      );
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
    const over = ofKey.filter((recording) => recording.isOver);
    if (over.length === 0) return undefined;
    const limit = new AbortController();
    const committed = Promise.all(over.map((recording) => recording.finished)).then(() => limit.abort());
    const tooLate = setTimeout(maxCommitWaitMs, undefined, { signal: limit.signal }).catch(() => undefined);
    return Promise.race([committed, tooLate]);
  }

  async settled(key: string): Promise<void> {
    await Promise.all((this.#byKey.get(key) ?? []).map((recording) => recording.finished));
  }

  /** Waits for what has its whole body; what is still arriving is not waited for. */
  async allSettled(): Promise<void> {
    const over = [...this.#byKey.values()].flatMap((ofKey) => ofKey.filter((recording) => recording.isOver));
    await Promise.all(over.map((recording) => recording.finished));
  }
}
