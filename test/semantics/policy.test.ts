import CachePolicy from 'http-cache-semantics';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { decideInvalidation } from '../../src/semantics/decide-invalidation.js';
import { decideRequest } from '../../src/semantics/decide-request.js';
import { decideStorage } from '../../src/semantics/decide-storage.js';
import { decideValidation } from '../../src/semantics/decide-validation.js';
import { judgeFreshness } from '../../src/semantics/freshness.js';
import { dateAt, exchangeOf, get, noon, privateRules, rawStored, respond, sharedRules, stored } from './support.js';

/**
 * One row of the table in docs/semantics.md a test: what the library does, asked directly, and what we do. When the
 * first half of one fails, the library was mended, and what `src/semantics/policy.ts` does about it can go.
 */
const test = suite('what http-cache-semantics leaves to us');

const request = { method: 'GET', url: '/a', headers: {} };

/** The library's answer for a response at noon, some seconds later. */
function library(headers: Record<string, string>, seconds = 0, status = 200, shared = true) {
  let now = noon;
  class Clocked extends CachePolicy {
    now(): number {
      return now;
    }
  }
  const policy = new Clocked(request, { status, headers: { date: dateAt(0), ...headers } }, { shared });
  now += seconds * 1000;
  return policy;
}

function ours(cacheControl: string, seconds = 0) {
  const head = stored(`Cache-Control: ${cacheControl}`, 'ETag: "a"');
  return decideRequest(get(), [head], sharedRules, noon + seconds * 1000).action;
}

test('fresh must-revalidate is never reused without a round trip', () => {
  assert.is(library({ 'cache-control': 'max-age=9, must-revalidate' }).satisfiesWithoutRevalidation(request), false);
  assert.is(ours('max-age=9, must-revalidate'), 'reuse');
});

test('proxy-revalidate gives lifetime 0 even when fresh', () => {
  assert.is(library({ 'cache-control': 'max-age=9, proxy-revalidate' }).maxAge(), 0);
  assert.is(ours('max-age=9, proxy-revalidate'), 'reuse');
});

test('directive names are case-sensitive', () => {
  assert.is(library({ 'cache-control': 'max-age=9, NO-STORE' }).storable(), true);
  assert.is(library({ 'cache-control': 'Max-Age=9' }).maxAge(), 0);
  const shout = respond(200, 'Cache-Control: max-age=9, NO-STORE');
  assert.equal(decideStorage(get(), exchangeOf(shout), privateRules), { action: 'pass-through', reason: 'no-store' });
  assert.is(ours('Max-Age=9'), 'reuse');
});

test('an invalid or contradictory freshness value is used nonetheless', () => {
  assert.is(library({ 'cache-control': 'max-age=9a' }).maxAge(), 9);
  assert.is(library({ 'cache-control': 'max-age=1, max-age=9' }).maxAge(), 9);
  assert.is(ours('max-age=9a'), 'validate');
  assert.is(ours('max-age=1, max-age=9'), 'validate');
});

test('no-cache="a, b" is split at the comma, and taken for unqualified', () => {
  assert.is(library({ 'cache-control': 'max-age=9, no-cache="a, no-store"' }).maxAge(), 0);
  assert.is(ours('max-age=9, no-cache="a, b"'), 'reuse');
});

test('a comma inside quotes ends a directive', () => {
  assert.is(library({ 'cache-control': 'max-age=1, x="a, max-age=9, b"' }).maxAge(), 9);
  assert.is(ours('max-age=1, x="a, max-age=9, b"', 2), 'validate');
});

test('a 304 replaces known fields only, new ones are lost', () => {
  const policy = library({ 'cache-control': 'max-age=1', etag: '"a"' });
  const { policy: after } = policy.revalidatedPolicy(request, { status: 304, headers: { etag: '"a"', 'x-new': '1' } });
  assert.is(after.responseHeaders()['x-new'], undefined);
  const head = stored('Cache-Control: max-age=1', 'ETag: "a"');
  const decision = decideValidation(get(), head, exchangeOf(respond(304, 'ETag: "a"', 'X-New: 1')), privateRules, noon);
  assert.ok(decision.action === 'freshen' && decision.head.fields.includes('X-New'));
});

test('a 304 whose validator does not match becomes a policy of status 304', () => {
  const policy = library({ 'cache-control': 'max-age=1', etag: '"a"' });
  const result = policy.revalidatedPolicy(request, { status: 304, headers: { etag: '"b"' } });
  assert.equal([result.modified, result.policy.storable()], [false, false]);
  const head = stored('Cache-Control: max-age=1', 'ETag: "a"');
  const decision = decideValidation(get(), head, exchangeOf(respond(304, 'ETag: "b"')), privateRules, noon);
  assert.equal(decision, { action: 'refetch' });
});

test('stale-if-error wins over must-revalidate', () => {
  const cacheControl = 'max-age=1, stale-if-error=99, must-revalidate';
  const result = library({ 'cache-control': cacheControl }, 9).revalidatedPolicy(request, { status: 503, headers: {} });
  assert.is(result.matches, true);
  const head = stored(`Cache-Control: ${cacheControl}`, 'ETag: "a"');
  const decision = decideValidation(get(), head, exchangeOf(respond(503)), privateRules, noon + 9000);
  assert.equal(decision, { action: 'fail' });
});

