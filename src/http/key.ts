import { hash } from 'node:crypto';
import { remembering } from './remember.js';

/** What a stored response is filed under (RFC 9111 §2). */
export interface KeyParts {
  readonly method: string;
  /** Absolute and in the WHATWG's normal form, as `new URL(…).href` gives it. */
  readonly url: string;
  readonly namespace?: string;
  /** Where the request really goes when it is not where its URI says. Only its hash enters the key. */
  readonly via?: string | undefined;
  /** Who asks: the `Authorization` value, or anything else that tells users apart. Only its hash enters the key. */
  readonly credentials?: string | undefined;
  /** A hash of the request body, for methods whose body is part of the question. */
  readonly bodyHash?: string | undefined;
  /** Query parameters that do not change the answer; a name that ends in `*` is a prefix. */
  readonly ignoreParams?: readonly string[];
}

/**
 * `namespace method who body url`, each without blanks and so unambiguous. HEAD shares GET's key. The fragment
 * is not part of it, and of `user:password@` only a hash is.
 */
export function cacheKeyOf(parts: KeyParts): string {
  const { url, userinfo } = splitUserinfo(withoutFragment(parts.url));
  const { credentials, via } = parts;
  const isAnyone = credentials === undefined && userinfo === undefined && via === undefined;
  const who = isAnyone ? '-' : hash('sha256', JSON.stringify([credentials, userinfo, via]));
  const method = parts.method === 'HEAD' ? 'GET' : encoded(parts.method);
  const target = parts.ignoreParams === undefined ? url : withoutParams(url, parts.ignoreParams);
  const namespace = parts.namespace === undefined ? '' : namespaceWordOf(parts.namespace);
  const body = parts.bodyHash === undefined ? '-' : `body:${wordOf(parts.bodyHash)}`;
  return `${namespace} ${method} ${who} ${body} ${target}`;
}

/** A namespace as keys begin with it, without blanks. */
export function namespaceWordOf(namespace: string): string {
  return encoded(namespace);
}

/** The namespace that a key was made for. */
export function namespaceNameOf(key: string): string {
  const word = key.slice(0, Math.max(0, key.indexOf(' ')));
  try {
    return decodeURIComponent(word);
  } catch {
    return word;
  }
}

/** The target URI as it may be written down: no fragment, no `user:password@`. */
export function targetUriOf(url: string): string {
  if (!url.includes('@') && !url.includes('#')) return url;
  return splitUserinfo(withoutFragment(url)).url;
}

function withoutFragment(url: string): string {
  const hash = url.indexOf('#');
  return hash === -1 ? url : url.slice(0, hash);
}

function splitUserinfo(url: string): { readonly url: string; readonly userinfo: string | undefined } {
  if (!url.includes('@')) return { url, userinfo: undefined };
  const scheme = url.indexOf('://');
  if (scheme === -1) return { url, userinfo: undefined };
  const start = scheme + 3;
  let end = start;
  while (end < url.length && !'/?#\\'.includes(url.charAt(end))) end += 1;
  const at = url.lastIndexOf('@', end - 1);
  if (at < start) return { url, userinfo: undefined };
  return { url: url.slice(0, start) + url.slice(at + 1), userinfo: url.slice(start, at) };
}

function withoutParams(url: string, names: readonly string[]): string {
  const question = url.indexOf('?');
  if (question === -1 || names.length === 0) return url;
  const kept = url
    .slice(question + 1)
    .split('&')
    .filter((parameter) => !isIgnored(parameterName(parameter), names));
  const path = url.slice(0, question);
  return kept.length === 0 ? path : `${path}?${kept.join('&')}`;
}

function isIgnored(name: string, names: readonly string[]): boolean {
  return names.some((pattern) => (pattern.endsWith('*') ? name.startsWith(pattern.slice(0, -1)) : name === pattern));
}

function parameterName(parameter: string): string {
  const name = (parameter.split('=', 1)[0] ?? '').replaceAll('+', ' ');
  try {
    return decodeURIComponent(name);
  } catch {
    // Not UTF-8: compared as it is written.
    return name;
  }
}

/** Lone surrogates would make encodeURIComponent throw. */
function wordOf(text: string): string {
  return encodeURIComponent(text.replaceAll(/[\ud800-\udfff]/gu, '\ufffd'));
}

/** Methods and namespaces are few. */
const encoded = remembering(wordOf);
