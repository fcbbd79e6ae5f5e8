// time limit: 300 s
import { EventEmitter } from 'node:events';
import http, { type ClientRequest } from 'node:http';
import https from 'node:https';
import net from 'node:net';
import { Readable } from 'node:stream';
import tls from 'node:tls';
import axios, { type AxiosAdapter, AxiosHeaders, type AxiosInstance, type AxiosResponse } from 'axios';
import { suite } from 'uvu';
import { type AxiosRow, axiosKind, describe, failureOf, outcomeOf } from './axios-kind.js';
import { type Answer, always } from './origin.js';
import { compareRows } from './transparency.js';

const test = suite('axios: what is sent, and where to');

const create = axiosKind.create;
const asText = { 'Content-Type': 'text/plain' };

/** Says what it was asked, but for what an HTTP cache may add. */
const echo: Answer = ({ send, request, path }) => {
  const headers = { ...request.headers };
  for (const name of ['if-none-match', 'if-modified-since', 'cache-control', 'pragma']) delete headers[name];
  send(200, { 'Content-Type': 'application/json' }, JSON.stringify({ method: request.method, path, headers }));
};

/** Sends back what was sent. */
const mirror: Answer = ({ send, request }) => {
  const chunks: Buffer[] = [];
  request.on('data', (chunk: Buffer) => chunks.push(chunk));
  request.on('end', () => {
    const type = request.headers['content-type'];
    const body = Buffer.concat(chunks).toString();
    send(201, asText, JSON.stringify({ method: request.method, type, length: body.length, body }));
  });
};

type Send = (client: AxiosInstance, url: string) => Promise<AxiosResponse>;

/** A row whose request is primed by the same request. */
const same = (name: string, send: Send, more: Partial<AxiosRow> = {}): AxiosRow => ({
  name,
  answer: echo,
  prime: async ({ attach, url }) => send(await attach(create()), url),
  run: async ({ attach, url }) => describe(send(await attach(create()), url)),
  ...more,
});

// axios has the option since 1.8.
const hasAbsoluteUrls = Number(axios.VERSION.split('.')[1]) >= 8;
const sinceAbsoluteUrls: readonly AxiosRow[] = hasAbsoluteUrls
  ? [
      same('baseURL and allowAbsoluteUrls false', (client, url) =>
        client.get('http://elsewhere/', { baseURL: `${url}base`, allowAbsoluteUrls: false }),
      ),
    ]
  : [];

