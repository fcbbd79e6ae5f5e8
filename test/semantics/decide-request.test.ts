import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { StoredHead } from '../../src/http/message.js';
import { decideRequest } from '../../src/semantics/decide-request.js';
import type { RequestDecision, Rules } from '../../src/semantics/decisions.js';
import { dateAt, get, noon, privateRules, rawStored, respond, sharedRules, store, stored } from './support.js';

const test = suite('decideRequest');

/** In a word: `reuse`, `stale` (reused although), `background`, `validate`, `timeout`, or why it is forwarded. */
function wordFor(decision: RequestDecision): string {
  switch (decision.action) {
    case 'reuse':
      return decision.background !== false ? 'background' : decision.isStale ? 'stale' : 'reuse';
    case 'validate':
      return `validate ${decision.reason}`;
    case 'gateway-timeout':
      return 'timeout';
    case 'forward':
      return decision.reason;
  }
}

/** What is done with a stored response some seconds after noon. */
function after(
  seconds: number,
  head: StoredHead,
  request: readonly string[] = [],
  rules: Rules = privateRules,
): string {
  return wordFor(decideRequest(get(...request), [head], rules, noon + seconds * 1000));
}

const tagged = 'ETag: "a"';

test('is fresh until its age is the lifetime, counted in whole seconds', () => {
  const head = stored('Cache-Control: max-age=2');
  assert.is(after(0, head), 'reuse');
  assert.is(after(1.999, head), 'reuse');
  assert.is(after(2, head), 'stale');
});

