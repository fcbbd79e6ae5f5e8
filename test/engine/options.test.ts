import { readFile } from 'node:fs/promises';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { CacheError, openCache } from '../../src/index.js';
import { cacheDefaults, completeCacheOptions, requestDefaults } from '../../src/options.js';
import { createMemoryStore } from '../../src/store/memory-store.js';
import { makers } from './clients.js';
import { inDirectory, onBench } from './fixture.js';
import { always } from './origin.js';

const test = suite('options');

const run = (): undefined => undefined;

/** An object of so many names, half of them one level down. */
function namesOf(count: number): object {
  const some = (prefix: string, length: number) =>
    Object.fromEntries(Array.from({ length }, (_, i) => [`${prefix}${i}`, i]));
  return { inner: some('a', Math.floor(count / 2)), ...some('b', count - 1 - Math.floor(count / 2)) };
}

/** Per option: values that are allowed, values that are not, and a word of what the message says is allowed. */
const table: Readonly<Record<string, { good: readonly unknown[]; bad: readonly unknown[]; allowed: string }>> = {
  directory: { good: ['/tmp/x', 'x'], bad: ['', 1, null], allowed: 'the path of a directory' },
  mode: {
    good: ['default', 'no-store', 'reload', 'no-cache', 'force-cache', 'only-if-cached', 'ignore-rules'],
    bad: ['Default', '', 'revalidate', 1, null, ['default']],
    allowed: 'one of default, no-store, reload, no-cache, force-cache, only-if-cached, ignore-rules',
  },
  ttlMs: { good: [0, 1, 1.5, undefined], bad: [-1, NaN, Infinity, '5', null], allowed: 'milliseconds' },
  expiresAtMs: { good: [0, 2e12, undefined], bad: [-1, NaN, '5', new Date(), null], allowed: 'since the epoch' },
  ttlJitter: { good: [0, 0.1, 1], bad: [-0.1, 1.1, NaN, '0', null], allowed: 'from 0 to 1' },
  idleTtlMs: { good: [1, 1e9, undefined], bad: [0, -1, NaN, '1', null], allowed: 'more than 0' },
  version: { good: [0, 1, 2 ** 53 - 1, undefined], bad: [-1, 1.5, 2 ** 53, '1', null], allowed: 'an integer' },
  admission: {
    good: ['always', 'auto', 'never'],
    bad: ['', true, null, 'Auto'],
    allowed: 'one of always, auto, never',
  },
  maxTtlMs: { good: [0, 60_000, undefined], bad: [-1, NaN, '5', null], allowed: 'milliseconds' },
  methods: {
    good: [[], ['GET'], ['GET', 'POST', 'QUERY', 'VERSION-CONTROL']],
    bad: ['GET', ['get'], [''], [1], null, ['GE T']],
    allowed: 'method names in upper case',
  },
  namespace: { good: ['', 'a', 'ü b'], bad: [1, null, ['a']], allowed: 'a string' },
  key: { good: ['', 'k', undefined], bad: [1, null, {}], allowed: 'a string' },
  ignoreParams: { good: [[], ['utm_*']], bad: ['utm', [1], null], allowed: 'a list of strings' },
  shouldStore: { good: [run, undefined], bad: [true, 'x', null, {}], allowed: 'a function' },
  staleWhileRevalidateSeconds: { good: [0, 60], bad: [-1, NaN, '1', null], allowed: 'seconds' },
  staleIfErrorSeconds: { good: [0, 60], bad: [-1, NaN, '1', null], allowed: 'seconds' },
  collapse: { good: [true, false], bad: [0, 'true', null], allowed: 'true or false' },
  metadata: {
    good: [undefined, null, 1, { a: [1, new Date(0), new Uint8Array(2)] }, 'x'.repeat(16_000), namesOf(256)],
    bad: [Symbol('s'), new Map(), { a: run }, [new Error('e')]],
    allowed: '16 KiB and 256 names at the most',
  },
  tags: { good: [[], ['a', 'b']], bad: ['a', [1], ['\0a'], null], allowed: 'a list of strings' },
  dependsOn: { good: [[], ['a', 'b']], bad: ['a', [1], null], allowed: 'a list of strings' },
  priority: { good: [-128, 0, 127], bad: [-129, 128, 0.5, NaN, '1', null], allowed: 'from -128 to 127' },
  maxBytes: { good: [0, 1e9], bad: [-1, NaN, Infinity, '1', null], allowed: 'a number of bytes' },
  leaseMs: { good: [0, 1, 5000, 600_000], bad: [-1, 600_001, Infinity, NaN, '1', null], allowed: 'from 0 to 600000' },
  lock: { good: ['shared', 'exclusive'], bad: ['none', '', true, null], allowed: "'shared' or 'exclusive'" },
  maxEntries: { good: [1, 1e6, Infinity], bad: [0, -1, NaN, '1', null], allowed: 'a number of responses' },
  compression: {
    good: [true, false, {}, { minBytes: 1, types: ['text/*'], codec: 'deflate', level: 9, minGain: 0.5 }],
    bad: [
      1,
      null,
      [],
      { quality: 3 },
      { codec: 'gzip' },
      { level: 12 },
      { minGain: 2 },
      { types: 'text/*' },
      { minBytes: 0 },
    ],
    allowed: 'must be',
  },
  minFreeBytes: { good: [0, 1e9], bad: [-1, NaN, Infinity, '1', null], allowed: 'a number of bytes' },
  maxEntryBytes: { good: [0, 1e9], bad: [-1, NaN, '1', null], allowed: 'a number of bytes' },
  memoryBytes: { good: [0, 1e6], bad: [-1, NaN, '1', null], allowed: 'a number of bytes' },
  deduplicate: { good: [true, false], bad: [1, 'no', null], allowed: 'true or false' },
  shared: { good: [true, false], bad: [1, 'no', null], allowed: 'true or false' },
  credentialFields: { good: [[], ['x-user']], bad: ['x', [1], null], allowed: 'a list of' },
  offline: { good: [true, false], bad: [1, 'no', null], allowed: 'true or false' },
  heuristicFraction: { good: [0, 0.1, 1], bad: [-0.1, 1.1, NaN, '0', null], allowed: 'from 0 to 1' },
  maxHeuristicMs: { good: [0, 1], bad: [-1, NaN, '1', null], allowed: 'milliseconds' },
  cacheControlTargets: { good: [[], ['CDN-Cache-Control']], bad: ['x', [1], null], allowed: 'a list of strings' },
  maxVariants: { good: [1, 1000], bad: [0, 1001, 1.5, NaN, '1', null], allowed: 'from 1 to 1000' },
  maxNamespaces: { good: [0, 10_000], bad: [-1, 10_001, 1.5, NaN, '1', null], allowed: 'from 0 to 10000' },
  finishAbandonedBytes: { good: [0, 1e6], bad: [-1, NaN, '1', null], allowed: 'a number of bytes' },
  cacheStatus: { good: [false, 'offloop', 'a.b-c_1'], bad: [true, '', '1a', 'a b', 'ü', null], allowed: 'or false' },
  rules: {
    good: [[], [{ match: 'a.test', cache: false }], [{ match: /x/, cache: { ttlMs: 1 } }]],
    bad: ['x', [{}], [{ match: 1, cache: false }], [{ match: 'a', cache: true }], [null], null],
    allowed: '{ match: string | RegExp, cache: false | options }',
  },
  beforeForward: { good: [run, undefined], bad: ['x', null, {}], allowed: 'a function' },
  store: { good: [undefined, createMemoryStore({ maxBytes: 1e6 })], bad: ['x', null, 1], allowed: 'a ResponseStore' },
  nowMs: { good: [Date.now, () => 1], bad: [1, null, 'now'], allowed: 'a function that returns milliseconds' },
};

