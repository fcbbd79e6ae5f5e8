// time limit: 300 s
import zlib from 'node:zlib';
import type { Got } from 'got';
import { suite } from 'uvu';
import { describe, failureOf, type GotRow, gotKind, outcomeOf } from './got-kind.js';
import { type Answer, always } from './origin.js';
import { compareRows } from './transparency.js';

const test = suite('got: what comes of a response');

const create = gotKind.create;
const json = '{"one":1,"list":[1,2],"text":"żółć"}';
const asJson = { 'Content-Type': 'application/json; charset=utf-8' };
const asText = { 'Content-Type': 'text/plain' };
const large = Buffer.alloc(300_000, 'A line of a large body, which no store keeps beside its head.\n');

/** Says what it was asked, but for what an HTTP cache may add. */
const echo: Answer = ({ send, request, path }) => {
  const headers = { ...request.headers };
  for (const name of ['if-none-match', 'if-modified-since', 'cache-control', 'pragma']) delete headers[name];
  send(200, { 'Content-Type': 'application/json' }, JSON.stringify({ method: request.method, path, headers }));
};

type Send = (client: Got, url: string) => Promise<unknown>;

/** A row whose request is primed by the same request. */
const same = (name: string, answer: Answer, send: Send, more: Partial<GotRow> = {}): GotRow => ({
  name,
  answer,
  prime: async ({ attach, url }) => send(await attach(create()), url).catch(() => undefined),
  run: async ({ attach, url }) => outcomeOf(send(await attach(create()), url)),
  ...more,
});

const unsafe = (): NonNullable<GotRow['except']> => {
  const why = 'not a method whose answers are stored';
  return { hit: why, stale: why, validated: why, collapsed: why };
};

const answer = always(200, asJson, json);

const shapes: readonly GotRow[] = [
  same('a response', answer, (client, url) => client(url)),
  same('responseType json', answer, (client, url) => client(url, { responseType: 'json' })),
  same('responseType buffer', answer, (client, url) => client(url, { responseType: 'buffer' })),
  same('responseType text', answer, (client, url) => client(url, { responseType: 'text' })),
  ...(['json', 'text', 'buffer'] as const).map(
    (method): GotRow => ({
      name: `the short form .${method}()`,
      answer,
      prime: async ({ attach, url }) => (await attach(create()))(url)[method](),
      run: async ({ attach, url }) => (await attach(create()))(url)[method](),
    }),
  ),
  {
    name: 'resolveBodyOnly',
    answer,
    run: async ({ attach, url }) => (await attach(create()))(url, { resolveBodyOnly: true }),
  },
  {
    name: 'JSON that is none',
    answer: always(200, asJson, '{"one":'),
    run: async ({ attach, url }) => failureOf((await attach(create()))(url, { responseType: 'json' })),
  },
  same('parseJson', answer, (client, url) => client(url, { responseType: 'json', parseJson: (text) => text.length })),
  ...(['utf8', 'latin1', 'base64', 'hex', 'utf16le', 'ascii'] as const).map((encoding) =>
    same(`encoding ${encoding}`, always(200, asText, '\ufeffżółć and a mark'), (client, url) =>
      client(url, { encoding }),
    ),
  ),
  same('an empty body', always(200, asText, ''), (client, url) => client(url)),
  same('a large body', always(200, asText, large), (client, url) => client(url)),
  same(
    'a large compressed body',
    always(200, { ...asText, 'Content-Encoding': 'gzip' }, zlib.gzipSync(large)),
    (client, url) => client(url, { responseType: 'buffer' }),
  ),
  same('HEAD', answer, (client, url) => client.head(url), {
    prime: async ({ attach, url }) => (await attach(create()))(url),
    except: { collapsed: 'only GET is collapsed' },
  }),
  same(
    'a range',
    ({ send, request }) =>
      request.headers.range === undefined
        ? send(200, { ...asText, 'Accept-Ranges': 'bytes' }, '0123456789')
        : send(206, { ...asText, 'Accept-Ranges': 'bytes', 'Content-Range': 'bytes 2-4/10' }, '234'),
    (client, url) => client(url, { headers: { range: 'bytes=2-4' } }),
    { prime: async ({ attach, url }) => (await attach(create()))(url), instead: { collapsed: 'miss' } },
  ),
  same(
    'trailers',
    ({ response, freshness, request }) => {
      if (freshness.ETag !== undefined && request.headers['if-none-match'] === freshness.ETag)
        return void response.writeHead(304, freshness).end();
      response.writeHead(200, { ...freshness, Trailer: 'X-Sum' });
      response.write('body');
      response.addTrailers({ 'X-Sum': '1' });
      response.end();
    },
    (client, url) => client(url),
    { except: { collapsed: 'needs send()' } },
  ),
  same(
    'no status text',
    ({ response, freshness, request }) => {
      if (freshness.ETag !== undefined && request.headers['if-none-match'] === freshness.ETag)
        return void response.writeHead(304, freshness).end();
      response.writeHead(200, 'Fine By Me', { ...freshness, 'Content-Length': 2 }).end('ok');
    },
    (client, url) => client(url),
    { except: { collapsed: 'needs send()' } },
  ),
  same(
    'fields that come more than once',
    ({ response, freshness, request }) => {
      if (freshness.ETag !== undefined && request.headers['if-none-match'] === freshness.ETag)
        return void response.writeHead(304, freshness).end();
      response.writeHead(200, [
        ...Object.entries(freshness).flat(),
        ...['Content-Length', '2', 'Link', '<a>', 'Link', '<b>', 'Set-Cookie', 'a=1', 'Set-Cookie', 'b=2'],
        ...['X-Many', '1', 'x-many', '2', 'Server', 'one', 'Server', 'two', 'X-Latin', 'café'],
      ]);
      response.end('ok');
    },
    (client, url) => client(url),
    { except: { collapsed: 'needs send()' } },
  ),
];

