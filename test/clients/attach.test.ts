import { mkdtemp, rm } from 'node:fs/promises';
import type { IncomingMessage } from 'node:http';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Transform } from 'node:stream';
import axios, { AxiosError, type AxiosInstance } from 'axios';
import got, { RequestError } from 'got';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { cacheAxios, uncacheAxios } from '../../interceptors/axios.js';
import { cacheGot, cacheInfoOf } from '../../interceptors/got.js';
import { type Cache, isCacheError, openCache } from '../../src/index.js';
import { createMemoryStore } from '../../src/store/memory-store.js';
import { always, Origin } from './origin.js';

interface Context {
  directory: string;
  cache: Cache;
  origin: Origin;
  url: string;
}

const test = suite<Context>('attaching a cache and taking it off');

test.before.each(async (context) => {
  context.directory = await mkdtemp(join(tmpdir(), 'offloop-attach-'));
  context.cache = await openCache({
    directory: context.directory,
    store: createMemoryStore({ maxBytes: 1024 ** 2 }),
  });
  context.origin = await new Origin(Date.now).listen();
  context.origin.use(always(200, { 'Content-Type': 'text/plain' }, 'body'), { 'Cache-Control': 'max-age=60' });
  context.url = `http://127.0.0.1:${context.origin.port}/`;
});

test.after.each(async ({ cache, origin, directory }) => {
  await cache.close();
  await origin[Symbol.asyncDispose]();
  await rm(directory, { recursive: true, force: true });
});

const create = (): AxiosInstance => axios.create({ proxy: false });

async function rejectionOf(pending: Promise<unknown>): Promise<unknown> {
  try {
    await pending;
  } catch (error) {
    return error;
  }
  return undefined;
}

test('a second cache on an axios instance is an error that says what to do', ({ cache }) => {
  const client = cacheAxios(create(), cache);
  assert.throws(
    () => cacheAxios(client, cache),
    (error: unknown) =>
      isCacheError(error) && error.code === 'ERR_CACHE_ATTACHED' && /uncacheAxios/.test(error.message),
  );
});

test('an axios instance without its cache asks the origin, and may have a cache again', async ({
  cache,
  origin,
  url,
}) => {
  const client = cacheAxios(create(), cache);
  await client.get(url);
  assert.ok(uncacheAxios(client));
  const bare = await client.get(url);
  assert.not.ok('cacheInfo' in bare);
  assert.not.ok('cached' in bare);
  assert.is(origin.requests, 2);
  assert.not.ok(uncacheAxios(client), 'there is none to take off');
  assert.ok((await cacheAxios(client, cache).get(url)).cached);
  assert.is(origin.requests, 2);
});

test('the default instance of axios can have a cache, and instances made of it have none', async ({ cache, url }) => {
  cacheAxios(axios, cache);
  try {
    await axios.get(url, { proxy: false });
    assert.ok((await axios.get(url, { proxy: false })).cached);
    assert.is((await create().get(url)).cached, undefined);
  } finally {
    uncacheAxios(axios);
  }
  assert.is((await axios.get(url, { proxy: false })).cached, undefined);
});

test('config.cache false leaves one request of axios alone', async ({ cache, origin, url }) => {
  const client = cacheAxios(create(), cache);
  await client.get(url);
  const response = await client.get(url, { cache: false });
  assert.is(response.cacheInfo, undefined);
  assert.is(origin.requests, 2);
});

test('options that are none fail the request that has them, in either client', async ({ cache, url }) => {
  const wrong = { ttl: 5 } as never;
  const fromAxios = await rejectionOf(cacheAxios(create(), cache).get(url, { cache: wrong }));
  assert.ok(isCacheError(fromAxios) && fromAxios.code === 'ERR_CACHE_OPTIONS' && /"ttl"/.test(fromAxios.message));
  const fromGot = await rejectionOf(got.extend(cacheGot(cache))(url, { context: { cache: wrong } }));
  assert.ok(fromGot instanceof RequestError && fromGot.code === 'ERR_CACHE_OPTIONS' && /"ttl"/.test(fromGot.message));
  assert.throws(() => cacheAxios(create(), cache, wrong), /"ttl"/);
  assert.throws(() => cacheGot(cache, wrong), /"ttl"/);
});

