import type { CacheControl } from '../http/cache-control.js';
import { printHttpDate } from '../http/dates.js';
import { hasField, withFields, withoutFields, withoutHopByHop } from '../http/fields.js';
import type { FieldLines } from '../http/message.js';

/** What the cache itself reads, or what says how to read the body: a response without these would be another one. */
const essential: ReadonlySet<string> = new Set([
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

/** A qualified `no-cache` or `private` that names a field which cannot be left out says the same as an unqualified one. */
export function namesEssential(fieldNames: readonly string[]): boolean {
  return fieldNames.some((name) => essential.has(name));
}

/** The fields of a response as they are stored (RFC 9111 §3.1, §5.2.2.4, §5.2.2.7; RFC 9110 §6.6.1). */
export function storedFieldsOf(
  fields: FieldLines,
  cacheControl: CacheControl,
  shared: boolean,
  responseTimeMs: number,
): FieldLines {
  let kept = withoutHopByHop(fields);
  const { noCacheFields, privateFields } = cacheControl;
  if (noCacheFields.length > 0 || (shared && privateFields.length > 0)) {
    const unwanted = new Set(shared ? [...noCacheFields, ...privateFields] : noCacheFields);
    kept = withoutFields(kept, (name) => unwanted.has(name) && !essential.has(name));
  }
  if (!hasField(kept, 'date') && Number.isFinite(responseTimeMs)) kept.push('Date', printHttpDate(responseTimeMs));
  return kept;
}

/** Fields of a 304 that are not about the stored body, or that say what the stored one says better (RFC 9111 §3.2). */
const notUpdated: ReadonlySet<string> = new Set(['content-encoding', 'content-length', 'content-md5', 'content-range']);

/** The stored fields after a 304, or after a 200 to HEAD (RFC 9111 §3.2). */
export function freshenedFieldsOf(stored: FieldLines, received: FieldLines): string[] {
  const update = withoutFields(
    withoutHopByHop(received),
    (name) => notUpdated.has(name) || (name === 'etag' && hasField(stored, 'etag')),
  );
  // How old the stored response was, and when it was made, is over.
  return withFields(
    withoutFields(stored, (name) => name === 'age' || name === 'date'),
    update,
  );
}
