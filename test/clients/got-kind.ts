import type { CancelableRequest, Got, Response } from 'got';
import got, { RequestError } from 'got';
import { cacheGot } from '../../interceptors/got.js';
import type { ClientKind, Row } from './transparency.js';

export type GotRow = Row<Got>;

export const gotKind: ClientKind<Got> = {
  modes: ['miss', 'hit', 'validated', 'collapsed', 'stale', 'bypass'],
  create: () => got.extend({ retry: { limit: 0 } }),
  // Every `extend` calls the hooks named init.
  bare: (client) => client.extend({ hooks: { beforeRequest: [] } }),
  attach: (client, cache, options) => client.extend(cacheGot(cache, options)),
  fetch: (client, url) => client(url, { decompress: false, throwHttpErrors: false, followRedirect: false }),
};

/** Everything about a response that a user may look at. */
export async function describe(pending: Promise<unknown> | CancelableRequest<Response<unknown>>): Promise<unknown> {
  return describeResponse((await pending) as Response<unknown>);
}

const unsettled = { aborted: undefined, complete: undefined, timings: undefined, isTotalKnown: undefined };

export function describeResponse(response: Response<unknown>): object {
  const { statusCode, statusMessage, headers, rawHeaders, httpVersion, body, rawBody, timings } = response;
  return {
    statusCode,
    statusMessage,
    headers: { ...headers },
    rawHeaders,
    trailers: response.trailers,
    httpVersion,
    bodyIs: body?.constructor?.name ?? typeof body,
    body,
    rawBody,
    url: response.url,
    requestUrl: String(response.requestUrl),
    redirectUrls: response.redirectUrls.map(String),
    retryCount: response.retryCount,
    ok: response.ok,
    aborted: response.aborted,
    complete: response.complete,
    // HTTP/2 does without a connection's phases when it has one.
    timings: timings &&
      httpVersion !== '2.0' && {
        ...Object.fromEntries(Object.entries(timings).map(([name, at]) => [name, typeof at])),
      },
    phases: timings && Object.keys(timings.phases).sort(),
    isTotalKnown: typeof timings?.phases.total,
    request: { method: response.request.options.method, url: String(response.request.options.url) },
    sent: { ...response.request.options.headers },
    userRequest: typeof response.request.options.request,
    context: Object.keys(response.request.options.context),
  };
}

export async function failureOf(pending: Promise<unknown>): Promise<unknown> {
  try {
    await pending;
  } catch (error) {
    return describeError(error);
  }
  return 'did not fail';
}

/** What comes of a request, response or failure. */
export async function outcomeOf(pending: Promise<unknown>): Promise<unknown> {
  try {
    return { response: await describe(pending) };
  } catch (error) {
    return { failure: describeError(error) };
  }
}

export function describeError(error: unknown): unknown {
  if (!(error instanceof Error)) return { thrown: String(error) };
  const isGots = error instanceof RequestError;
  return {
    is: error.constructor.name,
    name: error.name,
    message: error.message,
    code: 'code' in error ? error.code : undefined,
    keys: Object.keys(error)
      .filter((key) => key !== 'timings')
      .sort(),
    event: 'event' in error ? error.event : undefined,
    ...(isGots && {
      hasRequest: error.request !== undefined,
      url: String(error.options.url),
      method: error.options.method,
      // How far its connection has gone down by now is a matter of turns.
      response: error.response && { ...describeResponse(error.response), ...unsettled },
    }),
    cause: error.cause instanceof Error ? { name: error.cause.name, message: error.cause.message } : undefined,
  };
}
