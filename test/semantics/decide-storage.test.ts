import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { decideStorage } from '../../src/semantics/decide-storage.js';
import type { Rules } from '../../src/semantics/decisions.js';
import { dateAt, exchangeOf, get, noon, privateRules, respond, sharedRules, store } from './support.js';

const test = suite('decideStorage');

function verdict(rules: Rules, status: number, lines: readonly string[], request = get()): string {
  const decision = decideStorage(request, exchangeOf(respond(status, ...lines)), rules);
  return decision.action === 'store' ? 'store' : decision.reason;
}

const fresh = 'Cache-Control: max-age=60';
const guessed = `Last-Modified: ${dateAt(-864_000)}`;

/** Response, request, and what a private and a shared cache do. */
const table: readonly (readonly [string, number, readonly string[], readonly string[], string, string])[] = [
  ['explicit lifetime', 200, [fresh], [], 'store', 'store'],
  ['no lifetime and no validator', 200, [], [], 'no-use', 'no-use'],
  ['no lifetime but an ETag', 200, ['ETag: "a"'], [], 'store', 'store'],
  ['stale on arrival, with a validator', 200, ['Cache-Control: max-age=0', 'ETag: "a"'], [], 'store', 'store'],
  ['stale on arrival, stale-if-error', 200, ['Cache-Control: max-age=0, stale-if-error=9'], [], 'store', 'store'],
  ['stale on arrival, nothing else', 200, ['Cache-Control: max-age=0'], [], 'no-use', 'no-use'],
  ['no-store in odd letters', 200, ['Cache-Control: max-age=60, nO-sTORE'], [], 'no-store', 'no-store'],
  ['no-store with an argument', 200, ['Cache-Control: max-age=60, no-store="x"'], [], 'no-store', 'no-store'],
  ['private', 200, ['Cache-Control: private, max-age=60'], [], 'store', 'private'],
  ['private="x"', 200, ['Cache-Control: private="x", max-age=60'], [], 'store', 'store'],
  ['private="cache-control"', 200, ['Cache-Control: private="cache-control", max-age=60'], [], 'store', 'private'],
  ['request no-store', 200, [fresh], ['Cache-Control: no-store'], 'no-store-request', 'no-store-request'],
  ['Authorization', 200, [fresh], ['Authorization: a'], 'store', 'authorization'],
  ['Authorization, public', 200, [`${fresh}, public`], ['Authorization: a'], 'store', 'store'],
  ['Authorization, s-maxage', 200, ['Cache-Control: s-maxage=60'], ['Authorization: a'], 'no-use', 'store'],
  ['Authorization, must-revalidate', 200, [`${fresh}, must-revalidate`], ['Authorization: a'], 'store', 'store'],
  ['Vary: *', 200, [fresh, 'Vary: *'], [], 'vary-star', 'vary-star'],
  ['Vary with * in a list', 200, [fresh, 'Vary: a, *'], [], 'vary-star', 'vary-star'],
  ['Vary with * on a second line', 200, [fresh, 'Vary: ', 'Vary: *'], [], 'vary-star', 'vary-star'],
  ['Set-Cookie', 200, [guessed, 'Set-Cookie: a=b'], [], 'store', 'set-cookie'],
  ['Set-Cookie, explicitly fresh', 200, [fresh, 'Set-Cookie: a=b'], [], 'store', 'store'],
  ['Set-Cookie, public', 200, [`${fresh}, public`, 'Set-Cookie: a=b'], [], 'store', 'store'],
  ['Cookie in the request', 200, [guessed], ['Cookie: a=b'], 'store', 'cookie'],
  ['Cookie in the request, explicitly fresh', 200, [fresh], ['Cookie: a=b'], 'store', 'store'],
  ['Cookie in the request, public', 200, ['Cache-Control: public', guessed], ['Cookie: a=b'], 'store', 'store'],
  ['partial', 206, [fresh], ['Range: bytes=0-1'], 'partial', 'partial'],
  ['304', 304, [fresh], [], 'status', 'status'],
  ['412', 412, [fresh], [], 'status', 'status'],
  ['416', 416, [fresh], [], 'status', 'status'],
  ['101', 101, [fresh], [], 'status', 'status'],
  ['an unknown status, explicit', 599, [fresh], [], 'store', 'store'],
  ['an unknown status, must-understand', 599, [`${fresh}, must-understand`], [], 'status', 'status'],
  ['must-understand lifts no-store', 200, [`${fresh}, no-store, must-understand`], [], 'store', 'store'],
  ['302 without a word', 302, ['ETag: "a"'], [], 'not-explicit', 'not-explicit'],
  ['302 for a private cache', 302, ['Cache-Control: private', 'ETag: "a"'], [], 'store', 'private'],
  ['503 with a Last-Modified', 503, [`Last-Modified: ${dateAt(-9999)}`], [], 'not-explicit', 'not-explicit'],
  [
    '599 public with a Last-Modified',
    599,
    ['Cache-Control: public', `Last-Modified: ${dateAt(-9999)}`],
    [],
    'store',
    'store',
  ],
  ['no-cache without a validator', 200, ['Cache-Control: no-cache, max-age=60'], [], 'no-use', 'no-use'],
];

