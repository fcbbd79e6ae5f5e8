import { Packr } from 'msgpackr';
import type { FieldLines, StoredHead } from '../http/message.js';

/** What the msgpack part of a record says: the head, the full key, and what belongs to the response besides. */
export interface PackedHead {
  readonly key: string;
  readonly head: StoredHead;
  readonly tags: readonly string[];
}

// Plain msgpack: shared structures would be state that a record cannot be read without.
// What a `toJSON` in a user's data is, is the user's business.
const packr = new Packr({ useRecords: false, useToJSON: false });

/** A head as it is packed: its parts in a fixed order. Metadata, and what few have, come at the end if there is any. */
export type HeadRow = readonly unknown[];

export function rowOf(key: string, head: StoredHead, tags: readonly string[]): HeadRow {
  const row: unknown[] = [
    key,
    head.url === key ? null : head.url,
    head.method,
    head.status,
    head.statusText,
    head.httpVersion,
    joinedLines(head.fields),
    joinedLines(head.selecting),
    head.requestTimeMs,
    head.responseTimeMs,
    head.trailers === undefined ? null : joinedLines(head.trailers),
    head.ttlMs ?? null,
    head.invalidatedMs ?? null,
    tags.length === 0 ? null : tags,
  ];
  const more = moreOf(head);
  if (head.metadata !== undefined || more !== undefined) row.push(head.metadata);
  if (more !== undefined) row.push(more);
  return row;
}

/** What few responses have. */
const rareNames = ['expiresAtMs', 'lifetimeFraction', 'idleTtlMs', 'lastUsedMs', 'version'] as const;

function moreOf(head: StoredHead): readonly (number | null)[] | undefined {
  const isPlain =
    head.expiresAtMs === undefined &&
    head.lifetimeFraction === undefined &&
    head.idleTtlMs === undefined &&
    head.version === undefined;
  return isPlain ? undefined : rareNames.map((name) => head[name] ?? null);
}

function readMore(more: unknown): Partial<StoredHead> {
  if (!Array.isArray(more)) return {};
  const entries = rareNames.map((name, position): [string, unknown] => [name, more[position]]);
  return Object.fromEntries(entries.filter(([, value]) => typeof value === 'number'));
}

/** Done by the worker. Throws for metadata that msgpack cannot carry. */
export function packRow(row: HeadRow): Uint8Array {
  return packr.pack(row);
}

/** `undefined` for bytes that `packHead` did not make. */
export function unpackHead(bytes: Uint8Array): PackedHead | undefined {
  let row: unknown;
  try {
    row = packr.unpack(bytes);
  } catch {
    return undefined;
  }
  if (!Array.isArray(row) || row.length < 14) return undefined;
  const [key, url, method, status, statusText, httpVersion, fields, selecting, ...rest] = row as unknown[];
  const [requestTimeMs, responseTimeMs, trailers, ttlMs, invalidatedMs, tags] = rest;
  if (
    typeof key !== 'string' ||
    typeof method !== 'string' ||
    typeof status !== 'number' ||
    typeof statusText !== 'string' ||
    typeof httpVersion !== 'string' ||
    typeof requestTimeMs !== 'number' ||
    typeof responseTimeMs !== 'number'
  ) {
    return undefined;
  }
  const head: StoredHead = {
    status,
    statusText,
    httpVersion,
    fields: unpackLines(fields),
    url: typeof url === 'string' ? url : key,
    method,
    selecting: unpackLines(selecting),
    requestTimeMs,
    responseTimeMs,
    ...(trailers === null ? {} : { trailers: unpackLines(trailers) }),
    ...(typeof ttlMs === 'number' ? { ttlMs } : {}),
    ...(typeof invalidatedMs === 'number' ? { invalidatedMs } : {}),
    ...(row[14] === undefined ? {} : { metadata: row[14] as unknown }),
    ...(row.length > 15 ? readMore(row[15]) : {}),
  };
  return { key, head, tags: Array.isArray(tags) ? tags.map(String) : [] };
}

// One string for all lines halves the cost of packing; a line that holds the separator itself goes the long way.
export function joinedLines(lines: FieldLines): string | readonly string[] {
  if (lines.length === 0) return lines;
  const joined = lines.join('\n');
  let separators = 0;
  for (let at = joined.indexOf('\n'); at >= 0; at = joined.indexOf('\n', at + 1)) separators += 1;
  return separators === lines.length - 1 ? joined : lines;
}

function unpackLines(value: unknown): FieldLines {
  if (typeof value === 'string') return value.split('\n');
  return Array.isArray(value) ? value.map(String) : [];
}
