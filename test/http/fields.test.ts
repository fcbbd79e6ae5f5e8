import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { matchesStrongly, matchesWeakly, parseEntityTags } from '../../src/http/etags.js';
import {
  fieldValueOf,
  fieldValuesOf,
  hasField,
  isFieldValue,
  singletonOf,
  withFields,
  withoutHopByHop,
} from '../../src/http/fields.js';
import { normaliseSelecting, parseVary } from '../../src/http/vary.js';

const test = suite('fields');
const lines = ['Accept', 'a', 'Link', '1', 'LINK', '2', 'Empty', ''];

test('names are found in any case, lines are combined in order', () => {
  assert.is(fieldValueOf(lines, 'link'), '1, 2');
  assert.is(fieldValueOf(lines, 'empty'), '');
  assert.is(fieldValueOf(lines, 'none'), undefined);
  assert.equal(fieldValuesOf(lines, 'link'), ['1', '2']);
  assert.ok(hasField(lines, 'accept'));
  assert.not(hasField(lines, 'accep'));
});

test('a singleton’s lines must agree', () => {
  assert.is(singletonOf(lines, 'link'), null);
  assert.is(singletonOf(['a', '1', 'A', ' 1'], 'a'), '1');
  assert.is(singletonOf(lines, 'none'), undefined);
});

test('changes take the place of all lines of the name', () => {
  assert.equal(withFields(lines, ['link', '3']), ['Accept', 'a', 'Empty', '', 'link', '3']);
});

test('an odd list of lines loses its last name and nothing else', () => {
  assert.equal(withFields(['A', '1', 'B'], []), ['A', '1']);
});

test('what is for one connection goes, and what Connection names, but for what tells caches what to do', () => {
  const fields = [
    'Connection',
    'x, Close, Cache-Control',
    'X',
    '1',
    'Cache-Control',
    'no-store',
    'connection',
    'y',
    'Y',
    '1',
    'Te',
    'a',
    'Z',
    '1',
  ];
  assert.equal(withoutHopByHop(fields), ['Cache-Control', 'no-store', 'Z', '1']);
});

test('a value that would break a message is no value', () => {
  assert.equal(['a b\tc', 'caf\u00e9', ''].map(isFieldValue), [true, true, true]);
  assert.equal(['a\r\nb', 'a\rb', '\0', '\u007f', '\u20ac'].map(isFieldValue), [false, false, false, false, false]);
});

test('entity tags: commas inside quotes belong to the tag', () => {
  assert.equal(parseEntityTags('"a", W/"b,c" ,, d'), ['"a"', 'W/"b,c"', 'd']);
  assert.equal(parseEntityTags('"a, "b'), ['"a, "b']);
  assert.equal(parseEntityTags('"a'), ['"a']);
  assert.is(parseEntityTags(' * '), '*');
});

test('entity tags: weakly the opaque part counts, strongly neither may be weak', () => {
  assert.ok(matchesWeakly('W/"a"', '"a"'));
  assert.not(matchesWeakly('"a"', '"A"'));
  assert.not(matchesWeakly('w/"a"', '"a"'));
  assert.ok(matchesStrongly('"a"', '"a"'));
  assert.not(matchesStrongly('W/"a"', 'W/"a"'));
  assert.not(matchesStrongly('', ''));
});

test('Vary: names in any case, each once, and a star anywhere', () => {
  assert.equal(parseVary('B, a,, b'), ['a', 'b']);
  assert.is(parseVary('a, *'), '*');
  assert.equal(parseVary(''), []);
});

/** Values of a selecting field: each row means the same. */
const same: readonly (readonly [string, readonly string[]])[] = [
  ['accept-encoding', ['gzip, br', 'BR,gzip', 'br;q=1.000,gzip;q=1', ' br ;Q=1 , gzip']],
  ['accept-language', ['de, en;q=0.5', 'en;q=0.50,DE']],
  ['accept', ['text/html, */*;q=0.1', '*/*; q=0.100 ,TEXT/html']],
  ['x', ['1, 2', '1,2', ' 1 ,\t2 ']],
];
for (const [name, values] of same) {
  test(`${name}: ${values.join(' = ')}`, () => {
    assert.is(new Set(values.map((value) => normaliseSelecting(name, value))).size, 1);
  });
}

/** Values that do not mean the same. */
const different: readonly (readonly [string, readonly string[]])[] = [
  ['accept-encoding', ['gzip', 'gzip;q=0', 'gzip;q=0.5', 'br']],
  ['accept', ['text/html;a=B', 'text/html;a=b']],
  ['x', ['"a, b"', '"a,b"']],
  ['x', ['1,2', '2,1', 'A', 'a']],
  ['user-agent', ['a, b', 'a,b']],
  ['cookie', ['a=1', 'a=2']],
];
for (const [name, values] of different) {
  test(`${name}: ${values.join(' ≠ ')}`, () => {
    assert.is(new Set(values.map((value) => normaliseSelecting(name, value))).size, values.length);
  });
}

test.run();