const requests: readonly AxiosRow[] = [
  same('no more than a URL', (client, url) => client.get(url)),
  same('params', (client, url) => client.get(url, { params: { a: 1, b: ['x', 'y z'], c: null, d: 'ü' } })),
  same('params beside a query and a fragment', (client, url) => client.get(`${url}p?q=1#frag`, { params: { a: 1 } })),
  same('a fragment', (client, url) => client.get(`${url}p#frag`)),
  same('URLSearchParams', (client, url) => client.get(url, { params: new URLSearchParams('a=1&a=2') })),
  same('paramsSerializer', (client, url) =>
    client.get(url, { params: { a: 1 }, paramsSerializer: { serialize: () => 'mine=%2F' } }),
  ),
  same('paramsSerializer.indexes', (client, url) =>
    client.get(url, { params: { a: [1, 2] }, paramsSerializer: { indexes: null } }),
  ),
  same('baseURL', (client, url) => client.get('/path', { baseURL: `${url}base/` })),
  same('baseURL and an absolute URL', (client, url) => client.get(`${url}abs`, { baseURL: `${url}base/` })),
  ...sinceAbsoluteUrls,
  same('a path that a URL object would write otherwise', (client, url) => client.get(`${url}a/../b c/ü?x=|"'`)),
  same('auth', (client, url) => client.get(url, { auth: { username: 'me', password: 'p:w' } })),
  same('auth in the URL', (client, url) => client.get(url.replace('//', '//me:p%20w@'))),
  same('Authorization', (client, url) => client.get(url, { headers: { Authorization: 'Bearer x' } })),
  same('headers in other spellings', (client, url) =>
    client.get(url, { headers: { accept: 'text/x', 'USER-AGENT': 'me', 'X-List': ['a', 'b'] as unknown as string } }),
  ),
  same('headers that are taken away', (client, url) =>
    client.get(url, { headers: { Accept: null, 'User-Agent': false, 'X-Undefined': undefined } }),
  ),
  same('a Host header', (client, url) => client.get(url, { headers: { Host: 'other.example' } })),
  same('Accept-Encoding of the user’s own', (client, url) =>
    client.get(url, { headers: { 'Accept-Encoding': 'identity' } }),
  ),
  same('cookies', (client, url) => client.get(url, { headers: { Cookie: 'a=1' } })),
  same('a GET with data', (client, url) => client.request({ url, method: 'GET', data: { a: 1 } }), {
    instead: 'anything',
    except: {
      hit: 'has a body',
      'first hit': 'has a body',
      stale: 'has a body',
      validated: 'has a body',
      collapsed: 'has a body',
    },
  }),
  same('method in lower case', (client, url) => client.request({ url, method: 'get' })),
  same('OPTIONS', (client, url) => client.options(url), { instead: 'anything', except: unsafe() }),
  same('an agent with keep-alive', (client, url) =>
    client.get(url, { httpAgent: new http.Agent({ keepAlive: true }) }),
  ),
  same('an agent without keep-alive', (client, url) => client.get(url, { httpAgent: new http.Agent() })),
  same('lookup', (client, url) =>
    client.get(url.replace('127.0.0.1', 'some.example'), {
      lookup: (_host: string, _options: object, done: (error: null, address: string, family: 4) => void) =>
        done(null, '127.0.0.1', 4),
    }),
  ),
  same('a proxy', (client, url) =>
    client.get('http://some.example/thing', {
      proxy: {
        protocol: 'http',
        host: '127.0.0.1',
        port: Number(new URL(url).port),
        auth: { username: 'u', password: 'p' },
      },
    }),
  ),
  same('maxBodyLength of a GET', (client, url) => client.get(url, { maxBodyLength: 3 })),
  same('xsrf names', (client, url) =>
    client.get(url, { xsrfCookieName: 'a', xsrfHeaderName: 'b', withCredentials: true }),
  ),
  same('insecureHTTPParser', (client, url) => client.get(url, { insecureHTTPParser: true })),
  same('family', (client, url) => client.get(url, { family: 4 })),
  same('a transport of the user’s own', (client, url) => client.get(url, { transport: http })),
];

function unsafe(): NonNullable<AxiosRow['except']> {
  const why = 'not a method whose answers are stored';
  return { hit: why, 'first hit': why, stale: why, validated: why, collapsed: why };
}

const places: readonly AxiosRow[] = [
  {
    name: 'a socket path',
    answer: echo,
    prime: async ({ attach, socketPath }) => (await attach(create())).get('http://localhost/x', { socketPath }),
    run: async ({ attach, socketPath }) => describe((await attach(create())).get('http://localhost/x', { socketPath })),
  },
  {
    name: 'https',
    answer: echo,
    prime: async ({ attach, tlsUrl }) =>
      (await attach(create())).get(tlsUrl, { httpsAgent: new https.Agent({ rejectUnauthorized: false }) }),
    run: async ({ attach, tlsUrl }) =>
      describe((await attach(create())).get(tlsUrl, { httpsAgent: new https.Agent({ rejectUnauthorized: false }) })),
  },
  {
    name: 'https with a certificate that nobody signed',
    except: unsafe(),
    instead: 'anything',
    run: async ({ attach, tlsUrl }) => failureOf((await attach(create())).get(tlsUrl)),
  },
  {
    name: 'HTTP/2',
    answer: echo,
    except: { collapsed: 'HTTP/2 goes past the cache' },
    instead: 'anything',
    run: async ({ attach, tlsUrl }) =>
      outcomeOf(
        (await attach(create())).get(tlsUrl, {
          httpVersion: 2,
          http2Options: { rejectUnauthorized: false },
        }),
      ),
  },
];

