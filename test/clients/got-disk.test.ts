import { once } from 'node:events';
import http from 'node:http';
import { suite } from 'uvu';
import { describe, type GotRow, gotKind, outcomeOf } from './got-kind.js';
import { always } from './origin.js';
import { compareRows } from './transparency.js';

const test = suite('got: answers off the disk, which take their time');

const create = gotKind.create;
const asText = { 'Content-Type': 'text/plain' };
const large = Buffer.alloc(300_000, 'A line of a large body, which no store keeps beside its head.\n');

const rows: readonly GotRow[] = [
  { name: 'a small body', run: async ({ attach, url }) => describe((await attach(create()))(url)) },
  {
    name: 'a large body',
    answer: always(200, asText, large),
    run: async ({ attach, url }) => describe((await attach(create()))(url)),
  },
  {
    name: 'an empty body',
    answer: always(200, asText, ''),
    run: async ({ attach, url }) => describe((await attach(create()))(url)),
  },
  {
    name: 'a redirect that is not followed',
    answer: always(302, { Location: '/elsewhere' }),
    run: async ({ attach, url }) => outcomeOf((await attach(create()))(url, { followRedirect: false })),
  },
  {
    name: 'HTTP/2',
    answer: always(200, asText, large),
    prime: async ({ attach, tlsUrl }) =>
      (await attach(create()))(tlsUrl, { http2: true, https: { rejectUnauthorized: false } }),
    run: async ({ attach, tlsUrl }) =>
      describe((await attach(create()))(tlsUrl, { http2: true, https: { rejectUnauthorized: false } })),
  },
  {
    name: 'a stream that is destroyed half-way',
    answer: always(200, asText, large),
    run: async ({ attach, url }) => {
      const stream = (await attach(create())).stream(url);
      await once(stream, 'data');
      stream.destroy();
      return { destroyed: stream.destroyed, isAborted: stream.isAborted };
    },
  },
  {
    name: 'an upload that is given up once its response is there',
    // What this makes invalid is looked for on the disk, before the response is handed on.
    answer: ({ request, send }) => {
      request.on('error', () => undefined);
      request.once('data', () => send(200, asText, 'that is enough'));
    },
    except: { hit: 'a POST', stale: 'a POST', validated: 'a POST', collapsed: 'a POST' },
    instead: 'anything',
    run: async ({ attach, url }) => {
      const request = (target: URL, options: http.RequestOptions) => {
        const made = http.request(target, options);
        // As got does from version 16 on, which looks after each piece that it has sent. `res` is not in Node's types.
        const look = () => {
          if ('res' in made && made.res) made.destroy();
          else if (!made.destroyed) setImmediate(look);
        };
        look();
        return made;
      };
      const upload = (await attach(create())).stream.post(url, { request });
      upload.on('error', () => undefined);
      upload.write('a part');
      const chunks: string[] = [];
      upload.on('data', (chunk: Buffer) => chunks.push(chunk.toString()));
      await once(upload, 'end');
      upload.destroy();
      return chunks;
    },
  },
];

compareRows(test, gotKind, rows, 'disk');

test.run();
