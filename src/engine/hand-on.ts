import { publish } from '../diagnostics.js';
import type { ForwardReason } from '../semantics/decisions.js';
import type { StoredResponse } from '../store/contract.js';
import type { Flight, FlightOutcome } from './flight.js';
import type { Inquiry, Received } from './inquiry.js';
import type { CacheInfo, CacheResponse } from './messages.js';
import { respondOrigin } from './respond.js';
import { keep } from './storing.js';

/** What is known of an answer besides what it says. */
export interface Circumstances extends Pick<CacheInfo, 'status' | 'reason'> {
  /** Why the origin was asked. */
  readonly forward: ForwardReason;
  /** What the new one may take the place of. */
  readonly stored: readonly StoredResponse[];
  /** Others who wait for it. */
  readonly flight: Flight | undefined;
}

/** The origin's answer: handed on, stored along the way if it may be, and shared with those who wait for it. */
export function handOn(inquiry: Inquiry, received: Received, circumstances: Circumstances): CacheResponse {
  const { engine, key, request } = inquiry;
  const { origin } = received;
  const { flight, forward, status } = circumstances;
  const kept = keep(inquiry, received, circumstances.stored);
  if (kept.isStored) {
    const { head, recording } = kept;
    if (flight !== undefined) {
      flight.settle({ kind: 'running', head, recording });
      recording.onceFinished(() => engine.flights.end(key, flight, recording.isRefused ? apart : lookAgain));
    }
  } else {
    if (flight !== undefined) engine.flights.end(key, flight, apart);
    origin.body.release();
    publish('skip', { key, url: request.url, reason: kept.reason ?? 'bypass' });
  }
  const reason = (kept.isStored ? undefined : kept.reason) ?? circumstances.reason;
  const { isStored: stored } = kept;
  const info = { status, forward, key, stored };
  return respondOrigin(engine.statusName, origin, reason === undefined ? info : { ...info, reason });
}

const apart: FlightOutcome = Object.freeze({ kind: 'apart' });

export const lookAgain: FlightOutcome = Object.freeze({ kind: 'look-again' });
