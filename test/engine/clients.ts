import type { Agent } from 'node:http';
import axios from 'axios';
import got, { type Method, RequestError } from 'got';
import { cacheAxios } from '../../interceptors/axios.js';
import { cacheGot, cacheInfoOf } from '../../interceptors/got.js';
import type { Cache, CacheChoice, CacheInfo, RequestOptions } from '../../src/index.js';

export interface Ask {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  readonly cache?: CacheChoice;
  readonly signal?: AbortSignal;
  readonly timeoutMs?: number;
  readonly agent?: Agent;
}

export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>;
  readonly body: Buffer;
  readonly text: string;
  /** The client's own word for "from the cache". */
  readonly isFromCache: boolean;
  readonly info: CacheInfo | undefined;
}

/** axios or got, with a cache, in one shape: what holds for one must hold for the other. */
export interface Client {
  readonly name: 'axios' | 'got';
  ask(url: string, ask?: Ask): Promise<Answer>;
}

export type MakeClient = (cache: Cache, defaults?: RequestOptions) => Client;

export const axiosClient: MakeClient = (cache, defaults) => {
  const instance = cacheAxios(axios.create({ proxy: false, validateStatus: null }), cache, defaults);
  return {
    name: 'axios',
    async ask(url, { method = 'GET', body, cache: choice, timeoutMs, agent, ...rest } = {}) {
      const response = await instance.request<Buffer>({
        ...rest,
        url,
        method,
        responseType: 'arraybuffer',
        ...(body !== undefined && { data: body }),
        ...(choice !== undefined && { cache: choice }),
        ...(timeoutMs !== undefined && { timeout: timeoutMs }),
        ...(agent !== undefined && { httpAgent: agent }),
      });
      return {
        status: response.status,
        headers: { ...response.headers } as Answer['headers'],
        body: response.data,
        text: response.data.toString(),
        isFromCache: response.cached ?? false,
        info: response.cacheInfo,
      };
    },
  };
};

export const gotClient: MakeClient = (cache, defaults) => {
  const instance = got.extend(cacheGot(cache, defaults), { throwHttpErrors: false, retry: { limit: 0 } });
  return {
    name: 'got',
    async ask(url, { method = 'GET', cache: choice, timeoutMs, agent, ...rest } = {}) {
      const response = await instance(url, {
        ...rest,
        // got knows the registered methods only.
        method: method as Method,
        responseType: 'buffer',
        allowGetBody: true,
        ...(choice !== undefined && { context: { cache: choice } }),
        ...(timeoutMs !== undefined && { timeout: { request: timeoutMs } }),
        ...(agent !== undefined && { agent: { http: agent } }),
      });
      // got 14 gives a Buffer, got 15 plain bytes.
      const body = Buffer.from(response.body);
      return {
        status: response.statusCode,
        headers: response.headers,
        body,
        text: body.toString(),
        isFromCache: response.isFromCache ?? false,
        info: cacheInfoOf(response),
      };
    },
  };
};

export const makers: Readonly<Record<Client['name'], MakeClient>> = { axios: axiosClient, got: gotClient };

/** The code of what a client threw, whichever client it was: `ECONNRESET`, `ERR_CACHE_OPTIONS`, …. */
export function codeOf(error: unknown): string | undefined {
  for (let at = error; at instanceof Error; at = at.cause) {
    if ('code' in at && typeof at.code === 'string' && at.code !== 'ERR_GOT_REQUEST_ERROR') return at.code;
    if (!(at instanceof RequestError) && at.cause === undefined) return undefined;
  }
  return undefined;
}