test('Date is ignored for the age, and rewritten to now', () => {
  const policy = library({ 'cache-control': 'max-age=9', date: dateAt(-99) });
  assert.is(policy.age(), 0);
  assert.is(policy.responseHeaders().date, dateAt(0));
  const head = rawStored(200, ['Cache-Control', 'max-age=9', 'Date', dateAt(-99)]);
  assert.is(judgeFreshness(head, privateRules, noon).ageSeconds, 99);
});

test('Age is read as far as it is a number', () => {
  assert.is(library({ 'cache-control': 'max-age=9', age: '8.5x' }).age(), 8);
  assert.is(judgeFreshness(rawStored(200, ['Age', '8.5x']), privateRules, noon).ageSeconds, 0);
});

test('Set-Cookie without public takes an explicit lifetime away', () => {
  const policy = library({ 'cache-control': 'max-age=9', 'set-cookie': 'a=b' });
  assert.equal([policy.storable(), policy.maxAge()], [true, 0]);
  const head = rawStored(200, ['Cache-Control', 'max-age=9', 'Set-Cookie', 'a=b']);
  assert.is(judgeFreshness(head, sharedRules, noon).ttlSeconds, 9);
});

test('dates that are none are read: Date.parse takes almost anything', () => {
  const expires = 'Aug 18 2050';
  assert.ok(library({ expires }).maxAge() > 0);
  const head = rawStored(200, ['Expires', expires, 'ETag', '"a"']);
  assert.is(judgeFreshness(head, privateRules, noon).isFresh, false);
});

test('absurd lifetimes are not clamped', () => {
  assert.is(library({ 'cache-control': `max-age=${'9'.repeat(20)}` }).maxAge(), 1e20);
  const head = stored(`Cache-Control: max-age=${'9'.repeat(20)}`);
  assert.is(judgeFreshness(head, privateRules, noon).ttlSeconds, 2 ** 31);
});

test('a final status that it does not know is never stored', () => {
  assert.is(library({ 'cache-control': 'max-age=9' }, 0, 400).storable(), false);
  const response = respond(400, 'Cache-Control: max-age=9');
  assert.is(decideStorage(get(), exchangeOf(response), sharedRules).action, 'store');
});

test('private alone makes nothing storable for a private cache', () => {
  assert.is(library({ 'cache-control': 'private' }, 0, 302, false).storable(), false);
  const response = respond(302, 'Cache-Control: private', 'ETag: "a"');
  assert.is(decideStorage(get(), exchangeOf(response), privateRules).action, 'store');
});

test('must-understand does not lift no-store', () => {
  assert.is(library({ 'cache-control': 'max-age=9, no-store, must-understand' }).storable(), false);
  const response = respond(200, 'Cache-Control: max-age=9, no-store, must-understand');
  assert.is(decideStorage(get(), exchangeOf(response), sharedRules).action, 'store');
});

test('targeted Cache-Control is not known', () => {
  assert.is(library({ 'cache-control': 'no-store', 'cdn-cache-control': 'max-age=9' }).storable(), false);
  const response = respond(200, 'Cache-Control: no-store', 'CDN-Cache-Control: max-age=9');
  const rules = { ...sharedRules, cacheControlTargets: ['cdn-cache-control'] };
  assert.is(decideStorage(get(), exchangeOf(response), rules).action, 'store');
});

test('max-stale is exclusive of its own bound', () => {
  const headers = { 'cache-control': 'max-stale=2' };
  assert.is(library({ 'cache-control': 'max-age=1' }, 3).satisfiesWithoutRevalidation({ ...request, headers }), false);
  const head = stored('Cache-Control: max-age=1', 'ETag: "a"');
  assert.is(decideRequest(get('Cache-Control: max-stale=2'), [head], privateRules, noon + 3000).action, 'reuse');
});

test('methods other than GET, HEAD and POST are never storable', () => {
  const query = { ...request, method: 'QUERY' };
  const policy = new CachePolicy(query, { status: 200, headers: { 'cache-control': 'max-age=9' } });
  assert.is(policy.storable(), false);
  const rules = { ...privateRules, methods: ['GET', 'QUERY', 'REPORT'] };
  const verdict = (method: string, line: string) =>
    decideStorage({ ...get(), method }, exchangeOf(respond(200, line)), rules).action;
  assert.is(verdict('QUERY', 'Cache-Control: max-age=9'), 'store');
  assert.is(verdict('QUERY', 'ETag: "a"'), 'store');
  assert.is(verdict('REPORT', 'Cache-Control: max-age=9'), 'store');
  assert.is(verdict('REPORT', 'ETag: "a"'), 'pass-through');
});

test('invalidation and variants are not its business', () => {
  assert.not('invalidates' in CachePolicy.prototype);
  assert.equal(decideInvalidation({ ...get(), method: 'PUT' }, respond(200)), ['https://example.com/a']);
});

test.run();
