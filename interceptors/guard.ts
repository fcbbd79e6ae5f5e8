import type { ClientRequest, IncomingMessage } from 'node:http';
import type { Tap } from '../src/index.js';
import { keepWanted } from './detach.js';

type Emit = (event: string | symbol, ...values: unknown[]) => boolean;

/**
 * Stands between a client request and whoever listens to it, until it is known what the answer is: holds back `response`, `error`
 * and `close`, and then lets them through or puts a stored response in their place.
 */
export class Guard {
  readonly request: ClientRequest;
  /** The response off the wire; rejects with the request's error. */
  readonly response: Promise<IncomingMessage>;
  /** Tells who listens: by what `request.emit` was, or by what somebody else has made of it since. */
  #emit: Emit;
  #restore: () => void;
  readonly #held: (readonly [event: string, value?: unknown])[] = [];
  /** It failed, and not because the client had left: the client waits for what comes of it. */
  #isMissed = false;
  /** The client itself has given the request up. */
  #isGivenUp = false;
  /**
   * A client that is still sending may stop when it sees that there is a response, which it has not been given yet: Node would throw its body away.
   * So the request goes down only once the response has been handed on.
   */
  #stop: 'at once' | 'later' | 'wanted' = 'at once';
  #mode: 'waiting' | 'open' | 'replaced' = 'waiting';

  /** `onResponse` is called in the turn in which the response arrives. */
  constructor(request: ClientRequest, onResponse: (response: IncomingMessage) => void) {
    this.request = request;
    const { destroy } = request;
    request.destroy = (error?: Error) => {
      if (error === undefined && this.#stop !== 'at once') {
        this.#stop = 'wanted';
        request.destroyed = true;
        return request;
      }
      this.#isGivenUp = true;
      return Reflect.apply(destroy, request, [error]);
    };
    const emit: Emit = request.emit;
    let watched: Emit;
    const tell: Emit = (event, ...values) => Reflect.apply(emit, request, [event, ...values]);
    this.#emit = tell;
    // Set back, not deleted: Node would go on more slowly with an object that lost a property. Not if another took our place meanwhile.
    this.#restore = () => {
      if (request.emit === watched) request.emit = emit;
    };
    this.response = new Promise((resolve, reject) => {
      const waiting = (event: string | symbol, value: unknown): boolean => {
        switch (event) {
          case 'response': {
            // Node's types leave open what is emitted; for this event it is the response.
            const response = value as IncomingMessage;
            if (!request.writableEnded) this.#stop = 'later';
            onResponse(response);
            resolve(response);
            return true;
          }
          case 'error':
            this.#isMissed = !request.destroyed || isTimeOut(value);
            this.#held.push([event, value]);
            reject(value);
            return true;
          case 'close':
            this.#held.push([event]);
            // After an error or a response that says nothing new.
            reject(closedInSilence);
            return true;
          case 'prefinish':
            // The last event before a response can come.
            if (request.emit !== watched) goInFrontOf(request.emit);
            return this.#emit(event, value);
          default:
            return this.#emit(event, value);
        }
      };
      const guarded: Emit = (event, ...values) => {
        if (this.#mode === 'open') return this.#emit(event, ...values);
        if (this.#mode === 'replaced')
          return event === 'response' || event === 'error' || event === 'close' || this.#emit(event, ...values);
        return waiting(event, values[0]);
      };
      // Who wraps `emit` after us, as got-scraping does to undo content codings, would get the wire's response, and we what he makes of it.
      const goInFrontOf = (other: Emit): void => {
        watched = (event, ...values) => guarded(event, ...values);
        request.emit = watched;
        this.#emit = (event, ...values) => Reflect.apply(other, request, [event, ...values]);
        this.#restore = () => {
          if (request.emit === watched) request.emit = other;
        };
        first = tell;
      };
      let first: Emit = guarded;
      watched = (event, ...values) => first(event, ...values);
      request.emit = watched;
    });
    // Nobody waits for the response of a request that the cache answers.
    this.response.catch(() => undefined);
  }

