import { parseHttpDate } from '../http/dates.js';
import { matchesStrongly, matchesWeakly, parseEntityTags } from '../http/etags.js';
import { fieldValueOf, isNamed, withFields, withoutFields } from '../http/fields.js';
import type { FieldLines, RequestHead, ResponseHead, StoredHead } from '../http/message.js';
import { parseRange } from '../http/range.js';
import type { Presentation } from './decisions.js';
import { validatorOf } from './views.js';

/** Preconditions (RFC 9110 §13), ranges (§14) and `Age` for an answer out of the cache. */
export function present(request: RequestHead, stored: StoredHead, bodyBytes: number, ageSeconds: number): Presentation {
  const { httpVersion, status, statusText } = stored;
  const fields = withAge(stored.fields, ageSeconds);
  const head: ResponseHead = { status, statusText, httpVersion, fields };
  const isHead = request.method === 'HEAD';
  if ((isHead || request.method === 'GET') && status >= 200 && status <= 299 && isNotModified(request.fields, stored)) {
    const withoutContent = withoutFields(fields, (name) => describesContent.has(name));
    return { kind: 'not-modified', head: { ...head, status: 304, statusText: 'Not Modified', fields: withoutContent } };
  }
  if (isHead) return { kind: 'head-only', head };
  if (request.method !== 'GET' || status !== 200) return { kind: 'whole', head };
  return presentRange(request.fields, stored, bodyBytes, head);
}

function withAge(fields: FieldLines, ageSeconds: number): string[] {
  const aged: string[] = [];
  for (let i = 0; i + 1 < fields.length; i += 2) {
    const name = fields[i] ?? '';
    if (!isNamed(name, 'age')) aged.push(name, fields[i + 1] ?? '');
  }
  aged.push('Age', String(Math.max(0, Math.floor(ageSeconds))));
  return aged;
}

/** Describes content that a 304 does not have (RFC 9110 §15.4.5). */
const describesContent: ReadonlySet<string> = new Set([
  'accept-ranges',
  'content-digest',
  'content-encoding',
  'content-language',
  'content-length',
  'content-md5',
  'content-range',
  'content-type',
  'trailer',
]);

/** RFC 9110 §13.2.2, as far as it is a cache's to judge (RFC 9111 §4.3.2). */
function isNotModified(request: FieldLines, stored: StoredHead): boolean {
  const noneMatch = fieldValueOf(request, 'if-none-match');
  if (noneMatch !== undefined) {
    const tags = parseEntityTags(noneMatch);
    if (tags === '*') return true;
    const etag = validatorOf(stored.fields, 'etag');
    return etag !== undefined && tags.some((tag) => matchesWeakly(tag, etag));
  }
  const modifiedSince = fieldValueOf(request, 'if-modified-since');
  if (modifiedSince === undefined) return false;
  const since = parseHttpDate(modifiedSince, stored.responseTimeMs);
  return since !== undefined && modifiedMs(stored) <= since;
}

/** Last-Modified; else Date; else the time of receipt. */
function modifiedMs(stored: StoredHead): number {
  for (const name of ['last-modified', 'date']) {
    const text = fieldValueOf(stored.fields, name);
    const ms = text === undefined ? undefined : parseHttpDate(text, stored.responseTimeMs);
    if (ms !== undefined) return ms;
    // There is one, and it says nothing: no ground to call the client's copy current.
    if (text !== undefined && name === 'last-modified') return Number.POSITIVE_INFINITY;
  }
  return stored.responseTimeMs;
}

function presentRange(request: FieldLines, stored: StoredHead, bodyBytes: number, head: ResponseHead): Presentation {
  const wanted = fieldValueOf(request, 'range');
  if (wanted === undefined || !isSameAsBefore(request, stored)) return { kind: 'whole', head };
  const range = parseRange(wanted, bodyBytes);
  if (range.kind === 'whole') return { kind: 'whole', head };
  if (range.kind === 'unsatisfiable') {
    const fields = ['Content-Range', `bytes */${bodyBytes}`, 'Content-Length', '0'];
    const date = fieldValueOf(head.fields, 'date');
    if (date !== undefined) fields.push('Date', date);
    return { kind: 'unsatisfiable', head: { ...head, status: 416, statusText: 'Range Not Satisfiable', fields } };
  }
  const { start, end } = range;
  const ofWhole = withoutFields(head.fields, (name) => name === 'content-md5' || name === 'content-digest');
  const partial = ['Content-Range', `bytes ${start}-${end}/${bodyBytes}`, 'Content-Length', String(end - start + 1)];
  const fields = withFields(ofWhole, partial);
  return { kind: 'part', head: { ...head, status: 206, statusText: 'Partial Content', fields }, start, end };
}

/** RFC 9110 §13.1.5: without `If-Range`, or with a strong validator that is the stored one. */
function isSameAsBefore(request: FieldLines, stored: StoredHead): boolean {
  const condition = fieldValueOf(request, 'if-range')?.trim();
  if (condition === undefined) return true;
  const date = parseHttpDate(condition, stored.responseTimeMs);
  if (date === undefined) {
    const etag = validatorOf(stored.fields, 'etag');
    return etag !== undefined && matchesStrongly(condition, etag);
  }
  return condition === validatorOf(stored.fields, 'last-modified') && isStrongDate(date, stored);
}

/** A Last-Modified is strong if the response was made a second later at least (RFC 9110 §8.8.2.2). */
function isStrongDate(lastModifiedMs: number, stored: StoredHead): boolean {
  const date = parseHttpDate(fieldValueOf(stored.fields, 'date') ?? '', stored.responseTimeMs);
  return date !== undefined && date - lastModifiedMs >= 1000;
}
