import zlib from 'node:zlib';
import type { CancelableRequest, Got, Response } from 'got';
import { gotScraping } from 'got-scraping';
import { suite } from 'uvu';
import { describe, describeResponse, type GotRow, gotKind } from './got-kind.js';
import { type Answer, always, byPath } from './origin.js';
import { type ClientKind, compareRows } from './transparency.js';

/** Crawlee's client: got with a browser's headers, agents, protocols and decoding of its own. */
const test = suite('got-scraping');

const html = Buffer.from('<p>A page that is long enough to be worth a coding.</p>\n'.repeat(200));
const asHtml = { 'Content-Type': 'text/html' };
/** One browser for all: without a session, each request comes from another. */
const sessionToken = {};

const create = (): Got =>
  // To its own types it is no Got, though it is made of one and works as one.
  (gotScraping as unknown as Got).extend({
    retry: { limit: 0 },
    https: { rejectUnauthorized: false },
    ...({ sessionToken } as object),
  });

const kind: ClientKind<Got> = { ...gotKind, create };

const same = (name: string, answer: Answer, path = ''): GotRow => ({
  name,
  answer,
  prime: async ({ attach, url }) => (await attach(create()))(url + path, { throwHttpErrors: false }),
  run: async ({ attach, url }) => describePage((await attach(create()))(url + path, { throwHttpErrors: false })),
});

/**
 * It undoes codings in what the event `request` brings, and leaves the coded length in `headers`; where no request is made, got undoes
 * them, and takes the length away.
 */
async function describePage(pending: CancelableRequest<Response<unknown>>): Promise<unknown> {
  const description = (await describe(pending)) as { headers: object; rawHeaders: readonly string[] };
  if (!description.rawHeaders.some((name) => /^content-encoding$/i.test(name))) return description;
  return { ...description, headers: { ...description.headers, 'content-length': undefined } };
}

const codings: readonly (readonly [string, (body: Buffer) => Buffer])[] = [
  ['gzip', zlib.gzipSync],
  ['deflate', zlib.deflateSync],
  ['br', zlib.brotliCompressSync],
];

/** In chunks, so that nothing tells how long it is. */
const chunked =
  (coding: string, body: Buffer): Answer =>
  ({ response, request, freshness }) => {
    if (freshness.ETag !== undefined && request.headers['if-none-match'] === freshness.ETag)
      return void response.writeHead(304, freshness).end();
    response.writeHead(200, { ...freshness, ...asHtml, 'Content-Encoding': coding });
    response.end(body);
  };

/** It asks which protocols a server speaks by its name, and Node 26 takes no address for one. */
const byName = (url: string): string => url.replace('127.0.0.1', 'localhost');

const rows: readonly GotRow[] = [
  same('a page', always(200, asHtml, html)),
  same('a page that does not exist', always(404, asHtml, html)),
  ...codings.flatMap(([coding, encode]) => [
    same(`a page in ${coding}`, always(200, { ...asHtml, 'Content-Encoding': coding }, encode(html))),
    {
      ...same(`a page in ${coding}, in chunks`, chunked(coding, encode(html))),
      except: { collapsed: 'needs send()' },
    },
  ]),
  same('what the browser says', ({ send, request }) =>
    send(200, { Vary: 'User-Agent, Accept-Language, Accept-Encoding' }, request.headers['user-agent']),
  ),
  same(
    'redirects',
    byPath({
      '/': ({ send }) => send(302, { Location: '/page' }),
      '/page': always(200, { ...asHtml, 'Content-Encoding': 'gzip' }, zlib.gzipSync(html)),
    }),
  ),
  ...[true, false].map(
    (http2): GotRow => ({
      name: `https, http2 ${http2}`,
      answer: ({ send, request }) =>
        send(200, { ...asHtml, 'Content-Encoding': 'gzip' }, zlib.gzipSync(`version ${request.httpVersion}`)),
      prime: async ({ attach, tlsUrl }) => (await attach(create()))(byName(tlsUrl), { http2 }),
      run: async ({ attach, tlsUrl }) => describePage((await attach(create()))(byName(tlsUrl), { http2 })),
    }),
  ),
  {
    name: 'a stream',
    answer: always(200, { ...asHtml, 'Content-Encoding': 'gzip' }, zlib.gzipSync(html)),
    run: async ({ attach, url }) => {
      const stream = (await attach(create())).stream(url);
      let response: object | undefined;
      stream.on('response', (answer) => {
        response = { ...describeResponse(answer), complete: undefined, headers: undefined };
      });
      const chunks: Buffer[] = [];
      for await (const chunk of stream) chunks.push(chunk);
      return { read: Buffer.concat(chunks), response };
    },
  },
];

compareRows(test, kind, rows);

test.run();
