/** Compiled, never run: what the types of the two interceptors allow, and what they must not. */
import axios, { type AxiosResponse } from 'axios';
import got, { type Response } from 'got';
import { cacheAxios, uncacheAxios } from '../../interceptors/axios.js';
import { cacheGot, cacheInfoOf } from '../../interceptors/got.js';
import type { Cache, CacheInfo } from '../../src/index.js';

declare const cache: Cache;

type Same<Left, Right> = (<T>() => T extends Left ? 1 : 2) extends <T>() => T extends Right ? 1 : 2 ? true : false;
const holds = <_Claim extends true>(): void => undefined;

export async function axiosTypes(): Promise<void> {
  const client = axios.create();
  const attached = cacheAxios(client, cache, { ttlMs: 1000 });
  // The instance is the user's own, and keeps its type.
  holds<Same<typeof attached, typeof client>>();
  const response = await attached.get<{ one: number }>('/', { cache: { mode: 'reload', tags: ['a'] } });
  holds<Same<typeof response.data, { one: number }>>();
  holds<Same<typeof response.cached, boolean | undefined>>();
  holds<Same<typeof response.cacheInfo, CacheInfo | undefined>>();
  holds<Same<typeof response extends AxiosResponse ? true : false, true>>();
  await attached.get('/', { cache: false });
  const removed: boolean = uncacheAxios(attached);
  void removed;
  // @ts-expect-error true says nothing
  await attached.get('/', { cache: true });
  // @ts-expect-error no such mode
  await attached.get('/', { cache: { mode: 'sometimes' } });
  // @ts-expect-error the unit is in the name
  await attached.get('/', { cache: { ttl: 5 } });
  // @ts-expect-error options of the whole cache are not options of a request
  cacheAxios(client, cache, { directory: '/tmp' });
  // @ts-expect-error got is no axios
  cacheAxios(got, cache);
}

export async function gotTypes(): Promise<void> {
  const client = got.extend(cacheGot(cache, { staleIfErrorSeconds: 60 }));
  holds<Same<typeof client, typeof got>>();
  const response: Response<string> = await client('http://127.0.0.1/', { context: { cache: { mode: 'no-cache' } } });
  holds<Same<typeof response.isFromCache, boolean>>();
  const info = cacheInfoOf(response);
  holds<Same<typeof info, CacheInfo | undefined>>();
  // @ts-expect-error no such mode
  cacheGot(cache, { mode: 'sometimes' });
  // @ts-expect-error axios is no got option
  cacheGot(axios);
}
