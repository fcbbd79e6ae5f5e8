import http, { type ClientRequest, type IncomingMessage } from 'node:http';
import type { BeforeRequestHook, ExtendOptions, RequestFunction } from 'got';
import {
  bodyHashOf,
  type Cache,
  CacheError,
  type CacheInfo,
  type CacheResponse,
  type ChunksShown,
  checkChoice,
  type FieldLines,
  type Forward,
  layChoices,
  type Miss,
  type OriginResponse,
  type Presented,
  type RequestOptions,
} from '../src/index.js';
import { watch } from './gate.js';
import { Guard } from './guard.js';
import {
  addFields,
  answerOf,
  fieldLinesOf,
  fieldOf,
  hasBody,
  headersOf,
  noteMadeByUser,
  originResponseOf,
  wireFieldsOf,
} from './origin.js';
import { StoredMessage } from './stored-message.js';
import { addTimings } from './stored-timings.js';

type GotOptions = Parameters<BeforeRequestHook>[0];
type NativeOptions = Parameters<RequestFunction>[1];
/** What got takes for an answer in place of a request. */
type GotResult = Exclude<Awaited<ReturnType<RequestFunction>>, undefined>;

/** The request functions that stand in for users' own, and which hook put them there. */
const planted = new WeakMap<
  RequestFunction,
  { readonly by: BeforeRequestHook; readonly own: RequestFunction | undefined }
>();

/**
 * What got is to be extended with to use the cache: `got.extend(cacheGot(cache))`. One request says more in its context:
 * `context: { cache: false }`, or `context: { cache: { mode: 'reload' } }`.
 *
 * Responses carry `isFromCache`, `cacheInfo` and a `Cache-Status` field. Throws `ERR_CACHE_OPTIONS` for wrong options; a request that
 * also uses got's own `cache` option, or was extended with two caches, fails with `ERR_CACHE_ATTACHED`.
 */
export function cacheGot(cache: Cache, defaults: RequestOptions = {}): ExtendOptions {
  checkChoice(defaults, 'cacheGot()');
  const plant: BeforeRequestHook = (options) => {
    const choice = layChoices(defaults, checkChoice(options.context.cache, 'context.cache'));
    if (choice === false) return;
    if (options.cache) {
      const message =
        'got has a cache of its own here (its option "cache"). Use one of the two: remove that option, or set context.cache to false.';
      throw new CacheError('ERR_CACHE_ATTACHED', message);
    }
    const { request } = options;
    const earlier = request && planted.get(request);
    // A request that failed before it was made has left what was planted for it.
    if (earlier !== undefined && earlier.by !== plant) {
      const message = 'got has a cache of ours already. Extend it with cacheGot() once, or set context.cache to false.';
      throw new CacheError('ERR_CACHE_ATTACHED', message);
    }
    const own = earlier === undefined ? request : earlier.own;
    const made = options.http2 ? nativeOptionsOf(options) : undefined;
    const standIn: RequestFunction = (url, native) => {
      // Hooks, retries and redirects see what the user set.
      options.request = own;
      return ask(cache, url, made?.() ?? native, options, choice);
    };
    planted.set(standIn, { by: plant, own });
    options.request = standIn;
  };
  return { hooks: { beforeRequest: [plant] } };
}

/**
 * got 16 hands `request` functions a copy of its own options, without what HTTP/2 needs of them: the agent, the time that is left, and the place where
 * got looks for a connection that is still being made. Tells what it made.
 */
function nativeOptionsOf(options: GotOptions): () => NativeOptions | undefined {
  let made: NativeOptions | undefined;
  Object.defineProperty(options, 'createNativeRequestOptions', {
    configurable: true,
    value: () => {
      Reflect.deleteProperty(options, 'createNativeRequestOptions');
      const native = options.createNativeRequestOptions();
      // Of got's two types for them, this one knows more of TLS.
      made = native as NativeOptions;
      return native;
    },
  });
  return () => made;
}

/** What the cache had to do with a response of got's; `undefined` if nothing. */
export function cacheInfoOf(response: object): CacheInfo | undefined {
  // Put there by this module alone.
  return 'cacheInfo' in response ? (response.cacheInfo as CacheInfo) : undefined;
}

