import { CacheError } from './errors.js';
import type { RequestHead, ResponseHead } from './http/message.js';
import { plainCopyOf } from './http/plain-value.js';
import { dependencyMark } from './http/tags.js';
import type { CacheMode } from './semantics/decisions.js';
import { type CompressionOptions, compressionFault } from './store/compression.js';
import type { ResponseStore } from './store/contract.js';

/**
 * What may be said of one request: `config.cache` in axios, `context.cache` in got, the third argument of `cacheAxios`
 * and the second of `cacheGot` for all requests of a client, and `CacheOptions` for all of a cache. The nearest wins; `undefined` says nothing.
 */
export interface RequestOptions {
  /**
   * fetch()'s cache mode. `default`: RFC 9111. `no-store`: neither look up nor store. `reload`: do not look up, store.
   * `no-cache`: validate before every reuse. `force-cache`: reuse also what is stale. `only-if-cached`: reuse or 504.
   * `ignore-rules`: store and reuse whatever the response says (for replaying a crawl).
   * @default 'default'
   */
  readonly mode?: CacheMode;
  /**
   * How long the response is fresh, in ms, in place of what it says itself.
   * @default undefined
   */
  readonly ttlMs?: number | undefined;
  /**
   * When the response stops being fresh, in ms since the epoch, in place of what it says itself. With `ttlMs`, what comes first counts.
   * @default undefined
   */
  readonly expiresAtMs?: number | undefined;
  /**
   * No response is fresh for longer, in ms.
   * @default undefined
   */
  readonly maxTtlMs?: number | undefined;
  /**
   * Freshness lifetimes are shorter by up to this fraction (0 to 1), by the same for the same URI, so that what was stored together is not
   * validated together.
   * @default 0
   */
  readonly ttlJitter?: number;
  /**
   * The stored response is gone once it was not used for so long, in ms. Uses are written down when an eighth of that has passed since
   * the last one that was, so that it may be gone an eighth earlier, and never later.
   * @default undefined
   */
  readonly idleTtlMs?: number | undefined;
  /**
   * Compare-and-set: the response is stored only if none of the same variant is that has this version or a higher one. An integer, 0 or more.
   * @default undefined
   */
  readonly version?: number | undefined;
  /**
   * The longest body that is stored, in bytes; longer ones still reach the caller. Of one request: at most what the cache allows.
   * @default 268435456
   */
  readonly maxEntryBytes?: number;
  /**
   * Whether the memory tier takes it, when it is stored and when it is read from disk. `auto`: what is asked for a second time. `always`: at
   * once. `never`: not at all. Bodies of more than a sixteenth of `memoryBytes`, or 1 MiB, stay out in any case.
   * @default 'auto'
   */
  readonly admission?: 'always' | 'auto' | 'never';
  /**
   * Methods whose responses are stored. `HEAD` is answered from `GET`. Others (`POST`, `QUERY`) put a hash of the request's
   * body into the key; a streamed body is never cached.
   * @default ['GET', 'HEAD']
   */
  readonly methods?: readonly string[];
  /**
   * Name of the partition that the key lies in; another namespace never sees it.
   * @default ''
   */
  readonly namespace?: string;
  /**
   * The key in place of the URI. Requests with one key share one answer: whoever sets it answers for that.
   * @default undefined
   */
  readonly key?: string | undefined;
  /**
   * Query parameters that do not change the answer: left out of the key.
   * @default []
   */
  readonly ignoreParams?: readonly string[];
  /**
   * A last word on storing: called with the request and the response once the rules allow it; `false` keeps it out.
   * @default undefined
   */
  readonly shouldStore?: ((request: RequestHead, response: ResponseHead) => boolean) | undefined;
  /**
   * Seconds for which a stale response is served while it is validated in the background, if the response names none (RFC 5861 §3).
   * @default 0
   */
  readonly staleWhileRevalidateSeconds?: number;
  /**
   * Seconds for which a stale response stands in for an error, if the response names none (RFC 5861 §4).
   * @default 0
   */
  readonly staleIfErrorSeconds?: number;
  /**
   * One origin request for concurrent requests of the same key, in all processes that share the directory.
   * @default true
   */
  readonly collapse?: boolean;
  /**
   * Your own data, kept with the response and over a 304: text, numbers, booleans, null, Dates, bytes (`Uint8Array`), and lists and plain
   * objects of these, 16 KiB, 256 names and 32 levels at the most.
   * @default undefined
   */
  readonly metadata?: unknown;
  /**
   * Names to invalidate the response by.
   * @default []
   */
  readonly tags?: readonly string[];
  /**
   * Names of what the response was made from: `invalidate({ dependency })` covers what depends on it. They never meet the tags.
   * @default []
   */
  readonly dependsOn?: readonly string[];
  /**
   * Who is evicted last: higher stays longer, -128 to 127.
   * @default 0
   */
  readonly priority?: number;
}