const codings: readonly (readonly [string, (body: Buffer) => Buffer])[] = [
  ['gzip', zlib.gzipSync],
  ['deflate', zlib.deflateSync],
  ['deflate', zlib.deflateRawSync],
  ['br', zlib.brotliCompressSync],
  ['identity', (body) => body],
  ['unknown-coding', (body) => body],
  ['gzip', (body) => zlib.gzipSync(body).subarray(0, 40)],
  ['gzip', (body) => body],
];
const compressed = codings.flatMap(([coding, encode], position) =>
  [true, false].map((decompress) =>
    same(
      `Content-Encoding ${coding}, case ${position}, decompress ${decompress}`,
      always(200, { ...asJson, 'Content-Encoding': coding }, encode(Buffer.from(json.repeat(9)))),
      (client, url) => client(url, { decompress, responseType: 'buffer' }),
      [2, 6, 7].includes(position) ? { except: { collapsed: 'fails when half of it has come' } } : {},
    ),
  ),
);

const statuses = [200, 201, 203, 204, 300, 304, 400, 401, 404, 410, 418, 429, 500, 503].flatMap((status) =>
  [true, false].map((throwHttpErrors) =>
    same(
      `status ${status}, throwHttpErrors ${throwHttpErrors}`,
      always(status, asText, status === 204 || status === 304 ? '' : 'said the origin'),
      (client, url) => client(url, { throwHttpErrors }),
      status === 304 || status === 401
        ? { instead: { hit: 'miss', validated: 'miss', collapsed: 'miss', stale: 'miss' } }
        : {},
    ),
  ),
);

const requests: readonly GotRow[] = [
  same('searchParams', echo, (client, url) => client(url, { searchParams: { a: 1, b: 'ü' } })),
  same('a query and a fragment', echo, (client, url) => client(`${url}p?q=1#frag`)),
  same('prefixUrl', echo, (client, url) => client('path', { prefixUrl: `${url}base` })),
  same('username and password', echo, (client, url) => client(url, { username: 'me', password: 'p:w' })),
  same('username and password in the URL', echo, (client, url) => client(url.replace('//', '//me:p%20w@'))),
  same('headers', echo, (client, url) =>
    client(url, { headers: { Accept: 'text/x', 'X-List': ['a', 'b'], 'user-agent': undefined } }),
  ),
  same('a Host header', echo, (client, url) => client(url, { headers: { host: 'other.example' } })),
  same('a path that a URL object would write otherwise', echo, (client, url) => client(`${url}a/../b c/ü?x=|"'`)),
  same('dnsLookup', echo, (client, url) =>
    client(url.replace('127.0.0.1', 'some.example'), {
      dnsLookup: ((_host: string, options: { all?: boolean }, done: (error: null, ...found: unknown[]) => void) =>
        options.all === true ? done(null, [{ address: '127.0.0.1', family: 4 }]) : done(null, '127.0.0.1', 4)) as never,
    }),
  ),
  same('localAddress', echo, (client, url) => client(url, { localAddress: '127.0.0.1' })),
  same('setHost false', echo, (client, url) => client(url, { setHost: false, headers: { host: 'mine' } })),
  same(
    'a cookie jar',
    ({ send, request }) => send(200, { ...asText, 'Set-Cookie': 'a=1; Path=/' }, `cookie ${request.headers.cookie}`),
    (client, url) => client(url, { cookieJar: jar() }),
  ),
  ...(['post', 'put', 'patch', 'delete'] as const).flatMap((method) => [
    same(`${method} of json`, mirror(), (client, url) => client[method](url, { json: { a: 1 } }), {
      except: unsafe(),
      instead: 'anything',
    }),
    same(`${method} of a form`, mirror(), (client, url) => client[method](url, { form: { a: 1 } }), {
      except: unsafe(),
      instead: 'anything',
    }),
    same(`${method} of a body`, mirror(), (client, url) => client[method](url, { body: 'some text' }), {
      except: unsafe(),
      instead: 'anything',
    }),
    same(`${method} of nothing`, mirror(), (client, url) => client[method](url), {
      except: unsafe(),
      instead: 'anything',
    }),
  ]),
  same(
    'a GET with a body',
    mirror(),
    (client, url) => client(url, { method: 'GET', allowGetBody: true, json: { a: 1 } }),
    {
      except: unsafe(),
      instead: 'anything',
    },
  ),
  same(
    'a GET with a body that is not allowed',
    mirror(),
    (client, url) => client(url, { method: 'GET', json: { a: 1 } }),
    {
      instead: 'anything',
    },
  ),
  same('an unknown option', echo, (client, url) => client(url, { nonsense: 1 } as never), { instead: 'anything' }),
  same('no URL', echo, (client) => client(''), { instead: 'anything' }),
];