function ask(
  cache: Cache,
  url: URL,
  native: NativeOptions,
  gotOptions: GotOptions,
  choice: RequestOptions | undefined,
): ReturnType<RequestFunction> {
  const presented = presentedOf(url, native, gotOptions.body !== undefined);
  const miss = cache.miss(presented, choice);
  const exchange = () => new GotHop(url, native, gotOptions).start(cache, presented, choice);
  if (miss === undefined) return exchange();
  const { turn } = miss;
  return turn === undefined
    ? goOut(miss, url, native, gotOptions)
    : turn.then((isOurs) => (isOurs ? goOut(miss, url, native, gotOptions) : exchange()));
}

/** The request goes out as it would without a cache, and its response is looked at. */
function goOut(miss: Miss, url: URL, native: NativeOptions, gotOptions: GotOptions): GotResult | Promise<GotResult> {
  const passOn = (result: GotResult | undefined): GotResult => {
    if (result === undefined) throw new TypeError(noAnswer);
    if (isClientRequest(result)) {
      if (gotOptions.request !== undefined) noteMadeByUser(result);
      watch(result, miss, gotOptions.isStream ? rememberInfo : rememberInfoOfCollected);
    }
    // The user's own `request` function answered by itself: that is the answer, and none of the cache's business.
    else miss.failed();
    return result;
  };
  try {
    const result = gotOptions.getRequestFunction()?.(url, native);
    if (isClientRequest(result)) return passOn(result);
    const later = async (): Promise<GotResult> => {
      try {
        return passOn((await result) ?? (await gotOptions.getFallbackRequestFunction()?.(url, native)));
      } catch (error) {
        miss.failed();
        throw error;
      }
    };
    return later();
  } catch (error) {
    miss.failed();
    throw error;
  }
}

const noAnswer = 'the "request" option returned neither a request nor a response';

const rememberInfo = {
  shown: 'at-once' as ChunksShown,
  onAnswer(info: CacheInfo, response: IncomingMessage): void {
    Object.assign(response, { cacheInfo: info });
  },
};

const rememberInfoOfCollected = { ...rememberInfo, shown: 'never' as ChunksShown };

/** One request of got's, redirects and retries being requests of their own. */
class GotHop {
  /** got's own request if it goes out, or the stored response in its place. */
  readonly result: Promise<GotResult>;
  readonly #url: URL;
  readonly #native: NativeOptions;
  readonly #gotOptions: GotOptions;
  readonly #startMs = Date.now();
  #resolve: (result: GotResult) => void = () => undefined;
  #reject: (error: unknown) => void = () => undefined;
  #guard: Guard | undefined;
  #origin: OriginResponse | undefined;
  #timer: NodeJS.Timeout | undefined;
  #patience: Promise<void> | undefined;

  constructor(url: URL, native: NativeOptions, gotOptions: GotOptions) {
    this.#url = url;
    this.#native = native;
    this.#gotOptions = gotOptions;
    this.result = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
  }

  start(cache: Cache, asked: Presented, choice: RequestOptions | undefined): Promise<GotResult> {
    const presented: Presented = { ...asked, patience: () => (this.#patience ??= this.#waitForAnother()) };
    this.#ask(cache, presented, choice).then(
      (response) => this.#answer(response),
      (error: unknown) => this.#fail(error),
    );
    return this.result;
  }

  async #ask(cache: Cache, presented: Presented, choice: RequestOptions | undefined): Promise<CacheResponse> {
    const { request } = presented;
    const forward: Forward = (fields, kind) =>
      kind === 'own' ? this.#forward(fields) : this.#forwardApart(fields ?? request.fields);
    const content = contentOf(this.#gotOptions.body);
    if (content === undefined || !cache.isBodyInKey(presented, choice))
      return cache.exchange(presented, forward, choice);
    return cache.exchange({ ...presented, bodyHash: await bodyHashOf(request, content) }, forward, choice);
  }

  /** got counts the time once it has a request: it gets one when it has waited for another's for as long as it would for its own. */
  #waitForAnother(): Promise<void> {
    const timeoutMs = this.#gotOptions.timeout.request;
    return new Promise((resolve) => {
      if (timeoutMs !== undefined) this.#timer = setTimeout(resolve, timeoutMs);
    });
  }

