import { hash } from 'node:crypto';
import { fieldValueOf, isNamed, listOf } from './fields.js';
import type { FieldLines } from './message.js';
import { remembering } from './remember.js';

/**
 * The lower-case names in a response's `Vary`, each once and in alphabetical order; `'*'` if that is among them, or if
 * there are too many.
 */
export function varyOf(fields: FieldLines): readonly string[] | '*' {
  const value = fieldValueOf(fields, 'vary');
  return value === undefined ? noNames : parseVary(value);
}

/** A response that depends on more than this will not be asked for twice in the same way. */
const maxNames = 64;

export const parseVary: (value: string) => readonly string[] | '*' = remembering((value) => {
  if (!value.includes(',')) {
    const name = value.trim().toLowerCase();
    return name === '*' ? name : name === '' ? noNames : [name];
  }
  const names = new Set(listOf(value.toLowerCase()));
  return names.has('*') || names.size > maxNames ? '*' : [...names].sort();
});

const noNames: readonly string[] = [];

/**
 * The selecting header fields (RFC 9111 §4.1) of a request: name and normalised value of each. A field that the request
 * does not have is left out, which only a request without it matches.
 */
export function selectingFieldsOf(names: readonly string[], request: FieldLines): string[] {
  const selecting: string[] = [];
  for (const name of names) {
    const value = fieldValueOf(request, name);
    if (value !== undefined) selecting.push(name, normaliseSelecting(name, value));
  }
  return selecting;
}

/** Whether a request has the selecting fields of a stored one, for the names in the stored response's `Vary`. */
export function matchesSelecting(names: readonly string[], selecting: FieldLines, request: FieldLines): boolean {
  for (const name of names) {
    const presented = fieldValueOf(request, name);
    const original = storedValueOf(selecting, name);
    if (presented === undefined || original === undefined) {
      if (presented !== original) return false;
    } else if (normaliseSelecting(name, presented) !== original) return false;
  }
  return true;
}

/** The value of a selecting field that was stored. */
export function storedValueOf(selecting: FieldLines, lowerName: string): string | undefined {
  for (let i = 0; i + 1 < selecting.length; i += 2) {
    if (isNamed(selecting[i] ?? '', lowerName)) return selecting[i + 1];
  }
  return undefined;
}

/**
 * Makes values equal that must mean the same (RFC 9111 §4.1): blanks around commas, and in the lists whose order means
 * nothing because weights do, order, case and the writing of the weight. Secrets are stored as a hash.
 */
export function normaliseSelecting(lowerName: string, value: string): string {
  switch (lowerName) {
    case 'accept-encoding':
    case 'accept-language':
    case 'accept-charset':
      return weightedIgnoringCase(value);
    case 'accept':
      return weighted(value);
    case 'authorization':
    case 'proxy-authorization':
    case 'cookie':
      return hiddenValueOf(value);
    // Free text: a comma separates nothing.
    case 'user-agent':
      return value.trim();
    default:
      // Inside quotes a blank means something.
      return value.includes('"') ? value.trim() : listOf(value).join(',');
  }
}

/** A secret as it may be stored: to be compared, not to be read. */
export function hiddenValueOf(value: string): string {
  return `sha256:${hash('sha256', value.trim())}`;
}

const weightedIgnoringCase = remembering((value) => weighted(value.toLowerCase()));

const weighted = remembering((value: string): string => {
  if (value.includes('"')) return value.trim();
  const members = listOf(value);
  if (value.includes(';') || value.includes('/')) {
    for (const [i, member] of members.entries()) members[i] = withWeight(member);
  }
  return members.sort().join(',');
});

function withWeight(member: string): string {
  const [name = '', ...parameters] = member.split(';').map((part) => part.trim());
  return [name.toLowerCase(), ...parameters.map(plainWeight).filter((part) => part !== '')].join(';');
}

function plainWeight(parameter: string): string {
  const match = /^q=([01])(?:\.(\d{0,3}))?$/i.exec(parameter);
  if (match === null) return parameter;
  const digits = (match[2] ?? '').replace(/0+$/, '');
  if (match[1] === '1') return digits === '' ? '' : parameter;
  return digits === '' ? 'q=0' : `q=0.${digits}`;
}
