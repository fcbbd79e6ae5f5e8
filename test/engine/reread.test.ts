import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { EntryWriter, ResponseStore } from '../../src/store/contract.js';
import { createMemoryStore } from '../../src/store/memory-store.js';
import { makers } from './clients.js';
import { onBench, withEachClient } from './fixture.js';
import { counting, reply } from './origin.js';

const test = suite('what was just read');

withEachClient(
  test,
  'is validated, not fetched, when it is asked for again at once',
  () => (request, response) => {
    const isKnown = request.headers['if-none-match'] === '"a"';
    reply(response, isKnown ? '' : 'a', { 'Cache-Control': 'no-cache', ETag: '"a"' }, isKnown ? 304 : 200);
  },
  {},
  async ({ client, origin, at }) => {
    await client.ask(at('/'));
    const answer = await client.ask(at('/'));
    assert.is(answer.text, 'a');
    assert.is(answer.info?.status, 'revalidated');
    assert.equal(
      origin.hits.map(({ headers }) => headers['if-none-match']),
      [undefined, '"a"'],
    );
  },
);

withEachClient(
  test,
  'answers a range at once',
  () => counting(),
  {},
  async ({ client, origin, at }) => {
    await client.ask(at('/page'));
    const answer = await client.ask(at('/page'), { headers: { Range: 'bytes=1-4' } });
    assert.is(answer.status, 206);
    assert.is(answer.text, 'page');
    assert.is(answer.headers['content-range'], 'bytes 1-4/7');
    assert.is(origin.hits.length, 1);
  },
);

const located = (location: string, lifetime = 'max-age=60') =>
  counting({ 'Cache-Control': lifetime, 'Content-Location': location });

withEachClient(
  test,
  'answers GET when a POST said that GET would find it',
  () => located('/order'),
  {},
  async ({ client, origin, at }) => {
    await client.ask(at('/order'), { method: 'POST', body: 'buy' });
    const answer = await client.ask(at('/order'));
    assert.is(answer.text, '/order 1');
    assert.is(answer.info?.status, 'hit');
    assert.is(origin.hits.length, 1);
  },
);

withEachClient(
  test,
  'answers no second POST, though GET would find it',
  () => located('/order'),
  {},
  async ({ client, at }) => {
    await client.ask(at('/order'), { method: 'POST', body: 'buy' });
    assert.is((await client.ask(at('/order'), { method: 'POST', body: 'buy' })).text, '/order 2');
    assert.is((await client.ask(at('/order'))).text, '/order 2');
  },
);

withEachClient(
  test,
  'answers no GET when a POST named another place',
  () => located('/orders/1'),
  {},
  async ({ client, at }) => {
    await client.ask(at('/order'), { method: 'POST', body: 'buy' });
    assert.is((await client.ask(at('/order'))).text, '/order 2');
    assert.is((await client.ask(at('/orders/1'))).text, '/orders/1 1');
  },
);

/** A store that finishes no commit until it is told to. */
function heldStore(): { readonly store: ResponseStore; release(): void } {
  let release = () => {};
  const released = new Promise<void>((resolve) => {
    release = resolve;
  });
  const memory = createMemoryStore({ maxBytes: 1024 * 1024 });
  const held = (writer: EntryWriter): EntryWriter => ({
    write: (chunk) => writer.write(chunk),
    ready: () => writer.ready(),
    commit: (options) => released.then(() => writer.commit(options)),
    abort: () => writer.abort(),
    openBody: (options) => writer.openBody(options),
  });
  const store: ResponseStore = {
    lookup: (key) => memory.lookup(key),
    create: (key, head, options) => held(memory.create(key, head, options)),
    updateHead: (ref, head, options) => memory.updateHead(ref, head, options),
    remove: (ref) => memory.remove(ref),
    invalidate: (selector) => memory.invalidate(selector),
    entries: (selector) => memory.entries(selector),
    stats: () => memory.stats(),
    flush: () => memory.flush(),
    clear: () => memory.clear(),
    close: () => memory.close(),
    [Symbol.asyncDispose]: () => memory.close(),
  };
  return { store, release: () => release() };
}

for (const [name, makeClient] of Object.entries(makers)) {
  test(`${name}: is fetched again where the store does not get done with it`, () => {
    const { store, release } = heldStore();
    return onBench(makeClient, counting(), { store }, async ({ client, at }) => {
      assert.is((await client.ask(at('/'), { cache: { collapse: false } })).text, '/ 1');
      assert.is((await client.ask(at('/'), { cache: { collapse: false } })).text, '/ 2');
      release();
    });
  });
}

test.run();
