import http, { IncomingMessage } from 'node:http';
import https from 'node:https';
import type { FieldLines, RequestHead, ResponseHead } from '../src/index.js';

/** By Node's own rules for repeated fields. How Node adds one line is not in its types. */
const addHeaderLine = (
  IncomingMessage.prototype as unknown as {
    _addHeaderLine(this: object, name: string, value: string, headers: NodeHeaders): void;
  }
)._addHeaderLine;

export type NodeHeaders = Record<string, string | string[]>;

/** Field lines in the shape of `IncomingMessage.headers`. */
export function nodeHeadersOf(fields: FieldLines): NodeHeaders {
  const headers: NodeHeaders = {};
  for (let position = 0; position < fields.length; position += 2) {
    const name = fields[position] ?? '';
    const value = fields[position + 1] ?? '';
    const lower = name.toLowerCase();
    // The first line of a name is taken as it is, but for this one; Node knows what to do with a second one.
    if (lower !== 'set-cookie' && headers[lower] === undefined) headers[lower] = value;
    else addHeaderLine.call(headers, name, value, headers);
  }
  return headers;
}

/** The same bytes as a `Buffer`. */
export function bufferOver({ buffer, byteOffset, byteLength }: Uint8Array): Buffer {
  return Buffer.from(buffer, byteOffset, byteLength);
}

/** What users read off a response of Node's client, of one that never was. */
export interface StoredResult {
  readonly statusCode: number;
  readonly statusMessage: string;
  readonly httpVersion: string;
  readonly headers: NodeHeaders;
  readonly rawHeaders: readonly string[];
  readonly responseUrl?: string;
  readonly redirects?: readonly string[];
  readonly complete: boolean;
}

/** Which agents the user chose. */
export interface ChosenAgents {
  readonly httpAgent?: unknown;
  readonly httpsAgent?: unknown;
}

/** What users read off a request that was made, of one that needed not be. Costs nothing until somebody looks. */
export class StoredRequest {
  readonly method: string;
  readonly #head: RequestHead;
  readonly #response: ResponseHead;
  readonly #headers: NodeHeaders;
  readonly #followsRedirects: boolean;
  readonly #agents: ChosenAgents;
  #url: URL | undefined;

  /** `followsRedirects`: it would have been made by a client that does, and that leaves word of it. */
  constructor(
    request: RequestHead,
    response: ResponseHead,
    headers: NodeHeaders,
    followsRedirects: boolean,
    agents: ChosenAgents,
  ) {
    this.method = request.method;
    this.#head = request;
    this.#response = response;
    this.#headers = headers;
    this.#followsRedirects = followsRedirects;
    this.#agents = agents;
  }

  /** The one that would have carried it. */
  get agent(): unknown {
    const { httpAgent, httpsAgent } = this.#agents;
    return this.protocol === 'https:' ? (httpsAgent ?? https.globalAgent) : (httpAgent ?? http.globalAgent);
  }

  get protocol(): string {
    return this.#parsed.protocol;
  }

  get host(): string {
    return this.#parsed.hostname;
  }

  get path(): string {
    return this.#parsed.pathname + this.#parsed.search;
  }

  get res(): StoredResult {
    const { status, statusText, httpVersion, fields } = this.#response;
    return {
      statusCode: status,
      statusMessage: statusText,
      httpVersion,
      headers: this.#headers,
      rawHeaders: fields,
      ...(this.#followsRedirects && { responseUrl: this.#head.url, redirects: [] }),
      complete: true,
    };
  }

  getHeader(name: string): string | string[] | undefined {
    return this.getHeaders()[name.toLowerCase()];
  }

  getHeaders(): NodeHeaders {
    return nodeHeadersOf(this.#head.fields);
  }

  getHeaderNames(): string[] {
    return Object.keys(this.getHeaders());
  }

  hasHeader(name: string): boolean {
    return this.getHeader(name) !== undefined;
  }

  get #parsed(): URL {
    this.#url ??= new URL(this.#head.url);
    return this.#url;
  }
}
