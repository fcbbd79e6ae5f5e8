import { Engine } from './engine/engine.js';
import type { CacheResponse, Forward, Presented } from './engine/messages.js';
import type { Miss } from './engine/miss.js';
import { CacheError } from './errors.js';
import { Namespaces } from './namespaces.js';
import {
  type CompleteCacheOptions,
  type CompleteRequestOptions,
  checkRequestOptions,
  layOptions,
  leftAlone,
  type OptionRule,
  type RequestOptions,
  requestDefaults,
} from './options.js';
import { type CacheSelector, type CacheTarget, guardedSelectorOf, storeSelectorOf } from './selectors.js';
import type {
  MaintainReport,
  Presence,
  ResponseStore,
  Selector,
  StoredResponse,
  StoreStats,
  VerifyReport,
} from './store/contract.js';
import { createMatcher } from './store/select.js';

/** What was said of a request: options, or `false` for no caching at all. */
export type CacheChoice = false | RequestOptions | undefined;

/** An open cache. Attach it to clients with `cacheAxios` and `cacheGot`; close it when done. */
export class Cache implements AsyncDisposable {
  /** The path as given to `openCache`. */
  readonly directory: string;
  readonly #store: ResponseStore;
  readonly #engine: Engine;
  readonly #base: CompleteRequestOptions;
  readonly #rules: readonly OptionRule[];
  /** Options objects are few and used again and again: each is laid over the defaults once. */
  readonly #completed = new WeakMap<RequestOptions, CompleteRequestOptions>();
  readonly #namespaces: Namespaces;
  readonly #nowMs: () => number;
  #closing: Promise<void> | undefined;

  /** Use `openCache`. */
  constructor(store: ResponseStore, options: CompleteCacheOptions) {
    this.directory = options.directory;
    this.#store = store;
    this.#engine = new Engine(store, options);
    this.#rules = options.rules;
    const names = Object.keys(requestDefaults) as (keyof RequestOptions)[];
    const entries = names.map((name) => [name, options[name]]);
    this.#base = Object.freeze({ ...requestDefaults, ...Object.fromEntries(entries) });
    this.#nowMs = options.nowMs;
    this.#namespaces = new Namespaces(store, options.maxNamespaces);
  }

  /**
   * Answers a request by the rules of RFC 9111, asking the origin through `forward` where they say so. This is all an interceptor for
   * another client needs. Rejects only with what `forward` rejected with, or `ERR_CACHE_OPTIONS`.
   */
  exchange(presented: Presented, forward: Forward, choice?: CacheChoice): Promise<CacheResponse> {
    return this.#engine.exchange(presented, forward, this.#optionsFor(presented, choice));
  }

  /**
   * A request that nothing stored can answer, told without waiting: it is to go out as it is, and what comes of it to be told to the
   * result; after its `turn`, if it has one. `undefined` if it takes `exchange` to answer it; then nothing has happened.
   */
  miss(presented: Presented, choice?: CacheChoice): Miss | undefined {
    return this.#engine.miss(presented, this.#optionsFor(presented, choice));
  }

  /** Answers a request if a fresh stored response can, else `undefined`. Never asks the origin. */
  reuse(presented: Presented, choice?: CacheChoice): Promise<CacheResponse | undefined> {
    return this.#engine.reuse(presented, this.#optionsFor(presented, choice));
  }

  /**
   * Answers in place of an origin that failed outside of `exchange` (a client that gave up by a time-out of its own): with a stored response
   * that is fresh, or that may be used although it is stale (RFC 5861 §4). `undefined` if there is none.
   */
  standIn(presented: Presented, choice?: CacheChoice): Promise<CacheResponse | undefined> {
    return this.#engine.standIn(presented, this.#optionsFor(presented, choice));
  }

  /**
   * Is the request's content part of its key? Then `exchange` and `reuse` want `bodyHash`, from `bodyHashOf`; without it they leave
   * the request alone.
   */
  isBodyInKey(presented: Presented, choice?: CacheChoice): boolean {
    return presented.hasBody && this.#engine.isBodyInKey(presented, this.#optionsFor(presented, choice));
  }

