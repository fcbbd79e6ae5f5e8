import http, { type Agent } from 'node:http';
import https from 'node:https';
import { createRequire } from 'node:module';
import type { AxiosAdapter, AxiosInstance, AxiosResponse, InternalAxiosRequestConfig } from 'axios';
import * as axiosModule from 'axios';
import {
  type Cache,
  type CacheChoice,
  CacheError,
  type CacheInfo,
  type ChunksShown,
  checkChoice,
  layChoices,
  type Presented,
  type RequestOptions,
} from '../src/index.js';
import { answerOrdinary, type ImpliedFields, impliedNames, isOrdinary } from './axios-ordinary.js';
import type { RequiredAxiosInstance } from './axios-required.cjs';
import { type GateOptions, gateAgent } from './gate.js';
import { fieldOf } from './origin.js';

declare module 'axios' {
  // Without type parameters: axios's versions have different ones, all with defaults, and only such a declaration merges with each.
  interface AxiosRequestConfig {
    /** What the cache is to do with this request: options, or `false` to leave it alone. */
    cache?: CacheChoice;
  }
  interface AxiosResponse {
    /** A stored response answered, fresh, stale or validated. */
    cached?: boolean;
    /** What the cache had to do with it; absent if nothing. */
    cacheInfo?: CacheInfo;
  }
}

/** The parts of an axios module that tell its instances from those of another copy. */
type AxiosCopy = Pick<typeof axiosModule, 'AxiosHeaders' | 'getAdapter'>;

interface Attachment {
  readonly interceptor: number;
}

type ByEitherName<Part extends keyof AxiosInstance> = Pick<AxiosInstance, Part> | Pick<RequiredAxiosInstance, Part>;

const attachments = new WeakMap<object, Attachment>();

/**
 * Puts a cache between an axios instance and the network, and returns the same instance. One request says more in its config:
 * `cache: false`, or `cache: { mode: 'reload' }`; `defaults` says it for all requests of this instance.
 *
 * Responses carry `cached`, `cacheInfo` and a `Cache-Status` field. Throws `ERR_CACHE_ATTACHED` if the instance has a cache already and
 * `ERR_CACHE_OPTIONS` for wrong options; a request with wrong options fails with the same. Take it off again with `uncacheAxios`.
 */
export function cacheAxios<Instance extends ByEitherName<'interceptors' | 'getUri'>>(
  instance: Instance,
  cache: Cache,
  defaults: RequestOptions = {},
): Instance {
  checkChoice(defaults, 'cacheAxios()');
  if (attachments.has(instance)) {
    throw new CacheError(
      'ERR_CACHE_ATTACHED',
      'This axios instance has a cache already. Take it off with uncacheAxios(instance) first, or use axios.create().',
    );
  }
  const implied: ImpliedFields = new Map();
  const outlook = new Outlook();
  const interceptor = instance.interceptors.request.use(
    (config) => {
      const choice = layChoices(defaults, checkChoice(config.cache, 'config.cache'));
      // The URL, the parameters and the fields are final when the adapter is called, and not before.
      // What was given up already never comes to an adapter, and its error shows this config.
      const isGivenUp = config.signal?.aborted || config.cancelToken?.reason !== undefined;
      if (choice !== false && !isGivenUp)
        config.adapter = cachingAdapter(instance, cache, config.adapter, choice, implied, outlook);
      return config;
    },
    // axios before 1.8 calls this for what is thrown above, and sends the request all the same if it returns.
    (error) => {
      throw error;
    },
    { synchronous: true },
  );
  attachments.set(instance, { interceptor });
  return instance;
}

/** Takes the cache off an axios instance. `false` if there was none. */
export function uncacheAxios(instance: ByEitherName<'interceptors'>): boolean {
  const attachment = attachments.get(instance);
  if (attachment === undefined) return false;
  instance.interceptors.request.eject(attachment.interceptor);
  attachments.delete(instance);
  return true;
}

const manyMisses = 16;
const tryEvery = 16;

/**
 * Whether the short way is worth a try. It costs some 20 of a request's 500 µs to find out that there is nothing, and misses come in runs: a crawl is cold
 * or it is warm. In a run of misses only some try it; the first hit, on either way, ends the run.
 */
class Outlook {
  #missesInARow = 0;

