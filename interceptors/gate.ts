import { errorMonitor } from 'node:events';
import http, { type Agent, type ClientRequest, type IncomingMessage, type RequestOptions } from 'node:http';
import https from 'node:https';
import {
  bodyHashOf,
  type Cache,
  type CacheInfo,
  type RequestOptions as CacheRequestOptions,
  type CacheResponse,
  type ChunksShown,
  type FieldLines,
  type Miss,
  type OriginResponse,
  type Presented,
} from '../src/index.js';
import { keepWanted } from './detach.js';
import { Guard } from './guard.js';
import { holdBody } from './held-body.js';
import { HeldRequest } from './held-request.js';
import {
  addFields,
  answerOf,
  fieldLinesOf,
  hasBody,
  headersOf,
  linesSetOn,
  originResponseOf,
  setFields,
  wireFieldsOf,
} from './origin.js';
import { StoredMessage } from './stored-message.js';

/** Node calls this for every request that an agent is to carry; it is how agents are written, and not in the types. */
type AddRequest = (request: ClientRequest, options: RequestOptions, ...rest: unknown[]) => void;

interface AgentInternals {
  readonly addRequest: AddRequest;
}

export interface GateOptions {
  readonly cache: Cache;
  readonly options: CacheRequestOptions | undefined;
  /** When others than the client come by the chunks of the body. */
  readonly shown: ChunksShown;
  /** How long the client waits for an answer: no longer than that does a request wait for another's. 0: no limit. */
  readonly timeoutMs?: number;
  /** The origin failed with this already: what the cache has in its place is the answer, or this error again. */
  readonly standInFor?: Error | undefined;
  /** Told of every hop's answer, in order. */
  onAnswer?(info: CacheInfo): void;
  readonly onPresented?: ((presented: Presented) => void) | undefined;
}

/**
 * An agent that asks the cache before it lets a request through to the real one. A request waits here for the decision as it would for a
 * free socket, so the client's own object, events, time-outs and redirects stay what they are; each hop comes by on its own.
 */
export function gateAgent(real: Agent, gate: GateOptions): Agent {
  return new Proxy(real, new AgentHandler(gate));
}

/** There are two for every request, one of them for nothing: so it is little until it is asked. */
class AgentHandler implements ProxyHandler<Agent> {
  readonly #gate: GateOptions;
  #addRequest: AddRequest | undefined;

  constructor(gate: GateOptions) {
    this.#gate = gate;
  }

  get(real: Agent, name: string | symbol): unknown {
    if (name !== 'addRequest') return Reflect.get(real, name);
    this.#addRequest ??= addRequestThrough(real, this.#gate);
    return this.#addRequest;
  }
}

function addRequestThrough(real: Agent, gate: GateOptions): AddRequest {
  // An agent's methods are in Node's types but for this one.
  const carry = (real as unknown as AgentInternals).addRequest;
  return (request, options, ...rest) => {
    // Not in Node's types; users and Node itself read it.
    Object.assign(request, { agent: real });
    const presented = presentedOf(request, options);
    gate.onPresented?.(presented);
    const miss = gate.standInFor === undefined ? gate.cache.miss(presented, gate.options) : undefined;
    const carryLater = (): void => {
      Reflect.apply(carry, real, [request, withSecurity(request, options, real), ...rest]);
    };
    const exchange = (held: HeldRequest): void =>
      new Hop(request, options, real, carryLater, gate, held).start(presented);
    if (miss === undefined) exchange(new HeldRequest(request));
    else if (miss.turn !== undefined) void goInTurn(request, { miss, turn: miss.turn, gate, carryLater, exchange });
    else {
      watch(request, miss, gate);
      try {
        Reflect.apply(carry, real, [request, options, ...rest]);
      } catch (error) {
        // Node throws it out of the constructor: nobody will ever hear of this request again.
        miss.failed();
        throw error;
      }
    }
  };
}

interface Turn {
  readonly miss: Miss;
  readonly turn: Promise<boolean>;
  readonly gate: GateOptions;
  carryLater(): void;
  exchange(held: HeldRequest): void;
}

