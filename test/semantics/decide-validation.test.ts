import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { fieldValueOf } from '../../src/http/fields.js';
import type { StoredHead } from '../../src/http/message.js';
import { decideRequest } from '../../src/semantics/decide-request.js';
import { decideValidation } from '../../src/semantics/decide-validation.js';
import type { Rules } from '../../src/semantics/decisions.js';
import { backgroundFields, validationFields } from '../../src/semantics/validators.js';
import { dateAt, exchangeOf, fields, get, noon, privateRules, respond, sharedRules, stored } from './support.js';

const test = suite('decideValidation');
const later = noon + 100_000;

/** A minute and more after noon, the origin answers. */
function validate(
  head: StoredHead,
  status: number,
  lines: readonly string[],
  rules: Rules = privateRules,
  request = get(),
) {
  return decideValidation(request, head, exchangeOf(respond(status, ...lines), later), rules, later);
}

/** What the origin says, and what follows, for a stored response with the given validators. */
const about: readonly (readonly [string, readonly string[], readonly string[], string])[] = [
  ['the same strong ETag', ['ETag: "a"'], ['ETag: "a"'], 'freshen'],
  ['another strong ETag', ['ETag: "a"'], ['ETag: "b"'], 'refetch'],
  [
    'another ETag and the same Last-Modified',
    ['ETag: "a"', `Last-Modified: ${dateAt(-9)}`],
    ['ETag: "b"', `Last-Modified: ${dateAt(-9)}`],
    'refetch',
  ],
  ['a strong ETag for a weak one', ['ETag: W/"a"'], ['ETag: "a"'], 'refetch'],
  ['a weak ETag that matches', ['ETag: "a"'], ['ETag: W/"a"'], 'freshen'],
  ['the same Last-Modified', [`Last-Modified: ${dateAt(-9)}`], [`Last-Modified: ${dateAt(-9)}`], 'freshen'],
  ['another Last-Modified', [`Last-Modified: ${dateAt(-9)}`], [`Last-Modified: ${dateAt(-8)}`], 'refetch'],
  ['an ETag where there was none', [`Last-Modified: ${dateAt(-9)}`], ['ETag: "a"'], 'refetch'],
  ['no validator at all', ['ETag: "a"'], [], 'freshen'],
];
for (const [name, before, received, action] of about) {
  test(`a 304 with ${name}: ${action}`, () => {
    assert.is(validate(stored('Cache-Control: max-age=1', ...before), 304, received).action, action);
  });
}

test('a 304 when we asked nothing answers the client’s own condition', () => {
  assert.is(
    validate(stored('Cache-Control: max-age=1'), 304, [], privateRules, get('If-None-Match: "x"')).action,
    'replace',
  );
});

test('a 304 updates and adds fields, and leaves those that describe the stored body', () => {
  const head = stored(
    'Cache-Control: max-age=1',
    'ETag: "a"',
    'Age: 50',
    'X: 1',
    'Y: 1',
    'y: 2',
    'Content-Length: 5',
    'Content-Encoding: gzip',
    'Content-Type: text/plain',
  );
  const decision = validate(head, 304, [
    'cache-control: max-age=10',
    'ETag: "a"',
    'y: 3',
    'New: 1',
    'Connection: close',
    'Content-Length: 0',
    'Content-Encoding: br',
    'Content-Range: bytes 0-1/2',
    'Content-MD5: x',
    'Content-Type: text/html',
  ]);
  assert.is(decision.action, 'freshen');
  if (decision.action !== 'freshen') return;
  const expected: readonly (readonly [string, string | undefined])[] = [
    ['cache-control', 'max-age=10'],
    ['etag', '"a"'],
    ['age', undefined],
    ['x', '1'],
    ['y', '3'],
    ['new', '1'],
    ['content-length', '5'],
    ['content-encoding', 'gzip'],
    ['content-range', undefined],
    ['content-md5', undefined],
    ['content-type', 'text/html'],
    ['connection', undefined],
    ['date', dateAt(100)],
  ];
  for (const [name, value] of expected) assert.is(fieldValueOf(decision.head.fields, name), value, name);
  assert.is(decision.head.status, 200);
});

test('after a 304 the response is fresh again, invalidated or not, and keeps the user’s metadata', () => {
  const head = { ...stored('Cache-Control: max-age=5', 'ETag: "a"'), invalidatedMs: noon + 1, metadata: { a: 1 } };
  const decision = validate(head, 304, [`Date: ${dateAt(100)}`]);
  if (decision.action !== 'freshen') throw new Error(decision.action);
  const again = decideRequest(get(), [decision.head], privateRules, later + 4000);
  assert.equal(again.action === 'reuse' && [again.ageSeconds, again.isStale], [4, false]);
  assert.equal(decision.head.metadata, { a: 1 });
  assert.is('invalidatedMs' in decision.head, false);
  assert.is(decision.useUntilMs, Number.POSITIVE_INFINITY);
});

test('a 304 keeps the user’s lifetime, unless this request says another', () => {
  const head = {
    ...stored('ETag: "a"'),
    ttlMs: 5000,
    expiresAtMs: noon + 900_000,
    lifetimeFraction: 0.5,
    version: 3,
    idleTtlMs: 9,
  };
  const kept = validate(head, 304, []);
  if (kept.action !== 'freshen') throw new Error(kept.action);
  const { ttlMs, expiresAtMs, lifetimeFraction, version, idleTtlMs } = kept.head;
  assert.equal([ttlMs, expiresAtMs, lifetimeFraction, version, idleTtlMs], [5000, noon + 900_000, 0.5, 3, 9]);
  const changed = validate(head, 304, [], { ...privateRules, ttlMs: 7000 });
  if (changed.action !== 'freshen') throw new Error(changed.action);
  assert.equal([changed.head.ttlMs, changed.head.expiresAtMs], [7000, undefined]);
});

