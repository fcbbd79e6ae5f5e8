import { parseHttpDate } from '../http/dates.js';
import { isWeak, matchesStrongly, matchesWeakly } from '../http/etags.js';
import { hasField, isFieldValue, withFields, withoutFields } from '../http/fields.js';
import type { FieldLines } from '../http/message.js';
import { validatorOf } from './views.js';

/** A longer one is not sent back: it would make every validation a request that servers refuse for its size. */
const maxValidatorLength = 4096;

/** The fields that ask the origin whether a stored response is still good (RFC 9111 §4.3.1); none if it has no validator. */
export function conditionalOf(fields: FieldLines, nowMs: number): string[] {
  const conditional: string[] = [];
  const etag = validatorOf(fields, 'etag');
  if (etag !== undefined && isSendable(etag)) conditional.push('If-None-Match', etag);
  const lastModified = validatorOf(fields, 'last-modified');
  if (lastModified !== undefined && parseHttpDate(lastModified, nowMs) !== undefined) {
    conditional.push('If-Modified-Since', lastModified);
  }
  return conditional;
}

/** Whether `conditionalOf` would have something to ask with. */
export function hasValidator(fields: FieldLines, nowMs: number): boolean {
  const etag = validatorOf(fields, 'etag');
  if (etag !== undefined && isSendable(etag)) return true;
  const lastModified = validatorOf(fields, 'last-modified');
  return lastModified !== undefined && parseHttpDate(lastModified, nowMs) !== undefined;
}

function isSendable(text: string): boolean {
  return text.length <= maxValidatorLength && isFieldValue(text);
}

/**
 * Whether a 304 is about this stored response (RFC 9111 §4.3.4): it must not contradict any validator. One without
 * validators is an answer to ours, since we asked about one stored response alone.
 */
export function isAbout(notModified: FieldLines, stored: FieldLines): boolean {
  const etag = validatorOf(notModified, 'etag');
  const storedEtag = validatorOf(stored, 'etag');
  const lastModified = validatorOf(notModified, 'last-modified');
  const storedLastModified = validatorOf(stored, 'last-modified');
  if (etag !== undefined && storedEtag !== undefined) {
    return isWeak(etag) ? matchesWeakly(etag, storedEtag) : matchesStrongly(etag, storedEtag);
  }
  if (lastModified !== undefined && storedLastModified !== undefined) return lastModified === storedLastModified;
  return etag === undefined;
}

/** RFC 9111 §4.3.5: whatever validator a 200 to HEAD has, the stored response has the same. */
export function hasSameValidators(received: FieldLines, stored: FieldLines): boolean {
  const etag = validatorOf(received, 'etag');
  if (etag !== undefined && etag !== validatorOf(stored, 'etag')) return false;
  const lastModified = validatorOf(received, 'last-modified');
  return lastModified === undefined || lastModified === validatorOf(stored, 'last-modified');
}

/** Conditions that a cache may judge in the client's stead, and so replace by its own (RFC 9111 §4.3.1). */
const clientConditions: ReadonlySet<string> = new Set(['if-none-match', 'if-modified-since']);

/**
 * The fields of a request that goes out to validate: the conditions of ours in the place of all of the client's.
 * Its `Range` stays: the origin looks at our conditions first, and a 206 goes to the client as it is.
 */
export function validationFields(request: FieldLines, conditional: FieldLines): string[] {
  const asksOurs = hasField(conditional, 'if-none-match') || hasField(conditional, 'if-modified-since');
  const kept = asksOurs ? withoutFields(request, (name) => clientConditions.has(name)) : request;
  return withFields(kept, conditional);
}

/** The same for a validation that no client waits for: it asks for the whole. */
export function backgroundFields(request: FieldLines, conditional: FieldLines): string[] {
  const ofWhole = withoutFields(
    request,
    (name) => name === 'range' || name === 'if-range' || clientConditions.has(name),
  );
  return withFields(ofWhole, conditional);
}
