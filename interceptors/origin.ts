import { Agent, ClientRequest, IncomingMessage, type OutgoingHttpHeaders } from 'node:http';
import { type ChunksShown, type FieldLines, type OriginResponse, Tap } from '../src/index.js';

/**
 * A response of Node's HTTP client as the engine takes it. To be made in the turn in which the response arrives.
 */
export function originResponseOf(response: IncomingMessage, shown: ChunksShown = 'at-once'): OriginResponse {
  const isUntouched = isWire(response);
  return {
    head: {
      status: response.statusCode ?? 0,
      statusText: response.statusMessage ?? '',
      httpVersion: response.httpVersion,
      fields: wireFieldsOf(response),
    },
    body: new Tap(response, () => isUntouched && isWhole(response), shown),
    trailers: () => response.rawTrailers ?? [],
    sent: sentFieldsOf(response),
  };
}

const madeByUsers = new WeakSet<object>();

/** A function of the user's made this request of what the cache was asked, and may have added something. */
export function noteMadeByUser(request: object): void {
  madeByUsers.add(request);
}

/** What went out, where something of the user's may have added fields after the cache was asked, as cookie jars for axios do. */
function sentFieldsOf(response: IncomingMessage): FieldLines | undefined {
  const request = 'req' in response ? response.req : undefined;
  if (!(request instanceof ClientRequest)) return undefined;
  if (!madeByUsers.has(request) && !('agent' in request && isOfAnother(request.agent))) return undefined;
  const fields = fieldLinesOf(request.getHeaders());
  // Rendered at once from a list of headers: nothing could be added.
  return fields.length === 0 ? undefined : fields;
}

/** Has its own way to carry requests. How agents do that is not in Node's types. */
function isOfAnother(agent: unknown): boolean {
  return typeof agent === 'object' && agent !== null && 'addRequest' in agent && agent.addRequest !== carryOfNode;
}

const carryOfNode: unknown = Reflect.get(Agent.prototype, 'addRequest');

/** The field lines that came, without the pseudo-header fields of HTTP/2 (RFC 9113 §8.3), which are none. */
export function wireFieldsOf({ rawHeaders }: IncomingMessage): FieldLines {
  if (!rawHeaders[0]?.startsWith(':')) return rawHeaders;
  return rawHeaders.filter((_, position) => !rawHeaders[position - (position % 2)]?.startsWith(':'));
}

/** Asked when the body ends. Messages of HTTP/2 are complete only a little later; theirs end properly, or not with `NO_ERROR`. */
function isWhole(response: IncomingMessage): boolean {
  if (response.complete || response instanceof IncomingMessage) return response.complete && !hadError(response.socket);
  const { aborted, req } = response as { readonly aborted: boolean; readonly req?: { readonly _request?: object } };
  const stream = req?._request;
  return !aborted && stream !== undefined && 'rstCode' in stream && stream.rstCode === 0;
}

/** Not what somebody made of a response before we saw it: its bytes need not be the wire's. */
function isWire(response: IncomingMessage): boolean {
  const request = 'req' in response ? response.req : undefined;
  if (typeof request !== 'object' || request === null || !('res' in request)) return true;
  return request.res === response;
}

/** Node's mark for a connection whose request was told of an error, such as bytes that do not belong to the response. Not in its types. */
function hadError(socket: object | null | undefined): boolean {
  return socket !== null && socket !== undefined && '_hadError' in socket && socket._hadError === true;
}

/** Field lines of a request that is not sent yet: what was set on it, whoever set it. */
export function fieldLinesOf(headers: OutgoingHttpHeaders | readonly string[]): FieldLines {
  if (Array.isArray(headers)) return headers.map(String);
  const lines: string[] = [];
  for (const [name, value] of Object.entries(headers)) {
    if (value === undefined) continue;
    if (Array.isArray(value)) for (const line of value) lines.push(name, line);
    else lines.push(name, String(value));
  }
  return lines;
}

/** The same, one by one: the object that `getHeaders` makes is slow to make and to read. */
export function linesSetOn(request: ClientRequest): FieldLines {
  const lines: string[] = [];
  for (const name of request.getHeaderNames()) {
    const value = request.getHeader(name);
    if (value === undefined) continue;
    if (Array.isArray(value)) for (const line of value) lines.push(name, line);
    else lines.push(name, String(value));
  }
  return lines;
}

/** Field lines as an object that a request can be made from. */
export function headersOf(fields: FieldLines): Record<string, string | string[]> {
  const headers = new Map<string, { readonly name: string; readonly values: string[] }>();
  for (let position = 0; position < fields.length; position += 2) {
    const name = fields[position] ?? '';
    const value = fields[position + 1] ?? '';
    const known = headers.get(name.toLowerCase());
    if (known === undefined) headers.set(name.toLowerCase(), { name, values: [value] });
    else known.values.push(value);
  }
  return Object.fromEntries(
    [...headers.values()].map(({ name, values }) => [name, values.length > 1 ? values : (values[0] ?? '')]),
  );
}

/** Sends a request with this content, if any, and resolves to its answer. */
export function answerOf(request: ClientRequest, content: Uint8Array | undefined): Promise<OriginResponse> {
  return new Promise((resolve, reject) => {
    request.on('response', (response) => resolve(originResponseOf(response)));
    request.on('error', reject);
    if (content === undefined) request.end();
    else request.end(content);
  });
}

/** The first line of a name. */
export function fieldOf(fields: FieldLines, lowerName: string): string | undefined {
  for (let position = 0; position < fields.length; position += 2) {
    if (fields[position]?.toLowerCase() === lowerName) return fields[position + 1];
  }
  return undefined;
}

/** Methods that Node sends without content unless a field says that there is some. */
const bareMethods = ['GET', 'HEAD', 'DELETE', 'OPTIONS', 'TRACE', 'CONNECT'];

/** May there be content? What is written piece by piece is told by no field before the head is rendered. */
export function hasBody(method: string, fields: FieldLines): boolean {
  for (let position = 0; position < fields.length; position += 2) {
    const name = fields[position]?.toLowerCase();
    if (name === 'transfer-encoding') return true;
    if (name === 'content-length') return fields[position + 1] !== '0';
  }
  return !bareMethods.includes(method);
}

/** Gives a request that is not sent yet other fields. What was rendered already cannot be changed. */
export function setFields(request: ClientRequest, fields: FieldLines): void {
  if (request.headersSent) return;
  const wanted = headersOf(fields);
  const names = new Set(Object.keys(wanted).map((name) => name.toLowerCase()));
  for (const name of request.getHeaderNames()) if (!names.has(name)) request.removeHeader(name);
  for (const [name, value] of Object.entries(wanted)) {
    if (String(request.getHeader(name)) !== String(value)) request.setHeader(name, value);
  }
}

/** Adds fields to a response in both shapes in which clients read them. */
export function addFields(response: IncomingMessage, fields: FieldLines): void {
  if (fields.length === 0) return;
  response.rawHeaders.push(...fields);
  for (let position = 0; position < fields.length; position += 2) {
    const name = fields[position]?.toLowerCase();
    const value = fields[position + 1];
    // `headers` may have been made from the raw ones already, or be made when it is read here.
    if (name !== undefined && value !== undefined && response.headers[name] === undefined)
      response.headers[name] = value;
  }
}