test('what stands in for an error says how much of its window is left', () => {
  const head = stored('Cache-Control: max-age=1, stale-if-error=100', 'ETag: "a"');
  const decision = validate(head, 503, []);
  const leftSeconds = 101 - (later - noon) / 1000;
  assert.is(decision.action === 'reuse-stale' && decision.remainingSeconds, leftSeconds);
});

test('a 304 that forbids to store answers once', () => {
  for (const line of ['Cache-Control: no-store', 'Cache-Control: private', 'Vary: *']) {
    const decision = validate(stored('Cache-Control: max-age=1', 'ETag: "a"'), 304, [line], sharedRules);
    assert.is(decision.action === 'freshen' && decision.useUntilMs, later, line);
  }
});

test('a 304 with another Vary selects by the request that was validated', () => {
  const head = stored('Cache-Control: max-age=1', 'ETag: "a"');
  const decision = validate(head, 304, ['Vary: X'], privateRules, get('X: 1'));
  assert.equal(decision.action === 'freshen' && decision.head.selecting, ['x', '1']);
});

/** What the origin does, for a response that became stale 99 s ago. */
const errors: readonly (readonly [string, readonly string[], readonly string[], Partial<Rules>, string])[] = [
  ['no window', ['Cache-Control: max-age=1'], [], {}, 'fail'],
  ['stale-if-error', ['Cache-Control: max-age=1, stale-if-error=100'], [], {}, 'reuse-stale'],
  ['stale-if-error, over', ['Cache-Control: max-age=1, stale-if-error=99'], [], {}, 'fail'],
  [
    'stale-if-error and must-revalidate',
    ['Cache-Control: max-age=1, stale-if-error=100, must-revalidate'],
    [],
    {},
    'fail',
  ],
  ['stale-if-error and no-cache', ['Cache-Control: no-cache, stale-if-error=100'], [], {}, 'fail'],
  [
    'the request’s stale-if-error',
    ['Cache-Control: max-age=1'],
    ['Cache-Control: stale-if-error=100'],
    {},
    'reuse-stale',
  ],
  ['the user’s window', ['Cache-Control: max-age=1'], [], { staleIfErrorSeconds: 100 }, 'reuse-stale'],
  [
    'the response’s 0 before the user’s window',
    ['Cache-Control: max-age=1, stale-if-error=0'],
    [],
    { staleIfErrorSeconds: 100 },
    'fail',
  ],
  ['request no-cache', ['Cache-Control: max-age=1, stale-if-error=100'], ['Cache-Control: no-cache'], {}, 'fail'],
  ['mode no-cache', ['Cache-Control: max-age=1, stale-if-error=100'], [], { mode: 'no-cache' }, 'fail'],
  [
    'proxy-revalidate in a shared cache',
    ['Cache-Control: max-age=1, stale-if-error=100, proxy-revalidate'],
    [],
    { shared: true },
    'fail',
  ],
];
for (const [name, lines, request, rules, action] of errors) {
  test(`an error of the origin, ${name}: ${action}`, () => {
    const head = stored(...lines, 'ETag: "a"');
    const all = { ...privateRules, ...rules };
    assert.is(decideValidation(get(...request), head, undefined, all, later).action, action);
    for (const status of [500, 502, 503, 504]) {
      assert.is(validate(head, status, [], all, get(...request)).action, action);
    }
  });
}

test('any other answer replaces', () => {
  for (const status of [200, 206, 301, 404, 410, 412, 501, 599]) {
    assert.is(
      validate(stored('Cache-Control: max-age=1, stale-if-error=999', 'ETag: "a"'), status, []).action,
      'replace',
    );
  }
});

test('a 200 to HEAD freshens the stored GET, unless it shows another representation', () => {
  const head = stored('Cache-Control: max-age=1', 'ETag: "a"', 'Content-Length: 5', 'X: 1');
  const asHead = { ...get(), method: 'HEAD' };
  const decision = validate(
    head,
    200,
    ['Cache-Control: max-age=50', 'ETag: "a"', 'Content-Length: 5', 'X: 2'],
    privateRules,
    asHead,
  );
  assert.is(decision.action === 'freshen' && fieldValueOf(decision.head.fields, 'x'), '2');
  assert.is(decision.action === 'freshen' && decision.head.method, 'GET');
  for (const line of ['ETag: "b"', 'Content-Length: 6', `Last-Modified: ${dateAt(0)}`]) {
    assert.equal(validate(head, 200, [line], privateRules, asHead), { action: 'replace', isOutdated: true }, line);
  }
});

test('our conditions take the place of all of the client’s; Range and others stay', () => {
  const request = fields('If-None-Match: "x"', 'if-modified-since: y', 'Range: bytes=0-1', 'A: 1');
  assert.equal(validationFields(request, ['If-None-Match', '"a"']), [
    'Range',
    'bytes=0-1',
    'A',
    '1',
    'If-None-Match',
    '"a"',
  ]);
  assert.equal(validationFields(request, []), request);
});

test('a validation in the background asks for the whole, whatever the client asked for', () => {
  const request = fields('If-None-Match: "x"', 'Range: bytes=0-1', 'If-Range: "a"', 'A: 1');
  assert.equal(backgroundFields(request, ['If-None-Match', '"a"']), ['A', '1', 'If-None-Match', '"a"']);
  assert.equal(backgroundFields(request, []), ['A', '1']);
});

test.run();
