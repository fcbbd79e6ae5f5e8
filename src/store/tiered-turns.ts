/** So many hits in memory take some 5 ms of the event loop. */
const maxHitsPerTurn = 64;

/**
 * Lets the event loop turn during a run of hits in memory: each is answered by promises alone, and one after the other they would keep timers and
 * sockets waiting for as long as the run is.
 */
export class HitTurns {
  #hits = 0;
  #next: Promise<void> | undefined;

  /** To be waited for before the next look; `undefined` if there is no need. */
  due(): Promise<void> | undefined {
    return this.#hits < maxHitsPerTurn ? undefined : this.#next;
  }

  noteHit(): void {
    this.#hits += 1;
    this.#next ??= new Promise((resolve) => {
      setImmediate(() => {
        this.#hits = 0;
        this.#next = undefined;
        resolve();
      });
    });
  }
}