test('axios by require() gets answers and errors of its own copy', async ({ cache, url, origin }) => {
  const copy: typeof axios = createRequire(import.meta.url)('axios');
  assert.is.not(copy.AxiosError, AxiosError, 'the two are different copies');
  const client = cacheAxios(copy.create({ proxy: false }), cache);
  await client.get(url);
  const hit = await client.get(url);
  assert.ok(hit.cached);
  assert.instance(hit.headers, copy.AxiosHeaders);
  origin.use(always(404, {}, 'none'), { 'Cache-Control': 'max-age=60' });
  for (const expected of [false, true]) {
    const error = await rejectionOf(client.get(`${url}missing`));
    assert.instance(error, copy.AxiosError);
    assert.is((error as AxiosError).response?.cached, expected);
  }
});

test('got with a cache of its own and ours is an error that says so', async ({ cache, url }) => {
  const client = got.extend(cacheGot(cache));
  const error = await rejectionOf(client(url, { cache: new Map() as never, retry: { limit: 0 } }));
  assert.ok(error instanceof RequestError && error.code === 'ERR_CACHE_ATTACHED', String(error));
  assert.is((await client(url, { cache: new Map() as never, context: { cache: false } })).body, 'body');
});

test('got with two of our caches is an error that says so', async ({ cache, url }) => {
  const client = got.extend(cacheGot(cache)).extend(cacheGot(cache, { namespace: 'other' }));
  const error = await rejectionOf(client(url, { retry: { limit: 0 } }));
  assert.ok(error instanceof RequestError && error.code === 'ERR_CACHE_ATTACHED', String(error));
});

test('got retries with the cache when a hook answered in its place the first time', async ({ cache, url }) => {
  let answered = 0;
  const client = got.extend(cacheGot(cache)).extend({
    hooks: {
      beforeRequest: [
        () => {
          answered += 1;
          if (answered === 1) throw Object.assign(new Error('try again'), { code: 'ETIMEDOUT' });
        },
      ],
    },
  });
  const response = await client(url, {
    retry: { limit: 1, calculateDelay: ({ computedValue }) => computedValue && 1 },
  });
  assert.is(response.body, 'body');
  assert.is(cacheInfoOf(response)?.status, 'miss');
});

test('a response that somebody changed before the cache saw it is not stored', async ({ cache, origin, url }) => {
  const client = got.extend(cacheGot(cache));
  const ask = (): Promise<{ body: string }> => {
    const pending = client(url);
    pending.on('request', (request) => {
      // After the last moment at which the cache looks whether somebody else stands before it.
      request.once('finish', () => {
        const emit = request.emit.bind(request);
        request.emit = (event: string, ...values: unknown[]) =>
          event === 'response' ? emit(event, shouted(values[0] as IncomingMessage)) : emit(event, ...values);
      });
    });
    return pending;
  };
  assert.is((await ask()).body, 'BODY');
  await cache.flush();
  assert.is((await client(url)).body, 'body');
  assert.is(origin.requests, 2);
});

/** Another message in the place of this one, as mimic-response makes it. */
function shouted(response: IncomingMessage): IncomingMessage {
  const upper = new Transform({ transform: (chunk, _, done) => done(null, Buffer.from(String(chunk).toUpperCase())) });
  const properties = [
    'statusCode',
    'statusMessage',
    'headers',
    'rawHeaders',
    'httpVersion',
    'complete',
    'req',
    'socket',
  ];
  for (const name of properties) {
    const [get, set] = [() => Reflect.get(response, name), (value: unknown) => Reflect.set(response, name, value)];
    Object.defineProperty(upper, name, { get, set });
  }
  return response.pipe(upper) as unknown as IncomingMessage;
}

test('context.cache false leaves one request of got alone', async ({ cache, origin, url }) => {
  const client = got.extend(cacheGot(cache));
  await client(url);
  const response = await client(url, { context: { cache: false } });
  assert.not.ok(response.isFromCache);
  assert.is(response.headers['cache-status'], undefined);
  assert.is(cacheInfoOf(response), undefined);
  assert.is(origin.requests, 2);
});

test('clients whose cache was closed ask the origin', async ({ cache, origin, url }) => {
  const client = cacheAxios(create(), cache);
  const gotClient = got.extend(cacheGot(cache));
  await client.get(url);
  await cache.close();
  assert.is((await client.get(url)).data, 'body');
  assert.is((await gotClient(url)).body, 'body');
  assert.is(origin.requests, 3);
});

test.run();