/** Remembers the last cookie, and says none until there is one. */
function jar() {
  let cookie = '';
  return {
    getCookieString: async () => cookie,
    setCookie: async (raw: string) => {
      cookie = raw.split(';')[0] ?? '';
    },
  };
}

function mirror(): Answer {
  return ({ send, request }) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const type = request.headers['content-type'];
      send(201, asText, JSON.stringify({ method: request.method, type, body: Buffer.concat(chunks).toString() }));
    });
  };
}

/** got 14.0 takes no `false` for an agent. */
const takesNoPool = ((): boolean => {
  try {
    create().extend({ agent: { http2: false } });
    return true;
  } catch {
    return false;
  }
})();

const withoutPool: GotRow = {
  // got 16 keeps this from `request` functions.
  name: 'HTTP/2 without a pool',
  answer: ({ send, request }) => send(200, asText, String(request.socket.remotePort)),
  except: {
    hit: 'no connection',
    stale: 'no connection',
    collapsed: 'no connection',
    validated: 'an older connection',
  },
  instead: 'anything',
  run: async ({ attach, tlsUrl }) => {
    const client = await attach(create());
    const options = { http2: true, https: { rejectUnauthorized: false }, agent: { http2: false } } as const;
    const ports = [await client(`${tlsUrl}a`, options).text(), await client(`${tlsUrl}b`, options).text()];
    return { areTheSame: ports[0] === ports[1] };
  },
};

const places: readonly GotRow[] = [
  {
    name: 'a unix socket',
    answer: echo,
    prime: async ({ attach, socketPath }) =>
      (await attach(create()))(`unix:${socketPath}:/path?x=1`, { enableUnixSockets: true }),
    run: async ({ attach, socketPath }) =>
      describe((await attach(create()))(`unix:${socketPath}:/path?x=1`, { enableUnixSockets: true })),
  },
  {
    name: 'a unix socket that is not allowed',
    instead: 'anything',
    run: async ({ attach, socketPath }) => failureOf((await attach(create()))(`unix:${socketPath}:/path?x=1`)),
  },
  ...[false, true].map(
    (http2): GotRow => ({
      name: `https, http2 ${http2}`,
      answer: ({ send, request }) => send(200, asText, `version ${request.httpVersion}`),
      prime: async ({ attach, tlsUrl }) =>
        (await attach(create()))(tlsUrl, { http2, https: { rejectUnauthorized: false } }),
      run: async ({ attach, tlsUrl }) =>
        describe((await attach(create()))(tlsUrl, { http2, https: { rejectUnauthorized: false } })),
    }),
  ),
  ...(takesNoPool ? [withoutPool] : []),
  {
    name: 'https with a certificate that nobody signed',
    except: unsafe(),
    instead: 'anything',
    run: async ({ attach, tlsUrl }) => failureOf((await attach(create()))(tlsUrl)),
  },
];

compareRows(test, gotKind, [...shapes, ...compressed, ...statuses, ...requests, ...places]);

test.run();