/** Stored fields, age in seconds, presented fields, and what a private and a shared cache do. */
const table: readonly (readonly [string, readonly string[], number, readonly string[], string, string])[] = [
  ['fresh must-revalidate', ['Cache-Control: max-age=9, must-revalidate'], 1, [], 'reuse', 'reuse'],
  ['fresh proxy-revalidate', ['Cache-Control: max-age=9, proxy-revalidate'], 1, [], 'reuse', 'reuse'],
  ['stale', ['Cache-Control: max-age=1', tagged], 2, [], 'validate stale', 'validate stale'],
  ['s-maxage', ['Cache-Control: max-age=1, s-maxage=9', tagged], 2, [], 'validate stale', 'reuse'],
  ['no-cache', ['Cache-Control: max-age=9, no-cache', tagged], 1, [], 'validate stale', 'validate stale'],
  ['Age', ['Cache-Control: max-age=9', 'Age: 8', tagged], 1, [], 'validate stale', 'validate stale'],
  [
    'Age, first of a list',
    ['Cache-Control: max-age=9', 'Age: 8, 0', tagged],
    1,
    [],
    'validate stale',
    'validate stale',
  ],
  [
    'Age, first of two lines',
    ['Cache-Control: max-age=9', 'Age: 8', 'Age: 0', tagged],
    1,
    [],
    'validate stale',
    'validate stale',
  ],
  ['Age, invalid', ['Cache-Control: max-age=9', 'Age: 8.5', tagged], 1, [], 'reuse', 'reuse'],
  ['Age, absurd', ['Cache-Control: max-age=9', 'Age: 99999999999', tagged], 1, [], 'validate stale', 'validate stale'],
  ['max-age, absurd', ['Cache-Control: max-age=99999999999999999999'], 1, [], 'reuse', 'reuse'],
  ['max-age twice the same', ['Cache-Control: max-age=9', 'Cache-Control: max-age=9'], 1, [], 'reuse', 'reuse'],
  ['max-age twice', ['Cache-Control: max-age=9, max-age=8', tagged], 1, [], 'validate stale', 'validate stale'],
  ['max-age, not a number', ['Cache-Control: max-age=9a', tagged], 1, [], 'validate stale', 'validate stale'],
  ['max-age, quoted', ['Cache-Control: max-age="9"'], 1, [], 'reuse', 'reuse'],
  [
    'max-age inside quotes',
    ['Cache-Control: x="max-age=9", max-age=1', tagged],
    2,
    [],
    'validate stale',
    'validate stale',
  ],
  ['Expires', [`Expires: ${dateAt(9)}`, tagged], 8, [], 'reuse', 'reuse'],
  ['Expires, past', [`Expires: ${dateAt(9)}`, tagged], 9, [], 'validate stale', 'validate stale'],
  ['Expires, no date', ['Expires: 0', tagged], 0, [], 'validate stale', 'validate stale'],
  [
    'Expires, another zone',
    ['Expires: Thu, 18 Aug 2050 02:01:18 AEST', tagged],
    0,
    [],
    'validate stale',
    'validate stale',
  ],
  ['Expires, asctime', ['Expires: Thu Aug 18 02:01:18 2050'], 0, [], 'reuse', 'reuse'],
  ['Expires, RFC 850', ['Expires: Thursday, 18-Aug-50 02:01:18 GMT'], 0, [], 'reuse', 'reuse'],
  ['max-age over Expires', ['Cache-Control: max-age=9', `Expires: ${dateAt(-9)}`], 1, [], 'reuse', 'reuse'],
  ['heuristic', [`Last-Modified: ${dateAt(-100)}`], 9, [], 'reuse', 'reuse'],
  ['heuristic, over', [`Last-Modified: ${dateAt(-100)}`], 10, [], 'validate stale', 'validate stale'],
  [
    'request no-cache',
    ['Cache-Control: max-age=9', tagged],
    1,
    ['Cache-Control: no-cache'],
    'validate request',
    'validate request',
  ],
  ['Pragma', ['Cache-Control: max-age=9', tagged], 1, ['Pragma: no-cache'], 'validate request', 'validate request'],
  [
    'Pragma beside Cache-Control',
    ['Cache-Control: max-age=9'],
    1,
    ['Pragma: no-cache', 'Cache-Control: x'],
    'reuse',
    'reuse',
  ],
  ['request no-store', ['Cache-Control: max-age=9'], 1, ['Cache-Control: no-store'], 'reuse', 'reuse'],
  [
    'request max-age',
    ['Cache-Control: max-age=9', tagged],
    2,
    ['Cache-Control: max-age=1'],
    'validate request',
    'validate request',
  ],
  ['request max-age, young enough', ['Cache-Control: max-age=9'], 1, ['Cache-Control: max-age=1'], 'reuse', 'reuse'],
  [
    'request min-fresh',
    ['Cache-Control: max-age=9', tagged],
    5,
    ['Cache-Control: min-fresh=5'],
    'validate request',
    'validate request',
  ],
  ['request min-fresh, enough', ['Cache-Control: max-age=9'], 4, ['Cache-Control: min-fresh=5'], 'reuse', 'reuse'],
  ['max-stale', ['Cache-Control: max-age=1', tagged], 9, ['Cache-Control: max-stale'], 'stale', 'stale'],
  ['max-stale, within', ['Cache-Control: max-age=1', tagged], 9, ['Cache-Control: max-stale=8'], 'stale', 'stale'],
  [
    'max-stale, beyond',
    ['Cache-Control: max-age=1', tagged],
    9,
    ['Cache-Control: max-stale=7'],
    'validate stale',
    'validate stale',
  ],
  [
    'max-stale, must-revalidate',
    ['Cache-Control: max-age=1, must-revalidate', tagged],
    9,
    ['Cache-Control: max-stale'],
    'validate stale',
    'validate stale',
  ],
  [
    'max-stale, proxy-revalidate',
    ['Cache-Control: max-age=1, proxy-revalidate', tagged],
    9,
    ['Cache-Control: max-stale'],
    'stale',
    'validate stale',
  ],
  [
    'max-stale, s-maxage',
    ['Cache-Control: max-age=1, s-maxage=1', tagged],
    9,
    ['Cache-Control: max-stale'],
    'stale',
    'validate stale',
  ],
  [
    'stale-while-revalidate',
    ['Cache-Control: max-age=1, stale-while-revalidate=9', tagged],
    9,
    [],
    'background',
    'background',
  ],
  [
    'stale-while-revalidate, over',
    ['Cache-Control: max-age=1, stale-while-revalidate=9', tagged],
    10,
    [],
    'validate stale',
    'validate stale',
  ],
  [
    'stale-while-revalidate, must-revalidate',
    ['Cache-Control: max-age=1, stale-while-revalidate=9, must-revalidate', tagged],
    5,
    [],
    'validate stale',
    'validate stale',
  ],
  [
    'stale-while-revalidate, s-maxage',
    ['Cache-Control: max-age=1, s-maxage=1, stale-while-revalidate=9', tagged],
    5,
    [],
    'background',
    'validate stale',
  ],
  [
    'stale-while-revalidate, no-cache',
    ['Cache-Control: max-age=1, stale-while-revalidate=9, no-cache', tagged],
    5,
    [],
    'validate stale',
    'validate stale',
  ],
  [
    'stale-while-revalidate, request max-age',
    ['Cache-Control: max-age=1, stale-while-revalidate=9', tagged],
    5,
    ['Cache-Control: max-age=8'],
    'validate stale',
    'validate stale',
  ],
  [
    'stale, stale-if-error, no validator',
    ['Cache-Control: max-age=1, stale-if-error=9'],
    2,
    [],
    'validate stale',
    'validate stale',
  ],
  ['stale, no validator', ['Cache-Control: max-age=1'], 2, [], 'stale-forward', 'stale-forward'],
  ['only-if-cached, fresh', ['Cache-Control: max-age=9'], 2, ['Cache-Control: only-if-cached'], 'reuse', 'reuse'],
  [
    'only-if-cached, stale',
    ['Cache-Control: max-age=1', tagged],
    2,
    ['Cache-Control: only-if-cached'],
    'timeout',
    'timeout',
  ],
  ['If-Match', ['Cache-Control: max-age=9', tagged], 1, ['If-Match: "a"'], 'request', 'request'],
  ['If-None-Match, fresh', ['Cache-Control: max-age=9', tagged], 1, ['If-None-Match: "b"'], 'reuse', 'reuse'],
];

