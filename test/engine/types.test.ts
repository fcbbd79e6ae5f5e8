// Nearly all of this file is checked by the compiler: a `@ts-expect-error` over a line without an error does not compile.
import axios, { type AxiosResponse } from 'axios';
import got from 'got';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { cacheAxios, uncacheAxios } from '../../interceptors/axios.js';
import { cacheGot, cacheInfoOf } from '../../interceptors/got.js';
import type { Cache, CacheInfo, CacheOptions, openCache, RequestOptions } from '../../src/index.js';

const test = suite('types');

/** Never called: what it says is for the compiler. */
async function uses(cache: Cache, open: typeof openCache): Promise<void> {
  const instance = cacheAxios(axios.create(), cache, { ttlMs: 5 });
  await instance.get('/', { cache: { mode: 'reload' } });
  await instance.get('/', { cache: false });
  await instance.post<string>('/', 'body', { cache: { methods: ['POST'], tags: ['a'] } });
  // @ts-expect-error: there is no such mode
  await instance.get('/', { cache: { mode: 'refresh' } });
  // @ts-expect-error: the directory is the cache's business
  await instance.get('/', { cache: { directory: '/' } });
  // @ts-expect-error: true says nothing
  await instance.get('/', { cache: true });
  const response: AxiosResponse<{ a: number }> = await instance.get<{ a: number }>('/');
  const info: CacheInfo | undefined = response.cacheInfo;
  const cached: boolean | undefined = response.cached;
  const status: 'hit' | 'stale' | 'revalidated' | 'updated' | 'miss' | 'collapsed' | 'bypass' | undefined =
    info?.status;
  // @ts-expect-error: not a word of the vocabulary
  const wrong: boolean = info?.status === 'cached';
  uncacheAxios(instance);

  const client = got.extend(cacheGot(cache, { staleIfErrorSeconds: 60 }), { responseType: 'json' });
  const answer = await client<{ a: number }>('/', { context: { cache: { mode: 'no-cache' } } });
  const gotInfo: CacheInfo | undefined = cacheInfoOf(answer);
  // @ts-expect-error: a wrong unit does not slip through
  cacheGot(cache, { ttlSeconds: 5 });

  const options: CacheOptions = { directory: '/', rules: [{ match: /x/, cache: { mode: 'ignore-rules' } }] };
  // @ts-expect-error: a directory is needed
  const none: CacheOptions = {};
  const request: RequestOptions = { key: undefined, ttlMs: undefined };
  await using opened = await open(options);
  assert.ok([cached, status, wrong, gotInfo, none, request, opened]);
}

test('what the documentation shows compiles, and mistakes do not', () => {
  assert.type(uses, 'function');
});

test.run();
