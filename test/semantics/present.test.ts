import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { fieldValueOf } from '../../src/http/fields.js';
import { present } from '../../src/semantics/present.js';
import { dateAt, get, rawStored, respond, store, stored } from './support.js';

const test = suite('present');
const modified = `Last-Modified: ${dateAt(-3000)}`;
const head = stored(
  'Cache-Control: max-age=99',
  'ETag: "a"',
  modified,
  'Content-Length: 10',
  'Content-Type: text/plain',
  'X: 1',
);

function show(...lines: readonly string[]) {
  return present(get(...lines), head, 10, 7);
}

test('a plain request gets the whole, with its Age and the origin’s Date', () => {
  const shown = present(get(), stored('Cache-Control: max-age=99', 'Age: 3'), 10, 7.9);
  assert.is(shown.kind, 'whole');
  assert.equal(shown.head.fields.slice(-2), ['Age', '7']);
  assert.is(fieldValueOf(shown.head.fields, 'age'), '7');
  assert.is(fieldValueOf(shown.head.fields, 'date'), dateAt(0));
});

/** Conditions, and what they are answered with. */
const conditions: readonly (readonly [string, string])[] = [
  ['If-None-Match: "a"', 'not-modified'],
  ['If-None-Match: W/"a"', 'not-modified'],
  ['If-None-Match: "x", "y,", "a"', 'not-modified'],
  ['If-None-Match: *', 'not-modified'],
  ['If-None-Match: "b"', 'whole'],
  ['If-None-Match: ', 'whole'],
  ['If-None-Match: "x, "a"', 'whole'],
  [`If-Modified-Since: ${dateAt(-3000)}`, 'not-modified'],
  [`If-Modified-Since: ${dateAt(-2000)}`, 'not-modified'],
  [`If-Modified-Since: ${dateAt(-3001)}`, 'whole'],
  ['If-Modified-Since: yesterday', 'whole'],
];
for (const [condition, kind] of conditions) {
  test(`${condition}: ${kind}`, () => {
    assert.is(show(condition).kind, kind);
  });
}

test('If-None-Match outranks If-Modified-Since', () => {
  assert.is(show('If-None-Match: "b"', `If-Modified-Since: ${dateAt(0)}`).kind, 'whole');
  assert.is(show('If-None-Match: "a"', `If-Modified-Since: ${dateAt(-9999)}`).kind, 'not-modified');
});

test('without Last-Modified, the Date answers If-Modified-Since', () => {
  const dated = stored('Cache-Control: max-age=9');
  assert.is(present(get(`If-Modified-Since: ${dateAt(0)}`), dated, 1, 0).kind, 'not-modified');
  assert.is(present(get(`If-Modified-Since: ${dateAt(-1)}`), dated, 1, 0).kind, 'whole');
});

test('a 304 has the validators and what caches need, and nothing about content', () => {
  const { fields, status } = show('If-None-Match: "a"').head;
  assert.is(status, 304);
  for (const name of ['etag', 'date', 'cache-control', 'last-modified', 'age', 'x']) {
    assert.is.not(fieldValueOf(fields, name), undefined, name);
  }
  assert.is(fieldValueOf(fields, 'content-length'), undefined);
  assert.is(fieldValueOf(fields, 'content-type'), undefined);
});

test('conditions are for 2xx alone', () => {
  const missing = store(respond(404, 'Cache-Control: max-age=9', 'ETag: "a"'));
  assert.is(present(get('If-None-Match: "a"'), missing, 1, 0).kind, 'whole');
});

/** Ranges of ten bytes. */
const ranges: readonly (readonly [string, string])[] = [
  ['bytes=0-1', '0-1'],
  ['bytes=1-', '1-9'],
  ['bytes=-3', '7-9'],
  ['bytes=-99', '0-9'],
  ['bytes=5-99', '5-9'],
  ['BYTES= 5-5 ', '5-5'],
  ['bytes=10-', 'unsatisfiable'],
  ['bytes=-0', 'unsatisfiable'],
  ['bytes=3-2', 'whole'],
  ['bytes=0-1, 3-4', 'whole'],
  ['bytes=a-b', 'whole'],
  ['bytes=-', 'whole'],
  ['lines=0-1', 'whole'],
  [`bytes=0-${'9'.repeat(100)}`, 'whole'],
];
for (const [range, result] of ranges) {
  test(`Range: ${range.slice(0, 40)} of ten bytes: ${result}`, () => {
    const shown = show(`Range: ${range}`);
    assert.is(shown.kind === 'part' ? `${shown.start}-${shown.end}` : shown.kind, result);
  });
}

test('a part says which it is, how long it is, and no digest of the whole', () => {
  const digested = stored('Cache-Control: max-age=9', 'Content-Length: 10', 'Content-MD5: x', 'X: 1');
  const { fields, status } = present(get('Range: bytes=2-4'), digested, 10, 0).head;
  assert.is(status, 206);
  assert.is(fieldValueOf(fields, 'content-range'), 'bytes 2-4/10');
  assert.is(fieldValueOf(fields, 'content-length'), '3');
  assert.is(fieldValueOf(fields, 'content-md5'), undefined);
  assert.is(fieldValueOf(fields, 'x'), '1');
});

test('416 says how long the body is', () => {
  const { fields, status } = show('Range: bytes=10-').head;
  assert.is(status, 416);
  assert.is(fieldValueOf(fields, 'content-range'), 'bytes */10');
});

test('an empty body has no part', () => {
  assert.is(present(get('Range: bytes=-5'), head, 0, 0).kind, 'whole');
  assert.is(present(get('Range: bytes=0-'), head, 0, 0).kind, 'unsatisfiable');
});

/** If-Range, for a strong ETag and a Last-Modified well before the Date. */
const ifRanges: readonly (readonly [string, string])[] = [
  ['"a"', 'part'],
  ['W/"a"', 'whole'],
  ['"b"', 'whole'],
  [dateAt(-3000), 'part'],
  [dateAt(-2999), 'whole'],
];
for (const [condition, kind] of ifRanges) {
  test(`If-Range: ${condition}: ${kind}`, () => {
    assert.is(show('Range: bytes=0-1', `If-Range: ${condition}`).kind, kind);
  });
}

test('a weak date or a weak tag is no ground for a part', () => {
  const weak = stored('Cache-Control: max-age=9', 'ETag: W/"a"', `Last-Modified: ${dateAt(0)}`);
  assert.is(present(get('Range: bytes=0-1', 'If-Range: W/"a"'), weak, 10, 0).kind, 'whole');
  assert.is(present(get('Range: bytes=0-1', `If-Range: ${dateAt(0)}`), weak, 10, 0).kind, 'whole');
});

test('HEAD gets the head, its own conditions answered, and no range', () => {
  const ask = (...lines: string[]) => present({ ...get(...lines), method: 'HEAD' }, head, 10, 0).kind;
  assert.is(ask(), 'head-only');
  assert.is(ask('Range: bytes=0-1'), 'head-only');
  assert.is(ask('If-None-Match: "a"'), 'not-modified');
});

test('ranges are of a 200 alone', () => {
  assert.is(present(get('Range: bytes=0-1'), rawStored(404, []), 10, 0).kind, 'whole');
});

test.run();
