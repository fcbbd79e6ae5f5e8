import { assertNever } from '../errors.js';
import type { Selector } from './contract.js';

/** What a selector looks at. */
export interface Selectable {
  readonly key: string;
  /** Target URI. */
  readonly url: string;
  readonly tags: readonly string[];
}

export function matcherOf(selector: Selector): (candidate: Selectable) => boolean {
  if ('key' in selector) return ({ key }) => key === selector.key;
  if ('prefix' in selector) return ({ url }) => url.startsWith(selector.prefix);
  if ('host' in selector) return hostMatcher(selector.host.toLowerCase());
  if ('tag' in selector) return ({ tags }) => tags.includes(selector.tag);
  return assertNever(selector);
}

const authorityPattern = /^([a-z][a-z0-9+.-]*):\/\/(?:[^/?#]*@)?(\[[^\]]*\]|[^/?#:]*)(?::(\d*))?/i;

function hostMatcher(wanted: string): (candidate: Selectable) => boolean {
  return ({ url }) => {
    const [, scheme, host, port] = authorityPattern.exec(url) ?? [];
    if (host === undefined) return false;
    if (host.toLowerCase() === wanted) return true;
    return `${host.toLowerCase()}:${port || defaultPortOf(scheme)}` === wanted;
  };
}

function defaultPortOf(scheme: string | undefined): string {
  return scheme?.toLowerCase() === 'https' ? '443' : '80';
}