/** Options by host or URL: the first rule that matches is laid over the cache's own options. */
export interface OptionRule {
  /** A host name (`example.com`, with port if it is not the scheme's own), or a pattern tested against the whole URI. */
  readonly match: string | RegExp;
  /** `false`: no caching for what matches. */
  readonly cache: false | RequestOptions;
}

/** What `openCache` takes. */
export interface CacheOptions extends RequestOptions {
  /** Where to keep responses. Made if missing, with mode 0700; the cache uses one folder of its own inside. */
  readonly directory: string;
  /**
   * Budget on disk in bytes, as the file system counts them. What is expired goes first, then the oldest that was not used since and has
   * no higher priority than most.
   * @default 1073741824
   */
  readonly maxBytes?: number;
  /**
   * The most responses that are kept.
   * @default Infinity
   */
  readonly maxEntries?: number;
  /**
   * Bytes to leave free on the device, whoever fills it: the budget shrinks and grows with what others take. 0: whatever is left.
   * @default 0
   */
  readonly minFreeBytes?: number;
  /**
   * Compress bodies on the disk, in the worker: those of up to 1 MiB of the right type that have no `Content-Encoding` of their own. They
   * are served as they came.
   * @default false
   */
  readonly compression?: boolean | CompressionOptions;
  /**
   * Keep bodies above 1 MiB that are the same, byte for byte, in one file, whatever their URLs.
   * @default true
   */
  readonly deduplicate?: boolean;
  /**
   * Memory for a tier above the disk that holds heads and small bodies that are asked for again, in bytes of real cost. 0 turns it off.
   * @default 0
   */
  readonly memoryBytes?: number;
  /**
   * Who else may have the directory open. `shared`: any number of processes read and write at once. `exclusive`: nobody; whoever comes second
   * is refused (`ERR_CACHE_LOCKED`).
   * @default 'shared'
   */
  readonly lock?: 'shared' | 'exclusive';
  /**
   * How long a request waits while another process that shares the directory asks the origin for the same, in ms. 0: it does not wait, and asks
   * for itself.
   * @default 5000
   */
  readonly leaseMs?: number;
  /**
   * Be a shared cache (RFC 9111 §1): never store `private` responses, nor answers to requests with `Authorization` that do not allow it.
   * `false` makes it a private cache, in which every set of credentials has a partition of its own. In both, users that `credentialFields` tell
   * apart never see each other's answers.
   * @default true
   */
  readonly shared?: boolean;
  /**
   * The request fields whose values tell users apart, so that nobody sees another's answers. In a private cache each set of values has a partition
   * of its own; in a shared one, what the origin did not say is for everyone (`public`, `s-maxage`) answers only requests with the same values.
   * Only hashes of them are kept. `[]` gives that up: for a program that is one user, whatever its cookies.
   * @default ['authorization', 'cookie']
   */
  readonly credentialFields?: readonly string[];
  /**
   * Never touch the network: what is not stored is a 504. A request that says `cache: false` is not the cache's business even so.
   * @default false
   */
  readonly offline?: boolean;
  /**
   * The part of the time since `Last-Modified` for which a response without a lifetime counts as fresh (RFC 9111 §4.2.2). 0 turns heuristics off.
   * @default 0.1
   */
  readonly heuristicFraction?: number;
  /**
   * The longest heuristic lifetime, in ms.
   * @default 86400000
   */
  readonly maxHeuristicMs?: number;
  /**
   * Targeted Cache-Control fields to obey (RFC 9213), in order; the first that is present wins.
   * @default []
   */
  readonly cacheControlTargets?: readonly string[];
  /**
   * Variants kept per URI (RFC 9111 §4.1); the oldest goes.
   * @default 16
   */
  readonly maxVariants?: number;
  /**
   * How many namespaces there may be besides the empty one; a request in one more fails. A namespace counts from its first use until it is
   * flushed, and after a restart if it holds something.
   * @default 256
   */
  readonly maxNamespaces?: number;
  /**
   * An abandoned download is finished in the background if at most this many bytes are missing; otherwise nothing is kept.
   * @default 65536
   */
  readonly finishAbandonedBytes?: number;
  /**
   * The name in the `Cache-Status` field (RFC 9211) that is added to every response, or `false` for no such field.
   * @default 'offloop'
   */
  readonly cacheStatus?: string | false;
  /**
   * Options by host or pattern; the first match wins.
   * @default []
   */
  readonly rules?: readonly OptionRule[];
  /**
   * Called before every request that really goes out, background validations included; it goes when the promise resolves. For rate limits.
   * @default undefined
   */
  readonly beforeForward?: ((request: RequestHead) => Promise<void> | void) | undefined;
  /**
   * A store of your own in place of the disk store; `directory`, `lock` and the limits on what it keeps are then its business.
   * @default undefined
   */
  readonly store?: ResponseStore | undefined;
  /**
   * The clock, in ms since the epoch. For tests and replay.
   * @default Date.now
   */
  readonly nowMs?: () => number;
}

