import { request as httpRequest } from 'node:http';
import type { AxiosInstance } from 'axios';
import type { Got, Method } from 'got';
import {
  headersOf,
  type InterimResponse,
  type SuiteCacheMode,
  type SuiteFetch,
  SuiteHeaders,
  SuiteResponse,
} from './fetch.js';

/** How a request of the client says what fetch() says with `cache`; nothing where the client cannot. */
export type Saying = (mode: SuiteCacheMode | undefined) => object;

/** Every status is an answer to the suite, and redirects are the answer when it says so; all else is as users have it. */
export function axiosFetch(client: AxiosInstance, saying: Saying = () => ({})): SuiteFetch {
  return async (url, init = {}) => {
    const response = await client.request<string>({
      ...saying(init.cache),
      url,
      method: init.method ?? 'GET',
      headers: headersOf(init),
      data: init.body,
      ...(init.signal ? { signal: init.signal } : {}),
      ...(init.redirect === 'manual' ? { maxRedirects: 0 } : {}),
      responseType: 'text',
      validateStatus: () => true,
      proxy: false,
    });
    const headers = new SuiteHeaders(Object.entries(response.headers));
    return new SuiteResponse(response.status, response.statusText, headers, response.data);
  };
}

export function gotFetch(client: Got, saying: Saying = () => ({})): SuiteFetch {
  return async (url, init = {}) => {
    const interim: InterimResponse[] = [];
    const pending = client(url, {
      ...saying(init.cache),
      method: methodOf(init.method),
      headers: headersOf(init),
      ...(init.body === undefined ? {} : { body: init.body }),
      ...(init.signal ? { signal: init.signal } : {}),
      followRedirect: init.redirect !== 'manual',
      throwHttpErrors: false,
      retry: { limit: 0 },
    });
    pending.on('request', (request) => {
      request.on('information', (info: { statusCode: number; headers: Record<string, unknown> }) => {
        interim.push({ status: info.statusCode, headers: info.headers });
      });
    });
    const response = await pending;
    const headers = new SuiteHeaders(Object.entries(response.headers));
    return new SuiteResponse(response.statusCode, response.statusMessage ?? '', headers, response.body, interim);
  };
}

/** got's type knows the registered methods only; the suite sends others too. */
const methodOf = (method = 'GET') => method as Method;

/** No cache at all: what the suite says about HTTP itself. */
export function plainFetch(): SuiteFetch {
  return (url, init = {}) =>
    new Promise((resolve, reject) => {
      const interim: InterimResponse[] = [];
      const request = httpRequest(
        url,
        {
          method: init.method ?? 'GET',
          headers: headersOf(init),
          ...(init.signal ? { signal: init.signal } : {}),
        },
        (response) => {
          const chunks: Buffer[] = [];
          response.on('data', (chunk: Buffer) => chunks.push(chunk));
          response.on('error', reject);
          response.on('end', () => {
            const headers = new SuiteHeaders(Object.entries(response.headers));
            const body = Buffer.concat(chunks).toString();
            resolve(new SuiteResponse(response.statusCode ?? 0, response.statusMessage ?? '', headers, body, interim));
          });
        },
      );
      request.on('information', (info) => interim.push({ status: info.statusCode, headers: info.headers }));
      request.on('error', reject);
      request.end(init.body);
    });
}
