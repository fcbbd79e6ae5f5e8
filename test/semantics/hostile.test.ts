import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { printCacheStatus } from '../../src/http/cache-status.js';
import { cacheKeyOf } from '../../src/http/key.js';
import type { RequestHead, StoredHead } from '../../src/http/message.js';
import type { Rules } from '../../src/semantics/decisions.js';
import { semantics } from '../../src/semantics/semantics.js';
import { validationFields } from '../../src/semantics/validators.js';
import { exchangeOf, get, noon, privateRules, rawStored, respond } from './support.js';

const test = suite('hostile messages');

const names = fc.oneof(
  fc.constantFrom(
    'Cache-Control',
    'Vary',
    'Age',
    'Date',
    'Expires',
    'ETag',
    'Last-Modified',
    'Content-Range',
    'Content-Length',
    'Connection',
    'Pragma',
    'Location',
    'Content-Location',
    'Set-Cookie',
    'CDN-Cache-Control',
    'Range',
    'If-Range',
    'If-None-Match',
    'If-Modified-Since',
    'Authorization',
    'Accept-Encoding',
    'Cookie',
  ),
  fc.string({ maxLength: 8 }),
);
/** What parsers look for, between bytes of any kind. */
const pieces = fc.constantFrom(
  'max-age=60',
  'no-store',
  'no-cache',
  'private',
  'public',
  's-maxage=5',
  '=',
  ',',
  '"',
  '\\',
  ';',
  '*',
  '\r',
  '\n',
  '\0',
  ' ',
  '\t',
  '-1',
  '99999999999999999999',
  'Sat, 21 Nov 2026 12:00:00 GMT',
  'GMT',
  'W/',
  '"a"',
  'bytes=',
  '0-',
  'bytes 0-1/2',
  'http://[',
  'q=0.5',
  '__proto__',
  'stale-if-error=60',
  'stale-while-revalidate=60',
  'accept-encoding',
  '\u00ff',
);
const bytes = fc
  .array(fc.integer({ min: 0, max: 255 }), { maxLength: 12 })
  .map((codes) => String.fromCharCode(...codes));
const values = fc
  .array(fc.oneof({ weight: 3, arbitrary: pieces }, bytes), { maxLength: 8 })
  .map((parts) => parts.join(''));
const lines = fc.array(fc.tuple(names, values), { maxLength: 10 }).map((pairs) => pairs.flat());
const times = fc.oneof(
  fc.constantFrom(noon, noon + 5000, 0, -1, Number.NaN, Number.POSITIVE_INFINITY, 8.64e15 + 1),
  fc.double(),
);
const methods = fc.oneof(fc.constantFrom('GET', 'HEAD', 'POST', 'PUT'), fc.string({ maxLength: 5 }));
const urls = fc.oneof(
  fc.constantFrom('https://example.com/a', 'https://u:p@h/#', 'x', '//', 'http://['),
  fc.string({ maxLength: 20 }),
);
const statuses = fc.oneof(fc.constantFrom(200, 206, 304, 404, 416, 503), fc.integer({ min: -1, max: 1000 }));
const rulesets: fc.Arbitrary<Rules> = fc.record({
  mode: fc.constantFrom<Rules['mode']>(
    'default',
    'no-store',
    'reload',
    'no-cache',
    'force-cache',
    'only-if-cached',
    'ignore-rules',
  ),
  shared: fc.boolean(),
  offline: fc.boolean(),
  methods: fc.constantFrom(['GET'], ['GET', 'HEAD', 'POST'], []),
  heuristicFraction: fc.constantFrom(0, 0.1, 1),
  maxHeuristicMs: fc.constantFrom(0, 1000, 1e15),
  ttlMs: fc.constantFrom(undefined, 0, 500, 1e15),
  expiresAtMs: fc.constantFrom(undefined, 0, 1e12, 1e15),
  ttlJitter: fc.constantFrom(0, 0.5, 1),
  maxTtlMs: fc.constantFrom(undefined, 0, 500, 1e15),
  cacheControlTargets: fc.constantFrom([], ['cdn-cache-control']),
  staleWhileRevalidateSeconds: fc.constantFrom(0, 60),
  staleIfErrorSeconds: fc.constantFrom(0, 60),
  credentialFields: fc.constantFrom([], ['authorization', 'cookie'], ['vary']),
  keyHoldsCredentials: fc.boolean(),
});
const requests: fc.Arbitrary<RequestHead> = fc.record({ method: methods, url: urls, fields: lines });
const heads: fc.Arbitrary<StoredHead> = fc.record({
  status: statuses,
  statusText: fc.string({ maxLength: 3 }),
  httpVersion: fc.constant('1.1'),
  fields: lines,
  url: urls,
  method: methods,
  selecting: lines,
  requestTimeMs: times,
  responseTimeMs: times,
});

