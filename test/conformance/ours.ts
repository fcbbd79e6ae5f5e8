import axios from 'axios';
import got from 'got';
import { cacheAxios } from '../../interceptors/axios.js';
import { cacheGot } from '../../interceptors/got.js';
import { assertNever } from '../../src/errors.js';
import { type Cache, openCache } from '../../src/index.js';
import { createMemoryStore } from '../../src/store/memory-store.js';
import { axiosFetch, gotFetch, type Saying } from './clients.js';
import type { SuiteFetch } from './fetch.js';
import type { CacheType } from './suite.js';

const maxBytes = 64 * 1024 * 1024;

export type ClientName = 'axios' | 'got';
export type StoreName = 'disk' | 'tiered' | 'memory';

export interface OpenClient extends AsyncDisposable {
  readonly fetch: SuiteFetch;
}

/** One of the clients with an empty cache of ours before it. */
export async function openOurs(
  client: ClientName,
  store: StoreName,
  type: CacheType,
  directory: string,
): Promise<OpenClient> {
  const cache = await openStore(store, type, directory);
  // The suite tells a browser's own cache to keep out of the way when it tests a shared one.
  const choiceOf: Saying = (mode) => (mode === undefined || type === 'shared' ? {} : { cache: { mode } });
  return {
    fetch:
      client === 'axios'
        ? axiosFetch(cacheAxios(axios.create(), cache), choiceOf)
        : gotFetch(got.extend(cacheGot(cache)), (mode) => ({ context: choiceOf(mode) })),
    [Symbol.asyncDispose]: () => cache.close(),
  };
}

async function openStore(store: StoreName, type: CacheType, directory: string): Promise<Cache> {
  const shared = type === 'shared';
  switch (store) {
    case 'disk':
      return openCache({ directory, shared });
    case 'tiered':
      return openCache({ directory, shared, memoryBytes: maxBytes });
    case 'memory':
      return openCache({ directory, shared, store: createMemoryStore({ maxBytes }) });
    default:
      return assertNever(store);
  }
}