for (const [name, status, response, request, inPrivate, inShared] of table) {
  test(`${name}: ${inPrivate} in a private cache, ${inShared} in a shared one`, () => {
    assert.is(verdict(privateRules, status, response, get(...request)), inPrivate);
    assert.is(verdict(sharedRules, status, response, get(...request)), inShared);
  });
}

test('stores nothing in mode no-store, and nothing for a method that was not asked for', () => {
  assert.is(verdict({ ...privateRules, mode: 'no-store' }, 200, [fresh]), 'mode');
  assert.is(verdict(privateRules, 200, [fresh], { ...get(), method: 'PUT' }), 'method');
  assert.is(verdict(privateRules, 200, [fresh], { ...get(), method: 'HEAD' }), 'method');
});

test('ignore-rules stores what is a usable answer, whatever it says of itself', () => {
  const rules: Rules = { ...sharedRules, mode: 'ignore-rules' };
  assert.is(verdict(rules, 200, ['Cache-Control: no-store, private', 'Vary: *', 'Set-Cookie: a=b']), 'store');
  assert.is(verdict(rules, 404, []), 'store');
  assert.is(verdict(rules, 503, [fresh]), 'status');
  assert.is(verdict(rules, 206, [fresh]), 'partial');
});

test('a POST whose Content-Location is its own target answers GET, if it is explicit about freshness', () => {
  const post = { ...get(), method: 'POST' };
  const here = 'Content-Location: /a';
  assert.is(store(respond(200, fresh, here), privateRules, post).method, 'GET');
  assert.is(verdict(privateRules, 200, [fresh, 'Content-Location: /b'], post), 'method');
  assert.is(verdict(privateRules, 200, [here, `Last-Modified: ${dateAt(-9999)}`], post), 'not-explicit');
});

test('a POST that was asked for is stored as a POST', () => {
  const rules = { ...privateRules, methods: ['GET', 'POST'] };
  assert.is(store(respond(200, fresh), rules, { ...get(), method: 'POST' }).method, 'POST');
});

test('keeps every line but those of one connection, and the ones Connection names', () => {
  const head = store(
    respond(
      200,
      fresh,
      `Date: ${dateAt(0)}`,
      'Connection: a, cache-control',
      'A: 1',
      'Keep-Alive: timeout=5',
      'Transfer-Encoding: chunked',
      'Proxy-Authentication-Info: x',
      'Link: <x>',
      'link: <y>',
    ),
  );
  assert.equal(head.fields, ['Cache-Control', 'max-age=60', 'Date', dateAt(0), 'Link', '<x>', 'link', '<y>']);
});

