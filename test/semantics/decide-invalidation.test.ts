import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { decideInvalidation } from '../../src/semantics/decide-invalidation.js';
import { get, respond } from './support.js';

const test = suite('decideInvalidation');

const here = 'https://example.com/a';

/** Method, status, response, and which URIs are no longer valid. */
const table: readonly (readonly [string, number, readonly string[], readonly string[]])[] = [
  ['POST', 200, [], [here]],
  ['M-SEARCH', 204, [], [here]],
  ['post', 200, [], [here]],
  ['DELETE', 303, [], [here]],
  ['PUT', 404, [], []],
  ['PUT', 500, [], []],
  ['PUT', 100, [], []],
  ['GET', 200, ['Location: /b'], []],
  ['QUERY', 200, [], []],
  [
    'POST',
    201,
    ['Location: b?c#d', 'Content-Location: /e'],
    [here, 'https://example.com/b?c', 'https://example.com/e'],
  ],
  ['POST', 201, ['Location: https://EXAMPLE.com:443/b'], [here, 'https://example.com/b']],
  ['POST', 201, ['Location: http://example.com/b'], [here]],
  ['POST', 201, ['Location: https://example.org/b'], [here]],
  ['POST', 201, ['Location: //[', 'Location: data:,x', 'Content-Location: /a'], [here]],
];
for (const [method, status, lines, uris] of table) {
  test(`${method} ${status} ${lines.join(', ')}: ${uris.join(' ') || 'nothing'}`, () => {
    assert.equal(decideInvalidation({ ...get(), method }, respond(status, ...lines)), uris);
  });
}

test('the target is named without fragment and password', () => {
  const request = { ...get(), method: 'PUT', url: 'https://u:p@example.com/a#b' };
  assert.equal(decideInvalidation(request, respond(200)), [here]);
});

test('a target that is no URL invalidates itself', () => {
  assert.equal(decideInvalidation({ ...get(), method: 'PUT', url: 'x' }, respond(200, 'Location: y')), ['x']);
});

test.run();
