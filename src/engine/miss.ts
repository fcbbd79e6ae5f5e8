import { publish } from '../diagnostics.js';
import { decideRequest } from '../semantics/decide-request.js';
import { mayCollapse } from './collapse.js';
import { type Circumstances, handOn, lookAgain } from './hand-on.js';
import { type Inquiry, receivedOf } from './inquiry.js';
import type { CacheResponse, OriginResponse } from './messages.js';

/**
 * A request that goes out as it is, in the turn in which it was made: nothing stored can answer it, and that is known without waiting.
 * It is what a crawl consists of, so it does without the promises of an `Exchange`: told of its answer, it says at once what becomes of it.
 */
export class Miss {
  readonly #inquiry: Inquiry;
  readonly #circumstances: Circumstances;
  readonly #requestTimeMs: number;
  readonly #invalidations: number;
  #isOver = false;

  constructor(inquiry: Inquiry, circumstances: Circumstances) {
    this.#inquiry = inquiry;
    this.#circumstances = circumstances;
    this.#requestTimeMs = inquiry.engine.nowMs();
    this.#invalidations = inquiry.engine.invalidations.count;
  }

  /** The origin's answer: handed on, and stored along the way if it may be. To be told in the turn in which it arrives. */
  answered(origin: OriginResponse): CacheResponse {
    this.#isOver = true;
    const nowMs = this.#inquiry.engine.nowMs();
    const received = receivedOf(origin, this.#requestTimeMs, nowMs, this.#invalidations);
    return handOn(this.#inquiry, received, this.#circumstances);
  }

  /** No answer came, or none will. Whoever waits for it asks for himself. After `answered`, nothing happens. */
  failed(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    const { flight } = this.#circumstances;
    if (flight !== undefined) this.#inquiry.engine.flights.end(this.#inquiry.key, flight, lookAgain);
  }
}

/** `undefined`: it takes an `Exchange` to find out what to do. Then nothing has happened. */
export function missOf(inquiry: Inquiry): Miss | undefined {
  const { engine, isLeftAlone, key, mayUseStore, options, request, rules } = inquiry;
  // Others make stored responses invalid before their answers are handed on.
  if (request.method !== 'GET' && request.method !== 'HEAD') return undefined;
  if (engine.options.beforeForward !== undefined) return undefined;
  if (mayUseStore && (engine.recordings.has(key) || !engine.store.isAbsent(key))) return undefined;
  const collapses = mayUseStore && mayCollapse(inquiry);
  if (collapses && engine.flights.get(key) !== undefined) return undefined;
  const decision = isLeftAlone ? undefined : decideRequest(request, [], rules, engine.nowMs());
  if (decision !== undefined && (decision.action !== 'forward' || decision.fields !== undefined)) return undefined;
  if (!mayUseStore || decision === undefined) {
    const forward = engine.isMethodStored(request.method, options) ? 'bypass' : 'method';
    return new Miss(inquiry, { status: 'bypass', forward, stored: [], flight: undefined });
  }
  const lease = collapses ? engine.store.lease(key) : undefined;
  if (lease?.isGranted === false) {
    lease.release('look');
    return undefined;
  }
  const { reason, detail } = decision;
  publish('miss', { request, key, reason });
  const flight = collapses ? engine.flights.start(key) : undefined;
  if (flight !== undefined) flight.lease = lease;
  const circumstances: Circumstances = { status: 'miss', forward: reason, stored: [], flight };
  return new Miss(inquiry, detail === undefined ? circumstances : { ...circumstances, reason: detail });
}