  /** From now on the client may stop at once; did it want to meanwhile? */
  #wasStopped(): boolean {
    const isWanted = this.#stop === 'wanted';
    this.#stop = 'at once';
    if (isWanted) this.request.destroyed = false;
    return isWanted;
  }

  /** Lets everything through from now on, first of all what was held back. */
  open(): void {
    if (this.#wasStopped()) this.request.destroy();
    this.#mode = 'open';
    this.#restore();
    for (const [event, value] of this.#held.splice(0)) this.#emit(event, value);
  }

  /** Hands on the response that this request got from the origin. */
  deliver(response: IncomingMessage, tap: Tap): void {
    const { request } = this;
    this.#mode = 'open';
    // As much later as it would be, had the response not been held back: its reader has what came with its head by then.
    if (this.#wasStopped()) setImmediate(() => request.destroy());
    keepWanted(request, response, tap);
    // The connection may have ended while the response was held back. Clients take no response from a request that looks destroyed.
    const hasEnded = request.destroyed && !this.#isGivenUp;
    if (hasEnded) request.destroyed = false;
    if (!this.#emit('response', response)) response.resume();
    if (hasEnded) request.destroyed = true;
    if (hasEnded && response.errored !== null) tellAgain(response, response.errored);
    this.open();
  }

  /**
   * Puts another response in the place of the request's own, if there was any. What becomes of the connection is no longer the
   * client's business: `destroy` and `close` are about the response it was given.
   */
  substitute(message: IncomingMessage): void {
    const { request } = this;
    if (this.#wasStopped()) request.destroy();
    if (request.destroyed) {
      if (!isAnswered(request) && !this.#isMissed) {
        message.destroy();
        this.open();
        return;
      }
      // Node takes a request for destroyed once its response has been read or it has failed, and clients look.
      request.destroyed = false;
    }
    this.#mode = 'replaced';
    this.#held.length = 0;
    // Node sets both; neither is in its types.
    Object.assign(request, { res: message });
    Object.assign(message, { req: request });
    let failure: Error | undefined;
    let isTold = false;
    const tell = (): void => {
      if (failure === undefined || isTold) return;
      isTold = true;
      this.#emit('error', failure);
    };
    request.destroy = (error?: Error) => {
      request.destroyed = true;
      failure ??= error;
      // As when a socket goes down: no more data at once, and the message learns of it a little later.
      message.removeAllListeners('data');
      process.nextTick(() => {
        tell();
        message.destroy(message.complete ? undefined : Object.assign(new Error('aborted'), { code: 'ECONNRESET' }));
      });
      return request;
    };
    message.once('close', () => {
      request.destroyed = true;
      tell();
      this.#emit('close');
    });
    if (!this.#emit('response', message)) message.resume();
  }

  /** The request failed, and so does the answer. */
  fail(error: unknown): void {
    if (error !== closedInSilence && !this.#held.some(([event]) => event === 'error'))
      this.#held.unshift(['error', error]);
    this.open();
  }
}

/** What the cache is told of a request that closed without an answer and without an error. Whoever listens hears what there was: that it closed. */
const closedInSilence = new Error('the request closed without an answer');

/** That it was cut short, to those who have come to listen since. */
function tellAgain(response: IncomingMessage, error: Error): void {
  process.nextTick(() => {
    response.emit('aborted');
    if (response.listenerCount('error') > 0) response.emit('error', error);
    response.emit('close');
  });
}

/** got destroys a request whose time is up, and waits for its error. */
const isTimeOut = (error: unknown): boolean => error instanceof Error && 'code' in error && error.code === 'ETIMEDOUT';

/** Has its own response been read to the end? Node sets `res`; it is not in the types. */
function isAnswered(request: ClientRequest): boolean {
  const response = 'res' in request ? request.res : undefined;
  return typeof response === 'object' && response !== null && 'complete' in response && response.complete === true;
}
