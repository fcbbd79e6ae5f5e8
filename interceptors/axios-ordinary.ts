import { promisify } from 'node:util';
import zlib from 'node:zlib';
import type { AxiosInstance, AxiosResponse, InternalAxiosRequestConfig } from 'axios';
import type { Cache, Presented, RequestOptions } from '../src/index.js';
import { bufferOver, type NodeHeaders, nodeHeadersOf, StoredRequest } from './stored-request.js';

/** Fields that axios's adapter adds where the user set none. */
export type ImpliedFields = Map<string, string>;
export const impliedNames: readonly string[] = ['User-Agent', 'Accept-Encoding'];
const impliedFields = impliedNames.map((name) => ({ name, lowerName: name.toLowerCase() }));

const bodyTypes: readonly unknown[] = [undefined, null, '', 'json', 'text', 'arraybuffer'];
/** Read once: a look into the environment costs more than all other conditions together. */
const hasProxyVariables = ['http_proxy', 'https_proxy', 'all_proxy', 'HTTP_PROXY', 'HTTPS_PROXY', 'ALL_PROXY'].some(
  (name) => process.env[name] !== undefined,
);

/**
 * May a fresh stored response be answered right here, without the client's HTTP layer? Only if nothing that the user asked for happens
 * in that layer. All else goes the long way, through the gate.
 */
export function isOrdinary(config: InternalAxiosRequestConfig): boolean {
  return (
    config.method?.toUpperCase() === 'GET' &&
    config.data === undefined &&
    bodyTypes.includes(config.responseType) &&
    config.onDownloadProgress === undefined &&
    config.onUploadProgress === undefined &&
    config.maxRate === undefined &&
    (config.maxContentLength ?? -1) === -1 &&
    config.auth === undefined &&
    (config.timeout === undefined || Number.isFinite(config.timeout)) &&
    !config.socketPath &&
    !config.transport &&
    (config.httpVersion === undefined || config.httpVersion === 1) &&
    !hasField(config.headers, 'range') &&
    !hasField(config.headers, 'host') &&
    !config.signal?.aborted &&
    (config.proxy === false || (!config.proxy && !hasProxyVariables))
  );
}

/** A fresh stored response as axios would have made it of the same bytes off the wire; `undefined` if there is none. */
export async function answerOrdinary(
  instance: Pick<AxiosInstance, 'getUri'>,
  cache: Cache,
  config: InternalAxiosRequestConfig,
  choice: RequestOptions | undefined,
  implied: ImpliedFields,
): Promise<AxiosResponse | undefined> {
  let url: URL | undefined;
  try {
    url = urlOf(instance, config);
  } catch {
    // axios has an error of its own for parameters that cannot be written.
    return undefined;
  }
  const presented = url && presentedOf(config, url, implied);
  if (presented === undefined) return undefined;
  const response = await cache.reuse(presented, choice);
  if (response === undefined || response.body.from !== 'cache' || response.body.inline === undefined) return undefined;
  const { head, info, body } = response;
  if (head.status < 200 || head.status > 299 || config.validateStatus?.(head.status) === false) return undefined;
  const headers = nodeHeadersOf(head.fields);
  const isCoded = headers['content-encoding'] !== undefined && config.decompress !== false;
  const bytes = isCoded ? await decode(response.body.inline, headers) : bufferOver(response.body.inline);
  if (bytes === undefined) return undefined;
  // As the adapter does: users read `response.config.headers`.
  for (const { name, lowerName } of impliedFields) {
    const value = implied.get(name);
    if (value !== undefined && !hasField(config.headers, lowerName)) config.headers[name] = value;
  }
  return {
    status: head.status,
    statusText: head.statusText,
    headers: headersLike(config, headers),
    config,
    request: new StoredRequest(presented.request, head, headers, config.maxRedirects !== 0, config),
    data: convert(bytes, config, isCoded || body.isOwn),
    cached: true,
    cacheInfo: info,
  };
}