for (const [name, response, age, request, inPrivate, inShared] of table) {
  test(`${name}: ${inPrivate} in a private cache, ${inShared} in a shared one`, () => {
    const expected = (word: string) => (word === 'stale-forward' ? 'stale' : word);
    for (const [rules, word] of [
      [privateRules, inPrivate],
      [sharedRules, inShared],
    ] as const) {
      const head = store(respond(200, `Date: ${dateAt(0)}`, ...response), rules);
      const decision = decideRequest(get(...request), [head], rules, noon + age * 1000);
      assert.is(wordFor(decision), expected(word));
      if (word === 'stale-forward') assert.is(decision.action, 'forward');
    }
  });
}

test('a Date in the past makes a response old (apparent age), one in the future does not make it younger', () => {
  const old = store(respond(200, `Date: ${dateAt(-100)}`, 'Cache-Control: max-age=90', tagged));
  assert.is(after(0, old), 'validate stale');
  const ahead = store(respond(200, `Date: ${dateAt(100)}`, 'Cache-Control: max-age=9', tagged));
  assert.is(after(8, ahead), 'reuse');
  assert.is(after(9, ahead), 'validate stale');
});

test('the time that the response was on its way counts', () => {
  const head = { ...stored('Cache-Control: max-age=5', tagged), requestTimeMs: noon - 4000 };
  const decision = decideRequest(get(), [head], privateRules, noon + 500);
  assert.equal(decision.action === 'reuse' && [decision.ageSeconds, decision.ttlSeconds], [4, 1]);
});

test('milliseconds on the way do not make max-age=1 stale on arrival', () => {
  const head = { ...stored('Cache-Control: max-age=1'), requestTimeMs: noon + 986, responseTimeMs: noon + 999 };
  // Date says noon, so the response seems to be 999 ms old: it may have been made at any moment of that second.
  assert.is(after(1.5, head), 'reuse');
});