test('leaves out the fields that a qualified no-cache names, and in a shared cache those of private', () => {
  const response = respond(
    200,
    `Date: ${dateAt(0)}`,
    'Cache-Control: max-age=60, no-cache="a, b", private="c"',
    'A: 1',
    'B: 2',
    'C: 3',
  );
  const names = (rules: Rules) => store(response, rules).fields.filter((_, i) => i % 2 === 0);
  assert.equal(names(privateRules), ['Date', 'Cache-Control', 'C']);
  assert.equal(names(sharedRules), ['Date', 'Cache-Control']);
});

test('a response without Date gets the time of its receipt', () => {
  assert.equal(store(respond(200, fresh)).fields.slice(-2), ['Date', dateAt(0)]);
});

test('keeps the selecting fields normalised, and secrets among them as a hash', () => {
  const request = get('Accept-Language: De, en;q=0.50', 'Cookie: secret=1');
  const { selecting } = store(respond(200, fresh, 'Vary: Cookie, accept-language, X'), privateRules, request);
  assert.equal(selecting.slice(0, 2), ['accept-language', 'de,en;q=0.5']);
  assert.is(selecting[2], 'cookie');
  assert.match(selecting[3] ?? '', /^sha256:[0-9a-f]{64}$/);
  assert.is(selecting.length, 4);
});

test('says until when a response is of use', () => {
  const until = (...lines: string[]) => {
    const decision = decideStorage(get(), exchangeOf(respond(200, `Date: ${dateAt(0)}`, ...lines)), privateRules);
    return decision.action === 'store' ? decision.useUntilMs - noon : decision.reason;
  };
  assert.is(until(fresh), 60_000);
  assert.is(until('Cache-Control: max-age=60, stale-if-error=30, stale-while-revalidate=10'), 90_000);
  assert.is(until('Cache-Control: max-age=60, stale-if-error=30, must-revalidate'), 60_000);
  assert.is(until(fresh, 'ETag: "a"'), Number.POSITIVE_INFINITY);
});

test('the user’s lifetime makes storable what is no error, and overrides no-store never', () => {
  const rules = { ...privateRules, ttlMs: 5000 };
  assert.is(store(respond(200), rules).ttlMs, 5000);
  assert.is(verdict(rules, 500, []), 'not-explicit');
  assert.is(verdict(rules, 200, ['Cache-Control: no-store']), 'no-store');
});

test('the user’s lifetime is remembered, and jitter shortens it by the same for the same URI', () => {
  const at = noon + 5000;
  const rules = { ...privateRules, expiresAtMs: at };
  assert.is(store(respond(200), rules).expiresAtMs, at);
  assert.is(verdict({ ...rules, expiresAtMs: noon }, 200, []), 'no-use');
  const fractionOf = (path: string, ttlJitter: number) =>
    store(respond(200, fresh), { ...privateRules, ttlJitter }, { ...get(), url: `https://example.com/${path}` })
      .lifetimeFraction;
  assert.is(fractionOf('a', 0), undefined);
  assert.is(fractionOf('a', 0.2), fractionOf('a', 0.2));
  const fractions = Array.from({ length: 400 }, (_, i) => fractionOf(String(i), 0.2) ?? 1);
  assert.ok(fractions.every((fraction) => fraction > 0.8 && fraction <= 1));
  for (const from of [0.8, 0.85, 0.9, 0.95]) {
    const among = fractions.filter((fraction) => fraction >= from && fraction < from + 0.05).length;
    assert.ok(among > 60 && among < 140, `${among} of 400 from ${from}`);
  }
});

test('user:password and the fragment are not written down', () => {
  const request = { ...get(), url: 'https://u:p@example.com/a?b#c' };
  assert.is(store(respond(200, fresh), privateRules, request).url, 'https://example.com/a?b');
});

test.run();
