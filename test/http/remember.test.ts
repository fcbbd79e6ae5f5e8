import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { parseCacheControl } from '../../src/http/cache-control.js';
import { remembering } from '../../src/http/remember.js';

const test = suite('what is made of the same text again and again');

/** How often it was computed, for each text. */
function counted(maxTexts: number, maxLength: number) {
  const counts = new Map<string, number>();
  const lengthOf = remembering(
    (text) => {
      counts.set(text, (counts.get(text) ?? 0) + 1);
      return text.length;
    },
    maxTexts,
    maxLength,
  );
  return { counts, lengthOf };
}

test('is made once', () => {
  const { counts, lengthOf } = counted(4, 10);
  for (let time = 0; time < 3; time += 1) assert.is(lengthOf('abc'), 3);
  assert.is(counts.get('abc'), 1);
});

test('is kept while it is used, whatever else comes', () => {
  const { counts, lengthOf } = counted(4, 10);
  for (let other = 0; other < 100; other += 1) {
    lengthOf('abc');
    lengthOf(`${other}`);
  }
  assert.is(counts.get('abc'), 1);
});

test('is forgotten when many others have come since: memory is bounded', () => {
  const { counts, lengthOf } = counted(4, 10);
  lengthOf('abc');
  for (let other = 0; other < 9; other += 1) lengthOf(`${other}`);
  assert.is(lengthOf('abc'), 3);
  assert.is(counts.get('abc'), 2);
});

test('is not kept of a long text', () => {
  const { counts, lengthOf } = counted(4, 10);
  const long = 'x'.repeat(11);
  assert.is(lengthOf(long), 11);
  assert.is(lengthOf(long), 11);
  assert.is(counts.get(long), 2);
});

test('cannot be changed by one of those who share it', () => {
  const directives = parseCacheControl('max-age=60');
  assert.throws(() => Object.assign(directives, { maxAge: 3600 }));
  assert.is(parseCacheControl('max-age=60').maxAge, 60);
});

test.run();
