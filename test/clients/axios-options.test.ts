// time limit: 300 s
import { getEventListeners } from 'node:events';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import zlib from 'node:zlib';
import axios, { AxiosHeaders, type AxiosInstance, type AxiosRequestConfig } from 'axios';
import { suite } from 'uvu';
import { type AxiosRow, axiosKind, describe, failureOf, outcomeOf, read } from './axios-kind.js';
import { type Answer, always, byPath } from './origin.js';
import { compareRows } from './transparency.js';

const test = suite('axios: options and events that fewer programs use');

const create = axiosKind.create;
const asText = { 'Content-Type': 'text/plain' };
const asJson = { 'Content-Type': 'application/json' };
const json = '{"one":1,"when":"2020-01-01"}';
const unsafe: NonNullable<AxiosRow['except']> = {
  hit: 'not a method whose answers are stored',
  'first hit': 'not a method whose answers are stored',
  validated: 'not a method whose answers are stored',
  stale: 'not a method whose answers are stored',
  collapsed: 'not a method whose answers are stored',
};

/** Options that only newer versions know are no error to older ones. */
const same = (name: string, answer: Answer, options: object, more: Partial<AxiosRow> = {}): AxiosRow => ({
  name,
  answer,
  prime: async ({ attach, url }) => (await attach(create())).get(url, options).catch(() => undefined),
  run: async ({ attach, url }) => outcomeOf((await attach(create())).get(url, options as AxiosRequestConfig)),
  ...more,
});

const bodies: readonly AxiosRow[] = [
  same('JSON after a byte order mark', always(200, asJson, `\ufeff${json}`), {}),
  same('parseReviver', always(200, asJson, json), {
    parseReviver: (key: string, value: unknown) => (key === 'when' ? Date.parse(String(value)) : value),
  }),
  same('no transformation', always(200, asJson, json), { transformResponse: [] }),
  same('a list of transformations', always(200, asJson, json), {
    transformResponse: [(data: string) => JSON.parse(data), (data: object) => ({ ...data, two: 2 })],
  }),
  same('responseType document', always(200, asText, 'text'), { responseType: 'document' }),
  same('a coding in capitals', always(200, { ...asText, 'Content-Encoding': 'GZIP' }, zlib.gzipSync(json)), {}),
  same('the coding x-gzip', always(200, { ...asText, 'Content-Encoding': 'x-gzip' }, zlib.gzipSync(json)), {}),
  same('an empty body that is said to be coded', always(200, { ...asText, 'Content-Encoding': 'gzip' }, ''), {}),
  same(
    'an empty body that is said to be coded, as a stream',
    always(200, { ...asText, 'Content-Encoding': 'br' }, ''),
    {
      responseType: 'stream',
    },
  ),
  same('silentJSONParsing false', always(200, asJson, '{'), {
    responseType: 'json',
    transitional: { silentJSONParsing: false },
  }),
];

const requests: readonly AxiosRow[] = [
  same('User-Agent false', ({ send, request }) => send(200, asText, String(request.headers['user-agent'])), {
    headers: { 'User-Agent': false },
  }),
  same('headers of axios’s own kind', ({ send, request }) => send(200, asText, String(request.headers['x-mine'])), {
    headers: new AxiosHeaders({ 'X-Mine': 'yes' }),
  }),
  same('a timeout as text', always(200, asText, 'ok'), { timeout: '5000' }),
  {
    name: 'common headers of the defaults',
    answer: ({ send, request }) => send(200, asText, `${request.headers['x-common']} ${request.headers['x-get']}`),
    prime: async ({ attach, url }) => (await attach(create())).get(url, { headers: { 'X-Common': '1', 'X-Get': '2' } }),
    run: async ({ attach, url }) => {
      const client = await attach(create());
      client.defaults.headers.common['X-Common'] = '1';
      client.defaults.headers.get['X-Get'] = '2';
      return outcomeOf(client.get(url));
    },
  },
  ...['postForm', 'putForm', 'patchForm'].map(
    (method): AxiosRow => ({
      name: `${method} with formSerializer`,
      answer: ({ send, request }) => {
        const chunks: Buffer[] = [];
        request.on('data', (chunk: Buffer) => chunks.push(chunk));
        request.on('end', () =>
          send(
            201,
            asText,
            Buffer.concat(chunks)
              .toString()
              .replaceAll(/(?:axios-[\d.]+-boundary-|-{10,})[\w-]+/g, 'boundary'),
          ),
        );
      },
      except: unsafe,
      instead: 'anything',
      run: async ({ attach, url }) => {
        const client = await attach(create());
        const send = client[method as 'postForm'].bind(client);
        const { data, status } = await send(url, { list: [1, { two: 2 }] }, { formSerializer: { indexes: true } });
        return { data, status };
      },
    }),
  ),
  same(
    'a redirect to another host, with credentials and sensitiveHeaders',
    byPath({
      '/': ({ send, request }) => send(302, { Location: `http://localhost:${request.socket.localPort}/there` }),
      '/there': ({ send, request: { headers } }) =>
        send(200, asJson, JSON.stringify([headers.authorization, headers['x-secret'], headers.cookie])),
    }),
    {
      family: 4,
      headers: { Authorization: 'Basic eA==', 'X-Secret': 's', Cookie: 'a=1' },
      sensitiveHeaders: ['X-Secret'],
    },
  ),
];

