import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { type AddressInfo, isIP } from 'node:net';
import { buffer } from 'node:stream/consumers';

export interface Hit {
  readonly method: string;
  readonly path: string;
  readonly headers: IncomingMessage['headers'];
  readonly body: string;
}

export type Handler = (request: IncomingMessage, response: ServerResponse, hit: Hit) => unknown;

/** An HTTP server on a port of its own that keeps count of what it was asked. */
export class Origin implements AsyncDisposable {
  readonly hits: Hit[] = [];
  handler: Handler;
  /** What `Date` is made of. */
  nowMs: () => number = Date.now;
  readonly #server: Server;
  readonly #waiters: (() => void)[] = [];

  private constructor(server: Server, handler: Handler) {
    this.#server = server;
    this.handler = handler;
  }

  static async open(handler: Handler, port = 0): Promise<Origin> {
    const server = createServer((request, response) => void origin.#take(request, response));
    // Longer than a file of tests takes: a connection that is closed while a request is on its way to it fails that request.
    server.keepAliveTimeout = 300_000;
    const origin = new Origin(server, handler);
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(port, '127.0.0.1', resolve);
    });
    return origin;
  }

  get port(): number {
    const address = this.#server.address();
    return isAddress(address) ? address.port : 0;
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  /** Paths asked for, in order. */
  get paths(): string[] {
    return this.hits.map(({ path }) => path);
  }

  /** Resolves when this many requests have arrived. */
  async arrived(count: number): Promise<void> {
    while (this.hits.length < count) await new Promise<void>((resolve) => this.#waiters.push(resolve));
  }

  async connections(): Promise<number> {
    return new Promise((resolve, reject) => {
      this.#server.getConnections((error, count) => (error ? reject(error) : resolve(count)));
    });
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #take(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { method = '', url = '', headers } = request;
    const body = await buffer(request).catch(() => Buffer.alloc(0));
    const hit: Hit = { method, path: url, headers, body: body.toString() };
    this.hits.push(hit);
    for (const waiter of this.#waiters.splice(0)) waiter();
    response.setHeader('Date', new Date(this.nowMs()).toUTCString());
    await this.handler(request, response, hit);
  }
}

const isAddress = (address: unknown): address is AddressInfo =>
  typeof address === 'object' && address !== null && 'address' in address && isIP(String(address.address)) !== 0;

export type Fields = Readonly<Record<string, string | readonly string[] | undefined>>;

/** A handler that always says the same. */
export function always(body: string | Uint8Array, fields: Fields = {}, status = 200): Handler {
  return (_, response) => reply(response, body, fields, status);
}

export function reply(response: ServerResponse, body: string | Uint8Array, fields: Fields = {}, status = 200): void {
  response.statusCode = status;
  for (const [name, value] of Object.entries(fields)) if (value !== undefined) response.setHeader(name, value);
  const bytes = Buffer.from(body);
  if (status !== 204 && status !== 304) response.setHeader('Content-Length', bytes.byteLength);
  response.end(bytes);
}

/** Answers with the number of the request among those for its path: who gets the same number got the same answer. */
export function counting(fields: Fields = { 'Cache-Control': 'max-age=60' }, status = 200): Handler {
  const counts = new Map<string, number>();
  return (request, response) => {
    const path = request.url ?? '';
    const count = (counts.get(path) ?? 0) + 1;
    counts.set(path, count);
    reply(response, `${path} ${count}`, fields, status);
  };
}

/** Says 304 to whom has the current version; `version` is what it is now. */
export function versioned(version: () => string, fields: Fields = { 'Cache-Control': 'max-age=60' }): Handler {
  return (request, response) => {
    const etag = `"${version()}"`;
    const all = { ...fields, ETag: etag };
    if (request.headers['if-none-match'] === etag) reply(response, '', all, 304);
    else reply(response, `body of ${version()}`, all);
  };
}