test('no message and no time makes a decision throw', () => {
  fc.assert(
    fc.property(
      requests,
      fc.array(heads, { maxLength: 3 }),
      heads,
      rulesets,
      times,
      fc.double(),
      (request, stored, head, rules, now, n) => {
        const exchange = { response: head, requestTimeMs: head.requestTimeMs, responseTimeMs: head.responseTimeMs };
        const decision = semantics.decideRequest(request, stored, rules, now);
        if (decision.action === 'validate') validationFields(request.fields, decision.conditional);
        const { action } = semantics.decideStorage(request, exchange, rules);
        assert.ok(action === 'store' || action === 'pass-through');
        semantics.decideValidation(request, head, exchange, rules, now);
        semantics.decideValidation(request, head, undefined, rules, now);
        assert.ok(semantics.decideInvalidation(request, head).every((uri) => typeof uri === 'string'));
        assert.ok(semantics.variantsReplacedBy(head, stored, 2, rules).every((index) => index < stored.length));
        semantics.present(request, head, Math.abs(Math.trunc(n)) || 0, n, rules);
        cacheKeyOf({ method: request.method, url: request.url, ignoreParams: ['a*', request.method] });
        printCacheStatus({ cache: request.url, ttl: n, key: head.url, detail: request.url });
      },
    ),
    { numRuns: 3000 },
  );
});

test('whatever is decided is well formed', () => {
  fc.assert(
    fc.property(
      requests,
      fc.array(heads, { minLength: 1, maxLength: 3 }),
      rulesets,
      times,
      (request, stored, rules, now) => {
        const decision = semantics.decideRequest(request, stored, rules, now);
        if (decision.action === 'reuse') {
          assert.ok(Number.isInteger(decision.ageSeconds) && decision.ageSeconds >= 0, `age ${decision.ageSeconds}`);
          assert.ok(
            !Number.isNaN(decision.ttlSeconds) && !Object.is(decision.ttlSeconds, -0),
            `ttl ${decision.ttlSeconds}`,
          );
          assert.ok(decision.index >= 0 && decision.index < stored.length);
        }
        if (decision.action === 'validate') {
          assert.ok(
            decision.conditional.every((part) => !/[\r\n\0]/.test(part)),
            'a condition that breaks the message',
          );
        }
        if (rules.offline) assert.ok(decision.action === 'reuse' || decision.action === 'gateway-timeout');
      },
    ),
    { numRuns: 3000 },
  );
});

const garbage = fc
  .array(fc.oneof({ weight: 3, arbitrary: pieces }, bytes), { maxLength: 12 })
  .map((parts) => parts.join(''));
const lasting: readonly string[] = ['ETag', '"a"', 'Last-Modified', 'Fri, 20 Nov 2026 12:00:00 GMT'];

test('no garbage beside no-store makes it storable', () => {
  fc.assert(
    fc.property(garbage, fc.constantFrom('no-store', 'NO-STORE', ' no-store ', 'no-store=1'), (text, noStore) => {
      // must-understand is the one thing that lifts it.
      fc.pre(!/must-understand/i.test(text));
      for (const value of [`${noStore},${text}`, `${text},${noStore}`]) {
        const response = { ...respond(200), fields: ['Cache-Control', value, ...lasting] };
        assert.equal(
          semantics.decideStorage(get(), exchangeOf(response), privateRules),
          { action: 'pass-through', reason: 'no-store' },
          value,
        );
      }
    }),
    { numRuns: 3000 },
  );
});

