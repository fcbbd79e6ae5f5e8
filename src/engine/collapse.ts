import { publish } from '../diagnostics.js';
import { isNamed } from '../http/fields.js';
import type { RequestHead, StoredHead } from '../http/message.js';
import { decideRequest } from '../semantics/decide-request.js';
import type { Lease } from '../store/contract.js';
import type { Flight, FlightOutcome } from './flight.js';
import type { Inquiry } from './inquiry.js';
import type { CacheInfo } from './messages.js';
import type { Recording } from './recording.js';

/** May it wait for the answer to another request of its key, or others for its own? */
export function mayCollapse({ options, request, rules }: Inquiry): boolean {
  return (
    options.collapse &&
    request.method === 'GET' &&
    rules.mode !== 'reload' &&
    rules.mode !== 'no-cache' &&
    !isPartial(request)
  );
}

/** Asks for less than the whole response, so that its answer is of no use to others. */
function isPartial(request: RequestHead): boolean {
  const { fields } = request;
  for (let i = 0; i < fields.length; i += 2) {
    const name = fields[i] ?? '';
    if (isNamed(name, 'range') || (name.charCodeAt(2) === 0x2d && isNamed(name.slice(0, 3), 'if-'))) return true;
  }
  return false;
}

/** What came of the request that another one made; `undefined` if it takes too long. */
export function outcomeFor({ presented }: Inquiry, flight: Flight): Promise<FlightOutcome | undefined> {
  const patience = presented.patience?.().then(() => undefined);
  return patience === undefined ? flight.outcome : Promise.race([flight.outcome, patience]);
}

/** What another process's request has come to; `late` if it takes too long. */
export function turnOf({ presented }: Inquiry, lease: Lease): Promise<'go' | 'look' | 'late'> {
  const patience = lease.isGranted ? undefined : presented.patience?.().then(() => 'late' as const);
  return patience === undefined ? lease.next() : Promise.race([lease.next(), patience]);
}

export interface Joined {
  readonly head: StoredHead;
  readonly recording: Recording;
  readonly info: CacheInfo;
}

/** Reads along with the request that another one made for the same key. `undefined`: what it got is not for this one. */
export function join({ engine, request, rules, key }: Inquiry, outcome: FlightOutcome): Joined | undefined {
  if (outcome.kind !== 'running') return undefined;
  const { head, recording } = outcome;
  const decision = decideRequest(request, [head], rules, engine.nowMs());
  if (decision.action !== 'reuse' || recording.isDeclined) return undefined;
  publish('collapse', { request, key });
  const { ageSeconds, ttlSeconds } = decision;
  return { head, recording, info: { status: 'collapsed', stored: true, key, ageSeconds, ttlSeconds } };
}
