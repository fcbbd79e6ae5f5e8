import type { Readable } from 'node:stream';
import { publish } from '../diagnostics.js';
import { assertNever } from '../errors.js';
import { fieldValueOf, hasField, withFields } from '../http/fields.js';
import type { FieldLines, RequestHead, ResponseHead, StoredHead } from '../http/message.js';
import { type CompleteRequestOptions, leftAlone } from '../options.js';
import { decideInvalidation } from '../semantics/decide-invalidation.js';
import { decideRequest } from '../semantics/decide-request.js';
import { decideStorage } from '../semantics/decide-storage.js';
import { decideValidation } from '../semantics/decide-validation.js';
import type {
  ForwardReason,
  Exchange as OriginExchange,
  RequestDecision,
  Rules,
  StorageDecision,
  ValidationDecision,
} from '../semantics/decisions.js';
import { present } from '../semantics/present.js';
import { backgroundFields, validationFields } from '../semantics/validators.js';
import { variantsReplacedBy } from '../semantics/variants.js';
import type { StoredResponse, StoreRef } from '../store/contract.js';
import type { EngineParts } from './engine.js';
import type { Flight, FlightOutcome } from './flight.js';
import { openGuarded } from './guarded-store.js';
import type { CacheInfo, CacheResponse, Forward, OriginResponse, Presented } from './messages.js';
import { Recording } from './recording.js';
import { respondGatewayTimeout, respondOrigin, respondStored } from './respond.js';
import { ResumingBody } from './resume.js';

/** An origin's answer with the times that RFC 9111 §4.2.3 asks for. */
interface Received extends OriginExchange {
  readonly origin: OriginResponse;
}

type ValidateDecision = Extract<RequestDecision, { action: 'validate' }>;

/** One presented request, from lookup to answer: performs what `src/semantics` decides. */
export class Exchange {
  readonly #engine: EngineParts;
  readonly #presented: Presented;
  readonly #request: RequestHead;
  readonly #forward: Forward;
  readonly #options: CompleteRequestOptions;
  readonly #rules: Rules;
  readonly #key: string;
  readonly #resumptions: number;
  readonly #damaged: StoreRef | undefined;
  #stored: readonly StoredResponse[] = [];
  #storeFailed = false;
  #flight: Flight | undefined;

  /** `resumptions`: how often a body that breaks off may be asked for again. `damaged`: what must not answer, nor be replaced. */
  constructor(
    engine: EngineParts,
    presented: Presented,
    forward: Forward,
    options: CompleteRequestOptions,
    resumptions = 2,
    damaged?: StoreRef,
  ) {
    this.#resumptions = resumptions;
    this.#damaged = damaged;
    this.#engine = engine;
    this.#presented = presented;
    this.#request = presented.request;
    this.#forward = forward;
    this.#options = options;
    this.#rules = engine.rulesOf(options);
    this.#key = engine.keyOf(presented, options);
  }

  /** The answer. Rejects only with what `forward` rejected with. */
  async run(): Promise<CacheResponse> {
    if (this.#mayUseStore()) {
      for (let mayCollapse = this.#mayCollapse(); ; ) {
        this.#stored = await this.#lookup();
        const decision = this.#decide();
        if (decision.action === 'reuse' || decision.action === 'gateway-timeout' || !mayCollapse)
          return this.#perform(decision);
        const flight = this.#engine.flights.get(this.#key);
        if (flight === undefined) {
          this.#flight = this.#engine.flights.start(this.#key);
          return await this.#lead(decision);
        }
        const outcome = await this.#wait(flight);
        if (outcome?.kind === 'look-again') continue;
        const joined = outcome && this.#join(outcome);
        if (joined !== undefined) return joined;
        mayCollapse = false;
      }
    }
    return this.#bypass();
  }