/** Request options with every default filled in. */
export type CompleteRequestOptions = Required<RequestOptions>;
type WithoutStore = Omit<CacheOptions, 'directory'>;
export type CompleteCacheOptions = Required<WithoutStore> & { readonly directory: string };

export const requestDefaults: CompleteRequestOptions = Object.freeze({
  mode: 'default',
  ttlMs: undefined,
  expiresAtMs: undefined,
  maxTtlMs: undefined,
  ttlJitter: 0,
  idleTtlMs: undefined,
  version: undefined,
  maxEntryBytes: 256 * 1024 ** 2,
  admission: 'auto',
  methods: Object.freeze(['GET', 'HEAD']),
  namespace: '',
  key: undefined,
  ignoreParams: Object.freeze([]),
  shouldStore: undefined,
  staleWhileRevalidateSeconds: 0,
  staleIfErrorSeconds: 0,
  collapse: true,
  metadata: undefined,
  tags: Object.freeze([]),
  dependsOn: Object.freeze([]),
  priority: 0,
});

/** For a request that said `cache: false`: not even `offline` is its business. Known by its identity. */
export const leftAlone: CompleteRequestOptions = Object.freeze({ ...requestDefaults, mode: 'no-store' });

export const cacheDefaults: Required<WithoutStore> = Object.freeze({
  ...requestDefaults,
  maxBytes: 1024 ** 3,
  maxEntries: Infinity,
  minFreeBytes: 0,
  compression: false,
  deduplicate: true,
  memoryBytes: 0,
  lock: 'shared',
  leaseMs: 5000,
  shared: true,
  credentialFields: Object.freeze(['authorization', 'cookie']),
  offline: false,
  heuristicFraction: 0.1,
  maxHeuristicMs: 24 * 3600 * 1000,
  cacheControlTargets: Object.freeze([]),
  maxVariants: 16,
  maxNamespaces: 256,
  finishAbandonedBytes: 64 * 1024,
  cacheStatus: 'offloop',
  rules: Object.freeze([]),
  beforeForward: undefined,
  store: undefined,
  nowMs: Date.now,
});

const modes: readonly CacheMode[] = [
  'default',
  'no-store',
  'reload',
  'no-cache',
  'force-cache',
  'only-if-cached',
  'ignore-rules',
];

const admissions = ['always', 'auto', 'never'] as const;

/** One option's rule: what is allowed, in words, and the test for it. */
interface Check {
  readonly allowed: string;
  readonly test: (value: unknown) => boolean;
  /** What exactly is wrong, where that is worth more than a word. */
  readonly fault?: (value: unknown) => string | undefined;
}

const maxMetadataBytes = 16 * 1024;
const maxMetadataNames = 256;

