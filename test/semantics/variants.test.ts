import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { StoredHead } from '../../src/http/message.js';
import { variantsReplacedBy } from '../../src/semantics/variants.js';
import { get, noon, privateRules, respond, store } from './support.js';

const test = suite('variantsReplacedBy');

function variant(vary: string, request: readonly string[], seconds = 0): StoredHead {
  const lines = vary === '' ? [] : [`Vary: ${vary}`];
  const head = store(respond(200, 'Cache-Control: max-age=9', ...lines), privateRules, get(...request));
  return { ...head, responseTimeMs: noon + seconds * 1000 };
}

/** A new variant, the stored one, and whether it is replaced. */
const table: readonly (readonly [string, StoredHead, StoredHead, boolean])[] = [
  ['the same selecting fields', variant('A', ['A: 1']), variant('a', ['A:  1 ']), true],
  ['another value', variant('A', ['A: 1']), variant('A', ['A: 2']), false],
  ['absent is not empty', variant('A', []), variant('A', ['A:']), false],
  ['both absent', variant('A', []), variant('A', []), true],
  ['no Vary any more', variant('', []), variant('A', ['A: 1']), true],
  ['depends on less, and agrees', variant('A', ['A: 1']), variant('A, B', ['A: 1', 'B: 1']), true],
  ['depends on more, which is absent', variant('A, B', ['A: 1']), variant('A', ['A: 1']), false],
  ['depends on more', variant('A, B', ['A: 1', 'B: 1']), variant('A', ['A: 1']), false],
  ['an answer to HEAD for a GET', { ...variant('', []), method: 'HEAD' }, variant('', []), false],
  ['an answer to GET for a HEAD', variant('', []), { ...variant('', []), method: 'HEAD' }, true],
];
for (const [name, head, other, isReplaced] of table) {
  test(`${name}: ${isReplaced ? 'replaced' : 'kept'}`, () => {
    assert.equal(variantsReplacedBy(head, [other], 9, privateRules), isReplaced ? [0] : []);
  });
}

test('past the cap, the oldest go', () => {
  const stored = [30, 10, 20].map((seconds) => variant('A', [`A: ${seconds}`], seconds));
  assert.equal(variantsReplacedBy(variant('A', ['A: 0'], 40), stored, 3, privateRules), [1]);
  assert.equal(variantsReplacedBy(variant('A', ['A: 0'], 40), stored, 2, privateRules), [1, 2]);
  assert.equal(variantsReplacedBy(variant('A', ['A: 10'], 40), stored, 3, privateRules), [1]);
  assert.equal(variantsReplacedBy(variant('A', ['A: 0'], 40), stored, 0, privateRules), [0, 1, 2]);
});

test.run();
