// Other caches behind the same harness: each export is `(type, directory) => fetch`, see test/conformance/run.ts.
import { mkdir } from 'node:fs/promises';
import axios from 'axios';
import { setupCache } from 'axios-cache-interceptor';
import got from 'got';
import makeFetchHappen from 'make-fetch-happen';
import { Agent, interceptors, request } from 'undici';
import { axiosFetch, gotFetch } from '../../dist/test/conformance/clients.js';
import { headersOf, SuiteHeaders, SuiteResponse } from '../../dist/test/conformance/fetch.js';

/** undici's cache interceptor, with every method that it can store. */
export function undici(type) {
  const dispatcher = new Agent().compose(interceptors.cache({ type, methods: ['GET', 'HEAD'] }));
  return async (url, init = {}) => {
    const response = await request(url, {
      dispatcher,
      method: init.method ?? 'GET',
      headers: headersOf(init),
      body: init.body,
      signal: init.signal,
    });
    return new SuiteResponse(
      response.statusCode,
      response.statusText ?? '',
      new SuiteHeaders(Object.entries(response.headers)),
      await response.body.text(),
    );
  };
}

/** got's own cache (cacheable-request, http-cache-semantics), as private or as shared. */
export function gotCache(type) {
  return gotFetch(got.extend({ cache: new Map(), cacheOptions: { shared: type === 'shared' } }));
}

/** axios-cache-interceptor; it has no shared mode. */
export function axiosCacheInterceptor() {
  return axiosFetch(setupCache(axios.create()));
}

// make-fetch-happen stores a list of header fields only; without these the suite cannot see where an answer came from.
const suiteFields = [
  'server-request-count',
  'client-request-count',
  'request-numbers',
  'server-now',
  'server-base-url',
  'date',
];

/** make-fetch-happen; a private cache by design. */
export async function makeFetchHappenCache(_type, directory) {
  await mkdir(directory, { recursive: true });
  const fetch = makeFetchHappen.defaults({ cachePath: directory, retry: false, cacheAdditionalHeaders: suiteFields });
  return async (url, init = {}) => {
    const response = await fetch(url, {
      method: init.method ?? 'GET',
      headers: headersOf(init),
      ...(init.body === undefined ? {} : { body: init.body }),
      redirect: init.redirect ?? 'follow',
      signal: init.signal,
    });
    const headers = new SuiteHeaders([...response.headers]);
    return new SuiteResponse(response.status, response.statusText, headers, await response.text());
  };
}
