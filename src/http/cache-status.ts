import { remembering } from './remember.js';

/** One member of a `Cache-Status` field (RFC 9211 §2). */
export interface CacheStatus {
  /** Who says it. */
  readonly cache: string;
  readonly hit?: boolean | undefined;
  /** Why the request went to the origin. */
  readonly fwd?: 'bypass' | 'method' | 'uri-miss' | 'vary-miss' | 'miss' | 'request' | 'stale' | 'partial' | undefined;
  readonly fwdStatus?: number | undefined;
  /** Remaining freshness in seconds; negative when stale. */
  readonly ttl?: number | undefined;
  readonly stored?: boolean | undefined;
  readonly collapsed?: boolean | undefined;
  readonly key?: string | undefined;
  readonly detail?: string | undefined;
}

/** For example `offloop; fwd=stale; fwd-status=304; ttl=60`. */
export function printCacheStatus(status: CacheStatus): string {
  let text = printTokenOrString(status.cache);
  if (status.hit === true) text += '; hit';
  if (status.fwd !== undefined) text += `; fwd=${status.fwd}`;
  if (status.fwdStatus !== undefined) text += `; fwd-status=${printInteger(status.fwdStatus)}`;
  if (status.ttl !== undefined) text += `; ttl=${printInteger(status.ttl)}`;
  if (status.stored === true) text += '; stored';
  if (status.collapsed === true) text += '; collapsed';
  if (status.key !== undefined) text += `; key=${printString(status.key)}`;
  if (status.detail !== undefined) text += `; detail=${printTokenOrString(status.detail)}`;
  return text;
}

const printTokenOrString = remembering((text: string): string =>
  /^[A-Za-z*][!#$%&'*+.^_`|~0-9A-Za-z:/-]*$/.test(text) ? text : printString(text),
);

/** A String holds visible ASCII (RFC 8941 §3.3.3): anything else becomes `?`. */
function printString(text: string): string {
  return `"${text.replaceAll(/[^ -~]/g, '?').replaceAll(/["\\]/g, '\\$&')}"`;
}

/** An Integer has at most 15 digits (RFC 8941 §3.3.1). */
function printInteger(value: number): string {
  const limit = 999_999_999_999_999;
  return Number.isNaN(value) ? '0' : String(Math.trunc(Math.min(Math.max(value, -limit), limit)));
}