  /**
   * Makes what the selector covers unusable, durably, in memory and on disk. With `soft` it is marked stale instead: its next use validates
   * it, and it may still stand in as a stale response may. Resolves to how many stored responses that were. Answers that were asked for
   * before, and are covered, are not stored. Rejects with `ERR_CACHE_OPTIONS` for what is no selector, or with what a `where` threw.
   */
  async invalidate(selector: CacheSelector, options: { readonly soft?: boolean } = {}): Promise<number> {
    const failures: unknown[] = [];
    const covered = guardedSelectorOf(this.#storeSelectorOf(selector), failures);
    const softMs = isSoft(options) ? this.#nowMs() : undefined;
    const how = softMs === undefined ? {} : { softMs };
    const entries = await this.#engine.invalidate(covered, createMatcher(covered), how);
    if (failures.length > 0) throw failures[0];
    if ('namespace' in covered && softMs === undefined) this.#namespaces.release(covered.namespace);
    return entries;
  }

  /** Removes what is stored under one URL (every variant of what `GET` finds) or one key. Resolves to whether there was something. */
  async delete(target: string | CacheTarget): Promise<boolean> {
    return (await this.invalidate(targetOf(target))) > 0;
  }

  /**
   * Whether something is stored under one URL or one key, told at once and without the disk. `present`: a lookup finds it, unless it turns
   * out to be damaged; whether it is fresh, or answers a request with other fields, is not said. `absent`: a lookup finds nothing. `maybe`: it
   * is being stored, another process may have changed it just now, or the store cannot tell.
   */
  has(target: string | CacheTarget): Presence {
    const selector = this.#storeSelectorOf(targetOf(target));
    return 'key' in selector ? this.#engine.has(selector.key) : 'maybe';
  }

  /** What is stored, in no particular order. */
  entries(selector?: CacheSelector): AsyncIterable<StoredResponse> {
    return this.#store.entries(selector && this.#storeSelectorOf(selector));
  }

  /** Removes everything. */
  async clear(): Promise<void> {
    await this.#engine.clear();
    this.#namespaces.releaseAll();
  }

  stats(): Promise<StoreStats> {
    return this.#store.stats();
  }

  /**
   * Reads everything that is stored and compares it with its checksums: in the worker, a few MiB at a time, so that requests and what is to
   * be stored go on. With `repair`, damaged responses are removed (they are misses in any case), and files that nothing refers to.
   * Resolves to zeros for a store that has nothing to verify. Rejects with `ERR_CACHE_OPTIONS` for an option that there is not, and with
   * `ERR_CACHE_WORKER` if the worker dies.
   */
  async verify(options: { readonly repair?: boolean } = {}): Promise<VerifyReport> {
    checkVerifyOptions(options);
    const nothing = { checked: 0, damaged: 0, repaired: 0, bytes: 0, orphans: 0, orphanBytes: 0 };
    return (await this.#store.verify?.(options)) ?? nothing;
  }

  /**
   * Removes responses that are of no use any more, not even stale or to be validated, and gives their space back as far as the oldest
   * part of the log holds little else. Never needed: what is in the way goes first when room is needed. Resolves to what it did.
   */
  async maintain(): Promise<MaintainReport> {
    return (await this.#store.maintain?.()) ?? { expired: 0, moved: 0, droppedSegments: 0, freedBytes: 0 };
  }

  /** Resolves when every response whose body had arrived before the call is durable: it survives a power cut. */
  async flush(): Promise<void> {
    await this.#engine.settle();
    await this.#store.flush();
  }

  /** Waits for background validations, makes everything durable and lets go of the directory. Twice is fine. Requests after it go to the origin. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #close(): Promise<void> {
    await this.#engine.settle();
    await this.#store.close();
  }

  #optionsFor({ request }: Presented, choice: CacheChoice): CompleteRequestOptions {
    const options = this.#optionsOf(request.url, choice);
    if (options.namespace !== '' && options.mode !== 'no-store') this.#namespaces.admit(options.namespace);
    return options;
  }

  #storeSelectorOf(selector: CacheSelector): Selector {
    return storeSelectorOf(selector, (url, namespace) => {
      const { href } = new URL(url);
      const options = this.#optionsOf(href, namespace === undefined ? undefined : { namespace });
      return this.#engine.keyOf({ request: { method: 'GET', url: href, fields: [] }, hasBody: false }, options);
    });
  }

  #optionsOf(url: string, choice: CacheChoice): CompleteRequestOptions {
    if (choice === false) return leftAlone;
    const rule = this.#rules.length === 0 ? undefined : this.#ruleFor(url);
    if (rule?.cache === false) return this.#complete(noStore);
    if (choice === undefined && rule === undefined) return this.#base;
    if (rule !== undefined && choice !== undefined) {
      return this.#complete(layOptions(rule.cache, choice));
    }
    return this.#complete(choice ?? rule?.cache ?? this.#base);
  }

  #complete(options: RequestOptions): CompleteRequestOptions {
    let complete = this.#completed.get(options);
    if (complete === undefined) {
      checkRequestOptions(options, 'cache options');
      complete = Object.freeze(layOptions(this.#base, options));
      this.#completed.set(options, complete);
    }
    return complete;
  }

  #ruleFor(url: string): OptionRule | undefined {
    // `search` has no memory of the last match, as `test` has with the flag `g`.
    return this.#rules.find(({ match }) =>
      typeof match === 'string' ? hostOf(url) === match : url.search(match) !== -1,
    );
  }
}

function targetOf(target: string | CacheTarget): CacheTarget {
  return typeof target === 'string' ? { url: target } : target;
}

function isSoft(options: unknown): boolean {
  const isKnown =
    typeof options === 'object' && options !== null && Object.keys(options).every((name) => name === 'soft');
  const soft: unknown = isKnown && 'soft' in options ? options.soft : false;
  if (isKnown && (soft === undefined || typeof soft === 'boolean')) return soft === true;
  throw new CacheError(
    'ERR_CACHE_OPTIONS',
    'invalidate() takes { soft: true } or { soft: false } besides the selector.',
  );
}

function checkVerifyOptions(options: unknown): void {
  const isObject = typeof options === 'object' && options !== null;
  const isGood = isObject && Object.entries(options).every(([name, value]) => name === 'repair' && isFlag(value));
  if (!isGood) throw new CacheError('ERR_CACHE_OPTIONS', 'verify() takes { repair: true or false }.');
}

function isFlag(value: unknown): boolean {
  return value === undefined || typeof value === 'boolean';
}

const noStore: RequestOptions = Object.freeze({ mode: 'no-store' });

function hostOf(url: string): string | undefined {
  return URL.canParse(url) ? new URL(url).host : undefined;
}

/** Lays options over options: the later ones win, `false` over all. */
export function layChoices(defaults: CacheChoice, choice: CacheChoice): CacheChoice {
  if (choice === undefined) return defaults;
  if (choice === false || defaults === undefined || defaults === false) return choice;
  return layOptions(defaults, choice);
}

/** Checks what a user put where options go; `false` and `undefined` pass. */
export function checkChoice(choice: unknown, where: string): CacheChoice {
  if (choice === undefined || choice === false) return choice;
  if (choice === true)
    throw new CacheError('ERR_CACHE_OPTIONS', `${where} must be false or an object with options; it is true.`);
  return checkRequestOptions(choice, where);
}