/** Another process is asked first; until it has answered, it may still turn out that the head is to be another. */
async function goInTurn(request: ClientRequest, { miss, turn, gate, carryLater, exchange }: Turn): Promise<void> {
  const { emit } = request;
  const held = new HeldRequest(request);
  held.onDestroyed = () => miss.failed();
  const isOurs = await turn;
  if (!held.isHeld) return;
  if (!isOurs) {
    exchange(held);
    return;
  }
  held.leave();
  watch(request, miss, gate, emit);
  try {
    carryLater();
    held.replayEnd();
  } catch (error) {
    held.giveUp(error instanceof Error ? error : new Error(String(error)));
  }
}

/** Agents that are none of Node's, such as agent-base's before 7, tell by the call stack whether it is https that calls them; later it is we. */
function withSecurity(request: ClientRequest, options: RequestOptions, real: Agent): RequestOptions {
  if (real instanceof http.Agent) return options;
  return Object.assign({ secureEndpoint: request.protocol === 'https:' }, options);
}

/** Lets a request go its way, and looks at its response before anybody else does. `emit`: what the request tells others by if nobody has changed that. */
export function watch(
  request: ClientRequest,
  miss: Miss,
  { onAnswer, shown }: { onAnswer?(info: CacheInfo, response: IncomingMessage): void; readonly shown: ChunksShown },
  emit = request.emit,
): void {
  let isAnswered = false;
  const look = (response: IncomingMessage): void => {
    if (isAnswered) return;
    isAnswered = true;
    const origin = originResponseOf(response, shown);
    const { head, info } = miss.answered(origin);
    onAnswer?.(info, response);
    addFields(response, head.fields.slice(origin.head.fields.length));
    if (info.stored) keepWanted(request, response, origin.body);
  };
  // The last event before a response can come. Who has wrapped `emit` by then, as got-scraping does to undo content codings, would get the
  // wire's response first, and we what he makes of it.
  request.on('prefinish', () => {
    if (request.emit === emit) return;
    const other = request.emit;
    request.emit = (event: string | symbol, ...values: unknown[]) => {
      // Node's types leave open what is emitted; for this event it is the response.
      if (event === 'response') look(values[0] as IncomingMessage);
      return Reflect.apply(other, request, [event, ...values]);
    };
  });
  request.prependListener('response', (response: IncomingMessage) => {
    look(response);
    // Node reads what nobody listens for, and takes this listener for somebody.
    if (request.listenerCount('response') === 1) response.resume();
  });
  const fail = (): void => miss.failed();
  request.on('close', fail);
  // Agents for proxies may tell a request of an error and leave it at that: it never closes.
  request.on(errorMonitor, fail);
}

/** One request on its way through the gate. */
class Hop {
  readonly #request: ClientRequest;
  readonly #options: RequestOptions;
  readonly #real: Agent;
  readonly #carry: () => void;
  readonly #gate: GateOptions;
  readonly #guard: Guard;
  #origin: OriginResponse | undefined;
  readonly #held: HeldRequest;
  #content: Uint8Array | undefined;
  #timer: NodeJS.Timeout | undefined;
  #stopWaiting: (() => void) | undefined;
  #patience: Promise<void> | undefined;

