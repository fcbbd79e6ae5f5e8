import { fieldValueOf, isNamed } from '../http/fields.js';
import type { FieldLines, StoredHead } from '../http/message.js';
import { hiddenValueOf, selectingFieldsOf, storedValueOf, varyOf } from '../http/vary.js';
import type { Rules } from './decisions.js';
import { type ResponseView, viewResponse } from './views.js';

/**
 * Where users share a cache, the fields that tell them apart select a stored response as if its `Vary` named them (RFC 9111
 * §4.1), unless the origin said that it is for everyone. Few origins name `Cookie` in `Vary`, and a browser's cache forgives them.
 */

type Names = readonly string[] | '*';

const nobody: FieldLines = Object.freeze([]);

/** Who asks: lower-case name and hidden value of each field that tells, if the request has it. */
export function credentialsOf(request: FieldLines, { credentialFields, keyHoldsCredentials }: Rules): FieldLines {
  if (keyHoldsCredentials || !hasOneOf(request, credentialFields)) return nobody;
  const credentials: string[] = [];
  for (const name of credentialFields) {
    const value = fieldValueOf(request, name);
    if (value !== undefined) credentials.push(name, hiddenValueOf(value));
  }
  return credentials;
}

/** In one pass: most requests have none, and this is all that they pay. */
function hasOneOf(fields: FieldLines, lowerNames: readonly string[]): boolean {
  for (let i = 0; i + 1 < fields.length; i += 2) {
    const name = fields[i] ?? '';
    for (let at = 0; at < lowerNames.length; at += 1) {
      if (isNamed(name, lowerNames[at] ?? '')) return true;
    }
  }
  return false;
}

/** Whether it is for who asks, as far as `Vary` does not say that itself. */
export function isFor(credentials: FieldLines, head: StoredHead, vary: Names, rules: Rules): boolean {
  if (rules.keyHoldsCredentials || (credentials.length === 0 && !isOfSomebody(head, rules))) return true;
  const view = viewResponse(head.fields, rules.cacheControlTargets);
  return rules.credentialFields.every(
    (name) =>
      isNamedIn(vary, name) ||
      isForEveryone(view, name) ||
      storedValueOf(credentials, name) === storedValueOf(head.selecting, name),
  );
}

/** Whether a request would find what was stored for it, if other fields went out than were presented. */
export function wouldFind(
  presented: FieldLines,
  sent: FieldLines,
  head: StoredHead,
  vary: Names,
  rules: Rules,
): boolean {
  return rules.keyHoldsCredentials
    ? rules.credentialFields.every((name) => fieldValueOf(presented, name) === fieldValueOf(sent, name))
    : isFor(credentialsOf(presented, rules), head, vary, rules);
}

/** The selecting fields to store with a response: those that `Vary` names, and who asked. */
export function selectingOf(request: FieldLines, stored: FieldLines, vary: Names, rules: Rules): string[] {
  const selecting = vary === '*' ? [] : selectingFieldsOf(vary, request);
  const credentials = credentialsOf(request, rules);
  if (credentials.length === 0) return selecting;
  const view = viewResponse(stored, rules.cacheControlTargets);
  for (let i = 0; i + 1 < credentials.length; i += 2) {
    const [name = '', value = ''] = credentials.slice(i, i + 2);
    if (!isNamedIn(vary, name) && !isForEveryone(view, name)) selecting.push(name, value);
  }
  return selecting;
}

/** The names of all fields that select a stored response, absent ones included. */
export function selectingNamesOf(head: StoredHead, rules: Rules): Names {
  const vary = varyOf(head.fields);
  if (vary === '*' || rules.keyHoldsCredentials || rules.credentialFields.length === 0) return vary;
  const view = viewResponse(head.fields, rules.cacheControlTargets);
  const telling = rules.credentialFields.filter((name) => !isNamedIn(vary, name) && !isForEveryone(view, name));
  return telling.length === 0 ? vary : vary.concat(telling);
}

/**
 * `public` and `s-maxage` are said to shared caches and of all their users, and so is a lifetime in a field that names this cache (RFC 9213).
 * A bare `max-age` is not: it is what a browser is told, which has one user. For `Authorization`, §3.5 adds `must-revalidate`.
 */
function isForEveryone({ cacheControl, isTargeted }: ResponseView, credentialField: string): boolean {
  return (
    cacheControl.public ||
    cacheControl.sMaxage !== undefined ||
    (isTargeted && cacheControl.maxAge !== undefined) ||
    (credentialField === 'authorization' && cacheControl.mustRevalidate)
  );
}

function isOfSomebody({ selecting }: StoredHead, { credentialFields }: Rules): boolean {
  return selecting.length > 0 && hasOneOf(selecting, credentialFields);
}

function isNamedIn(vary: Names, name: string): boolean {
  return vary !== '*' && vary.includes(name);
}
