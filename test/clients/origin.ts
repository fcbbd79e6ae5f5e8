import { once } from 'node:events';
import http, { type IncomingMessage, type OutgoingHttpHeaders, type ServerResponse } from 'node:http';
import http2 from 'node:http2';
import type { AddressInfo, Server, Socket } from 'node:net';
import { certificate } from './certificate.js';

/** How an origin lets its responses be kept: fields that every answer of it gets. */
export type Freshness = Readonly<Record<string, string>>;

/** One request as a row's origin sees it. */
export interface Visit {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly path: string;
  /** What to add to a head that a row writes by itself. */
  readonly freshness: Freshness;
  /** Says nothing at all, until the row is over. */
  hang(): void;
  /** Sends the answer, or a 304 if the request has its validator. */
  send(status: number, headers: OutgoingHttpHeaders, body?: string | Uint8Array): void;
}

type OnRequest = (request: IncomingMessage, response: ServerResponse) => void;

export type Answer = (visit: Visit) => void;

/** A server whose answers are set for each row, and that can hold a body back in the middle. */
export class Origin implements AsyncDisposable {
  readonly server: Server;
  readonly #nowMs: () => number;
  #answer: Answer = ({ response }) => response.end();
  #freshness: Freshness = {};
  #hold: 'none' | 'next' | (() => void) = 'none';
  readonly #sockets = new Set<Socket>();
  readonly #hanging: Socket[] = [];
  requests = 0;

  constructor(
    nowMs: () => number,
    createServer: (onRequest: OnRequest) => Server = (onRequest) => http.createServer(onRequest),
  ) {
    this.#nowMs = nowMs;
    this.server = createServer((request, response) => this.#visit(request, response));
    // Longer than a file of tests takes: a connection that is closed while a request is on its way to it fails that request.
    if ('keepAliveTimeout' in this.server) this.server.keepAliveTimeout = 300_000;
    this.server.on('connection', (socket) => {
      this.#sockets.add(socket);
      socket.once('close', () => this.#sockets.delete(socket));
    });
  }

  async listen(path?: string): Promise<this> {
    if (path === undefined) this.server.listen(0, '127.0.0.1');
    else this.server.listen(path);
    await once(this.server, 'listening');
    return this;
  }

  get port(): number {
    return (this.server.address() as AddressInfo).port;
  }

  /** From now on, requests are answered like this. */
  use(answer: Answer, freshness: Freshness): void {
    this.#answer = answer;
    this.#freshness = freshness;
    this.requests = 0;
  }

  /** The next body stops half-way until `release`. */
  hold(): void {
    this.#hold = 'next';
  }

  release(): void {
    const hold = this.#hold;
    this.#hold = 'none';
    if (typeof hold === 'function') hold();
    for (const socket of this.#hanging.splice(0)) socket.destroy();
  }

  /** Resolves when the next request has come. */
  async visited(signal?: AbortSignal): Promise<void> {
    await once(this.server, 'request', { signal });
  }

  /** Ends every connection. */
  async disconnect(): Promise<void> {
    const open = [...this.#sockets].filter((socket) => !socket.destroyed);
    await Promise.all(
      open.map(async (socket) => {
        const closed = once(socket, 'close');
        socket.destroy();
        await closed;
      }),
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.release();
    this.server.close();
    for (const socket of this.#sockets) socket.destroy();
    await once(this.server, 'close');
  }

  #visit(request: IncomingMessage, response: ServerResponse): void {
    this.requests += 1;
    response.sendDate = false;
    const freshness = { Date: new Date(this.#nowMs()).toUTCString(), ...this.#freshness };
    this.#answer({
      request,
      response,
      path: request.url ?? '',
      freshness,
      hang: () => this.#hanging.push(request.socket),
      send: (status, headers, body = '') => {
        // Whoever is answered has said everything.
        request.resume();
        const { ETag } = this.#freshness;
        if (ETag !== undefined && request.headers['if-none-match'] === ETag) {
          response.writeHead(304, freshness).end();
          return;
        }
        const bytes = Buffer.from(body);
        response.writeHead(status, { 'Content-Length': bytes.byteLength, ...freshness, ...headers });
        // To its client a 304 is over with its head: one that is not over here would block the connection for the next request.
        if (this.#hold !== 'next' || headers.Location !== undefined || request.method === 'HEAD' || status === 304) {
          response.end(bytes);
          return;
        }
        const middle = bytes.byteLength >> 1;
        response.write(bytes.subarray(0, middle));
        response.flushHeaders();
        this.#hold = () => response.end(bytes.subarray(middle));
      },
    });
  }
}

/** Answers everything alike. */
export const always =
  (status: number, headers: OutgoingHttpHeaders, body?: string | Uint8Array): Answer =>
  ({ send }) =>
    send(status, headers, body);

/** Answers by path. */
export const byPath =
  (answers: Readonly<Record<string, Answer>>): Answer =>
  (visit) => {
    const answer = answers[visit.path];
    if (answer === undefined) visit.send(404, { 'Content-Type': 'text/plain' }, `nothing at ${visit.path}`);
    else answer(visit);
  };

/** HTTP/1.1 and HTTP/2 by TLS. */
export const createTlsServer = (onRequest: OnRequest): Server =>
  // The compatibility layer of HTTP/2 is made in the likeness of HTTP/1.1.
  http2.createSecureServer({ ...certificate, allowHTTP1: true }, onRequest as never);