  #answer(answer: CacheResponse): void {
    clearTimeout(this.#timer);
    const { head, body, info } = answer;
    if (body.from === 'cache') {
      const message = new StoredMessage(answer, body);
      addTimings(message, this.#startMs, this.#url.protocol === 'https:');
      if (this.#guard === undefined) this.#resolve(goingWithReader(message));
      else this.#guard.substitute(message);
      return;
    }
    const { stream } = body.tap;
    if (!(stream instanceof http.IncomingMessage) && !('rawHeaders' in stream)) throw new TypeError('not a response');
    // Messages of HTTP/2 are made in the likeness of Node's.
    const message = stream as IncomingMessage;
    addFields(message, head.fields.slice(wireFieldsOf(message).length));
    Object.assign(message, { cacheInfo: info });
    if (body.tap === this.#origin?.body) this.#guard?.deliver(message, body.tap);
    else this.#guard?.substitute(message);
  }

  #fail(error: unknown): void {
    clearTimeout(this.#timer);
    if (this.#guard === undefined) this.#reject(error);
    else this.#guard.fail(error);
  }

  async #forward(fields: FieldLines | undefined): Promise<OriginResponse> {
    clearTimeout(this.#timer);
    const request = await this.#issue(this.#ownOptions(fields));
    const guard = new Guard(request, (response) => {
      this.#origin = originResponseOf(response, this.#gotOptions.isStream ? 'at-once' : 'never');
    });
    this.#guard = guard;
    this.#resolve(request);
    const response = await guard.response;
    return this.#origin ?? originResponseOf(response);
  }

  async #forwardApart(fields: FieldLines): Promise<OriginResponse> {
    const options = { ...this.#native, headers: headersOf(fields) };
    return answerOf(await this.#issue(options), contentOf(this.#gotOptions.body));
  }

  #ownOptions(fields: FieldLines | undefined): NativeOptions {
    const headers = fields === undefined ? this.#native.headers : headersOf(fields);
    const changed = headers !== undefined && { headers };
    // got looks in these very options for a connection of HTTP/2 that is being made.
    return this.#gotOptions.http2 ? Object.assign(this.#native, changed) : { ...this.#native, ...changed };
  }

  async #issue(options: NativeOptions): Promise<ClientRequest> {
    const send = this.#gotOptions.getRequestFunction();
    const result =
      (await send?.(this.#url, options)) ?? (await this.#gotOptions.getFallbackRequestFunction()?.(this.#url, options));
    if (isClientRequest(result)) {
      if (this.#gotOptions.request !== undefined) noteMadeByUser(result);
      return result;
    }
    // The user's own `request` function answered by itself: that is the answer, and none of the cache's business.
    if (result !== undefined) this.#resolve(result);
    throw new TypeError(noAnswer);
  }
}

/** got has made bytes or text of JSON and forms by now; all else is a stream. */
function contentOf(body: GotOptions['body']): Uint8Array | undefined {
  if (typeof body === 'string') return Buffer.from(body);
  return body instanceof Uint8Array ? body : undefined;
}

/**
 * Without a request, got has nothing to destroy when its stream is destroyed, and the body would stay open. It does tell each response
 * whose it is, and so does whatever it puts around one to undo its content coding.
 */
function goingWithReader(message: StoredMessage): StoredMessage {
  return Object.defineProperty(message, 'request', StoredMessage.ofReader);
}

/**
 * As got itself tells them from responses, and an HTTP request: another thing that a user's `request` function returns in place of one tells got
 * what it likes, and not always how it ends.
 */
const isClientRequest = (value: unknown): value is ClientRequest =>
  typeof value === 'object' &&
  value !== null &&
  'writable' in value &&
  'writableEnded' in value &&
  value.writable === true &&
  'getHeader' in value;

function presentedOf(url: URL, native: NativeOptions, hasContent: boolean): Presented {
  const fields = fieldLinesOf(native.headers ?? {});
  const host = fieldOf(fields, 'host');
  const socketPath = 'socketPath' in native && typeof native.socketPath === 'string' ? native.socketPath : undefined;
  const isElsewhere = host !== undefined && host.toLowerCase() !== url.host;
  const target =
    socketPath === undefined
      ? url.href
      : `${url.protocol}//${host ?? 'localhost'}${'path' in native ? String(native.path) : url.pathname}`;
  const via = socketPath === undefined ? (isElsewhere ? url.host : undefined) : `unix:${socketPath}`;
  return {
    request: {
      method: native.method ?? 'GET',
      url: isElsewhere && via === url.host ? target.replace(url.host, host) : target,
      fields,
    },
    hasBody: hasContent || hasBody(native.method ?? 'GET', fields),
    ...(via !== undefined && { via }),
  };
}
