import { maxDeltaSeconds, parseDeltaSeconds } from './delta-seconds.js';
import { remembering } from './remember.js';

/**
 * The directives of RFC 9111 §5.2, RFC 5861 and RFC 8246, of requests and responses. A duplicate that contradicts
 * another, or a value that is not a number of seconds, is read as the most restrictive: 0 for what allows reuse.
 */
export interface CacheControl {
  noStore: boolean;
  /** Unqualified. */
  noCache: boolean;
  /** Qualified `no-cache="…"`: field names in lower case. */
  noCacheFields: readonly string[];
  private: boolean;
  privateFields: readonly string[];
  public: boolean;
  mustRevalidate: boolean;
  proxyRevalidate: boolean;
  mustUnderstand: boolean;
  immutable: boolean;
  onlyIfCached: boolean;
  maxAge: number | undefined;
  sMaxage: number | undefined;
  staleWhileRevalidate: number | undefined;
  staleIfError: number | undefined;
  minFresh: number | undefined;
  /** `Infinity` without a value: any staleness will do. */
  maxStale: number | undefined;
}

const noNames: readonly string[] = [];

export function emptyCacheControl(): CacheControl {
  return {
    noStore: false,
    noCache: false,
    noCacheFields: noNames,
    private: false,
    privateFields: noNames,
    public: false,
    mustRevalidate: false,
    proxyRevalidate: false,
    mustUnderstand: false,
    immutable: false,
    onlyIfCached: false,
    maxAge: undefined,
    sMaxage: undefined,
    staleWhileRevalidate: undefined,
    staleIfError: undefined,
    minFresh: undefined,
    maxStale: undefined,
  };
}

/** Parses the combined value of `Cache-Control`. Takes anything: what cannot be understood restricts or is ignored. */
export const parseCacheControl: (text: string) => Readonly<CacheControl> = remembering((text) =>
  Object.freeze(parse(text)),
);

function parse(text: string): CacheControl {
  const directives = emptyCacheControl();
  let at = 0;
  // Once a quoted string was found to have no end, no later one has: the scan stays linear.
  let quotesEnd = true;
  while (at < text.length) {
    let end = at;
    while (end < text.length && text.charCodeAt(end) !== 0x2c && text.charCodeAt(end) !== 0x3d) end += 1;
    const rawName = text.slice(at, end);
    const name = rawName.trim().toLowerCase();
    let argument: Argument = none;
    at = end + 1;
    if (text.charCodeAt(end) === 0x3d) {
      const quoted = quotesEnd && text.charCodeAt(at) === 0x22 ? readQuoted(text, at) : undefined;
      if (quoted !== undefined) {
        const next = skipBlanks(text, quoted.end);
        const isWhole = next >= text.length || text.charCodeAt(next) === 0x2c;
        argument = isWhole && isTight(rawName) ? { kind: 'quoted', text: quoted.text } : malformed;
        at = nextComma(text, next) + 1;
      } else {
        if (text.charCodeAt(at) === 0x22) quotesEnd = false;
        const comma = nextComma(text, at);
        const value = trimEnd(text.slice(at, comma));
        argument = isTight(rawName) && isToken(value) ? { kind: 'token', text: value } : malformed;
        at = comma + 1;
      }
    }
    if (name !== '') setDirective(directives, name, argument);
  }
  return directives;
}

export type Argument =
  | { readonly kind: 'none' | 'malformed' }
  | { readonly kind: 'token' | 'quoted'; readonly text: string };

const none: Argument = { kind: 'none' };
const malformed: Argument = { kind: 'malformed' };