test('tells age, remaining freshness and the rest of the window', () => {
  const head = stored('Cache-Control: max-age=5, stale-while-revalidate=10', 'Age: 2', tagged);
  const fresh = decideRequest(get(), [head], privateRules, noon + 1000);
  assert.equal(fresh, { action: 'reuse', index: 0, ageSeconds: 3, ttlSeconds: 2, isStale: false, background: false });
  const stale = decideRequest(get(), [head], privateRules, noon + 7000);
  assert.equal(stale, {
    action: 'reuse',
    index: 0,
    ageSeconds: 9,
    ttlSeconds: -4,
    isStale: true,
    background: { conditional: ['If-None-Match', '"a"'], remainingSeconds: 6 },
  });
});

test('asks with every validator that may be sent, as it was received', () => {
  const modified = dateAt(-50);
  const conditional = (...lines: string[]) => {
    const head = rawStored(200, ['Cache-Control', 'no-cache', ...lines]);
    const decision = decideRequest(get(), [head], privateRules, noon);
    return decision.action === 'validate' ? decision.conditional : decision.action;
  };
  assert.equal(conditional('ETag', 'W/"a"', 'Last-Modified', modified), [
    'If-None-Match',
    'W/"a"',
    'If-Modified-Since',
    modified,
  ]);
  assert.equal(conditional('ETag', 'a'), ['If-None-Match', 'a']);
  assert.equal(conditional('ETag', '"a\r\nX: y"'), 'forward');
  assert.equal(conditional('ETag', `"${'a'.repeat(5000)}"`), 'forward');
  assert.equal(conditional('ETag', '"a"', 'ETag', '"b"'), 'forward');
  assert.equal(conditional('Last-Modified', 'yesterday'), 'forward');
});

test('of several that match, the most recent by Date answers', () => {
  const heads = [10, 30, 20].map((seconds) =>
    store(respond(200, `Date: ${dateAt(seconds)}`, 'Cache-Control: max-age=99')),
  );
  const decision = decideRequest(get(), heads, privateRules, noon + 40_000);
  assert.is(decision.action === 'reuse' && decision.index, 1);
});

test('selecting fields decide, however they are written', () => {
  const vary = respond(200, 'Cache-Control: max-age=9', 'Vary: Accept-Language, X');
  const head = store(vary, privateRules, get('Accept-Language: en, de;q=0.5', 'X: 1, 2'));
  assert.is(after(1, head, ['accept-language: DE; q=0.500 ,EN', 'X: 1', 'x:2']), 'reuse');
  assert.is(after(1, head, ['Accept-Language: en, de', 'X: 1,2']), 'vary-miss');
  assert.is(after(1, head, ['Accept-Language: en, de;q=0.5']), 'vary-miss');
  const without = store(vary, privateRules, get());
  assert.is(after(1, without), 'reuse');
  assert.is(after(1, without, ['X:']), 'vary-miss');
});

test('what should never have been stored is not reused, stale or fresh', () => {
  for (const window of ['max-age=60', 'stale-while-revalidate=60']) {
    const head = rawStored(200, ['Cache-Control', `no-store, ${window}`, 'ETag', '"a"']);
    assert.is(after(1, head), 'validate stale', window);
    assert.is(after(1, head, ['Cache-Control: max-stale']), 'validate stale', window);
  }
});

test('Vary with * never answers, however it came to be stored', () => {
  assert.is(after(1, rawStored(200, ['Cache-Control', 'max-age=9', 'Vary', 'a, *'])), 'vary-miss');
});

test('nothing stored is a miss, or a 504 for who wants no network', () => {
  assert.is(wordFor(decideRequest(get(), [], privateRules, noon)), 'uri-miss');
  assert.is(wordFor(decideRequest(get('Cache-Control: only-if-cached'), [], privateRules, noon)), 'timeout');
  assert.is(wordFor(decideRequest(get(), [], { ...privateRules, offline: true }, noon)), 'timeout');
  assert.is(wordFor(decideRequest({ ...get(), method: 'PUT' }, [], privateRules, noon)), 'method');
});

