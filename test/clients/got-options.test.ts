// time limit: 300 s
import diagnostics from 'node:diagnostics_channel';
import { once } from 'node:events';
import http, { type ServerResponse } from 'node:http';
import net, { type AddressInfo } from 'node:net';
import { PassThrough } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import zlib from 'node:zlib';
import got, { type Got, type Options } from 'got';
import { suite } from 'uvu';
import { describe, failureOf, type GotRow, gotKind, outcomeOf } from './got-kind.js';
import { type Answer, always, byPath } from './origin.js';
import { compareRows } from './transparency.js';

const test = suite('got: options and events that fewer programs use');

const create = gotKind.create;
const asText = { 'Content-Type': 'text/plain' };
const asJson = { 'Content-Type': 'application/json' };
const json = '{"one":1}';
const large = Buffer.alloc(200_000, 'A line of a body that comes in more than one piece.\n');
const neverStored = 'its answer is never stored';
const onlyForwarded: NonNullable<GotRow['except']> = {
  hit: neverStored,
  validated: neverStored,
  stale: neverStored,
  collapsed: neverStored,
};

const same = (name: string, answer: Answer, options: object, more: Partial<GotRow> = {}): GotRow => ({
  name,
  answer,
  prime: async ({ attach, url }) => (await attach(create()))(url, options).catch(() => undefined),
  run: async ({ attach, url }) => outcomeOf((await attach(create()))(url, options)),
  ...more,
});

const bodies: readonly GotRow[] = [
  same('JSON after a byte order mark', always(200, asJson, `\ufeff${json}`), { responseType: 'json' }),
  same('JSON that is empty', always(200, asJson, ''), { responseType: 'json' }),
  same('an empty body that is said to be coded', always(200, { ...asText, 'Content-Encoding': 'gzip' }, ''), {}),
  same('the coding x-gzip', always(200, { ...asText, 'Content-Encoding': 'x-gzip' }, zlib.gzipSync(json)), {}),
  same(
    'HEAD of a coded body',
    always(200, { ...asText, 'Content-Encoding': 'gzip' }, zlib.gzipSync(json)),
    { method: 'HEAD' },
    {
      prime: async ({ attach, url }) => (await attach(create()))(url),
      except: { collapsed: 'only GET is collapsed' },
    },
  ),
  // Who waits for another's answer gets it in two pieces here. What got 16 says of a body that it cannot decode depends on which of two comes first: its
  // decoder's error, or the end of a body that it has destroyed.
  same(
    'two codings',
    always(200, { ...asText, 'Content-Encoding': 'gzip, br' }, json),
    {},
    {
      except: { collapsed: 'two errors race in got' },
      instead: 'anything',
    },
  ),
  same('Accept-Encoding of the user’s own', always(200, asText, json), { headers: { 'accept-encoding': 'identity' } }),
  same('stringifyJson and parseJson in a row of extensions', always(200, asJson, json), {
    responseType: 'json',
    parseJson: (text: string) => ({ wrapped: JSON.parse(text) }),
  }),
  same('many fields', manyFields(), {}),
  same(
    'maxHeaderSize',
    always(200, { 'X-Long': 'x'.repeat(9000) }, 'ok'),
    { maxHeaderSize: 4096 },
    { except: onlyForwarded, instead: 'anything' },
  ),
];

function manyFields(): Answer {
  return ({ send }) =>
    send(200, Object.fromEntries(Array.from({ length: 90 }, (_, n) => [`X-Field-${n}`, `value ${n}`])), 'ok');
}

const instances: readonly GotRow[] = [
  {
    name: 'an instance extended three times more, and merged with another',
    answer: ({ send, request, path }) =>
      send(200, asText, `${path} ${request.headers['x-one']} ${request.headers['x-two']}`),
    prime: async ({ attach, url }) =>
      (await attach(create()))(`${url}sub/path`, { headers: { 'x-one': '1', 'x-two': '2' } }),
    run: async ({ attach, url }) => {
      const one = (await attach(create())).extend({ headers: { 'x-one': '1' } });
      const two = one.extend(got.extend({ headers: { 'x-two': '2' } }), { prefixUrl: `${url}sub` });
      return outcomeOf(two.extend({ throwHttpErrors: false })('path'));
    },
  },
  {
    name: 'defaults that may be changed',
    answer: ({ send, request }) => send(200, asText, `x-one ${request.headers['x-one']}`),
    prime: async ({ attach, url }) => (await attach(create()))(url, { headers: { 'x-one': 'later' } }),
    run: async ({ attach, url }) => {
      const client = (await attach(create())).extend({ mutableDefaults: true });
      client.defaults.options.merge({ headers: { 'x-one': 'later' } });
      return outcomeOf(client(url));
    },
  },
  {
    name: 'one promise that is awaited three ways',
    answer: always(200, asJson, json),
    run: async ({ attach, url }) => {
      const pending = (await attach(create()))(url);
      return [
        await pending.json(),
        await pending.text(),
        Buffer.from(await pending.buffer()),
        (await pending).statusCode,
      ];
    },
  },
  {
    name: 'the short forms of methods',
    answer: ({ send, request }) => send(200, asText, request.method),
    prime: async ({ attach, url }) => (await attach(create())).get(url),
    run: async ({ attach, url }) => outcomeOf((await attach(create())).get(url)),
  },
  {
    name: 'paginate.each, with a transformation and a limit',
    answer: ({ send, path }) => {
      const page = Number(new URL(path, 'http://x').searchParams.get('page') ?? 1);
      send(200, { ...asJson, Link: `</?page=${page + 1}>; rel="next"` }, JSON.stringify([page, page * 10]));
    },
    repeats: true,
    prime: async ({ attach, url }) =>
      (await attach(create())).paginate.all(url, { pagination: { requestLimit: 3, backoff: 0 } }),
    run: async ({ attach, url, note }) => {
      const client = await attach(create());
      const pages = client.paginate<number, string>(url, {
        responseType: 'json',
        pagination: {
          backoff: 0,
          countLimit: 5,
          transform: (response) => {
            note(`page of ${response.url}`);
            return JSON.parse(String(response.rawBody === undefined ? '[]' : Buffer.from(response.rawBody)));
          },
          filter: ({ item }) => item !== 10,
        },
      });
      const items: number[] = [];
      for await (const item of pages) items.push(item);
      return items;
    },
  },
];

