import { assertNever } from '../errors.js';
import type { Candidate, Selector } from './contract.js';

/** Tells what a selector covers, for stores to read selectors by. */
export function createMatcher(selector: Selector): (candidate: Candidate) => boolean {
  if ('key' in selector) return ({ key }) => key === selector.key;
  if ('prefix' in selector) return ({ head }) => head.url.startsWith(selector.prefix);
  if ('host' in selector) return hostMatcher(selector.host.toLowerCase());
  if ('tag' in selector) return tagMatcher(tagsOf(selector));
  if ('namespace' in selector) return ({ key }) => namespaceOf(key) === selector.namespace;
  if ('where' in selector) return selector.where;
  return assertNever(selector);
}

/** What a key begins with, up to its first blank: an invalidation may name it. */
export function namespaceOf(key: string): string {
  const blank = key.indexOf(' ');
  return blank < 0 ? '' : key.slice(0, blank);
}

export function tagsOf({ tag }: { readonly tag: string | readonly string[] }): readonly string[] {
  return typeof tag === 'string' ? [tag] : tag;
}

function tagMatcher(wanted: readonly string[]): (candidate: Candidate) => boolean {
  return ({ tags }) => tags.some((tag) => wanted.includes(tag));
}

const authorityPattern = /^([a-z][a-z0-9+.-]*):\/\/(?:[^/?#]*@)?(\[[^\]]*\]|[^/?#:]*)(?::(\d*))?/i;

function hostMatcher(wanted: string): (candidate: Candidate) => boolean {
  return ({ head }) => {
    const [, scheme, host, port] = authorityPattern.exec(head.url) ?? [];
    if (host === undefined) return false;
    if (host.toLowerCase() === wanted) return true;
    return `${host.toLowerCase()}:${port || defaultPortOf(scheme)}` === wanted;
  };
}

function defaultPortOf(scheme: string | undefined): string {
  return scheme?.toLowerCase() === 'https' ? '443' : '80';
}
