import { type CacheControl, emptyCacheControl, parseCacheControl } from '../http/cache-control.js';
import { fieldValueOf, hasField, singletonOf } from '../http/fields.js';
import type { FieldLines } from '../http/message.js';
import { parseTargetedCacheControl } from '../http/targeted-cache-control.js';

/** What a response says to caches, found in one pass over its fields. Values as received; `null`: lines that disagree. */
export interface ResponseView {
  readonly cacheControl: CacheControl;
  /** A targeted field (RFC 9213) took the place of Cache-Control, and so of Expires. */
  readonly isTargeted: boolean;
  readonly date: string | null | undefined;
  readonly expires: string | null | undefined;
  /** The first line: all that counts (RFC 9111 §5.1). */
  readonly age: string | undefined;
  readonly lastModified: string | null | undefined;
}

export function viewResponse(fields: FieldLines, targets: readonly string[]): ResponseView {
  let cacheControl: string | undefined;
  let date: string | null | undefined;
  let expires: string | null | undefined;
  let age: string | undefined;
  let lastModified: string | null | undefined;
  let pragma: string | undefined;
  let isRepeated = false;
  for (let i = 0; i + 1 < fields.length; i += 2) {
    const name = fields[i] ?? '';
    const value = fields[i + 1] ?? '';
    // The lengths of the names that matter: most fields are passed over without looking at a letter.
    const { length } = name;
    if (length !== 13 && length !== 3 && length !== 4 && length !== 6 && length !== 7) continue;
    switch (name.toLowerCase()) {
      case 'cache-control':
        isRepeated = cacheControl !== undefined;
        cacheControl = value;
        break;
      case 'date':
        date = oneOf(date, value);
        break;
      case 'expires':
        expires = oneOf(expires, value);
        break;
      case 'age':
        age ??= value;
        break;
      case 'last-modified':
        lastModified = oneOf(lastModified, value);
        break;
      case 'pragma':
        pragma = pragma === undefined ? value : `${pragma},${value}`;
        break;
    }
  }
  if (isRepeated) cacheControl = fieldValueOf(fields, 'cache-control');
  const targeted = targets.length === 0 ? undefined : targetedCacheControl(fields, targets);
  return {
    cacheControl: targeted ?? untargeted(cacheControl, pragma),
    isTargeted: targeted !== undefined,
    date,
    expires,
    age,
    lastModified,
  };
}

function oneOf(before: string | null | undefined, value: string): string | null {
  return before === undefined || before === value ? value : null;
}

function untargeted(cacheControl: string | undefined, pragma: string | undefined): CacheControl {
  if (cacheControl !== undefined) return parseCacheControl(cacheControl);
  const directives = emptyCacheControl();
  // Never specified for responses (RFC 9111 §5.4), but meant by those who send it.
  directives.noCache = pragma !== undefined && saysNoCache(pragma);
  return directives;
}

function targetedCacheControl(fields: FieldLines, targets: readonly string[]): CacheControl | undefined {
  for (const target of targets) {
    const value = fieldValueOf(fields, target);
    const directives = value === undefined ? undefined : parseTargetedCacheControl(value);
    if (directives !== undefined) return directives;
  }
  return undefined;
}

const noDirectives: Readonly<CacheControl> = Object.freeze(emptyCacheControl());

/** The directives of a request; `Pragma: no-cache` stands in for them when there are none (RFC 9111 §5.4). */
export function requestDirectives(fields: FieldLines): Readonly<CacheControl> {
  const cacheControl = fieldValueOf(fields, 'cache-control');
  if (cacheControl !== undefined) return parseCacheControl(cacheControl);
  const pragma = fieldValueOf(fields, 'pragma');
  if (pragma === undefined || !saysNoCache(pragma)) return noDirectives;
  return { ...emptyCacheControl(), noCache: true };
}

function saysNoCache(pragma: string): boolean {
  return pragma
    .toLowerCase()
    .split(',')
    .some((directive) => directive.trim() === 'no-cache');
}

/** Preconditions that only an origin can judge (RFC 9111 §4.3.2). */
export function hasOriginPrecondition(fields: FieldLines): boolean {
  return hasField(fields, 'if-match') || hasField(fields, 'if-unmodified-since');
}

/** A validator's value, if there is one, its lines agree and it may be sent back. */
export function validatorOf(fields: FieldLines, lowerName: 'etag' | 'last-modified'): string | undefined {
  return singletonOf(fields, lowerName) || undefined;
}
