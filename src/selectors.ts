import { CacheError } from './errors.js';
import { namespaceNameOf, namespaceWordOf } from './http/key.js';
import type { StoredHead } from './http/message.js';
import { dependencyTagOf, splitTags } from './http/tags.js';
import type { Candidate, Selector } from './store/contract.js';

/** One stored URI: what `GET` of it finds without credentials, every variant; or a key, from `cacheInfo.key`. */
export type CacheTarget = { readonly url: string; readonly namespace?: string } | { readonly key: string };

/** What `invalidate` and `entries` cover. */
export type CacheSelector =
  | CacheTarget
  /** Responses whose target URI starts with this. */
  | { readonly prefix: string }
  /** Responses whose target URI has this host, with its port if that is given. */
  | { readonly host: string }
  /** Responses that were stored with this tag, or with any of several. */
  | { readonly tag: string | readonly string[] }
  /** Responses that were stored with this in `dependsOn`, or with any of several. */
  | { readonly dependency: string | readonly string[] }
  /** Everything in a namespace; `''` is where requests go that name none. */
  | { readonly namespace: string }
  /** What the function says yes to. */
  | { readonly where: (entry: SelectableResponse) => boolean };

/** What the function in `{ where }` is asked about. */
export interface SelectableResponse {
  readonly key: string;
  readonly namespace: string;
  readonly tags: readonly string[];
  readonly dependencies: readonly string[];
  /** Status, fields, URI, times, metadata. */
  readonly head: StoredHead;
}

const names = ['key', 'url', 'prefix', 'host', 'tag', 'dependency', 'namespace', 'where'];

/** A selector as stores know it. Throws `ERR_CACHE_OPTIONS` for what is none. */
export function storeSelectorOf(selector: CacheSelector, keyOf: (url: string, namespace?: string) => string): Selector {
  check(selector);
  if ('url' in selector) return { key: keyOf(selector.url, selector.namespace) };
  if ('dependency' in selector) return { tag: [selector.dependency].flat().map(dependencyTagOf) };
  if ('namespace' in selector) return { namespace: namespaceWordOf(selector.namespace) };
  if ('where' in selector) return { where: (candidate) => selector.where(selectableOf(candidate)) };
  return selector;
}

/** A selector whose function answers `false` where the user's threw, which `failures` tells then: stores expect none to throw. */
export function guardedSelectorOf(selector: Selector, failures: unknown[]): Selector {
  if (!('where' in selector)) return selector;
  return {
    where: (candidate) => {
      try {
        return selector.where(candidate);
      } catch (error) {
        failures.push(error);
        return false;
      }
    },
  };
}

function selectableOf({ key, tags, head }: Candidate): SelectableResponse {
  return { key, namespace: namespaceNameOf(key), head, ...splitTags(tags) };
}

function check(selector: unknown): void {
  if (typeof selector !== 'object' || selector === null) throw wrong(selector, 'it must be an object');
  const given = Object.entries(selector).filter(([, value]) => value !== undefined);
  const unknown = given.find(([name]) => !names.includes(name));
  if (unknown !== undefined) throw wrong(unknown[0], 'there is no such selector');
  const isInNamespace = given.length === 2 && 'url' in selector && 'namespace' in selector;
  if (given.length !== 1 && !isInNamespace) throw wrong(given.map(([name]) => name).join(' and '), 'it must be one');
  for (const [name, value] of given) {
    if (name === 'url' && !(typeof value === 'string' && URL.canParse(value)))
      throw wrong(value, '"url" must be an absolute URL');
    if (!mayBe(name, value)) throw wrong(value, `"${name}" cannot be that`);
  }
}

function mayBe(name: string, value: unknown): boolean {
  if (name === 'where') return typeof value === 'function';
  if (typeof value === 'string') return true;
  const mayBeList = name === 'tag' || name === 'dependency';
  return mayBeList && Array.isArray(value) && value.every((item) => typeof item === 'string');
}

function wrong(what: unknown, why: string): CacheError {
  const list = names.map((name) => `{ ${name} }`).join(', ');
  const text = typeof what === 'string' ? `"${what}"` : String(what);
  return new CacheError(
    'ERR_CACHE_OPTIONS',
    `${text} selects nothing: ${why}. There are ${list}, and { url, namespace }.`,
  );
}