/** Adds one directive to those already read; a name that is not known changes nothing. */
export function setDirective(directives: CacheControl, lowerName: string, argument: Argument): void {
  switch (lowerName) {
    case 'max-age':
      directives.maxAge = lifetime(directives.maxAge, argument);
      break;
    case 's-maxage':
      directives.sMaxage = lifetime(directives.sMaxage, argument);
      break;
    case 'stale-while-revalidate':
      directives.staleWhileRevalidate = lifetime(directives.staleWhileRevalidate, argument);
      break;
    case 'stale-if-error':
      directives.staleIfError = lifetime(directives.staleIfError, argument);
      break;
    case 'max-stale': {
      const seconds = argument.kind === 'none' ? Number.POSITIVE_INFINITY : (secondsOf(argument) ?? 0);
      directives.maxStale = Math.min(directives.maxStale ?? seconds, seconds);
      break;
    }
    case 'min-fresh':
      directives.minFresh = Math.max(directives.minFresh ?? 0, secondsOf(argument) ?? maxDeltaSeconds);
      break;
    case 'no-cache': {
      const names = moreFieldNames(directives.noCacheFields, argument);
      if (names === undefined) directives.noCache = true;
      else directives.noCacheFields = names;
      break;
    }
    case 'private': {
      const names = moreFieldNames(directives.privateFields, argument);
      if (names === undefined) directives.private = true;
      else directives.privateFields = names;
      break;
    }
    case 'no-store':
      directives.noStore = true;
      break;
    case 'public':
      directives.public = true;
      break;
    case 'must-revalidate':
      directives.mustRevalidate = true;
      break;
    case 'proxy-revalidate':
      directives.proxyRevalidate = true;
      break;
    case 'must-understand':
      directives.mustUnderstand = true;
      break;
    case 'immutable':
      directives.immutable = true;
      break;
    case 'only-if-cached':
      directives.onlyIfCached = true;
      break;
  }
}

function lifetime(before: number | undefined, argument: Argument): number {
  const seconds = secondsOf(argument) ?? 0;
  return before === undefined || before === seconds ? seconds : 0;
}

function secondsOf(argument: Argument): number | undefined {
  return argument.kind === 'token' || argument.kind === 'quoted' ? parseDeltaSeconds(argument.text) : undefined;
}

const maxFieldNames = 64;
const fieldName = /^[!#$%&'*+.^_`|~0-9a-z-]+$/;

/** With the listed names; `undefined` for the unqualified form, which is also how what makes no sense is read. */
function moreFieldNames(before: readonly string[], argument: Argument): readonly string[] | undefined {
  if (argument.kind !== 'token' && argument.kind !== 'quoted') return undefined;
  const listed = argument.text.toLowerCase().split(',', maxFieldNames + 1);
  const names = listed.map((name) => name.trim()).filter((name) => name !== '');
  if (names.length === 0 || before.length + listed.length > maxFieldNames) return undefined;
  return names.every((name) => fieldName.test(name)) ? before.concat(names) : undefined;
}

function readQuoted(text: string, start: number): { readonly text: string; readonly end: number } | undefined {
  let value = '';
  let from = start + 1;
  for (let i = from; i < text.length; i += 1) {
    const code = text.charCodeAt(i);
    if (code === 0x22) return { text: value + text.slice(from, i), end: i + 1 };
    if (code === 0x5c) {
      value += text.slice(from, i);
      from = i + 1;
      i += 1;
    }
  }
  return undefined;
}

function isBlank(code: number): boolean {
  return code === 0x20 || code === 0x09;
}

function skipBlanks(text: string, start: number): number {
  let at = start;
  while (at < text.length && isBlank(text.charCodeAt(at))) at += 1;
  return at;
}

function nextComma(text: string, start: number): number {
  const comma = text.indexOf(',', start);
  return comma === -1 ? text.length : comma;
}

function trimEnd(text: string): string {
  let end = text.length;
  while (end > 0 && isBlank(text.charCodeAt(end - 1))) end -= 1;
  return end === text.length ? text : text.slice(0, end);
}

/** No blank stands between the name and the `=`. */
function isTight(rawName: string): boolean {
  return !isBlank(rawName.charCodeAt(rawName.length - 1));
}

function isToken(value: string): boolean {
  if (value === '') return false;
  for (let i = 0; i < value.length; i += 1) {
    const code = value.charCodeAt(i);
    if (code <= 0x20 || code >= 0x7f || code === 0x22) return false;
  }
  return true;
}
