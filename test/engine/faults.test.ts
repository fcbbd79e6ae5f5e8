import { mock } from 'node:test';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { CacheEvents } from '../../src/index.js';
import { createMemoryStore } from '../../src/store/memory-store.js';
import { makers } from './clients.js';
import { type Fault, FaultyStore, StoreFault } from './faulty-store.js';
import { type Bench, entriesOf, eventsDuring, onBench } from './fixture.js';
import { counting, type Handler, versioned } from './origin.js';

const test = suite('a store that fails');

interface Trial {
  readonly fault: Fault;
  readonly handler?: () => Handler;
  /** Runs with the store in order. */
  readonly before?: (bench: Bench) => Promise<void>;
  /** Runs with the fault. */
  readonly during: (bench: Bench) => Promise<void>;
}

const storeOne = async ({ client, cache, at }: Bench): Promise<void> => {
  assert.is((await client.ask(at('/'))).info?.stored, true);
  await cache.flush();
  assert.is(await entriesOf(cache), 1);
};
const misses =
  (text: string, stored: boolean, reason?: string) =>
  async ({ client, cache, at }: Bench): Promise<void> => {
    const answer = await client.ask(at('/'));
    assert.is(answer.text, text);
    assert.is(answer.isFromCache, false);
    assert.is(answer.info?.stored, stored);
    assert.is(answer.info?.reason, reason);
    await cache.flush();
  };

const trials: readonly Trial[] = [
  { fault: 'lookup', before: storeOne, during: misses('/ 2', true, 'store-failed') },
  { fault: 'create', during: misses('/ 1', false, 'store-failed') },
  { fault: 'write', during: misses('/ 1', true) },
  { fault: 'ready', during: misses('/ 1', true) },
  { fault: 'commit', during: misses('/ 1', true) },
  {
    fault: 'abort',
    handler: () => (_, response) => {
      response.writeHead(200, { 'Cache-Control': 'max-age=60', 'Content-Length': '10' });
      response.write('half', () => response.destroy());
    },
    during: async ({ client, at }) => {
      const error = await client.ask(at('/')).catch((reason: unknown) => reason);
      assert.instance(error, Error);
      assert.not.match(String(error), /abort$/);
    },
  },
  {
    fault: 'updateHead',
    handler: () => versioned(() => 'v1'),
    before: storeOne,
    during: async ({ client, clock, at }) => {
      clock.advanceSeconds(60);
      const answer = await client.ask(at('/'));
      assert.is(answer.text, 'body of v1');
      assert.is(answer.info?.status, 'revalidated');
    },
  },
  {
    fault: 'remove',
    // Says 304 of a version that nobody has.
    handler: () => (request, response) => {
      response.writeHead(request.headers['if-none-match'] === undefined ? 200 : 304, {
        'Cache-Control': 'max-age=60',
        ETag: request.headers['if-none-match'] === undefined ? '"a"' : '"b"',
      });
      response.end(request.headers['if-none-match'] === undefined ? 'whole' : undefined);
    },
    before: storeOne,
    during: async ({ client, clock, at }) => {
      clock.advanceSeconds(60);
      assert.is((await client.ask(at('/'))).text, 'whole');
    },
  },
  {
    fault: 'invalidate',
    before: storeOne,
    during: async ({ client, at }) => {
      assert.is((await client.ask(at('/'), { method: 'DELETE' })).status, 200);
    },
  },
  {
    fault: 'openBody',
    handler: () => versioned(() => 'v1'),
    before: storeOne,
    during: async ({ client, at, origin }) => {
      assert.is((await client.ask(at('/'))).text, 'body of v1');
      assert.is(origin.hits.length, 2);
    },
  },
];

for (const [name, makeClient] of Object.entries(makers)) {
  for (const { fault, handler, before, during } of trials) {
    for (const throws of [false, true]) {
      test(`${name}: ${fault} that ${throws ? 'throws' : 'rejects'} fails no request, and is published`, async () => {
        const store = new FaultyStore(createMemoryStore({ maxBytes: 1e6 }));
        store.throws = throws;
        await onBench(makeClient, handler?.() ?? counting(), { store }, async (bench) => {
          await before?.(bench);
          store.faults.add(fault);
          const errors = await eventsDuring('error', async () => {
            await during(bench);
            await bench.cache.flush();
          });
          // axios looks twice: at the top, and again where the request would go out.
          assert.equal([...new Set(errors.map(faultOf))], [fault]);
          store.faults.clear();
        });
      });
    }
  }
}

/** What the store answers with a promise. */
const promised: readonly Fault[] = ['lookup', 'ready', 'commit', 'abort', 'updateHead', 'remove', 'invalidate'];

for (const [name, makeClient] of Object.entries(makers)) {
  for (const { fault, handler, before, during } of trials.filter((trial) => promised.includes(trial.fault))) {
    test(`${name}: ${fault} that never answers holds no request for long, and is published`, async () => {
      const store = new FaultyStore(createMemoryStore({ maxBytes: 1e6 }));
      await onBench(makeClient, handler?.() ?? counting(), { store }, async (bench) => {
        // Time passes when somebody waits for the store in vain.
        mock.timers.enable({ apis: ['setTimeout'] });
        const passing: Promise<void>[] = [];
        store.onHang = () => void passing.push(minutePasses().then(minutePasses));
        try {
          await before?.(bench);
          store.faults.add(fault);
          const errors = await eventsDuring('error', async () => {
            await during(bench);
            await bench.cache.flush();
            await Promise.all(passing);
            await new Promise(setImmediate);
          });
          assert.ok(errors.length > 0, 'an event');
          for (const event of errors) {
            assert.is(event.during, fault);
            assert.is((event.error as { code?: unknown }).code, 'ERR_CACHE_TIMEOUT');
          }
        } finally {
          store.faults.clear();
          await Promise.all(passing);
          mock.timers.reset();
        }
      });
    });
  }
}

async function minutePasses(): Promise<void> {
  await new Promise(setImmediate);
  mock.timers.tick(60_000);
}

const faultOf = ({ error }: CacheEvents['error']): string =>
  error instanceof StoreFault ? error.message : `not ours: ${String(error)}`;

test.run();
