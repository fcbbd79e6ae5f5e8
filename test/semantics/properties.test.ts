import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { fieldValuesOf, withoutHopByHop } from '../../src/http/fields.js';
import { decideRequest } from '../../src/semantics/decide-request.js';
import { decideStorage } from '../../src/semantics/decide-storage.js';
import { decideValidation } from '../../src/semantics/decide-validation.js';
import type { RequestDecision } from '../../src/semantics/decisions.js';
import { freshenedFieldsOf } from '../../src/semantics/stored-fields.js';
import { type Meaning, modelError, modelRequest, modelStorage, rulesOf } from './model.js';
import { exchangeFor, hands, headFor, meanings, printRequest } from './print.js';
import { get, noon, privateRules } from './support.js';

const test = suite('decisions agree with a literal model of the RFC');
const runs = { numRuns: 3000 };

function wordFor(decision: RequestDecision): string {
  if (decision.action !== 'reuse') return decision.action;
  return decision.background !== false ? 'background' : decision.isStale ? 'stale' : 'reuse';
}

test('what is stored (§3)', () => {
  fc.assert(
    fc.property(meanings, hands, (m, hand) => {
      const request = get(...(m.isAuthorized ? ['Authorization: a'] : []));
      const decision = decideStorage(request, exchangeFor(m, hand), rulesOf(m, privateRules));
      assert.is(decision.action, modelStorage(m));
    }),
    runs,
  );
});

test('what answers a request (§4, §5.2.1)', () => {
  fc.assert(
    fc.property(meanings, hands, (meaning, hand) => {
      const m: Meaning = { ...meaning, isAuthorized: false, hasSetCookie: false };
      fc.pre(modelStorage(m) === 'store');
      const request = { ...get(), fields: printRequest(m.asks, hand) };
      const decision = decideRequest(request, [headFor(m, hand)], rulesOf(m, privateRules), noon + m.elapsedMs);
      assert.is(wordFor(decision), modelRequest(m));
    }),
    runs,
  );
});

test('what stands in for an error (RFC 5861 §4)', () => {
  fc.assert(
    fc.property(meanings, hands, (meaning, hand) => {
      const m: Meaning = { ...meaning, isAuthorized: false, hasSetCookie: false };
      fc.pre(modelStorage(m) === 'store');
      const request = { ...get(), fields: printRequest(m.asks, hand) };
      const decision = decideValidation(
        request,
        headFor(m, hand),
        undefined,
        rulesOf(m, privateRules),
        noon + m.elapsedMs,
      );
      assert.is(decision.action, modelError(m));
    }),
    runs,
  );
});

const fieldNames = fc.constantFrom(
  'X',
  'x',
  'Y',
  'ETag',
  'Content-Length',
  'CONTENT-ENCODING',
  'Content-Type',
  'Age',
  'Connection',
  'TE',
  'Link',
);
const someFields = fc
  .array(fc.tuple(fieldNames, fc.constantFrom('1', '2', '"a"')), { maxLength: 8 })
  .map((pairs) => pairs.flat());

/** §3.2, said by name: what the values of each are after an update. */
function modelUpdate(stored: readonly string[], received: readonly string[]): Map<string, readonly string[]> {
  const kept = ['content-length', 'content-encoding', 'content-range', 'content-md5'];
  const perConnection = ['connection', 'te'];
  const named = fieldValuesOf(received, 'connection').map((option) => option.toLowerCase());
  const result = new Map<string, readonly string[]>();
  for (const name of ['x', 'y', 'etag', 'content-length', 'content-encoding', 'content-type', 'age', 'link']) {
    const before = name === 'age' ? [] : fieldValuesOf(stored, name);
    const isKept =
      kept.includes(name) ||
      perConnection.includes(name) ||
      named.includes(name) ||
      (name === 'etag' && before.length > 0);
    const after = isKept ? [] : fieldValuesOf(received, name);
    const values = after.length > 0 ? after : before;
    if (values.length > 0) result.set(name, values);
  }
  return result;
}

test('what a 304 changes (§3.2)', () => {
  fc.assert(
    fc.property(someFields, someFields, (before, received) => {
      const stored = withoutHopByHop(before);
      const after = freshenedFieldsOf(stored, received);
      const names = new Set(after.filter((_, i) => i % 2 === 0).map((name) => name.toLowerCase()));
      const byName = new Map([...names].map((name) => [name, fieldValuesOf(after, name)] as const));
      assert.equal(new Map([...byName].sort()), new Map([...modelUpdate(stored, received)].sort()));
    }),
    { numRuns: 2000 },
  );
});

test.run();
