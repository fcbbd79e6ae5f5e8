import { publish } from '../diagnostics.js';
import { fieldValueOf } from '../http/fields.js';
import { cacheKeyOf } from '../http/key.js';
import type { FieldLines } from '../http/message.js';
import type { CompleteCacheOptions, CompleteRequestOptions } from '../options.js';
import type { Rules } from '../semantics/decisions.js';
import type { Candidate, InvalidateOptions, Presence, ResponseStore, Selector } from '../store/contract.js';
import { Background } from './background.js';
import { Exchange } from './exchange.js';
import { Flights } from './flight.js';
import { GuardedStore } from './guarded-store.js';
import { Inquiry } from './inquiry.js';
import { Invalidations } from './invalidations.js';
import type { CacheResponse, Forward, Presented } from './messages.js';
import { type Miss, missOf } from './miss.js';
import { Recordings } from './recordings.js';

/** What an exchange works with. */
export interface EngineParts {
  readonly store: GuardedStore;
  readonly options: CompleteCacheOptions;
  readonly flights: Flights;
  readonly recordings: Recordings;
  readonly background: Background;
  readonly invalidations: Invalidations;
  readonly statusName: string | false;
  nowMs(): number;
  rulesOf(options: CompleteRequestOptions): Rules;
  keyOf(presented: Presented, options: CompleteRequestOptions): string;
  isMethodStored(method: string, options: CompleteRequestOptions): boolean;
  /** What was asked for before, under this key, is neither stored nor shared with those who ask from now on. */
  forgetAsked(key: string): void;
}

/** One engine behind every client: the same decisions, whoever asks. */
export class Engine implements EngineParts {
  readonly store: GuardedStore;
  readonly options: CompleteCacheOptions;
  readonly flights = new Flights();
  readonly recordings = new Recordings();
  readonly background = new Background();
  readonly invalidations = new Invalidations();
  readonly statusName: string | false;
  readonly nowMs: () => number;
  /** Rules are pure functions of the options, and options are few: one object per set of them. */
  readonly #rules = new WeakMap<CompleteRequestOptions, Rules>();

  readonly #store: ResponseStore;
  readonly #credentialFields: readonly string[];

  constructor(store: ResponseStore, options: CompleteCacheOptions) {
    this.#store = store;
    this.store = new GuardedStore(store, options.store !== undefined);
    this.options = options;
    this.statusName = options.cacheStatus;
    this.nowMs = options.nowMs;
    this.#credentialFields = options.credentialFields.map((name) => name.toLowerCase());
  }

  /** Answers a request: from the store, from the origin, or from the origin by way of the store. */
  exchange(presented: Presented, forward: Forward, options: CompleteRequestOptions): Promise<CacheResponse> {
    return new Exchange(new Inquiry(this, presented, forward, options)).run();
  }

  /** Answers a request if a fresh stored response can; `undefined` otherwise, and nothing has happened. */
  reuse(presented: Presented, options: CompleteRequestOptions): Promise<CacheResponse | undefined> {
    return new Exchange(new Inquiry(this, presented, neverForward, options)).reuse();
  }

  /** Answers in place of an origin that did not; `undefined` if nothing may. */
  standIn(presented: Presented, options: CompleteRequestOptions): Promise<CacheResponse | undefined> {
    return new Exchange(new Inquiry(this, presented, neverForward, options)).standIn();
  }

  /** Makes what a selector covers unusable, and what was asked for before with it. Rejects only with what the store rejects with. */
  async invalidate(
    selector: Selector,
    covers: (candidate: Candidate) => boolean,
    options: InvalidateOptions,
  ): Promise<number> {
    if ('key' in selector) this.forgetAsked(selector.key);
    else {
      this.invalidations.note(covers);
      this.flights.forget(undefined);
    }
    const entries = await this.#store.invalidate(selector, options);
    if (entries > 0) publish('invalidate', { entries });
    return entries;
  }

  forgetAsked(key: string): void {
    this.invalidations.noteKey(key);
    this.flights.forget(key);
  }

  async clear(): Promise<void> {
    this.invalidations.note(() => true);
    this.flights.forget(undefined);
    await this.#store.clear();
  }

  has(key: string): Presence {
    const presence = this.#store.has?.(key) ?? 'maybe';
    return presence === 'absent' && this.recordings.has(key) ? 'maybe' : presence;
  }

  /** What is to go out as it is and at once; `undefined` if that cannot be told without waiting, and nothing has happened. */
  miss(presented: Presented, options: CompleteRequestOptions): Miss | undefined {
    return missOf(new Inquiry(this, presented, neverForward, options));
  }

  /** Waits for everything that is still being stored or validated in the background. */
  async settle(): Promise<void> {
    await this.background.settled();
    await this.recordings.allSettled();
  }

  rulesOf(options: CompleteRequestOptions): Rules {
    let rules = this.#rules.get(options);
    if (rules === undefined) {
      rules = this.#makeRules(options);
      this.#rules.set(options, rules);
    }
    return rules;
  }

  keyOf(presented: Presented, options: CompleteRequestOptions): string {
    const { request, via, bodyHash } = presented;
    return cacheKeyOf({
      method: request.method,
      url: options.key ?? request.url,
      namespace: options.namespace,
      via,
      credentials: this.#credentialsOf(request.fields, options),
      bodyHash,
      ignoreParams: options.ignoreParams,
    });
  }

  isMethodStored(method: string, options: CompleteRequestOptions): boolean {
    return options.methods.includes(method) || (method === 'HEAD' && options.methods.includes('GET'));
  }

  isBodyInKey({ request }: Presented, options: CompleteRequestOptions): boolean {
    return options.mode !== 'no-store' && this.isMethodStored(request.method, options);
  }

  /**
   * What tells users apart: in a private cache every one of them has a cache of its own (RFC 9111 §3). So it is where the rules are
   * ignored that would keep one user's answers from another in a shared one. There, the same fields select among what is stored for all.
   */
  #credentialsOf(fields: FieldLines, options: CompleteRequestOptions): string | undefined {
    if (this.options.shared && options.mode !== 'ignore-rules') return undefined;
    const values = this.#credentialFields.map((name) => fieldValueOf(fields, name) ?? null);
    return values.every((value) => value === null) ? undefined : JSON.stringify(values);
  }

  #makeRules(options: CompleteRequestOptions): Rules {
    const { shared, offline, heuristicFraction, maxHeuristicMs, cacheControlTargets } = this.options;
    return Object.freeze({
      mode: options.mode,
      shared,
      offline,
      methods: options.methods,
      heuristicFraction,
      maxHeuristicMs,
      ttlMs: options.ttlMs,
      expiresAtMs: options.expiresAtMs,
      ttlJitter: options.ttlJitter,
      maxTtlMs: options.maxTtlMs,
      cacheControlTargets: cacheControlTargets.map((name) => name.toLowerCase()),
      staleWhileRevalidateSeconds: options.staleWhileRevalidateSeconds,
      staleIfErrorSeconds: options.staleIfErrorSeconds,
      credentialFields: this.#credentialFields,
      keyHoldsCredentials: !shared,
    });
  }
}

const neverForward: Forward = () => Promise.reject(new Error('a reuse does not forward'));
