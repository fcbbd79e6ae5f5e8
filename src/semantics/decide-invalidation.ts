import { fieldValuesOf } from '../http/fields.js';
import { targetUriOf } from '../http/key.js';
import type { RequestHead, ResponseHead } from '../http/message.js';

/** Registered as safe (RFC 9110 §9.2.1 and the IANA registry); a method that is not known is not safe. */
const safeMethods: ReadonlySet<string> = new Set([
  'GET',
  'HEAD',
  'OPTIONS',
  'PRI',
  'PROPFIND',
  'QUERY',
  'REPORT',
  'SEARCH',
  'TRACE',
]);

/** RFC 9111 §4.4: the URIs that are no longer valid after this, without fragment and `user:password@`. */
export function decideInvalidation(request: RequestHead, response: ResponseHead): readonly string[] {
  if (safeMethods.has(request.method) || response.status < 200 || response.status > 399) return [];
  const uris = new Set([targetUriOf(request.url)]);
  for (const name of ['location', 'content-location']) {
    for (const reference of fieldValuesOf(response.fields, name)) {
      const uri = sameOrigin(reference, request.url);
      if (uri !== undefined) uris.add(uri);
    }
  }
  return [...uris];
}

/** Another origin's responses are not this one's to invalidate. */
function sameOrigin(reference: string, base: string): string | undefined {
  if (!URL.canParse(reference, base) || !URL.canParse(base)) return undefined;
  const target = new URL(reference, base);
  const origin = new URL(base);
  // Opaque origins are all called "null".
  if (target.origin === 'null' || target.origin !== origin.origin) return undefined;
  return targetUriOf(target.href);
}
