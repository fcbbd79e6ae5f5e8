import { type Argument, type CacheControl, emptyCacheControl, setDirective } from './cache-control.js';

/**
 * A targeted Cache-Control field (RFC 9213): a Dictionary of RFC 8941. `undefined` when it is empty or does not parse,
 * which means that it is as if it were absent.
 */
export function parseTargetedCacheControl(text: string): CacheControl | undefined {
  const members = new Map<string, Argument>();
  const dictionary = new RegExp(member, 'y');
  const source = trimSpaces(text);
  let at = 0;
  while (at < source.length) {
    dictionary.lastIndex = at;
    const match = dictionary.exec(source);
    if (match === null) return undefined;
    const [whole, key = '', integer, quoted, other] = match;
    members.set(key, argumentOf(integer, quoted, other));
    at += whole.length;
    // A comma promises another member.
    if (at === source.length && whole.trimEnd().endsWith(',')) return undefined;
  }
  if (members.size === 0) return undefined;
  const directives = emptyCacheControl();
  for (const [name, argument] of members) {
    // `?0` says that the directive is not there.
    if (argument.kind === 'token' && argument.text === '?0') continue;
    setDirective(directives, name, argument);
  }
  return directives;
}

const key = '[a-z*][a-z0-9_.*-]*';
const integer = '-?\\d{1,15}(?![\\d.])';
const quotedString = '"(?:[ !#-\\[\\]-~]|\\\\["\\\\])*"';
const decimal = '-?\\d{1,12}\\.\\d{1,3}';
const token = "[A-Za-z*][!#$%&'*+.^_`|~0-9A-Za-z:/-]*";
const bytes = ':[A-Za-z0-9+/=]*:';
const bare = `(?:${integer}|${quotedString}|${decimal}|${token}|${bytes}|\\?[01])`;
const parameters = `(?:; *${key}(?:=${bare})?)*`;
const innerList = `\\( *(?:${bare}${parameters}(?: +${bare}${parameters})*)? *\\)`;
const member =
  `(${key})(?:=(?:(${integer})|(${quotedString})|(${decimal}|${token}|${bytes}|\\?[01]|${innerList})))?` +
  `${parameters}(?:[ \\t]*,[ \\t]*|$)`;

function argumentOf(integerText: Text, quoted: Text, other: Text): Argument {
  if (integerText !== undefined) return { kind: 'token', text: integerText };
  // A String is of the wrong type for a number of seconds, and the right one for field names.
  if (quoted !== undefined) return isDigits(quoted) ? { kind: 'malformed' } : { kind: 'quoted', text: unquote(quoted) };
  if (other === undefined || other === '?1') return { kind: 'none' };
  return other === '?0' ? { kind: 'token', text: other } : { kind: 'malformed' };
}

type Text = string | undefined;

function isDigits(quoted: string): boolean {
  return /^"\d*"$/.test(quoted);
}

function unquote(quoted: string): string {
  return quoted.slice(1, -1).replaceAll(/\\(.)/g, '$1');
}

/** By hand: ` +$` takes quadratic time over blanks that something follows. */
function trimSpaces(text: string): string {
  let start = 0;
  let end = text.length;
  while (start < end && text.charCodeAt(start) === 0x20) start += 1;
  while (end > start && text.charCodeAt(end - 1) === 0x20) end -= 1;
  return text.slice(start, end);
}
