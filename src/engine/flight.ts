import type { StoredHead } from '../http/message.js';
import type { Lease } from '../store/contract.js';
import type { Recording } from './recording.js';

/** What a follower learns of the request it waited for. */
export type FlightOutcome =
  /** The answer is being stored: its body may be read along. */
  | { readonly kind: 'running'; readonly head: StoredHead; readonly recording: Recording }
  /** It failed, or it changed what is stored: decide anew. */
  | { readonly kind: 'look-again' }
  /** The answer is for the one who asked alone. */
  | { readonly kind: 'apart' };

/** One origin request for a key, and all who wait for it (RFC 9111 §4, collapsed requests). */
export class Flight {
  #settled: FlightOutcome | undefined;
  #outcome: Promise<FlightOutcome> | undefined;
  #resolve: (outcome: FlightOutcome) => void = () => undefined;
  /** What keeps other processes from asking for the same. */
  lease: Lease | undefined;

  /** Made for the first who waits: most requests have no company. */
  get outcome(): Promise<FlightOutcome> {
    this.#outcome ??=
      this.#settled === undefined
        ? new Promise((resolve) => {
            this.#resolve = resolve;
          })
        : Promise.resolve(this.#settled);
    return this.#outcome;
  }

  /** The first outcome counts. */
  settle(outcome: FlightOutcome): void {
    if (this.#settled !== undefined) return;
    this.#settled = outcome;
    this.#resolve(outcome);
  }
}

/** The flights of a cache by key. */
export class Flights {
  readonly #byKey = new Map<string, Flight>();

  get(key: string): Flight | undefined {
    return this.#byKey.get(key);
  }

  /** Starts a flight, unless there is one. */
  start(key: string): Flight | undefined {
    if (this.#byKey.has(key)) return undefined;
    const flight = new Flight();
    this.#byKey.set(key, flight);
    return flight;
  }

  /** What is under way is not for those who come from now on. Without a key: whatever it is. */
  forget(key: string | undefined): void {
    if (key === undefined) this.#byKey.clear();
    else this.#byKey.delete(key);
  }

  /** Ends a flight: from now on, nobody joins it. */
  end(key: string, flight: Flight, outcome: FlightOutcome): void {
    if (this.#byKey.get(key) === flight) this.#byKey.delete(key);
    flight.settle(outcome);
    flight.lease?.release(outcome.kind === 'apart' ? 'apart' : 'look');
  }
}