test('GET answers HEAD, and HEAD does not answer GET', () => {
  const head = stored('Cache-Control: max-age=9');
  const asHead = { ...get(), method: 'HEAD' };
  assert.is(wordFor(decideRequest(asHead, [head], privateRules, noon)), 'reuse');
  assert.is(after(1, { ...head, method: 'HEAD' }), 'uri-miss');
  const stale = decideRequest(asHead, [head], privateRules, noon + 10_000);
  assert.equal(stale, { action: 'validate', index: 0, conditional: [], reason: 'stale' });
});

const freshImmutable = 'Cache-Control: max-age=9, immutable';
const modes: readonly (readonly [Rules['mode'], readonly string[], number, string])[] = [
  ['no-store', ['Cache-Control: max-age=9'], 1, 'bypass'],
  ['reload', ['Cache-Control: max-age=9'], 1, 'request'],
  ['reload', [freshImmutable], 1, 'request'],
  ['no-cache', ['Cache-Control: max-age=9', tagged], 1, 'validate request'],
  ['no-cache', [freshImmutable, tagged], 1, 'reuse'],
  ['no-cache', [freshImmutable, tagged], 9, 'validate request'],
  ['force-cache', ['Cache-Control: max-age=1, must-revalidate', tagged], 9, 'stale'],
  ['only-if-cached', ['Cache-Control: max-age=1', tagged], 9, 'stale'],
  ['ignore-rules', ['Cache-Control: max-age=1', tagged], 9, 'reuse'],
];
for (const [mode, response, age, word] of modes) {
  test(`mode ${mode}, ${response[0]}, after ${age} s: ${word}`, () => {
    assert.is(after(age, stored(...response), [], { ...privateRules, mode }), word);
  });
}

test('no-cache and reload speak to the caches on the way, unless the client does', () => {
  const head = stored('Cache-Control: max-age=9', tagged);
  const validate = decideRequest(get(), [head], { ...privateRules, mode: 'no-cache' }, noon);
  assert.equal(validate.action === 'validate' && validate.conditional, [
    'If-None-Match',
    '"a"',
    'Cache-Control',
    'max-age=0',
  ]);
  const reload = decideRequest(get(), [head], { ...privateRules, mode: 'reload' }, noon);
  assert.equal(reload.action === 'forward' && reload.fields, ['Pragma', 'no-cache', 'Cache-Control', 'no-cache']);
  const spoken = decideRequest(get('Cache-Control: x'), [head], { ...privateRules, mode: 'reload' }, noon);
  assert.equal(spoken, { action: 'forward', reason: 'request' });
});

test('offline reuses whatever is stored, and says that it is stale', () => {
  const head = stored('Cache-Control: max-age=1, must-revalidate', tagged);
  assert.is(after(9, head, ['Cache-Control: no-cache'], { ...privateRules, offline: true }), 'stale');
});

test('the user’s lifetime counts from the receipt; of maxTtl and the response’s own the shorter counts', () => {
  const head = stored('Cache-Control: max-age=9', 'Age: 5', tagged);
  assert.is(after(6, head, [], { ...privateRules, ttlMs: 6500 }), 'reuse');
  assert.is(after(6.5, head, [], { ...privateRules, ttlMs: 6500 }), 'validate stale');
  assert.is(after(3, head, [], { ...privateRules, maxTtlMs: 8000 }), 'validate stale');
  assert.is(after(2, head, [], { ...privateRules, maxTtlMs: 8000 }), 'reuse');
  assert.is(after(6, { ...head, ttlMs: 7000 }), 'reuse');
  assert.is(after(2, { ...head, ttlMs: 7000 }, [], { ...privateRules, ttlMs: 1000 }), 'validate stale');
});