const bodies = (
  [
    ['an object', () => ({ a: 1 })],
    ['text', () => 'some text'],
    ['a buffer', () => Buffer.from('some bytes')],
    ['a stream', () => Readable.from(['a', 'b', 'c'])],
    ['URLSearchParams', () => new URLSearchParams({ a: '1' })],
    ['FormData', () => formOf(new FormData())],
    ['nothing', () => undefined],
  ] as const
).flatMap(([what, make]) =>
  (['post', 'put', 'patch', 'delete'] as const).map(
    (method): AxiosRow => ({
      name: `${method} of ${what}`,
      answer: mirror,
      except: unsafe(),
      instead: 'anything',
      run: async ({ attach, url }) => outcomeOf((await attach(create())).request({ url, method, data: make() })),
    }),
  ),
);

function formOf(form: FormData): FormData {
  form.append('a', '1');
  form.append('file', new Blob(['content']), 'name.txt');
  return form;
}

const uploads: readonly AxiosRow[] = [
  {
    name: 'maxBodyLength',
    answer: mirror,
    except: unsafe(),
    instead: 'anything',
    run: async ({ attach, url }) => failureOf((await attach(create())).post(url, 'too long', { maxBodyLength: 3 })),
  },
  {
    name: 'maxBodyLength of a stream',
    answer: mirror,
    except: unsafe(),
    instead: 'anything',
    run: async ({ attach, url }) =>
      failureOf((await attach(create())).post(url, Readable.from(['too', 'long']), { maxBodyLength: 3 })),
  },
  {
    name: 'onUploadProgress',
    answer: mirror,
    except: unsafe(),
    instead: 'anything',
    run: async ({ attach, url }) => {
      let last: unknown;
      const response = await (await attach(create())).post(url, Buffer.alloc(100_000, 'x'), {
        onUploadProgress: ({ loaded, total, progress }) => {
          last = { loaded, total, progress };
        },
      });
      return { last, response: await describe(response) };
    },
  },
  {
    name: 'a body stream that fails',
    answer: mirror,
    except: unsafe(),
    instead: 'anything',
    run: async ({ attach, url }) => {
      const stream = new Readable({ read() {} });
      stream.push('a');
      setImmediate(() => stream.destroy(new Error('no more')));
      return failureOf((await attach(create())).post(url, stream));
    },
  },
];

/** Tells https by who calls it, as many agents do that are none of Node's; https-proxy-agent before 6 and socks-proxy-agent before 7 are such. */
class CalledAgent extends EventEmitter {
  readonly #isCalledByHttps = (): boolean => /\bnode:https:/.test(new Error().stack ?? '');

  get protocol(): string {
    return this.#isCalledByHttps() ? 'https:' : 'http:';
  }

  get defaultPort(): number {
    return this.#isCalledByHttps() ? 443 : 80;
  }

  addRequest(request: ClientRequest, options: { host: string; port: number; secureEndpoint?: boolean }): void {
    const { host, port } = options;
    const isSecure = options.secureEndpoint ?? this.#isCalledByHttps();
    request.onSocket(isSecure ? tls.connect({ host, port, rejectUnauthorized: false }) : net.connect({ host, port }));
  }
}

const agents: readonly AxiosRow[] = (['tlsUrl', 'url'] as const).map((where) => {
  const send = (client: AxiosInstance, url: string): Promise<AxiosResponse> => {
    const agent = new CalledAgent();
    return client.get(`${url}agent`, { httpAgent: agent, httpsAgent: agent, headers: { Connection: 'close' } });
  };
  return {
    name: `an agent that tells by who calls it where to go, ${where}`,
    answer: echo,
    prime: async (scene) => send(await scene.attach(create()), scene[where]),
    run: async (scene) => describe(send(await scene.attach(create()), scene[where])),
  };
});

