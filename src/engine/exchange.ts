import { publish } from '../diagnostics.js';
import { assertNever } from '../errors.js';
import { withFields } from '../http/fields.js';
import type { FieldLines } from '../http/message.js';
import { decideRequest } from '../semantics/decide-request.js';
import { decideValidation } from '../semantics/decide-validation.js';
import type { ForwardReason, RequestDecision } from '../semantics/decisions.js';
import { validationFields } from '../semantics/validators.js';
import type { Lease, StoredResponse, StoreRef } from '../store/contract.js';
import { join, mayCollapse, outcomeFor, turnOf } from './collapse.js';
import type { Flight, FlightOutcome } from './flight.js';
import { handOn, lookAgain } from './hand-on.js';
import { isIdle, noteUse, useUntilOf } from './idle.js';
import { conditionalFor, Inquiry, type Received } from './inquiry.js';
import type { CacheInfo, CacheResponse, Forward } from './messages.js';
import { respondGatewayTimeout, respondPresented } from './respond.js';
import { type Resume, respondFreshened, respondReused, respondStale } from './respond-stored.js';
import { ResumingBody } from './resume.js';
import { invalidateAfter } from './storing.js';
import { validateInBackground } from './validate-in-background.js';

const nothing: readonly never[] = [];

/** One presented request, from lookup to answer: performs what `src/semantics` decides. */
export class Exchange {
  readonly #inquiry: Inquiry;
  readonly #resumptions: number;
  readonly #damaged: StoreRef | undefined;
  #stored: readonly StoredResponse[] = nothing;
  #storeFailed = false;
  #flight: Flight | undefined;

  /** `resumptions`: how often a body that breaks off may be asked for again. `damaged`: what must not answer, nor be replaced. */
  constructor(inquiry: Inquiry, resumptions = 2, damaged?: StoreRef) {
    this.#inquiry = inquiry;
    this.#resumptions = resumptions;
    this.#damaged = damaged;
  }

