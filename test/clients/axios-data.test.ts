// time limit: 300 s
import { IncomingMessage } from 'node:http';
import type { Readable } from 'node:stream';
import zlib from 'node:zlib';
import axios from 'axios';
import { suite } from 'uvu';
import { type AxiosRow, axiosKind, describe, failureOf } from './axios-kind.js';
import { always, byPath } from './origin.js';
import { compareRows } from './transparency.js';

const test = suite('axios: what comes of a response');

const create = axiosKind.create;
const json = '{"one":1,"list":[1,2],"text":"żółć"}';
const large = Buffer.alloc(300_000, 'A line of a large body, which no store keeps beside its head.\n');
const asJson = { 'Content-Type': 'application/json; charset=utf-8' };
const asText = { 'Content-Type': 'text/plain' };

const byResponseType = (['json', 'text', 'arraybuffer', 'stream', 'document', 'blob', 'formdata'] as const).map(
  (responseType): AxiosRow => ({
    name: `responseType ${responseType}`,
    answer: always(200, asJson, json),
    run: async ({ attach, url }) => {
      const client = await attach(create());
      return describe(client.get(url, { responseType })).catch(failureOf0);
    },
  }),
);

/** What failed is an outcome, too. */
const failureOf0 = (error: unknown) => failureOf(Promise.reject(error));

const byCoding: readonly (readonly [string, (body: Buffer) => Buffer])[] = [
  ['gzip', zlib.gzipSync],
  ['x-gzip', zlib.gzipSync],
  ['GZIP', zlib.gzipSync],
  ['deflate', zlib.deflateSync],
  ['deflate', zlib.deflateRawSync],
  ['br', zlib.brotliCompressSync],
  ['identity', (body) => body],
  ['unknown-coding', (body) => body],
  ['gzip', (body) => zlib.gzipSync(body).subarray(0, 40)],
  ['gzip', (body) => body],
];
const compressed = byCoding.flatMap(([coding, encode], position) =>
  [true, false].map(
    (decompress): AxiosRow => ({
      name: `Content-Encoding ${coding}, case ${position}, decompress ${decompress}`,
      answer: always(200, { ...asJson, 'Content-Encoding': coding }, encode(Buffer.from(json.repeat(9)))),
      run: async ({ attach, url }) => {
        const client = await attach(create());
        return describe(client.get(url, { decompress, responseType: 'text' })).catch(failureOf0);
      },
    }),
  ),
);

const encodings = ['utf8', 'UTF-8', 'latin1', 'base64', 'hex', 'utf16le', 'ascii'] as const;
const byEncoding = encodings.map(
  (responseEncoding): AxiosRow => ({
    name: `responseEncoding ${responseEncoding}`,
    answer: always(200, asText, Buffer.from('\ufeffżółć and a mark')),
    run: async ({ attach, url }) =>
      describe((await attach(create())).get(url, { responseEncoding, responseType: 'text' })),
  }),
);

const statuses = [200, 201, 203, 204, 206, 300, 304, 400, 401, 404, 410, 418, 429, 500, 503];
const byStatus = statuses.flatMap((status) =>
  [undefined, null, (code: number) => code !== status].map(
    (validateStatus, which): AxiosRow => ({
      name: `status ${status}, validateStatus ${['default', 'null', 'of the user'][which]}`,
      answer: always(status, asText, status === 204 || status === 304 ? '' : 'said the origin'),
      ...instead(status),
      run: async ({ attach, url }) => {
        const client = await attach(create());
        return describe(client.get(url, validateStatus === undefined ? {} : { validateStatus })).catch(failureOf0);
      },
    }),
  ),
);

/** Not every status may be stored: then every mode but the bypass is a miss. */
function instead(status: number): Pick<AxiosRow, 'instead'> {
  if (![206, 304, 401].includes(status)) return {};
  const miss = 'miss';
  return { instead: { hit: miss, 'first hit': miss, validated: miss, collapsed: miss, stale: miss } };
}