  isWorthATry(): boolean {
    if (this.#missesInARow < manyMisses) return true;
    this.#missesInARow += 1;
    return this.#missesInARow % tryEvery === 0;
  }

  note(wasHit: boolean): void {
    this.#missesInARow = wasHit ? 0 : this.#missesInARow + 1;
  }
}

function cachingAdapter(
  instance: Pick<AxiosInstance, 'getUri'>,
  cache: Cache,
  own: InternalAxiosRequestConfig['adapter'],
  choice: RequestOptions | undefined,
  implied: ImpliedFields,
  outlook: Outlook,
): AxiosAdapter {
  return async (config) => {
    if (own === undefined) delete config.adapter;
    else config.adapter = own;
    const copy = copyOf(config);
    const adapter = copy.getAdapter(own, config);
    if (adapter !== copy.getAdapter('http')) return adapter(config);
    if (outlook.isWorthATry() && isOrdinary(config)) {
      const response = await answerOrdinary(instance, cache, config, choice, implied);
      outlook.note(response !== undefined);
      if (response !== undefined) return response;
    }
    try {
      return await askThroughGate(adapter, cache, config, choice, implied, outlook);
    } catch (error) {
      if (!isOriginFailure(error)) throw error;
      // axios gave up by itself (a time-out, an error of the socket), and the cache below learned of it too late to stand in.
      return askThroughGate(adapter, cache, config, choice, implied, outlook, error).catch(() => Promise.reject(error));
    }
  };
}

/** No answer came: the system's own codes, the parser's, and the two that axios has for its time-out. Not those of axios's own limits. */
const isOriginFailure = (error: unknown): error is Error =>
  error instanceof Error && 'code' in error && /^(?:E(?!RR_)|HPE_)/.test(String(error.code));

/** The real adapter, with agents that ask the cache for each hop. */
async function askThroughGate(
  adapter: AxiosAdapter,
  cache: Cache,
  config: InternalAxiosRequestConfig,
  choice: RequestOptions | undefined,
  implied: ImpliedFields,
  outlook: Outlook,
  standInFor?: Error,
): Promise<AxiosResponse> {
  let info: CacheInfo | undefined;
  const gate: GateOptions = {
    cache,
    options: choice,
    shown: shownBy(config),
    timeoutMs: Number(config.timeout) || 0,
    standInFor,
    onAnswer: (answer) => {
      info = answer;
      if (answer.status === 'hit') outlook.note(true);
    },
    onPresented: implied.size < impliedNames.length ? learner(config, implied) : undefined,
  };
  const { httpAgent, httpsAgent } = config;
  const [hasAgent, hasSecureAgent] = [Object.hasOwn(config, 'httpAgent'), Object.hasOwn(config, 'httpsAgent')];
  config.httpAgent = agentFor(config, httpAgent, http.globalAgent, gate);
  config.httpsAgent = agentFor(config, httpsAgent, https.globalAgent, gate);
  const asked = adapter(config);
  // The adapter has read them by now; users read `response.config`. Last set, first deleted: so the object stays a fast one (30 µs a request).
  if (hasSecureAgent) config.httpsAgent = httpsAgent;
  else delete config.httpsAgent;
  if (hasAgent) config.httpAgent = httpAgent;
  else delete config.httpAgent;
  try {
    return withInfo(await asked, info);
  } catch (error) {
    if (error instanceof Error && 'response' in error && isResponse(error.response)) withInfo(error.response, info);
    throw error;
  }
}

/** Node's agents take proxies from the environment where it has this flag. */
const mayProxyByAgent = process.allowedNodeEnvironmentFlags.has('--use-env-proxy');

function agentFor(
  config: InternalAxiosRequestConfig,
  chosen: Agent | undefined,
  usual: Agent,
  gate: GateOptions,
): Agent | undefined {
  const agent = chosen ?? usual;
  // axios makes another agent of one that it must not use a proxy of, and refuses where somebody stands in front of it.
  return mayProxyByAgent && config.proxy === false && hasProxy(agent) ? chosen : gateAgent(agent, gate);
}

function hasProxy(agent: Agent): boolean {
  try {
    const { proxyEnv } = 'options' in agent ? (agent.options as { proxyEnv?: unknown }) : {};
    return typeof proxyEnv === 'object' && proxyEnv !== null;
  } catch {
    // An agent whose options nobody can read has its own idea of a proxy.
    return false;
  }
}

function withInfo(response: AxiosResponse, info: CacheInfo | undefined): AxiosResponse {
  response.cached =
    info !== undefined && (info.status === 'hit' || info.status === 'stale' || info.status === 'revalidated');
  if (info !== undefined) response.cacheInfo = info;
  return response;
}

const isResponse = (value: unknown): value is AxiosResponse =>
  typeof value === 'object' && value !== null && 'status' in value;

/** A buffer may be the only chunk that there was. What a user's own transport does with chunks, nobody knows. */
function shownBy({ responseType, transport }: InternalAxiosRequestConfig): ChunksShown {
  if (responseType === 'stream' || transport) return 'at-once';
  return responseType === 'arraybuffer' ? 'at-end' : 'never';
}

/** Learns the fields that axios's adapter adds by itself from a request that goes through it: `Vary` may name them. */
function learner(config: InternalAxiosRequestConfig, implied: ImpliedFields): (presented: Presented) => void {
  // The adapter writes what it adds into the user's fields: to be looked at before.
  const unknown = impliedNames.filter((name) => !implied.has(name) && !config.headers.has(name));
  return (presented) => {
    for (const name of unknown) {
      const value = fieldOf(presented.request.fields, name.toLowerCase());
      if (value !== undefined) implied.set(name, value);
    }
  };
}

let otherCopy: AxiosCopy | undefined;

/** The copy of axios that made this request: `require` and `import` load different ones, and their errors must not be mixed. */
function copyOf(config: InternalAxiosRequestConfig): AxiosCopy {
  const made = config.headers.constructor;
  if (made === axiosModule.AxiosHeaders) return axiosModule;
  otherCopy ??= createRequire(import.meta.url)('axios') as AxiosCopy;
  return made === otherCopy.AxiosHeaders ? otherCopy : axiosModule;
}