/** A token (RFC 9110 §5.6.2) without lower case: `GET`, `VERSION-CONTROL`. */
const methodPattern = /^[!#$%&'*+.^_`|~0-9A-Z-]+$/;

const isNumberFrom =
  (min: number, max = Number.MAX_SAFE_INTEGER) =>
  (value: unknown): boolean =>
    typeof value === 'number' && value >= min && value <= max;
const isBoolean = (value: unknown): boolean => typeof value === 'boolean';
const isFunction = (value: unknown): boolean => typeof value === 'function';
const isStrings = (value: unknown): boolean => Array.isArray(value) && value.every((item) => typeof item === 'string');
const orUndefined =
  (test: (value: unknown) => boolean) =>
  (value: unknown): boolean =>
    value === undefined || test(value);

const bytes: Check = { allowed: 'a number of bytes, 0 or more', test: isNumberFrom(0) };
const seconds: Check = { allowed: 'a number of seconds, 0 or more', test: isNumberFrom(0) };
const milliseconds: Check = { allowed: 'a number of milliseconds, 0 or more', test: orUndefined(isNumberFrom(0)) };
const strings: Check = { allowed: 'a list of strings', test: isStrings };
const optionalFunction: Check = { allowed: 'a function', test: orUndefined(isFunction) };

const requestChecks: Readonly<Record<keyof RequestOptions, Check>> = {
  mode: { allowed: `one of ${modes.join(', ')}`, test: (value) => modes.some((mode) => mode === value) },
  ttlMs: milliseconds,
  expiresAtMs: { allowed: 'a time in milliseconds since the epoch, 0 or more', test: orUndefined(isNumberFrom(0)) },
  maxTtlMs: milliseconds,
  ttlJitter: { allowed: 'a number from 0 to 1', test: isNumberFrom(0, 1) },
  idleTtlMs: { allowed: 'a number of milliseconds, more than 0', test: orUndefined(isNumberFrom(Number.MIN_VALUE)) },
  version: {
    allowed: 'an integer, 0 or more',
    test: orUndefined((value) => Number.isSafeInteger(value) && isNumberFrom(0)(value)),
  },
  maxEntryBytes: bytes,
  admission: { allowed: `one of ${admissions.join(', ')}`, test: (value) => admissions.some((one) => one === value) },
  methods: {
    allowed: 'a list of method names in upper case',
    test: (value) => isStrings(value) && Array.isArray(value) && value.every((name) => methodPattern.test(name)),
  },
  namespace: { allowed: 'a string', test: (value) => typeof value === 'string' },
  key: { allowed: 'a string', test: orUndefined((value) => typeof value === 'string') },
  ignoreParams: strings,
  shouldStore: optionalFunction,
  staleWhileRevalidateSeconds: seconds,
  staleIfErrorSeconds: seconds,
  collapse: { allowed: 'true or false', test: isBoolean },
  metadata: {
    allowed:
      'made of text, numbers, booleans, null, Dates, bytes, lists and plain objects, 16 KiB and 256 names at the most',
    test: (value) => plainCopyOf(value, maxMetadataBytes, maxMetadataNames).kind === 'plain',
  },
  tags: {
    allowed: 'a list of strings, none of which begins with NUL',
    test: (value) => isStrings(value) && Array.isArray(value) && !value.some((tag) => tag.startsWith(dependencyMark)),
  },
  dependsOn: strings,
  priority: {
    allowed: 'an integer from -128 to 127',
    test: (value) => Number.isInteger(value) && isNumberFrom(-128, 127)(value),
  },
};

const isRule = (value: unknown): boolean =>
  typeof value === 'object' &&
  value !== null &&
  'match' in value &&
  (typeof value.match === 'string' || value.match instanceof RegExp) &&
  'cache' in value &&
  (value.cache === false || (typeof value.cache === 'object' && value.cache !== null));

const cacheChecks: Readonly<Record<keyof CacheOptions, Check>> = {
  ...requestChecks,
  directory: { allowed: 'the path of a directory', test: (value) => typeof value === 'string' && value !== '' },
  maxBytes: bytes,
  maxEntries: {
    allowed: 'a number of responses, 1 or more',
    test: isNumberFrom(1, Infinity),
  },
  minFreeBytes: bytes,
  compression: {
    allowed: 'true, false, or { minBytes, types, codec, level, minGain }',
    test: (value) => compressionFault(value) === undefined,
    fault: compressionFault,
  },
  deduplicate: { allowed: 'true or false', test: isBoolean },
  memoryBytes: bytes,
  lock: { allowed: "'shared' or 'exclusive'", test: (value) => value === 'shared' || value === 'exclusive' },
  leaseMs: { allowed: 'a number of milliseconds from 0 to 600000', test: isNumberFrom(0, 600_000) },
  shared: { allowed: 'true or false', test: isBoolean },
  credentialFields: strings,
  offline: { allowed: 'true or false', test: isBoolean },
  heuristicFraction: { allowed: 'a number from 0 to 1', test: isNumberFrom(0, 1) },
  maxHeuristicMs: { allowed: 'a number of milliseconds, 0 or more', test: isNumberFrom(0) },
  cacheControlTargets: strings,
  maxVariants: {
    allowed: 'an integer from 1 to 1000',
    test: (value) => Number.isInteger(value) && isNumberFrom(1, 1000)(value),
  },
  maxNamespaces: {
    allowed: 'an integer from 0 to 10000',
    test: (value) => Number.isInteger(value) && isNumberFrom(0, 10_000)(value),
  },
  finishAbandonedBytes: bytes,
  cacheStatus: {
    allowed: 'a name of letters, digits, ".", "_" and "-" that begins with a letter, or false',
    test: (value) => value === false || (typeof value === 'string' && /^[A-Za-z][\w.-]*$/.test(value)),
  },
  rules: {
    allowed: 'a list of { match: string | RegExp, cache: false | options }',
    test: (value) => Array.isArray(value) && value.every(isRule),
  },
  beforeForward: optionalFunction,
  store: {
    allowed: 'a ResponseStore',
    test: (value) => value === undefined || (typeof value === 'object' && value !== null),
  },
  nowMs: { allowed: 'a function that returns milliseconds', test: isFunction },
};

function printValue(value: unknown): string {
  if (typeof value === 'function') return 'a function';
  // JSON has no word for NaN.
  if (typeof value === 'number') return String(value);
  const text = jsonOf(value);
  return text.length > maxPrinted ? `${text.slice(0, maxPrinted)}…` : text;
}

const maxPrinted = 200;

function jsonOf(value: unknown): string {
  try {
    return JSON.stringify(value) ?? String(value);
  } catch {
    return Object.prototype.toString.call(value);
  }
}

function check(options: object, checks: Readonly<Record<string, Check>>, where: string): void {
  for (const [name, value] of Object.entries(options)) {
    const rule = Object.hasOwn(checks, name) ? checks[name] : undefined;
    if (rule === undefined) {
      const known = Object.keys(checks).join(', ');
      throw new CacheError(
        'ERR_CACHE_OPTIONS',
        `${where} has no option "${name}" (given: ${printValue(value)}). There are: ${known}.`,
      );
    }
    if (!rule.test(value) && (value !== undefined || name === 'directory')) {
      throw new CacheError(
        'ERR_CACHE_OPTIONS',
        `${where}: "${name}" is ${printValue(value)}; it must be ${rule.fault?.(value) ?? rule.allowed}.`,
      );
    }
  }
}

function assertObject(options: unknown, where: string): asserts options is object {
  if (typeof options !== 'object' || options === null) {
    throw new CacheError('ERR_CACHE_OPTIONS', `${where} must be an object with options; it is ${printValue(options)}.`);
  }
}

/**
 * Checks what is said of one request or one client. Throws `ERR_CACHE_OPTIONS` with the option, its value and what is allowed.
 * `where` names the place in the message.
 */
export function checkRequestOptions(options: unknown, where: string): RequestOptions {
  assertObject(options, where);
  check(options, requestChecks, where);
  return options;
}

/** Lays options over options: what is `undefined` is as good as left out. */
export function layOptions<Base extends RequestOptions>(base: Base, over: RequestOptions): Base {
  return { ...base, ...given(over) };
}

function given(options: object): object {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined));
}

/** Checks the options of a cache and fills in the defaults; the result is frozen and nothing below checks again. */
export function completeCacheOptions(options: unknown): CompleteCacheOptions {
  const where = 'openCache()';
  assertObject(options, where);
  check(options, cacheChecks, where);
  if (!('directory' in options) && !('store' in options)) {
    throw new CacheError(
      'ERR_CACHE_OPTIONS',
      `${where} needs the option "directory": ${cacheChecks.directory.allowed}.`,
    );
  }
  const complete: CompleteCacheOptions = Object.freeze({ directory: '', ...cacheDefaults, ...given(options) });
  complete.rules.forEach((rule, position) => {
    if (rule.cache !== false) checkRequestOptions(rule.cache, `${where}: rules[${position}].cache`);
  });
  return complete;
}