// axios made no agents of its own before: a hit needs none, and a request without the cache fails by the agent's proxy.
const makesAgents = Number(axios.VERSION.split('.')[1]) >= 21;
const byAgentSupported = makesAgents && process.allowedNodeEnvironmentFlags.has('--use-env-proxy');

/** Node's agents may know proxies of their own, and axios then makes others without them. */
const proxiesOfAgents: readonly AxiosRow[] = byAgentSupported
  ? [
      {
        name: 'proxy false and an agent that has a proxy',
        answer: echo,
        instead: 'anything',
        except: { collapsed: 'goes past the cache' },
        run: async ({ attach, url }) => {
          const options = { keepAlive: true, proxyEnv: { HTTP_PROXY: 'http://127.0.0.1:1' } };
          const httpAgent = new http.Agent(options);
          return outcomeOf((await attach(create())).get(url, { httpAgent }));
        },
      },
    ]
  : [];

/** Nothing is sent, so the cache has no part in it. */
const unsent = { instead: 'anything', except: { collapsed: 'nothing is sent' } } as const;

const unwritable: readonly AxiosRow[] = [
  {
    name: 'params that cannot be written',
    ...unsent,
    run: async ({ attach, url }) => failureOf((await attach(create())).get(url, { params: { when: new Date(NaN) } })),
  },
  {
    name: 'a paramsSerializer that throws',
    ...unsent,
    run: async ({ attach, url }) =>
      failureOf(
        (await attach(create())).get(url, {
          params: { a: 1 },
          paramsSerializer: () => {
            throw new RangeError('not these');
          },
        }),
      ),
  },
];

const interceptors: readonly AxiosRow[] = [
  {
    name: 'interceptors before and after ours, in their order',
    answer: echo,
    prime: async ({ attach, url }) =>
      (await attach(create())).get(url, { headers: { 'X-Before': 'before', 'X-After': 'after' } }),
    run: async ({ attach, url, note }) => {
      const client = create();
      client.interceptors.request.use((config) => {
        note('request, registered before');
        config.headers.set('X-Before', 'before');
        return config;
      });
      client.interceptors.response.use((response) => {
        note(`response, registered before: ${response.status} ${typeof response.data}`);
        return response;
      });
      const attached = await attach(client);
      attached.interceptors.request.use((config) => {
        note('request, registered after');
        config.headers.set('X-After', 'after');
        return config;
      });
      attached.interceptors.response.use(async (response) => {
        note(`response, registered after: ${response.status} ${typeof response.data}`);
        return { ...response, data: { wrapped: response.data } };
      });
      return describe(attached.get(url));
    },
  },
  {
    name: 'an interceptor that changes the URL',
    answer: echo,
    prime: async ({ attach, url }) => (await attach(create())).get(`${url}changed`),
    run: async ({ attach, url }) => {
      const client = create();
      client.interceptors.request.use((config) => ({ ...config, url: `${url}changed` }));
      return describe((await attach(client)).get(url));
    },
  },
  {
    name: 'an interceptor that fails',
    instead: 'anything',
    run: async ({ attach, url }) => {
      const client = await attach(create());
      client.interceptors.request.use(() => Promise.reject(new RangeError('not today')));
      return failureOf(client.get(url));
    },
  },
  {
    name: 'a response interceptor that retries with the config of the error',
    answer: ({ send, request }) =>
      request.headers['x-again'] === undefined ? send(404, asText, 'not yet') : send(200, asText, 'now'),
    repeats: true,
    instead: 'anything',
    run: async ({ attach, url, note }) => {
      const client = await attach(create());
      client.interceptors.response.use(undefined, (error) => {
        note(`failed ${error.response?.status}`);
        error.config.headers['X-Again'] = 'yes';
        error.config.cache = { key: 'another' };
        return client.request(error.config);
      });
      const response = await client.get(url);
      delete (response.config as { cache?: unknown }).cache;
      return describe(response);
    },
  },
  {
    name: 'a config that is used again and again',
    answer: echo,
    repeats: true,
    run: async ({ attach, url }) => {
      const client = await attach(create());
      const config = Object.freeze({ url, params: Object.freeze({ a: 1 }) });
      await client.request(config);
      return { response: await describe(client.request(config)), keys: Object.keys(config) };
    },
    prime: async ({ attach, url }) => (await attach(create())).request({ url, params: { a: 1 } }),
  },
  {
    name: 'transformRequest',
    answer: echo,
    prime: async ({ attach, url }) => (await attach(create())).get(url, { headers: { 'X-T': '1' } }),
    run: async ({ attach, url, note }) =>
      describe(
        (await attach(create())).get(url, {
          transformRequest: (data, headers) => {
            note(`transform ${data}`);
            headers.set('X-T', '1');
            return data;
          },
        }),
      ),
  },
  {
    name: 'an instance of an instance’s defaults',
    answer: echo,
    prime: async ({ attach, url }) => (await attach(axios.create({ proxy: false, headers: { 'X-D': '1' } }))).get(url),
    run: async ({ attach, url }) => {
      const client = axios.create({ proxy: false, baseURL: url, headers: { 'X-D': '1' }, timeout: 3000 });
      return describe((await attach(client)).get('/'));
    },
  },
  {
    name: 'defaults that are changed after attaching',
    answer: echo,
    prime: async ({ attach, url }) => (await attach(axios.create({ proxy: false, headers: { 'X-D': '1' } }))).get(url),
    run: async ({ attach, url }) => {
      const client = await attach(create());
      client.defaults.headers.common['X-D'] = '1';
      client.defaults.baseURL = url;
      return describe(client.get(''));
    },
  },
];