/** A server of the row's own that hands on what it gets from the origin. */
async function throughProxy(client: Got, url: string, decompress: boolean): Promise<unknown> {
  const server = http.createServer((request, response: ServerResponse) => {
    request.resume();
    pipeline(client.stream(url, { decompress }), response).catch(() => response.destroy());
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { statusCode, headers, body } = await got(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`, {
    throwHttpErrors: false,
    decompress: false,
  });
  server.closeAllConnections();
  server.close();
  return { statusCode, headers, body };
}

const streams: readonly GotRow[] = [
  {
    name: 'a stream that is piped into a response, which takes its head',
    answer: always(200, { ...asText, 'X-Mine': 'a' }, large),
    run: async ({ attach, url }) => throughProxy(await attach(create()), url, true),
  },
  {
    name: 'a coded stream that is piped into a response as it is',
    answer: always(200, { ...asText, 'Content-Encoding': 'gzip' }, zlib.gzipSync(large)),
    run: async ({ attach, url }) => throughProxy(await attach(create()), url, false),
  },
  {
    name: 'a stream that fails with the status',
    answer: always(404, asText, 'none'),
    run: async ({ attach, url }) => failureOf(pipeline((await attach(create())).stream(url), new PassThrough())),
  },
  {
    name: 'a stream that does not fail with the status',
    answer: always(404, asText, 'none'),
    run: async ({ attach, url }) => {
      const chunks: Buffer[] = [];
      for await (const chunk of (await attach(create())).stream(url, { throwHttpErrors: false })) chunks.push(chunk);
      return Buffer.concat(chunks);
    },
  },
  {
    name: 'a stream that is paused and read again',
    answer: always(200, asText, large),
    run: async ({ attach, url }) => {
      const stream = (await attach(create())).stream(url);
      let length = 0;
      stream.on('data', (chunk: Buffer) => {
        length += chunk.length;
        stream.pause();
        setImmediate(() => stream.resume());
      });
      await once(stream, 'end');
      return length;
    },
  },
  {
    name: 'setEncoding on a stream',
    answer: always(200, asText, 'żółć '.repeat(30_000)),
    run: async ({ attach, url }) => {
      const stream = (await attach(create())).stream(url);
      stream.setEncoding('utf8');
      let text = '';
      for await (const chunk of stream) text += chunk;
      return text;
    },
  },
  {
    name: 'what a stream says of itself, before and after',
    run: async ({ attach, url }) => {
      const stream = (await attach(create())).stream(url);
      const before = [stream.isFromCache, stream.response, stream.isReadonly];
      const [response] = await once(stream, 'response');
      const after = [stream.response === response, stream.redirectUrls.length, stream.isAborted];
      stream.resume();
      await once(stream, 'end');
      return { before, after, progress: stream.downloadProgress };
    },
  },
  {
    name: 'a stream that retries',
    answer: (visit) => {
      if (visit.request.headers['x-try'] === undefined) visit.request.socket.destroy();
      else visit.send(200, asText, 'now');
    },
    except: onlyForwarded,
    instead: 'anything',
    run: async ({ attach, url, note }) => {
      const client = (await attach(got.extend({}))).extend({
        retry: { limit: 1, calculateDelay: ({ computedValue }) => (computedValue ? 1 : 0) },
      });
      return new Promise((resolve, reject) => {
        const read = (stream: ReturnType<Got['stream']>): void => {
          const chunks: Buffer[] = [];
          stream.on('retry', (count, error, createRetryStream) => {
            note(`retry ${count} ${error.code}`);
            read(createRetryStream({ headers: { 'x-try': String(count) } }));
          });
          stream.on('data', (chunk: Buffer) => chunks.push(chunk));
          stream.on('end', () => resolve(Buffer.concat(chunks)));
          stream.on('error', reject);
        };
        read(client.stream(url));
      });
    },
  },
];

const events: readonly GotRow[] = [
  {
    name: 'the events of a promise',
    answer: byPath({ '/': ({ send }) => send(302, { Location: '/there' }), '/there': always(200, asText, large) }),
    prime: async ({ attach, url }) => (await attach(create()))(url),
    run: async ({ attach, url, note }) => {
      const pending = (await attach(create()))(url);
      pending.on('redirect', () => note('redirect'));
      pending.on('response', (response) => note(`response ${response.statusCode} ${response.url}`));
      const { redirectUrls, requestUrl, url: last } = await pending;
      return { redirectUrls: redirectUrls.map(String), requestUrl: String(requestUrl), last };
    },
  },
  {
    name: 'uploadProgress',
    answer: ({ send, request }) => {
      request.resume();
      request.on('end', () => send(201, asText, 'thanks'));
    },
    except: onlyForwarded,
    instead: 'anything',
    run: async ({ attach, url }) => {
      let last: unknown;
      const pending = (await attach(create())).post(url, { body: large.toString() });
      pending.on('uploadProgress', (progress) => {
        last = progress;
      });
      await pending;
      return last;
    },
  },
  {
    name: 'ip and the phases of a request that goes out',
    except: { hit: 'no request is made', stale: 'no request is made', collapsed: 'no request is made' },
    run: async ({ attach, url }) => {
      const { ip, timings } = await (await attach(create()))(url, { agent: { http: new http.Agent() } });
      const { phases } = timings;
      // A validated answer is the stored one: its connection is not the one that was asked.
      return { ip: ip === undefined ? '127.0.0.1' : ip, phases: Object.values(phases).every((ms) => (ms ?? -1) >= 0) };
    },
  },
  {
    name: 'what got publishes itself',
    answer: always(200, asText, 'ok'),
    run: async ({ attach, url, note }) => {
      const names = [
        'request:create',
        'response:start',
        'response:end',
        'request:retry',
        'request:error',
        'response:redirect',
      ];
      const listeners = names.map((name) => {
        const listener = (message: unknown): void => {
          const { statusCode, url: from } = message as { statusCode?: number; url?: string };
          note(`${name} ${statusCode} ${from}`);
        };
        diagnostics.subscribe(`got:${name}`, listener);
        return () => diagnostics.unsubscribe(`got:${name}`, listener);
      });
      try {
        return describe((await attach(create()))(url));
      } finally {
        for (const stop of listeners) stop();
      }
    },
  },
];

/** Accepts connections and says nothing, not even the greeting of TLS. */
async function atSilentServer(run: (port: number) => Promise<unknown>): Promise<unknown> {
  const sockets: net.Socket[] = [];
  const server = net.createServer((socket) => sockets.push(socket));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  try {
    return await run((server.address() as AddressInfo).port);
  } finally {
    for (const socket of sockets) socket.destroy();
    server.close();
  }
}

type Lookup = NonNullable<Options['dnsLookup']>;
const forever: Lookup = (() => undefined) as unknown as Lookup;

const phases: readonly GotRow[] = [
  {
    name: 'timeout.lookup',
    except: onlyForwarded,
    instead: 'anything',
    run: async ({ attach }) =>
      failureOf((await attach(create()))('http://slow.example/', { timeout: { lookup: 30 }, dnsLookup: forever })),
  },
  {
    name: 'timeout.connect',
    except: onlyForwarded,
    instead: 'anything',
    run: async ({ attach }) =>
      failureOf(
        (await attach(create()))('http://slow.example/', {
          timeout: { connect: 30 },
          createConnection: () => new net.Socket(),
        }),
      ),
  },
  {
    name: 'timeout.secureConnect',
    except: onlyForwarded,
    instead: 'anything',
    run: async ({ attach }) =>
      atSilentServer(async (port) =>
        withoutPort(
          await failureOf((await attach(create()))(`https://127.0.0.1:${port}/`, { timeout: { secureConnect: 60 } })),
          port,
        ),
      ),
  },
  {
    name: 'timeout.send',
    except: onlyForwarded,
    instead: 'anything',
    run: async ({ attach, url }) => {
      const body = new PassThrough();
      body.write('some');
      return failureOf((await attach(create())).post(url, { timeout: { send: 60 }, body }));
    },
  },
  {
    name: 'createConnection',
    answer: ({ send }) => send(200, asText, 'ok'),
    prime: async ({ attach, url, port }) =>
      (await attach(create()))(url, { createConnection: () => net.connect(port, '127.0.0.1') }),
    run: async ({ attach, url, port }) =>
      outcomeOf((await attach(create()))(url, { createConnection: () => net.connect(port, '127.0.0.1') })),
  },
];

const withoutPort = (outcome: unknown, port: number): unknown =>
  JSON.parse(JSON.stringify(outcome).replaceAll(String(port), 'port'));

compareRows(test, gotKind, [...bodies, ...instances, ...streams, ...events, ...phases]);

test.run();