const errorOf = (work: () => unknown): unknown => {
  try {
    work();
  } catch (error) {
    return error;
  }
  return undefined;
};

test('every option is in the table of this test', () => {
  assert.equal(Object.keys(table).sort(), ['directory', ...Object.keys(cacheDefaults)].sort());
});

for (const [name, { good, bad, allowed }] of Object.entries(table)) {
  test(`${name}: takes what is allowed, and names the option, the value and what is allowed if it is not`, () => {
    for (const value of good) completeCacheOptions({ directory: 'x', [name]: value });
    for (const value of bad) {
      const error = errorOf(() => completeCacheOptions({ directory: 'x', [name]: value }));
      assert.instance(error, CacheError, `${name}: ${String(value)}`);
      if (!(error instanceof CacheError)) return;
      assert.is(error.code, 'ERR_CACHE_OPTIONS');
      assert.ok(error.message.includes(`"${name}"`), error.message);
      assert.ok(
        error.message.includes(typeof value === 'string' ? JSON.stringify(value) : printed(value)),
        error.message,
      );
      assert.ok(error.message.includes(allowed), error.message);
    }
  });
}

const printed = (value: unknown): string =>
  typeof value === 'object' && value !== null ? JSON.stringify(value) : String(value);

test('metadata that is too long, endless or claims to be is refused in few words', () => {
  const cyclic: Record<string, unknown> = {};
  cyclic.self = cyclic;
  for (const metadata of ['x'.repeat(17_000), new Array(1e9), cyclic, namesOf(257)]) {
    const error = errorOf(() => completeCacheOptions({ directory: 'x', metadata }));
    assert.instance(error, CacheError);
    assert.ok(String(error).length < 500, String(error).slice(0, 500));
  }
});