const custom: AxiosAdapter = async (config) => ({
  data: '{"by":"hand"}',
  status: 200,
  statusText: 'OK',
  headers: new AxiosHeaders({ 'x-mine': '1' }),
  config,
  request: { made: 'by hand' },
});

const adapters: readonly AxiosRow[] = [
  {
    name: 'a custom adapter',
    instead: 'anything',
    run: async ({ attach, url }) => describe((await attach(create())).get(url, { adapter: custom })),
  },
  {
    name: 'a custom adapter as a default',
    instead: 'anything',
    run: async ({ attach, url }) => describe((await attach(axios.create({ adapter: custom }))).get(url)),
  },
  {
    name: 'the http adapter by name',
    run: async ({ attach, url }) => describe((await attach(create())).get(url, { adapter: 'http' })),
  },
  {
    name: 'the first adapter of a list',
    run: async ({ attach, url }) => describe((await attach(create())).get(url, { adapter: ['xhr', 'http'] })),
  },
  {
    name: 'an adapter that there is none of',
    instead: 'anything',
    run: async ({ attach, url }) => failureOf((await attach(create())).get(url, { adapter: 'gopher' as never })),
  },
  ...(['json', 'text', 'arraybuffer', 'blob', 'stream'] as const).map(
    (responseType): AxiosRow => ({
      name: `the fetch adapter, ${responseType}`,
      instead: 'anything',
      run: async ({ attach, url }) => {
        const response = await (await attach(create())).get(url, { adapter: 'fetch', responseType });
        if (responseType === 'stream') response.data = await new Response(response.data).text();
        return describe(response);
      },
    }),
  ),
  {
    name: 'the fetch adapter and a failure',
    answer: always(404, asText, 'none'),
    instead: 'anything',
    run: async ({ attach, url }) => failureOf((await attach(create())).get(url, { adapter: 'fetch' })),
  },
];

compareRows(test, axiosKind, [
  ...requests,
  ...places,
  ...bodies,
  ...uploads,
  ...agents,
  ...proxiesOfAgents,
  ...unwritable,
  ...interceptors,
  ...adapters,
]);

test.run();
