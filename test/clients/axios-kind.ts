import http, { IncomingMessage } from 'node:http';
import { Readable } from 'node:stream';
import axios, { type AxiosInstance, type AxiosResponse } from 'axios';
import { cacheAxios } from '../../interceptors/axios.js';
import type { ClientKind, Row } from './transparency.js';

export type AxiosRow = Row<AxiosInstance>;

export const axiosKind: ClientKind<AxiosInstance> = {
  modes: ['miss', 'hit', 'first hit', 'validated', 'collapsed', 'stale', 'bypass'],
  create: () => axios.create({ proxy: false }),
  attach: (client, cache, options) => cacheAxios(client, cache, options),
  fetch: (client, url) =>
    client.get(url, { responseType: 'arraybuffer', decompress: false, validateStatus: () => true }),
};

/** Everything about a response that a user may look at. */
export async function describe(pending: Promise<AxiosResponse> | AxiosResponse): Promise<unknown> {
  const response = await pending;
  const { status, statusText, headers, data, request } = response;
  return {
    keys: Object.keys(response).filter((key) => key !== 'cached' && key !== 'cacheInfo'),
    status,
    statusText,
    headers: { ...headers },
    headersAre: headers.constructor.name,
    dataIs: data instanceof IncomingMessage ? 'IncomingMessage' : (data?.constructor?.name ?? typeof data),
    data: data instanceof Readable ? await read(data) : data instanceof Blob ? await blobOf(data) : data,
    config: configOf(response.config),
    request: requestOf(request),
  };
}

/** What a rejected request rejects with; a request that does not fail is one that fails. */
export async function failureOf(pending: Promise<unknown>): Promise<unknown> {
  try {
    await pending;
  } catch (error) {
    return describeError(error);
  }
  return 'did not fail';
}

/** What comes of a request, response or failure. */
export async function outcomeOf(pending: Promise<AxiosResponse>): Promise<unknown> {
  try {
    return { response: await describe(await pending) };
  } catch (error) {
    return { failure: await describeError(error) };
  }
}

export async function describeError(error: unknown): Promise<unknown> {
  if (!(error instanceof Error)) return { thrown: String(error) };
  const { name, message } = error;
  const isAxios = axios.isAxiosError(error);
  return {
    is: error.constructor.name,
    name,
    message,
    code: 'code' in error ? error.code : undefined,
    keys: Object.keys(error).sort(),
    isCancel: axios.isCancel(error),
    ...(isAxios && {
      status: error.status,
      hasRequest: error.request !== undefined,
      config: error.config && configOf(error.config),
      response: error.response && (await describe(error.response)),
      json: Object.keys(error.toJSON()).sort(),
    }),
    cause: error.cause instanceof Error ? { name: error.cause.name, message: error.cause.message } : undefined,
  };
}

export async function read(stream: Readable): Promise<unknown> {
  const chunks: Buffer[] = [];
  try {
    for await (const chunk of stream) chunks.push(Buffer.from(chunk));
  } catch (error) {
    return { read: Buffer.concat(chunks), failed: await describeError(error) };
  }
  return { read: Buffer.concat(chunks), destroyed: stream.destroyed, ended: stream.readableEnded };
}

async function blobOf(blob: Blob): Promise<unknown> {
  return { type: blob.type, bytes: Buffer.from(await blob.arrayBuffer()) };
}

function configOf(config: object): unknown {
  return Object.fromEntries(
    Object.entries(config).map(([key, value]) => {
      if (key === 'headers') return ['sent', { ...value }];
      return [
        key,
        typeof value === 'function' ? `function ${value.name}` : value?.constructor === Object ? '{}' : kind(value),
      ];
    }),
  );
}

const kind = (value: unknown): unknown =>
  typeof value === 'object' && value !== null
    ? Array.isArray(value)
      ? value.map(kind)
      : value.constructor?.name
    : value;

const agentOf = (agent: unknown): unknown =>
  agent instanceof http.Agent && 'protocol' in agent ? agent.protocol : agent;

/** What users read off `response.request`. */
function requestOf(request: { [key: string]: unknown } | undefined): unknown {
  if (request === undefined) return undefined;
  const res = request.res as { [key: string]: unknown } | undefined;
  return {
    method: request.method,
    path: request.path,
    host: request.host,
    protocol: request.protocol,
    agent: agentOf(request.agent),
    responseUrl: res?.responseUrl,
    statusCode: res?.statusCode,
    statusMessage: res?.statusMessage,
    headers: res?.headers,
    getHeader: typeof request.getHeader === 'function',
  };
}
