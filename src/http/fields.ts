import type { FieldLines } from './message.js';

/** Field names are case-insensitive (RFC 9110 §5.1). `lowerName` is in lower case already. */
export function isNamed(name: string, lowerName: string): boolean {
  return name.length === lowerName.length && (name === lowerName || name.toLowerCase() === lowerName);
}

/** Every line's value for a name, in the order received. */
export function fieldValuesOf(fields: FieldLines, lowerName: string): string[] {
  const values: string[] = [];
  for (let i = 0; i + 1 < fields.length; i += 2) {
    if (isNamed(fields[i] ?? '', lowerName)) values.push(fields[i + 1] ?? '');
  }
  return values;
}

/** The combined field value (RFC 9110 §5.2); `undefined` when there is no such line. */
export function fieldValueOf(fields: FieldLines, lowerName: string): string | undefined {
  let value: string | undefined;
  let more: string[] | undefined;
  for (let i = 0; i + 1 < fields.length; i += 2) {
    if (!isNamed(fields[i] ?? '', lowerName)) continue;
    const line = fields[i + 1] ?? '';
    if (value === undefined) value = line;
    else if (more === undefined) more = [value, line];
    else more.push(line);
  }
  return more === undefined ? value : more.join(', ');
}

/**
 * The value of a field that has one (Date, ETag, Expires): repeated lines must agree. `null` when they do not, which
 * is for the caller to take as invalid.
 */
export function singletonOf(fields: FieldLines, lowerName: string): string | null | undefined {
  let value: string | undefined;
  for (let i = 0; i + 1 < fields.length; i += 2) {
    if (!isNamed(fields[i] ?? '', lowerName)) continue;
    const line = (fields[i + 1] ?? '').trim();
    if (value !== undefined && line !== value) return null;
    value = line;
  }
  return value;
}

export function hasField(fields: FieldLines, lowerName: string): boolean {
  for (let i = 0; i + 1 < fields.length; i += 2) {
    if (isNamed(fields[i] ?? '', lowerName)) return true;
  }
  return false;
}

/** All lines but those whose lower-case name the predicate picks. */
export function withoutFields(fields: FieldLines, isUnwanted: (lowerName: string) => boolean): string[] {
  const kept: string[] = [];
  for (let i = 0; i + 1 < fields.length; i += 2) {
    const name = fields[i] ?? '';
    if (!isUnwanted(name.toLowerCase())) kept.push(name, fields[i + 1] ?? '');
  }
  return kept;
}

/** `fields` with those of `changes` in the place of all lines of the same names. */
export function withFields(fields: FieldLines, changes: FieldLines): string[] {
  const names = new Set<string>();
  for (let i = 0; i < changes.length; i += 2) names.add((changes[i] ?? '').toLowerCase());
  const kept = withoutFields(fields, (name) => names.has(name));
  for (const part of changes) kept.push(part);
  return kept;
}

/** The members of a comma-separated list without empty ones (RFC 9110 §5.6.1). Not for lists with quoted strings. */
export function listOf(value: string): string[] {
  const members: string[] = [];
  for (let start = 0; start <= value.length; ) {
    const comma = value.indexOf(',', start);
    const end = comma === -1 ? value.length : comma;
    const member = value.slice(start, end).trim();
    if (member !== '') members.push(member);
    start = end + 1;
  }
  return members;
}

/** May be sent as a field value: visible characters, spaces, tabs and obs-text only (RFC 9110 §5.5). */
export function isFieldValue(text: string): boolean {
  for (let i = 0; i < text.length; i += 1) {
    const code = text.charCodeAt(i);
    if ((code < 0x20 && code !== 0x09) || code === 0x7f || code > 0xff) return false;
  }
  return true;
}

/** RFC 9110 §7.6.1 and RFC 9111 §3.1: for one connection, or for a proxy. */
const hopByHopNames: ReadonlySet<string> = new Set([
  'connection',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authentication-info',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'transfer-encoding',
  'upgrade',
]);

/**
 * What a response means to a cache, and what its body is, cannot be taken away by naming it in `Connection`: RFC 9110
 * §7.6.1 forbids it, and a server that does so nonetheless would have its `no-store` or `Content-Encoding` forgotten.
 */
const endToEndNames: ReadonlySet<string> = new Set([
  'age',
  'cache-control',
  'content-encoding',
  'content-length',
  'content-range',
  'content-type',
  'date',
  'etag',
  'expires',
  'last-modified',
  'vary',
]);

/** The lengths of their names: most other names are told apart by that. */
const hopByHopLengths: ReadonlySet<number> = new Set([...hopByHopNames].map((name) => name.length));

/** Without the fields that are for one connection only, those that `Connection` names among them. */
export function withoutHopByHop(fields: FieldLines): string[] {
  const options = fieldValueOf(fields, 'connection')?.toLowerCase();
  // Nearly every response says just this.
  const isPlain = options === undefined || options === 'keep-alive' || options === 'close';
  const named = isPlain ? undefined : new Set(listOf(options).filter((name) => !endToEndNames.has(name)));
  const kept: string[] = [];
  for (let i = 0; i + 1 < fields.length; i += 2) {
    const name = fields[i] ?? '';
    if (hopByHopLengths.has(name.length) && hopByHopNames.has(name.toLowerCase())) continue;
    if (named?.has(name.toLowerCase()) === true) continue;
    kept.push(name, fields[i + 1] ?? '');
  }
  return kept;
}