  constructor(
    request: ClientRequest,
    options: RequestOptions,
    real: Agent,
    carry: () => void,
    gate: GateOptions,
    held: HeldRequest,
  ) {
    this.#request = request;
    this.#options = options;
    this.#real = real;
    this.#carry = carry;
    this.#gate = gate;
    this.#guard = new Guard(request, (response) => {
      this.#origin = originResponseOf(response, gate.shown);
    });
    this.#held = held;
    held.onDestroyed = () => {
      this.#stopTiming();
      this.#guard.open();
    };
  }

  start(asked: Presented): void {
    const presented: Presented = {
      ...asked,
      patience: () => (this.#patience ??= this.#waitForAnother(this.#gate.timeoutMs ?? 0)),
    };
    if (this.#gate.cache.isBodyInKey(presented, this.#gate.options)) void this.#askWithBody(presented);
    else this.#ask(presented);
  }

  async #askWithBody(presented: Presented): Promise<void> {
    let bodyHash: string | undefined;
    try {
      this.#content = await holdBody(this.#request);
      bodyHash = this.#content && (await bodyHashOf(presented.request, this.#content));
    } catch (error) {
      this.#leave();
      this.#guard.fail(error);
      return;
    }
    this.#ask(bodyHash === undefined ? presented : { ...presented, bodyHash });
  }

  #ask(presented: Presented): void {
    this.#answerTo(presented).then(
      (answered) => {
        const { head, body, info } = answered;
        this.#gate.onAnswer?.(info);
        if (body.from === 'cache') {
          this.#leave();
          this.#guard.substitute(new StoredMessage(answered, body));
          return;
        }
        const { stream } = body.tap;
        if (!isMessage(stream)) throw new TypeError('not a response of this client');
        addFields(stream, head.fields.slice(wireFieldsOf(stream).length));
        if (body.tap === this.#origin?.body) this.#guard.deliver(stream, body.tap);
        else this.#guard.substitute(stream);
      },
      (error: unknown) => {
        this.#leave();
        this.#guard.fail(error);
      },
    );
  }

  async #answerTo(presented: Presented): Promise<CacheResponse> {
    const { cache, options, standInFor } = this.#gate;
    if (standInFor === undefined) {
      return cache.exchange(
        presented,
        (fields, kind) => (kind === 'own' ? this.#forward(fields) : this.#forwardApart(presented, fields)),
        options,
      );
    }
    const response = await cache.standIn(presented, options);
    if (response === undefined) throw standInFor;
    return response;
  }

  /** Clients count the time from when a request gets its socket, and this one has none: it is told here that its time is up. */
  #waitForAnother(timeoutMs: number): Promise<void> {
    return new Promise((resolve) => {
      this.#stopWaiting = resolve;
      if (timeoutMs > 0) this.#timer = setTimeout(() => this.#request.emit('timeout'), timeoutMs);
    });
  }

  #leave(): boolean {
    const isFirst = this.#held.leave();
    if (isFirst) this.#stopTiming();
    return isFirst;
  }

  #stopTiming(): void {
    clearTimeout(this.#timer);
    this.#stopWaiting?.();
  }

  async #forward(fields: FieldLines | undefined): Promise<OriginResponse> {
    if (!this.#leave()) throw new Error('the request was given up');
    if (fields !== undefined) setFields(this.#request, fields);
    this.#carry();
    this.#held.replayEnd();
    const response = await this.#guard.response;
    return this.#origin ?? originResponseOf(response);
  }

  /** A request of its own to the same place, which the client does not see. */
  #forwardApart(presented: Presented, fields = presented.request.fields): Promise<OriginResponse> {
    const send = presented.request.url.startsWith('https:') ? https.request : http.request;
    const headers = headersOf(fields);
    const { signal: _, ...options } = this.#options;
    return answerOf(send({ ...options, agent: this.#real, headers }), this.#content);
  }
}

const isMessage = (stream: object): stream is IncomingMessage => stream instanceof http.IncomingMessage;

/** What a request of Node's HTTP client asks for, read off when it is about to go out. */
export function presentedOf(request: ClientRequest, options: RequestOptions): Presented {
  const headers = options.headers;
  const fields = Array.isArray(headers) ? fieldLinesOf(headers) : linesSetOn(request);
  const host = String(request.getHeader('host') ?? request.host);
  const isAbsolute = /^https?:\/\//i.test(request.path);
  const url = isAbsolute ? request.path : `${request.protocol}//${host.toLowerCase()}${request.path}`;
  const via = viaOf(request, options, host);
  const { method } = request;
  const presented = { request: { method, url, fields }, hasBody: hasBody(method, fields) };
  return via === undefined ? presented : { ...presented, via };
}

/** Where the request goes, when that is not what its `Host` says. */
function viaOf(request: ClientRequest, options: RequestOptions, host: string): string | undefined {
  if (options.socketPath) return `unix:${options.socketPath}`;
  const port = Number(options.port ?? options.defaultPort ?? 80);
  const isDefault = port === (request.protocol === 'https:' ? 443 : 80);
  const name = request.host.includes(':') ? `[${request.host}]` : request.host;
  const target = isDefault ? name : `${name}:${port}`;
  return target.toLowerCase() === host.toLowerCase() ? undefined : target;
}