test('an expiry at a point in time stands in place of the lifetime; with ttlMs, what comes first counts', () => {
  const head = stored('Cache-Control: max-age=9', 'Age: 5', tagged);
  const expiresAtMs = noon + 20_000;
  assert.is(after(19, head, [], { ...privateRules, expiresAtMs }), 'reuse');
  assert.is(after(20, head, [], { ...privateRules, expiresAtMs }), 'validate stale');
  assert.is(after(19, { ...head, expiresAtMs }), 'reuse');
  assert.is(after(20, { ...head, expiresAtMs }), 'validate stale');
  assert.is(after(7, { ...head, expiresAtMs, ttlMs: 7000 }), 'validate stale');
  assert.is(after(7, { ...head, ttlMs: 7000 }, [], { ...privateRules, expiresAtMs }), 'reuse');
  assert.is(after(10, { ...head, expiresAtMs }, [], { ...privateRules, maxTtlMs: 10_000 }), 'validate stale');
  assert.is(after(0, { ...head, expiresAtMs: noon - 1 }), 'validate stale');
  assert.is(after(20, { ...head, expiresAtMs }, [], { ...privateRules, mode: 'ignore-rules' }), 'validate stale');
});

test('a fraction shortens every lifetime, and no age', () => {
  const head = { ...stored('Cache-Control: max-age=100', 'Age: 10', tagged), lifetimeFraction: 0.5 };
  assert.is(after(39, head), 'reuse');
  assert.is(after(40, head), 'validate stale');
  assert.is(after(29, { ...head, ttlMs: 60_000 }), 'reuse');
  assert.is(after(30, { ...head, ttlMs: 60_000 }), 'validate stale');
  assert.is(after(39, head, [], { ...privateRules, maxTtlMs: 60_000 }), 'validate stale');
});

test('a soft invalidation makes stale from then on, also for ignore-rules', () => {
  const head = { ...stored('Cache-Control: max-age=9', tagged), invalidatedMs: noon + 3000 };
  assert.is(after(2, head), 'reuse');
  assert.is(after(3, head), 'validate stale');
  assert.is(after(3, head, [], { ...privateRules, mode: 'ignore-rules' }), 'validate stale');
});

test('heuristic freshness can be turned off and has a cap', () => {
  const head = stored(`Last-Modified: ${dateAt(-100_000)}`);
  assert.is(after(9999, head), 'reuse');
  assert.is(after(0, head, [], { ...privateRules, heuristicFraction: 0 }), 'validate stale');
  assert.is(after(60, head, [], { ...privateRules, maxHeuristicMs: 60_000 }), 'validate stale');
});

test('a targeted field is obeyed in the place of Cache-Control and Expires, the first that is valid', () => {
  const rules = { ...sharedRules, cacheControlTargets: ['mine', 'cdn-cache-control'] };
  const word = (age: number, ...lines: string[]) =>
    wordFor(decideRequest(get(), [rawStored(200, ['Date', dateAt(0), ...lines])], rules, noon + age * 1000));
  assert.is(word(5, 'CDN-Cache-Control', 'max-age=9', 'Cache-Control', 'max-age=1', 'Expires', dateAt(-9)), 'reuse');
  assert.is(word(5, 'CDN-Cache-Control', 'max-age=1', 'Cache-Control', 'max-age=9'), 'stale');
  assert.is(word(5, 'Mine', 'max-age=1', 'CDN-Cache-Control', 'max-age=9'), 'stale');
  assert.is(word(5, 'CDN-Cache-Control', 'max-age=1, &&&', 'Cache-Control', 'max-age=9'), 'reuse');
  assert.is(word(5, 'CDN-Cache-Control', 'Max-Age=1', 'Cache-Control', 'max-age=9'), 'reuse');
  assert.is(word(5, 'CDN-Cache-Control', 'max-age="9"', 'Cache-Control', 'max-age=9'), 'stale');
  assert.is(word(5, 'CDN-Cache-Control', '', 'Cache-Control', 'max-age=9'), 'reuse');
});

test.run();
