import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { parseHttpDate, printHttpDate } from '../../src/http/dates.js';
import { parseAge, parseDeltaSeconds } from '../../src/http/delta-seconds.js';

const test = suite('dates');
const in2026 = Date.UTC(2026, 10, 21);

const good: readonly (readonly [string, string])[] = [
  ['Sun, 06 Nov 1994 08:49:37 GMT', '1994-11-06T08:49:37Z'],
  ['sUN, 06 nOV 1994 08:49:37 gmt', '1994-11-06T08:49:37Z'],
  ['Sunday, 06-Nov-94 08:49:37 GMT', '1994-11-06T08:49:37Z'],
  ['Sun Nov  6 08:49:37 1994', '1994-11-06T08:49:37Z'],
  ['Wednesday, 18-Aug-76 02:01:18 GMT', '2076-08-18T02:01:18Z'],
  ['Thursday, 18-Aug-77 02:01:18 GMT', '1977-08-18T02:01:18Z'],
  ['Thu, 29 Feb 2024 00:00:00 GMT', '2024-02-29T00:00:00Z'],
  ['Sat, 31 Dec 2016 23:59:60 GMT', '2017-01-01T00:00:00Z'],
  ['Fri, 31 Dec 9999 23:59:59 GMT', '9999-12-31T23:59:59Z'],
  ['Sat, 01 Jan 0000 00:00:00 GMT', '0000-01-01T00:00:00Z'],
];
for (const [text, iso] of good) {
  test(`reads ${text}`, () => {
    assert.is(parseHttpDate(text, in2026), Date.parse(iso));
  });
}

const bad = [
  '',
  '0',
  '-1',
  'Thu, 01 Jan 1970',
  'now',
  '2026-11-21T00:00:00Z',
  'Sun, 06 Nov 1994 08:49:37 UTC',
  'Sun, 06 Nov 1994 08:49:37 +0000',
  'Sun, 06 Nov 1994 08:49:37',
  'Sun 06 Nov 1994 08:49:37 GMT',
  'Sun, 06  Nov 1994 08:49:37 GMT',
  'Sun, 6 Nov 1994 08:49:37 GMT',
  'Sun, 06 Nov 94 08:49:37 GMT',
  'Sun, 06-Nov-1994 08:49:37 GMT',
  'Sun, 06 Nov 1994 8:49:37 GMT',
  'Sun, 06 Nov 1994 08.49.37 GMT',
  'Sun, 30 Feb 1994 08:49:37 GMT',
  'Sun, 00 Nov 1994 08:49:37 GMT',
  'Sun, 06 Nov 1994 24:00:00 GMT',
  'Sun, 06 Nov 1994 08:60:37 GMT',
  'Sun, 06 Nov 1994 08:49:61 GMT',
  'Foo, 06 Nov 1994 08:49:37 GMT',
  'Sun, 06 Foo 1994 08:49:37 GMT',
  'Sun, 06 Nov 1994 08:49:37 GMT, Sun, 06 Nov 1994 08:49:37 GMT',
  'x'.repeat(100_000),
];
for (const text of bad) {
  test(`${JSON.stringify(text.slice(0, 60))} is no date`, () => {
    assert.is(parseHttpDate(text, in2026), undefined);
  });
}

test('prints what it reads', () => {
  const text = 'Sun, 06 Nov 1994 08:49:37 GMT';
  assert.is(printHttpDate(parseHttpDate(text, in2026) ?? 0), text);
});

test('reads Age: the first member, a whole number of seconds, clamped', () => {
  assert.equal(['5', ' 5 ', '5, 6', '0, 7200', '2147483649', '9'.repeat(1000)].map(parseAge), [
    5,
    5,
    5,
    0,
    2 ** 31,
    2 ** 31,
  ]);
  assert.equal(['', 'a', '-1', '1.0', '5;a=b', ', 5', '+5'].map(parseAge), Array(7).fill(undefined));
  assert.is(parseDeltaSeconds(' 5'), undefined);
});

test.run();
