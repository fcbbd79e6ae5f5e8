import { createHash } from 'node:crypto';
import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import type { Readable } from 'node:stream';
import axios from 'axios';
import got from 'got';
import type { Cache } from 'offloop';
import { cacheAxios } from 'offloop/axios';
import { cacheGot, cacheInfoOf } from 'offloop/got';
import { hashOf } from './manifest.js';

export const CLIENT_NAMES = ['axios', 'got'] as const;
export type ClientName = (typeof CLIENT_NAMES)[number];

export interface Wanted {
  readonly url: string;
  /** Asks the origin even if what is stored is fresh. */
  readonly validate: boolean;
  /** Read the body as a stream: a buffer of tens of MB holds the event loop up when it is put together, whoever makes it. */
  readonly isLarge: boolean;
}

/** A GET as the crawl needs it, whatever the client. */
export type Get = (wanted: Wanted) => Promise<Answer>;

export interface Answer {
  readonly status: number;
  readonly bytes: number;
  /** Of the body, in hexadecimal. */
  readonly sha256: string;
  /** `cacheInfo.status`, or `'none'` without a cache. */
  readonly cacheStatus: string;
}

/** A client with the cache in front of it, or as it comes. */
export function clientOf(name: ClientName, cache: Cache | undefined): Get {
  return name === 'axios' ? axiosGet(cache) : gotGet(cache);
}

function axiosGet(cache: Cache | undefined): Get {
  const client = cache === undefined ? axios.create() : cacheAxios(axios.create(), cache);
  return async ({ url, validate, isLarge }) => {
    const response = await client.get<Buffer | Readable>(url, {
      responseType: isLarge ? 'stream' : 'arraybuffer',
      ...(validate && { cache: { mode: 'no-cache' as const } }),
    });
    const body = await checked(response.data);
    return { status: response.status, ...body, cacheStatus: response.cacheInfo?.status ?? 'none' };
  };
}

function gotGet(cache: Cache | undefined): Get {
  const client = cache === undefined ? got : got.extend(cacheGot(cache));
  return async ({ url, validate, isLarge }) => {
    const context = validate ? { cache: { mode: 'no-cache' as const } } : {};
    if (isLarge) {
      const stream = client.stream(url, { context });
      const [response] = (await once(stream, 'response')) as [IncomingMessage];
      const body = await checked(stream);
      return { status: response.statusCode ?? 0, ...body, cacheStatus: cacheInfoOf(response)?.status ?? 'none' };
    }
    const response = await client.get(url, { responseType: 'buffer', context });
    const body = await checked(response.body);
    return { status: response.statusCode, ...body, cacheStatus: cacheInfoOf(response)?.status ?? 'none' };
  };
}

async function checked(body: Uint8Array | Readable): Promise<{ readonly bytes: number; readonly sha256: string }> {
  if (body instanceof Uint8Array) return { bytes: body.length, sha256: await hashOf(body) };
  const hash = createHash('sha256');
  let bytes = 0;
  for await (const chunk of body as AsyncIterable<Buffer>) {
    hash.update(chunk);
    bytes += chunk.length;
  }
  return { bytes, sha256: hash.digest('hex') };
}