test('no garbage beside no-cache makes it reusable without validation', () => {
  fc.assert(
    fc.property(garbage, (text) => {
      for (const value of [`no-cache,${text}`, `${text},no-cache`]) {
        const head = rawStored(200, ['Cache-Control', value, ...lasting]);
        assert.is(semantics.decideRequest(get(), [head], privateRules, noon).action, 'validate', value);
      }
    }),
    { numRuns: 3000 },
  );
});

test('a star in Vary is found among any garbage', () => {
  fc.assert(
    fc.property(garbage, garbage, (before, after) => {
      const head = rawStored(200, ['Cache-Control', 'max-age=60', 'Vary', `${before},*,${after}`]);
      assert.is(semantics.decideRequest(get(), [head], privateRules, noon).action, 'forward');
    }),
    { numRuns: 1000 },
  );
});

test('garbage says nothing about freshness', () => {
  fc.assert(
    fc.property(garbage, fc.constantFrom('Cache-Control', 'Expires', 'Date', 'Age'), (text, name) => {
      fc.pre(!/max-age|s-maxage|GMT|20\d\d/i.test(text));
      const head = rawStored(200, [name, text, 'ETag', '"a"']);
      const decision = semantics.decideRequest(get(), [head], privateRules, noon);
      assert.ok(decision.action !== 'reuse' || decision.isStale, text);
    }),
    { numRuns: 3000 },
  );
});

test('a variant is never given to a request with another value, whatever the bytes', () => {
  fc.assert(
    fc.property(bytes, bytes, (one, other) => {
      // Blanks and empty list members mean nothing.
      const essence = (text: string) =>
        text
          .split(',')
          .map((part) => part.trim())
          .filter((part) => part !== '')
          .join();
      fc.pre(essence(one) !== essence(other));
      const asked = { ...get(), fields: ['X', one] };
      const decision = semantics.decideStorage(
        asked,
        exchangeOf(respond(200, 'Cache-Control: max-age=60', 'Vary: x')),
        privateRules,
      );
      if (decision.action !== 'store') throw new Error(decision.reason);
      const reuse = (value: string) =>
        semantics.decideRequest({ ...get(), fields: ['x', value] }, [decision.head], privateRules, noon).action;
      assert.is(reuse(one), 'reuse');
      assert.is(reuse(other), 'forward');
    }),
    { numRuns: 3000 },
  );
});

test('values of 100 KB and thousands of lines are decided about as any other', () => {
  const fields: string[] = [];
  for (const name of [
    'Cache-Control',
    'Vary',
    'Age',
    'Date',
    'Expires',
    'ETag',
    'Last-Modified',
    'Connection',
    'Pragma',
    'Location',
  ]) {
    for (const text of ['"', ',', 'a,', 'a="', '\\', '0', 'x=(', 'no-cache="a,b', ' '])
      fields.push(name, text.repeat(100_000 / text.length));
  }
  for (let i = 0; i < 5000; i += 1) fields.push(i % 2 === 0 ? 'Cache-Control' : 'Vary', `x${i}`);
  const request = { method: 'POST', url: 'https://example.com/a', fields };
  const response = { ...respond(200), fields };
  const rules = { ...privateRules, methods: ['GET', 'POST'], cacheControlTargets: ['pragma', 'vary'] };
  const stored = { ...rawStored(200, fields), method: 'POST', selecting: fields };
  assert.ok(semantics.decideStorage(request, exchangeOf(response), rules).action);
  assert.is.not(semantics.decideRequest(request, [stored, stored], rules, noon).action, 'reuse');
  assert.ok(semantics.decideValidation(request, stored, exchangeOf({ ...response, status: 304 }), rules, noon).action);
  assert.equal(semantics.decideInvalidation(request, response)[0], 'https://example.com/a');
  assert.ok(semantics.present({ ...request, method: 'GET' }, stored, 10, 5, rules).kind);
  assert.equal(semantics.variantsReplacedBy(stored, [stored], 5, privateRules), [0]);
});

test.run();