  /** The answer. Rejects only with what `forward` rejected with. */
  async run(): Promise<CacheResponse> {
    if (!this.#inquiry.mayUseStore) return this.#bypass();
    const { engine, key } = this.#inquiry;
    for (let collapses = mayCollapse(this.#inquiry); ; ) {
      await this.#lookup();
      const decision = this.#decide();
      if (decision.action === 'reuse' || decision.action === 'gateway-timeout' || !collapses)
        return this.#perform(decision);
      const flight = engine.flights.get(key);
      if (flight === undefined) {
        this.#flight = engine.flights.start(key);
        return await this.#lead(decision);
      }
      const outcome = await outcomeFor(this.#inquiry, flight);
      if (outcome?.kind === 'look-again') continue;
      // Time is up, as if the origin had been asked and had not answered.
      const joined = outcome === undefined ? await this.standIn() : this.#join(outcome);
      if (joined !== undefined) return joined;
      collapses = false;
    }
  }

  /** The answer if it needs no origin at all, else nothing is done. */
  async reuse(): Promise<CacheResponse | undefined> {
    if (!this.#inquiry.mayUseStore) return undefined;
    await this.#lookup();
    if (this.#stored.length === 0) return undefined;
    const decision = this.#decide();
    return decision.action === 'reuse' && decision.background === false ? this.#perform(decision) : undefined;
  }

  /** The answer where the origin gave none. */
  async standIn(): Promise<CacheResponse | undefined> {
    if (!this.#inquiry.mayUseStore) return undefined;
    await this.#lookup();
    const decision = this.#decide();
    if (decision.action === 'reuse') return this.#perform({ ...decision, background: false });
    if (decision.action !== 'validate') return undefined;
    const stored = this.#storedAt(decision.index);
    const { engine, request, rules } = this.#inquiry;
    const verdict = decideValidation(request, stored.head, undefined, rules, engine.nowMs());
    if (verdict.action !== 'reuse-stale') return undefined;
    return respondStale(this.#inquiry, stored, verdict, decision.reason, undefined, this.#resume);
  }

  /** Performs with others waiting: whatever goes wrong, they learn of it. */
  async #lead(decision: RequestDecision): Promise<CacheResponse> {
    const lease = this.#inquiry.engine.store.lease(this.#inquiry.key);
    if (this.#flight !== undefined) this.#flight.lease = lease;
    try {
      return await (lease === undefined ? this.#perform(decision) : this.#performWith(lease, decision));
    } catch (error) {
      this.#endFlight(lookAgain);
      throw error;
    }
  }

  /** Performs when it is this process's turn to ask the origin, or another one has what it needs. */
  async #performWith(lease: Lease, decision: RequestDecision): Promise<CacheResponse> {
    let latest = decision;
    for (;;) {
      const turn = await turnOf(this.#inquiry, lease);
      if (turn === 'go') return this.#perform(latest);
      if (turn === 'late') break;
      const before = this.#stored[0]?.ref.sequence;
      await this.#lookup();
      latest = this.#decide();
      if (latest.action === 'reuse' || latest.action === 'gateway-timeout') {
        this.#endFlight(lookAgain);
        return this.#perform(latest);
      }
      // What the other one got is not for this request, and what the next one gets may not be either.
      const [newest] = this.#stored;
      if (newest !== undefined && newest.ref.sequence !== before) {
        lease.release('look');
        return this.#perform(latest);
      }
    }
    lease.release('look');
    const instead = await this.standIn();
    if (instead === undefined) return this.#perform(latest);
    this.#endFlight(lookAgain);
    return instead;
  }

  #perform(decision: RequestDecision): Promise<CacheResponse> | CacheResponse {
    const { engine, key } = this.#inquiry;
    switch (decision.action) {
      case 'reuse':
        return this.#reuse(decision);
      case 'gateway-timeout':
        return respondGatewayTimeout(engine.statusName, {
          status: 'miss',
          stored: false,
          key,
          reason: decision.detail,
        });
      case 'forward':
        return this.#fetch(decision);
      case 'validate':
        return this.#validate(decision);
      default:
        return assertNever(decision);
    }
  }

  #reuse(decision: Extract<RequestDecision, { action: 'reuse' }>): CacheResponse {
    const stored = this.#storedAt(decision.index);
    const { background } = decision;
    if (background !== false) validateInBackground(this.#inquiry, stored, background.conditional, this.#stored);
    else if (stored.head.idleTtlMs !== undefined) noteUse(this.#inquiry, stored);
    return respondReused(this.#inquiry, stored, decision, this.#resume);
  }

  async #fetch({ reason, detail, fields }: Extract<RequestDecision, { action: 'forward' }>): Promise<CacheResponse> {
    const { key, request } = this.#inquiry;
    publish('miss', { request, key, reason });
    return this.#receive(await this.#inquiry.send(this.#withFields(fields), 'own'), 'miss', reason, detail);
  }

  async #validate(decision: Extract<RequestDecision, { action: 'validate' }>): Promise<CacheResponse> {
    const { engine, key, request, rules } = this.#inquiry;
    publish('miss', { request, key, reason: decision.reason });
    const stored = this.#storedAt(decision.index);
    let received: Received | undefined;
    let failure: unknown;
    try {
      const conditional = conditionalFor(request.method, decision.conditional);
      received = await this.#inquiry.send(validationFields(request.fields, conditional), 'own');
    } catch (error) {
      failure = error;
    }
    const verdict = decideValidation(request, stored.head, received, rules, engine.nowMs());
    switch (verdict.action) {
      case 'freshen': {
        received?.origin.body.discard();
        const { head, useUntilMs } = verdict;
        const expiresMs = useUntilOf(head, useUntilMs, head.responseTimeMs);
        const updated = await engine.store.updateHead(stored.ref, head, { expiresMs });
        this.#endFlight(lookAgain);
        return respondFreshened(this.#inquiry, updated ?? stored, head, decision.reason, this.#resume);
      }
      case 'reuse-stale': {
        received?.origin.body.discard();
        this.#endFlight(lookAgain);
        const status = received?.response.status;
        return respondStale(this.#inquiry, stored, verdict, decision.reason, status, this.#resume);
      }
      case 'refetch': {
        received?.origin.body.discard();
        await engine.store.remove(stored.ref);
        const anew = await this.#inquiry.send(undefined, 'separate');
        return this.#receive(anew, 'updated', decision.reason, 'validator-mismatch');
      }
      case 'replace':
      case 'fail':
        if (received === undefined) throw failure;
        if (verdict.action === 'replace' && verdict.isOutdated) await engine.store.remove(stored.ref);
        return this.#receive(received, verdict.action === 'replace' ? 'updated' : 'miss', decision.reason);
      default:
        return assertNever(verdict);
    }
  }

  async #bypass(): Promise<CacheResponse> {
    const { engine, isLeftAlone, options, request, rules } = this.#inquiry;
    const reason = engine.isMethodStored(request.method, options) ? 'bypass' : 'method';
    const decision = isLeftAlone ? undefined : decideRequest(request, [], rules, 0);
    if (decision?.action === 'gateway-timeout') return this.#perform(decision);
    const fields = decision?.action === 'forward' ? decision.fields : undefined;
    return this.#receive(await this.#inquiry.send(this.#withFields(fields), 'own'), 'bypass', reason);
  }

  /** The origin's answer: handed on, and stored along the way if it may be. */
  async #receive(
    received: Received,
    status: CacheInfo['status'],
    forward: ForwardReason,
    detail?: string,
  ): Promise<CacheResponse> {
    const invalidated = invalidateAfter(this.#inquiry, received);
    const answer = invalidated === undefined ? received : await invalidated;
    const reason = this.#storeFailed ? 'store-failed' : detail;
    return handOn(this.#inquiry, answer, {
      ...{ status, forward, stored: this.#stored, flight: this.#flight },
      ...(reason !== undefined && { reason }),
    });
  }

  #join(outcome: FlightOutcome): Promise<CacheResponse> | CacheResponse | undefined {
    const joined = join(this.#inquiry, outcome);
    if (joined === undefined) return undefined;
    const { head, info, recording } = joined;
    // Once it is being committed, it is a moment until the store has it.
    if (recording.isOver) return recording.finished.then(() => this.run());
    const followed = { inlineBody: undefined, openBody: () => this.#resume(recording.follow(), head) };
    return respondPresented(this.#inquiry.engine.statusName, { kind: 'whole', head }, followed, info);
  }

  /** A body that goes on from the origin where its source breaks off. */
  readonly #resume: Resume = (source, head, damaged, part) => {
    const left = this.#resumptions - 1;
    if (left < 0) return source;
    const { engine, forward, options } = this.#inquiry;
    const apart: Forward = (fields) => forward(fields, 'separate');
    const again = async (): Promise<CacheResponse> => {
      if (damaged !== undefined) await engine.store.remove(damaged.ref);
      // The client has its answer, and so no patience to lose: readers of one broken body ask together.
      const { patience: _, ...presented } = this.#inquiry.presented;
      const asked = {
        ...options,
        ...(damaged !== undefined && { mode: 'reload' as const }),
        // The last word is the origin's: whatever others wait for may break off again.
        ...(left === 0 && { collapse: false }),
      };
      return new Exchange(new Inquiry(engine, presented, apart, asked), left, damaged?.ref).run();
    };
    return new ResumingBody(source, head, again, part);
  };

  async #lookup(): Promise<void> {
    const { engine, key, options } = this.#inquiry;
    const arrived = engine.recordings.arrived(key);
    if (arrived !== undefined) await arrived;
    const { admission } = options;
    const found = await engine.store.lookup(key, admission === 'auto' ? undefined : { admission });
    this.#storeFailed = found === undefined;
    this.#stored = found ?? nothing;
    if (this.#stored.some((stored) => !this.#isOfUse(stored)))
      this.#stored = this.#stored.filter((stored) => this.#isOfUse(stored));
  }

  #isOfUse({ head, ref }: StoredResponse): boolean {
    // A store that has found the damage itself may be about to remove it.
    if (ref.sequence === this.#damaged?.sequence) return false;
    if (head.idleTtlMs === undefined || !isIdle(head, this.#inquiry.engine.nowMs())) return true;
    void this.#inquiry.engine.store.remove(ref);
    return false;
  }

  #decide(): RequestDecision {
    const { engine, request, rules } = this.#inquiry;
    const heads = this.#stored.length === 0 ? nothing : this.#stored.map((stored) => stored.head);
    return decideRequest(request, heads, rules, engine.nowMs());
  }

  #withFields(fields: FieldLines | undefined): FieldLines | undefined {
    return fields === undefined ? undefined : withFields(this.#inquiry.request.fields, fields);
  }

  #endFlight(outcome: FlightOutcome): void {
    const { engine, key } = this.#inquiry;
    if (this.#flight !== undefined) engine.flights.end(key, this.#flight, outcome);
  }

  #storedAt(index: number): StoredResponse {
    const stored = this.#stored[index];
    if (stored === undefined) throw new RangeError(`no stored response at ${index}`);
    return stored;
  }
}