const rows: readonly AxiosRow[] = [
  {
    name: 'no responseType: JSON is parsed',
    run: async ({ attach, url }) => describe((await attach(create())).get(url)),
  },
  {
    name: 'JSON that is none stays text',
    answer: always(200, asJson, '{"one":'),
    run: async ({ attach, url }) => describe((await attach(create())).get(url)),
  },
  {
    name: 'JSON that is none fails where it must not be',
    answer: always(200, asJson, '{"one":'),
    run: async ({ attach, url }) =>
      failureOf(
        (await attach(create())).get(url, { responseType: 'json', transitional: { silentJSONParsing: false } }),
      ),
  },
  {
    name: 'an empty body',
    answer: always(200, asText, ''),
    run: async ({ attach, url }) => describe((await attach(create())).get(url)),
  },
  {
    name: 'an empty body as a stream',
    answer: always(200, asText, ''),
    run: async ({ attach, url }) => describe((await attach(create())).get(url, { responseType: 'stream' })),
  },
  {
    name: 'a large body as text',
    answer: always(200, asText, large),
    run: async ({ attach, url }) => describe((await attach(create())).get(url)),
  },
  {
    name: 'a large body as a stream',
    answer: always(200, asText, large),
    run: async ({ attach, url }) => describe((await attach(create())).get(url, { responseType: 'stream' })),
  },
  {
    name: 'a large compressed body',
    answer: always(200, { ...asText, 'Content-Encoding': 'gzip' }, zlib.gzipSync(large)),
    run: async ({ attach, url }) => describe((await attach(create())).get(url)),
  },
  {
    name: 'a body of random bytes in chunks',
    answer: ({ response, freshness }) => {
      response.writeHead(200, { ...freshness, 'Content-Type': 'application/octet-stream' });
      for (let part = 0; part < 20; part += 1) response.write(Buffer.alloc(9000, part));
      response.end();
    },
    // The row writes by itself, so its body cannot be held back.
    except: { collapsed: 'needs send()', validated: 'needs send()' },
    run: async ({ attach, url }) => describe((await attach(create())).get(url, { responseType: 'arraybuffer' })),
  },
  {
    name: 'the buffer that one request got is its own',
    repeats: true,
    run: async ({ attach, url }) => {
      const client = await attach(create());
      const first = await client.get<Buffer>(url, { responseType: 'arraybuffer' });
      first.data.fill(0);
      return describe(client.get(url, { responseType: 'arraybuffer' }));
    },
  },
  {
    name: 'a stream that is read in flowing mode, events in order',
    run: async ({ attach, url, note }) => {
      const { data } = await (await attach(create())).get<Readable>(url, { responseType: 'stream' });
      const chunks: Buffer[] = [];
      data.on('data', (chunk: Buffer) => chunks.push(chunk));
      await new Promise<void>((resolve) => {
        for (const event of ['end', 'error', 'aborted']) data.on(event, () => note(event));
        data.on('close', () => {
          note('close');
          resolve();
        });
      });
      return Buffer.concat(chunks);
    },
  },
  {
    name: 'a stream that is destroyed half-way',
    answer: always(200, asText, large),
    run: async ({ attach, url, note }) => {
      const { data } = await (await attach(create())).get<Readable>(url, { responseType: 'stream' });
      for (const event of ['end', 'error']) data.on(event, () => note(event));
      await new Promise<void>((resolve) => {
        data.once('data', () => data.destroy());
        data.on('close', resolve);
      });
      return { destroyed: data.destroyed, isEnded: data.readableEnded };
    },
  },
  {
    name: 'a stream that is destroyed with an error',
    answer: always(200, asText, large),
    run: async ({ attach, url }) => {
      const { data } = await (await attach(create())).get<Readable>(url, { responseType: 'stream' });
      return new Promise((resolve) => {
        data.once('data', () => data.destroy(new Error('enough')));
        data.on('error', (error) => resolve(error.message));
      });
    },
  },
  {
    name: 'what a stream is besides a stream',
    run: async ({ attach, url }) => {
      const { data } = await (await attach(create())).get(url, { responseType: 'stream' });
      const seen = {
        is: data instanceof IncomingMessage,
        statusCode: data.statusCode,
        statusMessage: data.statusMessage,
        httpVersion: data.httpVersion,
        headers: data.headers,
        rawHeaders: data.rawHeaders,
        url: data.url,
        responseUrl: data.responseUrl,
        redirects: data.redirects,
        trailers: data.trailers,
        aborted: data.aborted,
      };
      for await (const _ of data);
      return { ...seen, complete: data.complete };
    },
  },
  {
    name: 'transformResponse gets what the client would give it',
    run: async ({ attach, url, note }) =>
      describe(
        (await attach(create())).get(url, {
          transformResponse: [
            (data, headers, status) => {
              note(`${typeof data} ${headers.constructor.name} ${headers['x-origin']} ${status}`);
              return `${data}!`;
            },
            (data) => ({ wrapped: data }),
          ],
        }),
      ),
  },
  {
    name: 'transformResponse that throws',
    run: async ({ attach, url }) =>
      failureOf(
        (await attach(create())).get(url, {
          transformResponse: () => {
            throw new RangeError('not this one');
          },
        }),
      ),
  },
  {
    name: 'fields that come more than once',
    answer: ({ response, freshness, request }) => {
      if (freshness.ETag !== undefined && request.headers['if-none-match'] === freshness.ETag)
        return void response.writeHead(304, freshness).end();
      response.writeHead(200, [
        ...Object.entries(freshness).flat(),
        ...['Content-Length', '2', 'Link', '<a>', 'Link', '<b>', 'Vary', 'Accept', 'Vary', 'X-Other'],
        ...['X-Many', '1', 'x-many', '2', 'Set-Cookie', 'a=1', 'Set-Cookie', 'b=2', 'Age', '3', 'Server', 'one'],
        ...['Server', 'two'],
      ]);
      response.end('ok');
    },
    except: { collapsed: 'needs send()' },
    run: async ({ attach, url }) => describe((await attach(create())).get(url)),
  },
  {
    name: 'one Set-Cookie is a list of one',
    answer: always(200, { ...asText, 'Set-Cookie': 'a=1' }, 'x'),
    run: async ({ attach, url }) => describe((await attach(create())).get(url)),
  },
  {
    name: 'field values with bytes above 127',
    answer: always(200, { ...asText, 'X-Latin': 'caf\u00e9' }, 'x'),
    run: async ({ attach, url }) => describe((await attach(create())).get(url)),
  },
  {
    name: 'HEAD',
    except: { collapsed: 'only GET is collapsed' },
    run: async ({ attach, url }) => describe((await attach(create())).head(url)),
  },
  {
    name: 'a range',
    answer: ({ send, request }) =>
      request.headers.range === undefined
        ? send(200, { ...asText, 'Accept-Ranges': 'bytes' }, '0123456789')
        : send(206, { ...asText, 'Accept-Ranges': 'bytes', 'Content-Range': 'bytes 2-4/10' }, '234'),
    instead: { collapsed: 'miss' },
    run: async ({ attach, url }) => describe((await attach(create())).get(url, { headers: { Range: 'bytes=2-4' } })),
  },
  {
    name: 'a 304 to the user’s own condition',
    answer: ({ send, request, response, freshness }) =>
      request.headers['if-none-match'] === '"mine"'
        ? void response.writeHead(304, { ETag: '"mine"', ...freshness }).end()
        : send(200, { ...asText, ETag: '"mine"' }, 'body'),
    except: {
      validated: 'the origin has one validator here',
      stale: 'the origin has one validator here',
    },
    instead: { collapsed: 'miss' },
    run: async ({ attach, url }) =>
      failureOf((await attach(create())).get(url, { headers: { 'If-None-Match': '"mine"' } })),
  },
  ...[-1, 0, 5, 1000].map(
    (maxContentLength): AxiosRow => ({
      name: `maxContentLength ${maxContentLength}`,
      answer: always(200, asText, '0123456789'),
      run: async ({ attach, url }) =>
        describe((await attach(create())).get(url, { maxContentLength })).catch(failureOf0),
    }),
  ),
  {
    name: 'maxContentLength counts what is unpacked',
    answer: always(200, { ...asText, 'Content-Encoding': 'gzip' }, zlib.gzipSync('0'.repeat(5000))),
    run: async ({ attach, url }) => failureOf((await attach(create())).get(url, { maxContentLength: 1000 })),
  },
  {
    name: 'a body that is cut off',
    answer: ({ response, freshness }) => {
      response.writeHead(200, { ...freshness, 'Content-Length': 100 });
      response.write('half', () => response.destroy());
    },
    except: {
      hit: 'never stored',
      'first hit': 'never stored',
      validated: 'never stored',
      stale: 'never stored',
      collapsed: 'never stored',
    },
    run: async ({ attach, url }) => failureOf((await attach(create())).get(url)),
  },
  {
    name: 'a body that is cut off, as a stream',
    answer: ({ response, freshness }) => {
      response.writeHead(200, { ...freshness, 'Content-Length': 100 });
      response.write('half', () => response.destroy());
    },
    except: {
      hit: 'never stored',
      'first hit': 'never stored',
      validated: 'never stored',
      stale: 'never stored',
      collapsed: 'never stored',
    },
    run: async ({ attach, url }) => describe((await attach(create())).get(url, { responseType: 'stream' })),
  },
  {
    name: 'the default instance and the short forms',
    repeats: true,
    answer: byPath({ '/': always(200, asText, 'root'), '/other': always(404, asText, 'none') }),
    prime: async ({ attach, url }) => {
      const client = await attach(create());
      await client.get(url);
      await client.get(`${url}other`, { validateStatus: null });
    },
    run: async ({ attach, url }) => {
      const client = await attach(create());
      return [
        await describe(client(url)),
        await describe(client({ url })),
        await describe(client.request({ url })),
        await failureOf(client(`${url}other`)),
        axios.isAxiosError(await client(`${url}other`).catch((error) => error)),
      ];
    },
  },
];

compareRows(test, axiosKind, [...rows, ...byResponseType, ...compressed, ...byEncoding, ...byStatus]);

test.run();