function urlOf(instance: Pick<AxiosInstance, 'getUri'>, config: InternalAxiosRequestConfig): URL | undefined {
  const { baseURL, params, paramsSerializer, url = '', allowAbsoluteUrls } = config;
  const full = baseURL
    ? instance.getUri({
        baseURL,
        url,
        params: undefined,
        ...(allowAbsoluteUrls !== undefined && { allowAbsoluteUrls }),
      })
    : url;
  const parsed = parseUrl(full);
  if (parsed === undefined) return undefined;
  if ((parsed.protocol !== 'http:' && parsed.protocol !== 'https:') || parsed.username || parsed.password)
    return undefined;
  if (params === undefined || params === null) return parsed;
  const path = instance.getUri({
    baseURL: '',
    url: parsed.pathname + parsed.search,
    params,
    ...(paramsSerializer !== undefined && { paramsSerializer }),
  });
  const withParams = new URL(parsed.origin + path);
  // What a URL object would write differently goes out as axios wrote it.
  return withParams.pathname + withParams.search === path ? withParams : undefined;
}

function parseUrl(text: string): URL | undefined {
  try {
    return new URL(text);
  } catch {
    // axios has the words for what is wrong with it.
    return undefined;
  }
}

/** `undefined`: what goes out is not known here. */
function presentedOf(config: InternalAxiosRequestConfig, url: URL, implied: ImpliedFields): Presented | undefined {
  const fields: string[] = ['Host', url.host];
  const names: string[] = [];
  for (const name of Object.keys(config.headers)) {
    const value: unknown = config.headers[name];
    if (value === undefined) continue;
    const lower = name.toLowerCase();
    // Set twice in different spellings: the adapter makes one of them.
    if (names.includes(lower)) return undefined;
    names.push(lower);
    if (value !== null && value !== false) fields.push(name, String(value));
  }
  for (const { name, lowerName } of impliedFields) {
    if (names.includes(lowerName)) continue;
    const value = implied.get(name);
    // Until a request has gone the long way, it is not known what axios adds by itself.
    if (value === undefined) return undefined;
    fields.push(name, value);
  }
  return { request: { method: 'GET', url: withoutFragment(url.href), fields }, hasBody: false };
}

function withoutFragment(href: string): string {
  const hash = href.indexOf('#');
  return hash === -1 ? href : href.slice(0, hash);
}

/** As `headers.has(name)` of axios, which makes every name lower-case to find one. */
function hasField(headers: InternalAxiosRequestConfig['headers'], lowerName: string): boolean {
  for (const name of Object.keys(headers)) {
    if (name.length !== lowerName.length || headers[name] === undefined) continue;
    if (name === lowerName || name.toLowerCase() === lowerName) return true;
  }
  return false;
}

const unzip = promisify(zlib.unzip);
const brotli = promisify(zlib.brotliDecompress);
const sync = { finishFlush: zlib.constants.Z_SYNC_FLUSH };
const brotliSync = { finishFlush: zlib.constants.BROTLI_OPERATION_FLUSH };

/** Undoes the content coding on libuv's threads, and takes the field off, as axios does. `undefined`: let axios do it. */
async function decode(body: Uint8Array, headers: NodeHeaders): Promise<Buffer | undefined> {
  const coding = headers['content-encoding'];
  delete headers['content-encoding'];
  try {
    switch (String(coding).toLowerCase()) {
      case 'gzip':
      case 'x-gzip':
        return await unzip(body, sync);
      case 'br':
        return await brotli(body, brotliSync);
      default:
        return undefined;
    }
  } catch {
    return undefined;
  }
}

/** `isOwn`: nobody else reads these bytes. Of others, what a user may write to is a copy. */
function convert(bytes: Buffer, config: InternalAxiosRequestConfig, isOwn: boolean): unknown {
  if (config.responseType === 'arraybuffer') return isOwn ? bytes : Buffer.from(bytes);
  // Also names of encodings that Node does not know come here; then Node throws, as it does under axios.
  const encoding = config.responseEncoding as BufferEncoding | undefined;
  const text = bytes.toString(encoding);
  const mayHaveMark = !encoding || encoding.toLowerCase() === 'utf8';
  return mayHaveMark && text.charCodeAt(0) === 0xfeff ? text.slice(1) : text;
}

/** What axios takes out of a value. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: these are what it is about
const unclean = /^[\t ]|[\t ]$|[\0-\x08\x0a-\x1f\x7f]/;

/** In the class of headers that this copy of axios uses. */
function headersLike(config: InternalAxiosRequestConfig, headers: NodeHeaders): AxiosResponse['headers'] {
  const Headers = config.headers.constructor as new (headers?: object) => AxiosResponse['headers'];
  const made = new Headers();
  for (const name of Object.keys(headers)) {
    const value = headers[name];
    if (typeof value !== 'string' || unclean.test(value)) return new Headers(headers);
    // The names are different ones already, which is what costs axios its time.
    made[name] = value;
  }
  return made;
}
