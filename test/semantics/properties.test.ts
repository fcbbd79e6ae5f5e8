import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { decideRequest } from '../../src/semantics/decide-request.js';
import { decideStorage } from '../../src/semantics/decide-storage.js';
import { decideValidation } from '../../src/semantics/decide-validation.js';
import type { RequestDecision } from '../../src/semantics/decisions.js';
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

test.run();