  /** The answer if it needs no origin at all, else nothing is done. */
  async reuse(): Promise<CacheResponse | undefined> {
    if (!this.#mayUseStore()) return undefined;
    this.#stored = await this.#lookup();
    if (this.#stored.length === 0) return undefined;
    const decision = this.#decide();
    return decision.action === 'reuse' && decision.background === false ? this.#perform(decision) : undefined;
  }

  /** Performs with others waiting: whatever goes wrong, they learn of it. */
  async #lead(decision: RequestDecision): Promise<CacheResponse> {
    try {
      return await this.#perform(decision);
    } catch (error) {
      this.#endFlight({ kind: 'look-again' });
      throw error;
    }
  }

  /** The answer where the origin gave none. */
  async standIn(): Promise<CacheResponse | undefined> {
    if (!this.#mayUseStore()) return undefined;
    this.#stored = await this.#lookup();
    const decision = this.#decide();
    if (decision.action === 'reuse') return this.#perform({ ...decision, background: false });
    if (decision.action !== 'validate') return undefined;
    const stored = this.#storedAt(decision.index);
    const verdict = decideValidation(this.#request, stored.head, undefined, this.#rules, this.#engine.nowMs());
    if (verdict.action !== 'reuse-stale') return undefined;
    return this.#respondStale(stored, verdict, decision.reason, undefined);
  }

  #perform(decision: RequestDecision): Promise<CacheResponse> | CacheResponse {
    switch (decision.action) {
      case 'reuse':
        return this.#reuse(decision);
      case 'gateway-timeout':
        return respondGatewayTimeout(this.#engine.statusName, {
          status: 'miss',
          stored: false,
          key: this.#key,
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
    if (decision.background !== false) this.#validateInBackground(stored, decision.background.conditional);
    const status = decision.isStale ? 'stale' : 'hit';
    publish(status, { request: this.#request, key: this.#key });
    return this.#respondStored(stored, stored.head, decision.ageSeconds, {
      status,
      stored: true,
      key: this.#key,
      tier: stored.tier,
      ageSeconds: decision.ageSeconds,
      ttlSeconds: decision.ttlSeconds,
      ...(decision.background !== false && { staleRemainingSeconds: decision.background.remainingSeconds }),
    });
  }

  async #fetch({ reason, detail, fields }: Extract<RequestDecision, { action: 'forward' }>): Promise<CacheResponse> {
    publish('miss', { request: this.#request, key: this.#key, reason });
    return this.#receive(await this.#send(this.#withFields(fields), 'own'), 'miss', reason, detail);
  }

  async #validate(decision: ValidateDecision): Promise<CacheResponse> {
    publish('miss', { request: this.#request, key: this.#key, reason: decision.reason });
    const stored = this.#storedAt(decision.index);
    let received: Received | undefined;
    let failure: unknown;
    try {
      received = await this.#send(
        validationFields(this.#request.fields, this.#conditional(decision.conditional)),
        'own',
      );
    } catch (error) {
      failure = error;
    }
    const verdict = decideValidation(this.#request, stored.head, received, this.#rules, this.#engine.nowMs());
    switch (verdict.action) {
      case 'freshen': {
        received?.origin.body.discard();
        const updated = await this.#engine.store.updateHead(stored.ref, verdict.head, {
          expiresMs: verdict.useUntilMs,
        });
        this.#endFlight({ kind: 'look-again' });
        publish('revalidate', { request: this.#request, key: this.#key });
        return this.#respondAnew(updated ?? stored, verdict.head, 'revalidated', decision.reason);
      }
      case 'reuse-stale':
        received?.origin.body.discard();
        this.#endFlight({ kind: 'look-again' });
        return this.#respondStale(stored, verdict, decision.reason, received?.response.status);
      case 'refetch':
        received?.origin.body.discard();
        await this.#engine.store.remove(stored.ref);
        return this.#receive(await this.#send(undefined, 'separate'), 'updated', decision.reason, 'validator-mismatch');
      case 'replace':
      case 'fail':
        if (received === undefined) throw failure;
        if (verdict.action === 'replace' && verdict.isOutdated) await this.#engine.store.remove(stored.ref);
        return this.#receive(received, verdict.action === 'replace' ? 'updated' : 'miss', decision.reason);
      default:
        return assertNever(verdict);
    }
  }

  /** A stale response in place of an error (RFC 5861 §4). */
  #respondStale(
    stored: StoredResponse,
    verdict: Extract<ValidationDecision, { action: 'reuse-stale' }>,
    forward: ForwardReason,
    originStatus: number | undefined,
  ): CacheResponse {
    publish('stale', { request: this.#request, key: this.#key });
    return this.#respondStored(stored, stored.head, verdict.ageSeconds, {
      status: 'stale',
      forward,
      reason: originStatus === undefined ? 'origin-unreachable' : `origin-${originStatus}`,
      stored: true,
      key: this.#key,
      tier: stored.tier,
      ageSeconds: verdict.ageSeconds,
      ttlSeconds: verdict.ttlSeconds,
    });
  }

  /** The origin's answer: handed on, and stored along the way if it may be. */
  async #receive(
    received: Received,
    status: CacheInfo['status'],
    forward: ForwardReason,
    detail?: string,
  ): Promise<CacheResponse> {
    const info = { status, forward, key: this.#key };
    await this.#invalidate(received);
    const decision = this.#decideStorage(received);
    const refusal = decision?.action === 'pass-through' ? decision.reason : this.#userRefusal(received);
    if (decision?.action !== 'store' || refusal !== undefined) {
      this.#endFlight({ kind: 'apart' });
      received.origin.body.release();
      publish('skip', { key: this.#key, url: this.#request.url, reason: refusal ?? 'bypass' });
      return respondOrigin(this.#engine.statusName, received.origin, {
        ...info,
        stored: false,
        ...reasonOf(refusal ?? detail),
      });
    }
    const stored = this.#record(received.origin, this.#withUserData(decision.head), decision.useUntilMs);
    const reason = this.#storeFailed ? 'store-failed' : detail;
    return respondOrigin(this.#engine.statusName, received.origin, { ...info, stored, ...reasonOf(reason) });
  }

  /** The answer to a POST may be what GET would find (RFC 9110 §9.3.3), whether answers to POST are stored or not. */
  #decideStorage(received: Received): StorageDecision | undefined {
    const { method } = this.#request;
    const mayUseStore = this.#mayUseStore();
    if (!mayUseStore && method !== 'POST') return undefined;
    const decision = decideStorage(this.#request, received, this.#rules);
    return mayUseStore || (decision.action === 'store' && decision.head.method !== method) ? decision : undefined;
  }

  /** Where a response to this request is filed: with those of the method whose requests it answers. */
  #keyFor({ method }: StoredHead): string {
    if (method === this.#request.method) return this.#key;
    const { bodyHash: _, ...presented } = this.#presented;
    const request = { ...this.#request, method };
    return this.#engine.keyOf({ ...presented, request, hasBody: false }, this.#options);
  }

  /** `false`: the store would not have it. */
  #record(origin: OriginResponse, head: StoredHead, useUntilMs: number): boolean {
    const { store, options, recordings } = this.#engine;
    const key = this.#keyFor(head);
    const replaced = variantsReplacedBy(
      head,
      this.#stored.map((stored) => stored.head),
      options.maxVariants,
    );
    const expectedBytes = lengthOf(origin);
    const writer = store.create(key, head, {
      replaces: replaced.flatMap((index) => this.#stored[index]?.ref ?? []),
      expiresMs: useUntilMs,
      tags: this.#options.tags,
      priority: this.#options.priority,
      ...(expectedBytes !== undefined && { expectedBytes }),
    });
    if (writer === undefined) {
      this.#storeFailed = true;
      this.#endFlight({ kind: 'apart' });
      origin.body.release();
      return false;
    }
    const recording = new Recording(writer, origin, {
      key,
      url: this.#request.url,
      expectedBytes,
      finishAbandonedBytes: options.finishAbandonedBytes,
    });
    recordings.add(key, recording);
    origin.body.observe(recording);
    this.#flight?.settle({ kind: 'running', head, recording });
    void recording.finished.then(() => {
      recordings.remove(key, recording);
      this.#endFlight({ kind: 'look-again' });
    });
    return true;
  }

  /** What came of the request that another one made; `undefined` if it takes too long. */
  #wait(flight: Flight): Promise<FlightOutcome | undefined> {
    const patience = this.#presented.patience?.().then(() => undefined);
    return patience === undefined ? flight.outcome : Promise.race([flight.outcome, patience]);
  }

  /** Reads along with the request that another one made for the same key. `undefined`: what it got is not for us. */
  #join(outcome: FlightOutcome): Promise<CacheResponse> | undefined {
    if (outcome.kind !== 'running') return undefined;
    const { head, recording } = outcome;
    const decision = decideRequest(this.#request, [head], this.#rules, this.#engine.nowMs());
    if (decision.action !== 'reuse') return undefined;
    publish('collapse', { request: this.#request, key: this.#key });
    const info: CacheInfo = {
      status: 'collapsed',
      stored: true,
      key: this.#key,
      ageSeconds: decision.ageSeconds,
      ttlSeconds: decision.ttlSeconds,
    };
    // Once it is being committed, it is a moment until the store has it.
    if (recording.isOver) return recording.finished.then(() => this.run());
    const followed = { inlineBody: undefined, openBody: () => this.#resuming(recording.follow(), head, this.#options) };
    return Promise.resolve(respondStored(this.#engine.statusName, { kind: 'whole', head }, followed, info));
  }

  /** A body that goes on from the origin where its source breaks off. */
  #resuming(source: Readable, head: ResponseHead, options: CompleteRequestOptions, damaged?: StoredResponse): Readable {
    const left = this.#resumptions - 1;
    if (left < 0) return source;
    const apart: Forward = (fields) => this.#forward(fields, 'separate');
    // The last word is the origin's: whatever others wait for may break off again.
    const asked = left > 0 ? options : { ...options, collapse: false };
    return new ResumingBody(source, head, async () => {
      if (damaged !== undefined) await this.#engine.store.remove(damaged.ref);
      // The client has its answer, and so no patience to lose: readers of one broken body ask together.
      const { patience: _, ...presented } = this.#presented;
      return new Exchange(this.#engine, presented, apart, asked, left, damaged?.ref).run();
    });
  }

  async #bypass(): Promise<CacheResponse> {
    const reason = this.#engine.isMethodStored(this.#request.method, this.#options) ? 'bypass' : 'method';
    const decision = this.#options === leftAlone ? undefined : decideRequest(this.#request, [], this.#rules, 0);
    if (decision?.action === 'gateway-timeout') return this.#perform(decision);
    const fields = decision?.action === 'forward' ? decision.fields : undefined;
    return this.#receive(await this.#send(this.#withFields(fields), 'own'), 'bypass', reason);
  }

  #validateInBackground(stored: StoredResponse, conditional: FieldLines): void {
    this.#engine.background.once(`validate ${stored.ref.sequence} ${this.#key}`, async () => {
      const received = await this.#send(
        backgroundFields(this.#request.fields, this.#conditional(conditional)),
        'separate',
      );
      const verdict = decideValidation(this.#request, stored.head, received, this.#rules, this.#engine.nowMs());
      if (verdict.action === 'freshen') {
        received.origin.body.discard();
        publish('revalidate', { request: this.#request, key: this.#key });
        await this.#engine.store.updateHead(stored.ref, verdict.head, { expiresMs: verdict.useUntilMs });
        return;
      }
      const decision = verdict.action === 'replace' ? decideStorage(this.#request, received, this.#rules) : undefined;
      if (decision?.action === 'store' && this.#userRefusal(received) === undefined) {
        this.#record(received.origin, this.#withUserData(decision.head), decision.useUntilMs);
      } else if (verdict.action === 'replace' || verdict.action === 'refetch') {
        await this.#engine.store.remove(stored.ref);
      }
      received.origin.body.stream.resume();
      await this.#engine.recordings.settled(this.#key);
    });
  }

  #withFields(fields: FieldLines | undefined): FieldLines | undefined {
    return fields === undefined ? undefined : withFields(this.#request.fields, fields);
  }

  /** A condition on a method that is not safe does not ask for a 304, it forbids the method (RFC 9110 §13.1.2). */
  #conditional(conditional: FieldLines): FieldLines {
    return ['GET', 'HEAD', 'QUERY'].includes(this.#request.method) ? conditional : [];
  }

  async #send(fields: FieldLines | undefined, kind: 'own' | 'separate'): Promise<Received> {
    const { beforeForward } = this.#engine.options;
    // Without a hook the client's own request goes out in the turn in which it was made.
    if (beforeForward !== undefined) await beforeForward(this.#request);
    const requestTimeMs = this.#engine.nowMs();
    const origin = await this.#forward(fields, kind);
    return { origin, response: origin.head, requestTimeMs, responseTimeMs: this.#engine.nowMs() };
  }

  async #lookup(): Promise<readonly StoredResponse[]> {
    const arrived = this.#engine.recordings.arrived(this.#key);
    if (arrived !== undefined) await arrived;
    const found = await this.#engine.store.lookup(this.#key);
    this.#storeFailed = found === undefined;
    // A store that has found the damage itself may be about to remove it.
    return found?.filter(({ ref }) => ref.sequence !== this.#damaged?.sequence) ?? [];
  }

  async #invalidate(received: Received): Promise<void> {
    for (const url of decideInvalidation(this.#request, received.response)) {
      const key = this.#engine.keyOf(
        { request: { ...this.#request, method: 'GET', url }, hasBody: false },
        { ...this.#options, key: undefined },
      );
      await this.#engine.store.invalidate({ key });
    }
  }

  #decide(): RequestDecision {
    return decideRequest(
      this.#request,
      this.#stored.map((stored) => stored.head),
      this.#rules,
      this.#engine.nowMs(),
    );
  }

  #respondAnew(
    stored: StoredResponse,
    head: StoredHead,
    status: CacheInfo['status'],
    forward: ForwardReason,
  ): CacheResponse {
    const fresh = decideRequest(
      { ...this.#request, fields: [] },
      [head],
      { ...this.#rules, mode: 'force-cache' },
      this.#engine.nowMs(),
    );
    const times =
      fresh.action === 'reuse' ? { ageSeconds: fresh.ageSeconds, ttlSeconds: fresh.ttlSeconds } : { ageSeconds: 0 };
    return this.#respondStored(stored, head, times.ageSeconds, {
      status,
      forward,
      stored: true,
      key: this.#key,
      tier: stored.tier,
      ...times,
    });
  }

  #respondStored(stored: StoredResponse, head: StoredHead, ageSeconds: number, info: CacheInfo): CacheResponse {
    const presentation = present(this.#request, head, stored.bodyBytes, ageSeconds);
    const isLarge = presentation.kind === 'whole' && stored.inlineBody === undefined;
    const reload = (): CompleteRequestOptions => ({ ...this.#options, mode: 'reload' });
    const source = isLarge
      ? {
          inlineBody: undefined,
          openBody: () =>
            this.#resuming(
              openGuarded(() => stored.openBody()),
              head,
              reload(),
              stored,
            ),
        }
      : stored;
    const response = respondStored(this.#engine.statusName, presentation, source, {
      ...info,
      storedAtMs: head.responseTimeMs,
      ...(head.metadata !== undefined && { metadata: head.metadata }),
    });
    const { trailers } = head;
    return presentation.kind === 'whole' && trailers !== undefined ? { ...response, trailers } : response;
  }

  #userRefusal(received: Received): string | undefined {
    const { shouldStore } = this.#options;
    if (shouldStore === undefined) return undefined;
    try {
      return shouldStore(this.#request, received.response) ? undefined : 'should-store';
    } catch (error) {
      publish('error', { error, during: 'shouldStore' });
      return 'should-store-threw';
    }
  }

  #withUserData(head: StoredHead): StoredHead {
    return this.#options.metadata === undefined ? head : { ...head, metadata: this.#options.metadata };
  }

  #mayUseStore(): boolean {
    if (this.#rules.mode === 'no-store' || !this.#engine.isMethodStored(this.#request.method, this.#options))
      return false;
    return !this.#presented.hasBody || this.#presented.bodyHash !== undefined;
  }

  #mayCollapse(): boolean {
    const { mode } = this.#rules;
    return (
      this.#options.collapse &&
      this.#request.method === 'GET' &&
      mode !== 'reload' &&
      mode !== 'no-cache' &&
      !isPartial(this.#request)
    );
  }

  #endFlight(outcome: FlightOutcome): void {
    if (this.#flight !== undefined) this.#engine.flights.end(this.#key, this.#flight, outcome);
  }

  #storedAt(index: number): StoredResponse {
    const stored = this.#stored[index];
    if (stored === undefined) throw new RangeError(`no stored response at ${index}`);
    return stored;
  }
}

const reasonOf = (reason: string | undefined): { readonly reason?: string } => (reason === undefined ? {} : { reason });

/** Asks for less than the whole response, so that its answer is of no use to others. */
function isPartial(request: RequestHead): boolean {
  return request.fields.some((name, position) => position % 2 === 0 && /^(?:range|if-)/i.test(name));
}

/** The `Content-Length` of a body that it frames. */
function lengthOf({ head }: OriginResponse): number | undefined {
  if (hasField(head.fields, 'transfer-encoding')) return undefined;
  const length = fieldValueOf(head.fields, 'content-length') ?? '';
  return /^\d{1,15}$/.test(length) ? Number(length) : undefined;
}
