import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { type CacheControl, emptyCacheControl, parseCacheControl } from '../../src/http/cache-control.js';
import { parseTargetedCacheControl } from '../../src/http/targeted-cache-control.js';

const test = suite('Cache-Control');
const huge = 2 ** 31;

/** Text, and what differs from no directive at all. */
const table: readonly (readonly [string, Partial<CacheControl>])[] = [
  ['', {}],
  [' , ,', {}],
  ['max-age=5', { maxAge: 5 }],
  ['MAX-AGE=5, No-Store', { maxAge: 5, noStore: true }],
  ['max-age="5"', { maxAge: 5 }],
  ['max-age=005', { maxAge: 5 }],
  ['max-age=99999999999999999999', { maxAge: huge }],
  ['max-age', { maxAge: 0 }],
  ['max-age=', { maxAge: 0 }],
  ['max-age=-5', { maxAge: 0 }],
  ['max-age=5.0', { maxAge: 0 }],
  ["max-age='5'", { maxAge: 0 }],
  ['max-age =5', { maxAge: 0 }],
  ['max-age= 5', { maxAge: 0 }],
  ['max-age=5 6', { maxAge: 0 }],
  ['max-age="5" 6', { maxAge: 0 }],
  ['max-age=5, max-age=5', { maxAge: 5 }],
  ['max-age=5, max-age=6', { maxAge: 0 }],
  ['max-age=6, max-age=5, max-age=5', { maxAge: 0 }],
  ['x="max-age=5", s-maxage=1', { sMaxage: 1 }],
  ['x="\\", no-store", public', { public: true }],
  ['x="a, no-store', { noStore: true }],
  ['no-cache="a', { noCache: true }],
  ['no-cache="a, no-store', { noCache: true, noStore: true }],
  ['no-cache', { noCache: true }],
  ['no-cache=""', { noCache: true }],
  ['no-cache="A, b"', { noCacheFields: ['a', 'b'] }],
  ['no-cache=a', { noCacheFields: ['a'] }],
  ['no-cache="a b"', { noCache: true }],
  ['private="Set-Cookie"', { privateFields: ['set-cookie'] }],
  ['private, private="a"', { private: true, privateFields: ['a'] }],
  ['max-stale', { maxStale: Number.POSITIVE_INFINITY }],
  ['max-stale=5', { maxStale: 5 }],
  ['max-stale=x', { maxStale: 0 }],
  ['max-stale, max-stale=5', { maxStale: 5 }],
  ['min-fresh=5', { minFresh: 5 }],
  ['min-fresh=x', { minFresh: huge }],
  ['stale-while-revalidate=5, stale-if-error=6', { staleWhileRevalidate: 5, staleIfError: 6 }],
  [
    'must-revalidate,proxy-revalidate,must-understand',
    { mustRevalidate: true, proxyRevalidate: true, mustUnderstand: true },
  ],
  ['immutable\t, only-if-cached=1', { immutable: true, onlyIfCached: true }],
  ['__proto__=5, constructor', {}],
];
for (const [text, expected] of table) {
  test(`reads ${JSON.stringify(text)}`, () => {
    assert.equal(parseCacheControl(text), { ...emptyCacheControl(), ...expected });
  });
}

test('a list of field names that is too long is read as unqualified', () => {
  const { noCache, noCacheFields } = parseCacheControl(`no-cache="${'a,'.repeat(10_000)}"`);
  assert.equal([noCache, noCacheFields], [true, []]);
});

test('reads a megabyte of anything in one pass', () => {
  const million = 1_000_000;
  for (const text of ['a="', 'a="\\', '"', '=', ',', 'a="b",', 'max-age=9']) {
    assert.type(parseCacheControl(text.repeat(million / text.length)).noStore, 'boolean');
  }
});

/** RFC 9213: a Dictionary; `undefined` when it is as if it were not there. */
const targeted: readonly (readonly [string, Partial<CacheControl> | undefined])[] = [
  ['max-age=5', { maxAge: 5 }],
  ['  max-age=5 ,\tno-store  ', { maxAge: 5, noStore: true }],
  ['max-age=5;x=1;y, public;z="a"', { maxAge: 5, public: true }],
  ['max-age=5, max-age=6', { maxAge: 6 }],
  ['no-store=?1', { noStore: true }],
  ['no-store=?0', {}],
  ['max-age="5"', { maxAge: 0 }],
  ['max-age=5.5', { maxAge: 0 }],
  ['max-age=-5', { maxAge: 0 }],
  ['max-age=a', { maxAge: 0 }],
  ['max-age=(1 2);a', { maxAge: 0 }],
  ['private="a, b"', { privateFields: ['a', 'b'] }],
  ['foo, bar=:YQ==:, max-age=5', { maxAge: 5 }],
  ['', undefined],
  ['Max-Age=5', undefined],
  ['max-age=5,', undefined],
  ['max-age=5 no-store', undefined],
  ['max-age =5', undefined],
  ['max-age= 5', undefined],
  ['max-age=5, &&&', undefined],
  ['max-age="5', undefined],
  ['max-age=9999999999999999', undefined],
];
for (const [text, expected] of targeted) {
  test(`reads a targeted ${JSON.stringify(text)}`, () => {
    assert.equal(parseTargetedCacheControl(text), expected && { ...emptyCacheControl(), ...expected });
  });
}

test('reads a targeted megabyte of anything in reasonable time', () => {
  for (const text of ['a=(', 'a=((1 ', 'a=:', 'a;', 'a="\\"', 'a=1,', '1', 'a;a=', ' ', 'a  ', 'a;  ', 'a=(1  ']) {
    const result = parseTargetedCacheControl(text.repeat(200_000 / text.length));
    assert.ok(result === undefined || !result.noStore);
  }
});

test.run();