/** How often an error's stack names who called. */
async function namedInStack(ask: () => Promise<unknown>): Promise<unknown> {
  async function theCaller(): Promise<void> {
    await ask();
  }
  try {
    await theCaller();
  } catch (error) {
    return error instanceof Error ? (error.stack?.match(/theCaller/g) ?? []).length : 'no error';
  }
  return 'did not fail';
}

const errors: readonly AxiosRow[] = [
  {
    name: 'the stack of an error names the caller, once',
    answer: always(404, asText, 'none'),
    run: async ({ attach, url }) => {
      const client = await attach(create());
      return namedInStack(() => client.get(url));
    },
  },
  {
    name: 'the stack of an error of a transformation names the caller',
    answer: always(200, asText, 'ok'),
    run: async ({ attach, url }) => {
      const client = await attach(create());
      const transformResponse = () => {
        throw new RangeError('not this');
      };
      return (await namedInStack(() => client.get(url, { transformResponse }))) !== 0;
    },
  },
  {
    name: 'an error as JSON, with redact',
    answer: always(404, asText, 'none'),
    run: async ({ attach, url }) => {
      const options = { headers: { 'X-Token': 'secret' }, redact: ['X-Token', 'x-token'] } as object;
      const error = await (await attach(create())).get(url, options).catch((reason: unknown) => reason);
      if (!axios.isAxiosError(error)) return error;
      const { stack: _, config, ...rest } = error.toJSON() as { stack: string; config: { headers: object } };
      const sent = Object.entries(config.headers).filter(([name]) => !/^if-/i.test(name));
      return JSON.parse(JSON.stringify({ ...rest, sent }));
    },
  },
];

const signals: readonly AxiosRow[] = [
  {
    name: 'what listens to a signal and a token when all is over',
    run: async ({ attach, url }) => {
      const client = await attach(create());
      const controller = new AbortController();
      const source = axios.CancelToken.source();
      for (const responseType of ['text', 'stream'] as const) {
        const { data } = await client.get(url, { signal: controller.signal, cancelToken: source.token, responseType });
        if (responseType === 'stream') await read(data);
      }
      const { _listeners } = source.token as unknown as { _listeners?: readonly unknown[] };
      return { signal: getEventListeners(controller.signal, 'abort').length, token: _listeners?.length ?? 0 };
    },
    repeats: true,
    instead: 'anything',
  },
  {
    name: 'one token that cancels many',
    answer: ({ hang }) => hang(),
    except: { ...unsafe, bypass: 'the same as a miss' },
    instead: 'anything',
    run: async ({ attach, url, visited }) => {
      const client = await attach(create());
      const source = axios.CancelToken.source();
      const pending = [1, 2, 3].map((n) => failureOf(client.get(`${url}?${n}`, { cancelToken: source.token })));
      await visited();
      source.cancel('enough');
      return Promise.all(pending);
    },
  },
];

const together: readonly AxiosRow[] = [
  {
    name: 'the same thing five times at once, and each its own',
    repeats: true,
    instead: 'anything',
    answer: always(200, asJson, json),
    run: async ({ attach, url }) => {
      const client = await attach(create());
      const answers = await Promise.all(Array.from({ length: 5 }, () => client.get(url)));
      for (const [position, { data, headers }] of answers.entries()) {
        data.mine = position;
        headers['x-mine'] = String(position);
      }
      return answers.map(({ data, headers }) => [data, headers['x-mine']]);
    },
  },
  {
    name: 'a stream that is piped on',
    answer: always(200, asText, Buffer.alloc(300_000, 'piped\n')),
    run: async ({ attach, url }) => {
      const { data } = await (await attach(create())).get<Readable>(url, { responseType: 'stream' });
      const chunks: Buffer[] = [];
      await pipeline(data, async (source: AsyncIterable<Buffer>) => {
        for await (const chunk of source) chunks.push(chunk);
      });
      return Buffer.concat(chunks);
    },
  },
  {
    name: 'interceptors that are asynchronous, and one that runs only when it wants',
    answer: ({ send, request }) => send(200, asText, `${request.headers['x-late']} ${request.headers['x-when']}`),
    prime: async ({ attach, url }) => (await attach(create())).get(url, { headers: { 'X-Late': '1' } }),
    run: async ({ attach, url }) => {
      const client: AxiosInstance = await attach(create());
      client.interceptors.request.use(async (config) => {
        config.headers.set('X-Late', '1');
        return config;
      });
      client.interceptors.request.use(
        (config) => {
          config.headers.set('X-When', '1');
          return config;
        },
        undefined,
        { runWhen: (config) => config.method === 'post', synchronous: true },
      );
      return describe(client.get(url));
    },
  },
];

compareRows(test, axiosKind, [...bodies, ...requests, ...errors, ...signals, ...together]);

test.run();
