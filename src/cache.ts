import { Engine } from './engine/engine.js';
import type { CacheResponse, Forward, Presented } from './engine/messages.js';
import { CacheError } from './errors.js';
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
import type { ResponseStore, Selector, StoredResponse, StoreStats } from './store/contract.js';

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
  }

  /**
   * Answers a request by the rules of RFC 9111, asking the origin through `forward` where they say so. This is all an interceptor for
   * another client needs. Rejects only with what `forward` rejected with, or `ERR_CACHE_OPTIONS`.
   */
  exchange(presented: Presented, forward: Forward, choice?: CacheChoice): Promise<CacheResponse> {
    return this.#engine.exchange(presented, forward, this.#optionsFor(presented, choice));
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

  /** Makes what the selector covers unusable, durably. Resolves to how many stored responses that were. */
  invalidate(selector: Selector): Promise<number> {
    return this.#store.invalidate(selector);
  }

  /** What is stored, in no particular order. */
  entries(selector?: Selector): AsyncIterable<StoredResponse> {
    return this.#store.entries(selector);
  }

  /** Removes everything. */
  clear(): Promise<void> {
    return this.#store.clear();
  }

  stats(): Promise<StoreStats> {
    return this.#store.stats();
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

  #optionsFor(presented: Presented, choice: CacheChoice): CompleteRequestOptions {
    if (choice === false) return leftAlone;
    const rule = this.#rules.length === 0 ? undefined : this.#ruleFor(presented.request.url);
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