test('undefined is as good as leaving the option out, where there is a default', () => {
  for (const [name, value] of Object.entries(cacheDefaults)) {
    const complete = completeCacheOptions({ directory: 'x', [name]: undefined });
    assert.is(complete[name as keyof typeof cacheDefaults], value, name);
  }
  for (const name of Object.keys(requestDefaults)) {
    assert.not.throws(() =>
      completeCacheOptions({ directory: 'x', rules: [{ match: 'a', cache: { [name]: undefined } }] }),
    );
  }
});

test('the defaults are what the comments say', async () => {
  const source = await readFile(new URL('../../../src/options.ts', import.meta.url), 'utf8');
  const documented = new Map<string, unknown>();
  const pattern = /@default (.+)\n\s*\*\/\n\s*readonly (\w+)\?:/g;
  for (const [, text = '', name = ''] of source.matchAll(pattern)) documented.set(name, defaultOf(text));
  assert.equal([...documented.keys()].sort(), Object.keys(cacheDefaults).sort());
  for (const [name, value] of documented)
    assert.equal(Object.entries(cacheDefaults).find(([key]) => key === name)?.[1], value, name);
});

function defaultOf(text: string): unknown {
  if (text === 'undefined') return undefined;
  if (text === 'Date.now') return Date.now;
  if (text === 'Infinity') return Infinity;
  return JSON.parse(text.replaceAll("'", '"'));
}

test('an unknown option is named along with those that there are', async () => {
  const error = await openCache({ directory: 'x', maxbytes: 5 } as never).catch((reason: unknown) => reason);
  assert.instance(error, CacheError);
  assert.match(String(error), /"maxbytes" \(given: 5\)/);
  assert.match(String(error), /maxBytes/);
  const inherited = await openCache({ directory: 'x', constructor: 1 } as never).catch((reason: unknown) => reason);
  assert.match(String(inherited), /no option "constructor"/);
});

test('options that are no object are an error that says so', async () => {
  for (const options of [undefined, null, 'dir', 5]) {
    const error = await openCache(options as never).catch((reason: unknown) => reason);
    assert.match(String(error), /must be an object with options/);
  }
  const error = await openCache({} as never).catch((reason: unknown) => reason);
  assert.match(String(error), /needs the option "directory"/);
});

test('a rule with a wrong option is named by its position', () => {
  const rules = [
    { match: 'a', cache: false },
    { match: 'b', cache: { ttlMs: -1 } },
  ];
  assert.match(
    String(errorOf(() => completeCacheOptions({ directory: 'x', rules }))),
    /rules\[1\]\.cache: "ttlMs" is -1/,
  );
});

test('what was given may be changed afterwards: the cache has its own', () =>
  inDirectory(async (directory) => {
    const given = { directory, methods: ['GET'] };
    const complete = completeCacheOptions(given);
    given.methods = ['POST'];
    assert.equal(complete.methods, ['GET']);
    assert.ok(Object.isFrozen(complete));
  }));

for (const [name, makeClient] of Object.entries(makers)) {
  test(`${name}: wrong options of one request fail that request, and say where they stood`, () =>
    onBench(makeClient, always('x'), {}, async ({ client, cache, at, origin }) => {
      for (const choice of [{ mode: 'nope' }, { ttl: 5 }, { directory: '/' }, true, 5]) {
        const error = await client.ask(at('/'), { cache: choice as never }).catch((reason: unknown) => reason);
        const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
        assert.match(String(cause), name === 'axios' ? /config\.cache/ : /context\.cache/, String(error));
        assert.is((error as { code?: unknown }).code, 'ERR_CACHE_OPTIONS');
      }
      assert.is(origin.hits.length, 0);
      assert.throws(() => makeClient(cache, { ttlMs: -1 }), /cache(Axios|Got)\(\): "ttlMs" is -1/);
    }));
}

test.run();
