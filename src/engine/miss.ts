import { publish } from '../diagnostics.js';
import { decideRequest } from '../semantics/decide-request.js';
import type { Lease } from '../store/contract.js';
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
  #requestTimeMs: number;
  #invalidations: number;
  #isOver = false;
  /**
   * Another process is asked first whether it asks the origin for the same. Resolves within a bounded time, and never rejects: `true`, the request
   * is to go out now; `false`, it takes `exchange` to answer it. `undefined`: it is to go out at once.
   */
  readonly turn: Promise<boolean> | undefined;

  constructor(inquiry: Inquiry, circumstances: Circumstances, lease?: Lease) {
    this.#inquiry = inquiry;
    this.#circumstances = circumstances;
    this.#requestTimeMs = inquiry.engine.nowMs();
    this.#invalidations = inquiry.engine.invalidations.count;
    this.turn = lease === undefined || lease.isGranted ? undefined : this.#turnOf(lease);
    if (this.turn === undefined) this.#goOut();
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

  #goOut(): void {
    const { request, key } = this.#inquiry;
    const { status, forward: reason } = this.#circumstances;
    if (status === 'miss') publish('miss', { request, key, reason });
  }

  async #turnOf(lease: Lease): Promise<boolean> {
    const { engine } = this.#inquiry;
    const isGranted = await lease.first();
    if (this.#isOver) return false;
    if (isGranted) {
      this.#requestTimeMs = engine.nowMs();
      this.#invalidations = engine.invalidations.count;
      this.#goOut();
    } else this.failed();
    return isGranted;
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
  const { reason, detail } = decision;
  const lease = collapses ? engine.store.lease(key) : undefined;
  const flight = collapses ? engine.flights.start(key) : undefined;
  if (flight !== undefined) flight.lease = lease;
  const circumstances: Circumstances = { status: 'miss', forward: reason, stored: [], flight };
  return new Miss(inquiry, detail === undefined ? circumstances : { ...circumstances, reason: detail }, lease);
}
