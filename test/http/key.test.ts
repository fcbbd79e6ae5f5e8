import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { printCacheStatus } from '../../src/http/cache-status.js';
import { cacheKeyOf, type KeyParts, targetUriOf } from '../../src/http/key.js';

const test = suite('cacheKeyOf');
const url = 'https://example.com/a?b=1';

function keyOf(parts: Partial<KeyParts>): string {
  return cacheKeyOf({ method: 'GET', url, ...parts });
}

test('HEAD shares the key of GET; the fragment is no part of it', () => {
  assert.is(keyOf({}), ' GET - - https://example.com/a?b=1');
  assert.is(keyOf({ method: 'HEAD' }), keyOf({}));
  assert.is(keyOf({ url: `${url}#c` }), keyOf({}));
});

test('whatever else differs makes another key', () => {
  const keys = [
    {},
    { method: 'POST' },
    { method: 'get' },
    { namespace: 'n' },
    { namespace: 'n GET' },
    { credentials: 'a' },
    { credentials: 'b' },
    { credentials: '' },
    { bodyHash: 'a' },
    { bodyHash: '-' },
    { url: `${url}&` },
    { url: 'https://u:p@example.com/a?b=1' },
    { url: 'https://u:q@example.com/a?b=1' },
    { url: 'https://@example.com/a?b=1' },
    { credentials: 'u:p' },
    { url: 'http://example.com/a?b=1' },
    { url: 'https://example.com/A?b=1' },
    { url: 'https://example.com/a?B=1' },
  ].map(keyOf);
  assert.is(new Set(keys).size, keys.length);
});

test('no secret stands in a key in clear', () => {
  const key = keyOf({ credentials: 'Bearer hunter2', url: 'https://joe:hunter3@example.com/@?b=1' });
  assert.not.match(key, /hunter|joe/);
  assert.match(key, /https:\/\/example\.com\/@\?b=1$/);
  assert.is(targetUriOf('https://joe:pass@example.com/a@b#c'), 'https://example.com/a@b');
  assert.is(targetUriOf('https://example.com/a@b'), 'https://example.com/a@b');
  assert.is(targetUriOf('https://a@b@example.com'), 'https://example.com');
});

test('ignored parameters go, the others stay as and where they are', () => {
  const ignore = (query: string, ...ignoreParams: string[]) =>
    keyOf({ url: `https://example.com/a${query}`, ignoreParams }).split('/a')[1];
  assert.is(ignore('?b=1&utm_source=x&c=%20&utm_id', 'utm_*'), '?b=1&c=%20');
  assert.is(ignore('?sid=1', 'sid'), '');
  assert.is(ignore('?s%69d=1&SID=2', 'sid'), '?SID=2');
  assert.is(ignore('?%ff=1&a+b=2', 'a b'), '?%ff=1');
  assert.is(ignore('?b=1'), '?b=1');
});

test('no text makes it throw', () => {
  for (const text of ['\ud800', '%', 'x://', '', '\0', '://@', 'http://a@']) {
    assert.type(
      cacheKeyOf({ method: text, url: text, namespace: text, credentials: text, bodyHash: text, ignoreParams: [text] }),
      'string',
    );
  }
});

test('prints Cache-Status members that are valid structured fields', () => {
  assert.is(printCacheStatus({ cache: 'offloop', hit: true, ttl: 376 }), 'offloop; hit; ttl=376');
  assert.is(
    printCacheStatus({
      cache: 'my cache',
      fwd: 'stale',
      fwdStatus: 304,
      ttl: -5,
      stored: true,
      collapsed: true,
      key: 'a"\\\u00e9',
      detail: 'no use',
    }),
    '"my cache"; fwd=stale; fwd-status=304; ttl=-5; stored; collapsed; key="a\\"\\\\?"; detail="no use"',
  );
  assert.is(printCacheStatus({ cache: 'a', ttl: Number.POSITIVE_INFINITY }), 'a; ttl=999999999999999');
  assert.is(printCacheStatus({ cache: 'a', hit: false, ttl: 1.9 }), 'a; ttl=1');
});

test.run();
