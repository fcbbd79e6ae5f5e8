import axios from 'axios';
import got from 'got';
import type { Cache } from 'offloop';
import { cacheAxios } from 'offloop/axios';
import { cacheGot, cacheInfoOf } from 'offloop/got';

export const CLIENT_NAMES = ['axios', 'got'] as const;
export type ClientName = (typeof CLIENT_NAMES)[number];

/** A GET as the crawl needs it, whatever the client. `validate` asks the origin even if what is stored is fresh. */
export type Get = (url: string, validate: boolean) => Promise<Answer>;

export interface Answer {
  readonly status: number;
  readonly body: Uint8Array;
  /** `cacheInfo.status`, or `'none'` without a cache. */
  readonly cacheStatus: string;
}

/** A client with the cache in front of it, or as it comes. */
export function clientOf(name: ClientName, cache: Cache | undefined): Get {
  return name === 'axios' ? axiosGet(cache) : gotGet(cache);
}

function axiosGet(cache: Cache | undefined): Get {
  const client = cache === undefined ? axios.create() : cacheAxios(axios.create(), cache);
  return async (url, validate) => {
    const response = await client.get<Buffer>(url, {
      responseType: 'arraybuffer',
      ...(validate && { cache: { mode: 'no-cache' as const } }),
    });
    return { status: response.status, body: response.data, cacheStatus: response.cacheInfo?.status ?? 'none' };
  };
}

function gotGet(cache: Cache | undefined): Get {
  const client = cache === undefined ? got : got.extend(cacheGot(cache));
  return async (url, validate) => {
    const response = await client.get(url, {
      responseType: 'buffer',
      ...(validate && { context: { cache: { mode: 'no-cache' as const } } }),
    });
    return { status: response.statusCode, body: response.body, cacheStatus: cacheInfoOf(response)?.status ?? 'none' };
  };
}
