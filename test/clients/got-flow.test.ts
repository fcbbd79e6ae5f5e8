// time limit: 300 s
import { EventEmitter, once } from 'node:events';
import http from 'node:http';
import { Readable } from 'node:stream';
import got, { type ExtendOptions, type Got, type Options, type Response } from 'got';
import { suite } from 'uvu';
import { describe, describeError, describeResponse, failureOf, type GotRow, gotKind, outcomeOf } from './got-kind.js';
import { type Answer, always, byPath } from './origin.js';
import { compareRows } from './transparency.js';

const test = suite('got: redirects, hooks, streams, time and aborts');

const create = gotKind.create;
const asText = { 'Content-Type': 'text/plain' };
const large = Buffer.alloc(400_000, 'A line of a body that takes its time.\n');
const neverStored = 'its answer is never whole, so never stored';
const onlyForwarded: NonNullable<GotRow['except']> = {
  hit: neverStored,
  validated: neverStored,
  stale: neverStored,
  collapsed: neverStored,
};

const { collapsed: _, ...exceptCollapsed } = onlyForwarded;

const to =
  (status: number, location: string): Answer =>
  ({ send }) =>
    send(status, { Location: location });
const chain = byPath({
  '/': to(302, '/second'),
  '/second': to(301, '/third?x=1'),
  '/third?x=1': ({ send, request }) => send(200, asText, `third: ${request.method} ${request.headers['x-mine']}`),
  '/loop': to(302, '/loop'),
  '/307': to(307, '/echo'),
  '/303': to(303, '/echo'),
  '/302': to(302, '/echo'),
  '/echo': ({ send, request }) => send(200, asText, `echo ${request.method}`),
  '/nowhere': to(302, 'http://'),
  '/unix': to(302, 'unix:/tmp/x:/'),
});

/** Only the head comes. */
const silent: Answer = ({ response, freshness }) => {
  response.writeHead(200, { ...freshness, 'Content-Length': 10 });
  response.flushHeaders();
};
const mute: Answer = ({ hang }) => hang();

/** What got can work with, and no more. */
const pretended = (end: (told: EventEmitter, callback: (error?: Error) => void) => void): http.ClientRequest => {
  const told = new EventEmitter();
  const state = { writable: true, writableEnded: false, destroyed: false };
  const methods = { end: (callback: () => void) => end(told, callback), write: () => true, destroy: () => undefined };
  return Object.assign(told, state, methods) as unknown as http.ClientRequest;
};

/** Tells of its failure the function that it was given, and nobody else. */
const refused = () =>
  pretended((_told, callback) =>
    queueMicrotask(() => callback(Object.assign(new Error('refused'), { code: 'ECONNREFUSED' }))),
  );

/** Its answer has not even fields. */
const answering = () =>
  pretended((told, callback) => {
    callback();
    queueMicrotask(() =>
      told.emit('response', Object.assign(Readable.from(['made up']), { statusCode: 200, headers: {} })),
    );
  });

const atOnce = ({ computedValue }: { computedValue: number }) => (computedValue > 0 ? 1 : 0);

const redirects: readonly GotRow[] = [
  {
    name: 'redirects are followed',
    answer: chain,
    run: async ({ attach, url }) => describe((await attach(create()))(url)),
    prime: async ({ attach, url }) => (await attach(create()))(url),
  },
  {
    name: 'many redirects leave no listener behind on who follows them',
    answer: ({ send, path }) => {
      const step = Number(path.slice(1));
      if (step < 12) send(302, { Location: `/${step + 1}` });
      else send(200, asText, 'there');
    },
    prime: async ({ attach, url }) => (await attach(create()))(`${url}0`, { maxRedirects: 12 }),
    instead: { collapsed: 'miss' },
    run: async ({ attach, url, note }) => {
      const warned = ({ name }: Error) => note(name);
      process.on('warning', warned);
      try {
        const { body, redirectUrls } = await (await attach(create()))(`${url}0`, { maxRedirects: 12 });
        return { body, redirects: redirectUrls.length };
      } finally {
        process.off('warning', warned);
      }
    },
  },
  {
    name: 'followRedirect false',
    answer: chain,
    run: async ({ attach, url }) => outcomeOf((await attach(create()))(url, { followRedirect: false })),
  },
  {
    name: 'followRedirect as a function',
    answer: chain,
    prime: async ({ attach, url }) => (await attach(create()))(url),
    run: async ({ attach, url, note }) =>
      outcomeOf(
        (await attach(create()))(url, {
          followRedirect: (response) => {
            note(`${response.statusCode} ${response.headers.location} ${response.url}`);
            return response.url.endsWith('/');
          },
        }),
      ),
  },
  ...[0, 1].map(
    (maxRedirects): GotRow => ({
      name: `maxRedirects ${maxRedirects}`,
      answer: chain,
      prime: async ({ attach, url }) => (await attach(create()))(url),
      run: async ({ attach, url }) => failureOf((await attach(create()))(url, { maxRedirects })),
    }),
  ),
  ...['nowhere', 'unix'].map(
    (path): GotRow => ({
      name: `a redirect to ${path}`,
      answer: chain,
      prime: async ({ attach, url }) => (await attach(create()))(`${url}${path}`).catch(() => undefined),
      run: async ({ attach, url }) => failureOf((await attach(create()))(`${url}${path}`)),
    }),
  ),
  ...[true, false].flatMap((methodRewriting) =>
    ['307', '303', '302'].map(
      (status): GotRow => ({
        name: `a POST that is redirected by ${status}, methodRewriting ${methodRewriting}`,
        answer: chain,
        except: { hit: 'a POST', stale: 'a POST', validated: 'a POST', collapsed: 'a POST' },
        instead: 'anything',
        run: async ({ attach, url }) =>
          outcomeOf((await attach(create())).post(`${url}${status}`, { methodRewriting, json: { a: 1 } })),
      }),
    ),
  ),
  {
    name: 'the event redirect',
    answer: chain,
    prime: async ({ attach, url }) => (await attach(create()))(url),
    run: async ({ attach, url, note }) => {
      const pending = (await attach(create()))(url);
      pending.on('redirect', (options, response) => {
        // The types have the two the other way round.
        const { url: to } = options as unknown as Options;
        const { statusCode, url: from } = response as unknown as Response;
        note(`redirect to ${to} after ${statusCode} ${from}`);
      });
      return describe(pending);
    },
  },
];

/** Every hook there is, each noting that it was called and with what. */
function notingHooks(note: (event: string) => void, who: string): NonNullable<ExtendOptions['hooks']> {
  return {
    init: [(plain) => note(`${who} init ${Object.keys(plain)}`)],
    beforeRequest: [
      (options, context) => {
        // got before 14.5 says no more than the options.
        note(`${who} beforeRequest ${options.method} ${options.url} ${context?.retryCount}`);
      },
    ],
    beforeRedirect: [
      (options, response) => {
        note(`${who} beforeRedirect ${options.url} ${response.statusCode}`);
      },
    ],
    beforeRetry: [(error, retryCount) => note(`${who} beforeRetry ${error.code} ${retryCount}`)],
    beforeError: [
      (error) => {
        note(`${who} beforeError ${error.code}`);
        return error;
      },
    ],
    afterResponse: [
      (response) => {
        note(`${who} afterResponse ${response.statusCode} ${response.url}`);
        return response;
      },
    ],
  };
}

const withHooks = (client: Got, note: (event: string) => void, who: string): Got =>
  client.extend({ hooks: notingHooks(note, who) });

const hooks: readonly GotRow[] = [
  ...(
    [
      ['a plain answer', always(200, asText, 'ok')],
      ['redirects', chain],
      ['a failure', always(404, asText, 'none')],
    ] as const
  ).map(
    ([what, answer]): GotRow => ({
      name: `hooks registered before and after ours, with ${what}`,
      answer,
      prime: async ({ attach, url }) => (await attach(create()))(url, { throwHttpErrors: false }),
      run: async ({ attach, url, note }) => {
        const before = withHooks(create(), note, 'before');
        const after = withHooks(await attach(before), note, 'after');
        return outcomeOf(after(url, { hooks: notingHooks(note, 'request') }));
      },
    }),
  ),
  {
    name: 'a beforeRequest hook that changes the URL and the headers',
    answer: ({ send, request, path }) => send(200, asText, `${path} ${request.headers['x-mine']}`),
    prime: async ({ attach, url }) => (await attach(create()))(`${url}changed`, { headers: { 'x-mine': '1' } }),
    run: async ({ attach, url }) => {
      const client = (await attach(create())).extend({
        hooks: {
          beforeRequest: [
            (options) => {
              options.url = new URL(`${url}changed`);
              options.headers['x-mine'] = '1';
            },
          ],
        },
      });
      return outcomeOf(client(url));
    },
  },
  {
    name: 'a beforeRequest hook that answers itself',
    instead: 'anything',
    run: async ({ attach, url }) => {
      const client = (await attach(create())).extend({
        hooks: {
          beforeRequest: [
            () => {
              const answer = Object.assign(Readable.from(['by hand']), {
                ...{ statusCode: 200, headers: { 'x-mine': '1' }, rawHeaders: [], trailers: {}, complete: true },
              });
              return answer as never;
            },
          ],
        },
      });
      return (await client(url)).body;
    },
  },
  {
    name: 'a beforeRequest hook that throws',
    instead: 'anything',
    run: async ({ attach, url }) => {
      const hook = () => {
        throw new RangeError('not today');
      };
      return failureOf((await attach(create())).extend({ hooks: { beforeRequest: [hook] } })(url));
    },
  },
  {
    name: 'an afterResponse hook that retries',
    answer: ({ send, request }) =>
      request.headers['x-again'] === undefined ? send(404, asText, 'not yet') : send(200, asText, 'now'),
    repeats: true,
    instead: 'anything',
    run: async ({ attach, url, note }) => {
      const client = (await attach(create())).extend({
        hooks: {
          afterResponse: [
            (response, retryWithMergedOptions) => {
              note(`answered ${response.statusCode}`);
              if (response.statusCode !== 404) return response;
              return retryWithMergedOptions({ headers: { 'x-again': '1' }, context: { cache: { key: 'another' } } });
            },
          ],
        },
      });
      return (await client(url)).body;
    },
  },
  {
    name: 'a handler before and one after',
    run: async ({ attach, url, note }) => {
      const noting = (who: string) =>
        got.extend({
          handlers: [
            (options, next) => {
              note(`${who} ${options.url}`);
              return next(options);
            },
          ],
        });
      return describe((await attach(create().extend(noting('before')))).extend(noting('after'))(url));
    },
  },
  {
    name: 'a request function of the user’s own',
    run: async ({ attach, url, note }) => {
      const request: NonNullable<Options['request']> = (target, options, callback) => {
        note(`request ${target}`);
        return http.request(target, options, callback);
      };
      return describe((await attach(create().extend({ request })))(url));
    },
    // It is not called for what the cache has.
    except: { hit: 'no request is made', stale: 'no request is made', collapsed: 'no request is made' },
  },
  {
    name: 'a request function that returns no request of HTTP, and is asked again when that fails',
    instead: 'anything',
    except: { hit: 'no request is made', stale: 'no request is made', collapsed: 'no request is made' },
    run: async ({ attach, url, note }) => {
      const kinds = ['is refused', 'answers'];
      const request = () => {
        const kind = kinds.shift();
        note(`request: ${kind}`);
        return kind === 'answers' ? answering() : refused();
      };
      const retry = { limit: 1, errorCodes: ['ECONNREFUSED'], calculateDelay: atOnce };
      const pending = (await attach(create().extend({ request, retry })))(url);
      return pending.then(({ body, retryCount }) => ({ body, retryCount }), describeError);
    },
  },
  {
    name: 'a handler that lays something over the response',
    run: async ({ attach, url, note }) => {
      const laid = { body: 'laid over', rawBody: Buffer.from('laid over'), request: undefined };
      const client = (await attach(create())).extend({
        handlers: [
          async (options, next) => {
            const response = (await next(options)) as unknown as Response;
            const over = Object.create(response) as Response;
            note(`of ${over.request.options.method} ${over.headers['content-type']}`);
            Object.assign(over, laid);
            note(`laid ${over.request} over ${response.request.options.method}`);
            // A response off the wire is read through to its end by now; to destroy it is allowed.
            over.destroy();
            return response as never;
          },
        ],
      });
      return describe(client(url));
    },
  },
  {
    name: 'a proxy around a response that is read',
    answer: always(200, asText, large),
    run: async ({ attach, url, note }) => {
      const stream = (await attach(create())).stream(url, { decompress: false });
      const [response] = (await once(stream, 'response')) as [Response];
      const proxy = new Proxy(response, {});
      note(`${proxy.statusCode} ${proxy.request === response.request}`);
      proxy.pause();
      proxy.resume();
      let bytes = 0;
      for await (const chunk of stream) bytes += (chunk as Buffer).byteLength;
      proxy.destroy();
      return { bytes, isDestroyed: response.destroyed, complete: proxy.complete };
    },
  },
  {
    name: 'options that a hook sees',
    run: async ({ attach, url, note }) => {
      const client = (await attach(create())).extend({
        hooks: {
          afterResponse: [
            (response) => {
              note(typeof response.request.options.request);
              return response;
            },
          ],
        },
      });
      return describe(client(url, { context: { mine: 1 } }));
    },
  },
];

const retries: readonly GotRow[] = [
  {
    name: 'retries after failures, with their hooks and events',
    answer: always(503, { ...asText, 'Cache-Control': 'no-store' }, 'not now'),
    except: onlyForwarded,
    instead: 'anything',
    run: async ({ attach, url, note }) => {
      const client = withHooks(await attach(got.extend({})), note, 'after');
      return failureOf(
        client(url, { retry: { limit: 2, calculateDelay: ({ computedValue }) => (computedValue ? 1 : 0) } }),
      );
    },
  },
  {
    name: 'a retry that succeeds',
    answer: (visit) => {
      const isFirst = visit.request.headers['x-try'] === undefined;
      if (isFirst) visit.request.socket.destroy();
      else visit.send(200, asText, 'now');
    },
    repeats: true,
    instead: 'anything',
    prime: async ({ attach, url }) => (await attach(create()))(url, { headers: { 'x-try': '1' } }),
    except: {
      hit: 'only the first try fails',
      stale: 'only the first try fails',
      validated: 'only the first try fails',
      collapsed: 'only the first try fails',
    },
    run: async ({ attach, url, note }) => {
      const client = (await attach(got.extend({}))).extend({
        hooks: {
          beforeRetry: [
            (error, count) => {
              note(`retry ${count} ${error.code}`);
              error.options.headers['x-try'] = String(count);
            },
          ],
        },
      });
      return describe(
        client(url, { retry: { limit: 1, calculateDelay: ({ computedValue }) => (computedValue ? 1 : 0) } }),
      );
    },
  },
];

/** The events of a stream of got's, in order, and what it reads. */
async function streamed(stream: ReturnType<Got['stream']>, note: (event: string) => void): Promise<unknown> {
  const chunks: Buffer[] = [];
  let last: unknown;
  for (const event of ['redirect', 'retry', 'end', 'finish'] as const) stream.on(event as never, () => note(event));
  stream.on('downloadProgress', (progress) => {
    last = progress;
  });
  let response: unknown;
  stream.on('response', (answer) => {
    note('response');
    response = describeResponse(answer);
  });
  stream.on('data', (chunk: Buffer) => chunks.push(chunk));
  const failed: unknown[] = [];
  stream.on('error', (error) => failed.push(describeError(error)));
  await new Promise((resolve) => {
    stream.on('end', resolve);
    stream.on('error', resolve);
    stream.on('close', resolve);
  });
  return {
    read: Buffer.concat(chunks),
    response: response && { ...(response as object), body: undefined, rawBody: undefined, complete: undefined },
    failed,
    last,
    retryCount: stream.retryCount,
    isAborted: stream.isAborted,
  };
}

const streams: readonly GotRow[] = [
  {
    name: 'a stream',
    run: async ({ attach, url, note }) => streamed((await attach(create())).stream(url), note),
  },
  {
    name: 'a large stream',
    answer: always(200, asText, large),
    run: async ({ attach, url, note }) => streamed((await attach(create())).stream(url), note),
  },
  {
    name: 'an empty stream',
    answer: always(200, asText, ''),
    run: async ({ attach, url, note }) => streamed((await attach(create())).stream(url), note),
  },
  {
    name: 'a stream that is redirected',
    answer: chain,
    prime: async ({ attach, url }) => (await attach(create()))(url),
    run: async ({ attach, url, note }) => streamed((await attach(create())).stream(url), note),
  },
  {
    name: 'a stream of a failure',
    answer: always(404, asText, 'none'),
    run: async ({ attach, url, note }) => streamed((await attach(create())).stream(url), note),
  },
  {
    name: 'a stream that is destroyed half-way',
    answer: always(200, asText, large),
    run: async ({ attach, url, note }) => {
      const stream = (await attach(create())).stream(url);
      stream.on('error', (error) => note(error.message));
      await once(stream, 'data');
      stream.destroy();
      return { destroyed: stream.destroyed, isAborted: stream.isAborted };
    },
  },
  {
    name: 'a stream that is piped',
    answer: always(200, asText, large),
    run: async ({ attach, url }) => {
      const stream = (await attach(create())).stream(url);
      const chunks: Buffer[] = [];
      for await (const chunk of stream.pipe(new (await import('node:stream')).PassThrough())) chunks.push(chunk);
      return Buffer.concat(chunks);
    },
  },
  {
    name: 'a stream that uploads',
    answer: ({ send, request }) => {
      const chunks: Buffer[] = [];
      request.on('data', (chunk: Buffer) => chunks.push(chunk));
      request.on('end', () => send(201, asText, Buffer.concat(chunks).toString()));
    },
    except: { hit: 'a POST', stale: 'a POST', validated: 'a POST', collapsed: 'a POST' },
    instead: 'anything',
    run: async ({ attach, url, note }) => {
      const stream = (await attach(create())).stream.post(url);
      Readable.from(['a', 'b', 'c']).pipe(stream);
      return streamed(stream, note);
    },
  },
  {
    name: 'downloadProgress of a promise',
    answer: always(200, asText, large),
    run: async ({ attach, url }) => {
      let last: unknown;
      let isRising = true;
      let before = -1;
      const pending = (await attach(create()))(url);
      pending.on('downloadProgress', (progress) => {
        isRising &&= progress.transferred >= before;
        before = progress.transferred;
        last = progress;
      });
      await pending;
      return { last, isRising };
    },
  },
  {
    name: 'pagination',
    answer: ({ send, path }) => {
      const page = Number(new URL(path, 'http://x').searchParams.get('page') ?? 1);
      const link = page < 3 ? { Link: `</?page=${page + 1}>; rel="next"` } : {};
      send(200, { 'Content-Type': 'application/json', ...link }, JSON.stringify([page, page * 10]));
    },
    prime: async ({ attach, url }) => (await attach(create())).paginate.all(url),
    run: async ({ attach, url }) => (await attach(create())).paginate.all(url, { pagination: { backoff: 0 } }),
  },
];

// got 15 has signals alone.
const untilSignals: readonly GotRow[] = hasCancel()
  ? [
      {
        name: 'cancel() while the origin is silent',
        answer: mute,
        except: onlyForwarded,
        instead: 'anything',
        run: async ({ attach, url, visited }) => {
          const pending = (await attach(create()))(url);
          const failure = failureOf(pending);
          await visited();
          pending.cancel('not wanted');
          return { failure: await failure, isCanceled: pending.isCanceled };
        },
      },
    ]
  : [];

function hasCancel(): boolean {
  const pending = got('http://127.0.0.1:1/', { retry: { limit: 0 } });
  pending.catch(() => undefined);
  return typeof pending.cancel === 'function';
}

const time: readonly GotRow[] = [
  {
    name: 'a timeout while another’s request for the same thing hangs',
    answer: mute,
    except: { ...exceptCollapsed, miss: 'nobody to wait for', bypass: 'nobody to wait for' },
    instead: 'anything',
    run: async ({ attach, url }) => failureOf((await attach(create()))(url, { timeout: { request: 30 } })),
  },
  {
    name: 'a signal that aborts while another’s request for the same thing hangs',
    answer: mute,
    except: { ...exceptCollapsed, miss: 'nobody to wait for', bypass: 'nobody to wait for' },
    instead: 'anything',
    run: async ({ attach, url }) => {
      const client = await attach(create());
      return failureOf(client(url, { signal: AbortSignal.timeout(20) }));
    },
  },
  ...(['request', 'response', 'read', 'socket'] as const).map(
    (phase): GotRow => ({
      name: `timeout.${phase}`,
      answer: phase === 'read' ? silent : mute,
      except: onlyForwarded,
      instead: 'anything',
      run: async ({ attach, url }) => {
        const failure = await failureOf((await attach(create()))(url, { timeout: { [phase]: 40 } }));
        return failure;
      },
    }),
  ),
  {
    name: 'timeout.request during the body',
    answer: silent,
    except: onlyForwarded,
    run: async ({ attach, url }) => failureOf((await attach(create()))(url, { timeout: { request: 400 } })),
  },
  {
    name: 'timeout.read of a stream that nobody reads',
    answer: always(200, asText, large),
    except: { hit: 'there is no request to time', stale: 'no request', collapsed: 'no request' },
    run: async ({ attach, url }) => {
      const stream = (await attach(create())).stream(url, { timeout: { read: 200 } });
      return new Promise((resolve) => stream.on('error', (error) => resolve(describeError(error))));
    },
  },
  {
    name: 'every timeout, long enough',
    run: async ({ attach, url }) =>
      outcomeOf(
        (await attach(create()))(url, {
          timeout: { lookup: 5000, connect: 5000, socket: 5000, send: 5000, response: 5000, read: 5000, request: 5000 },
        }),
      ),
  },
  {
    name: 'a signal that was aborted before',
    instead: 'anything',
    run: async ({ attach, url }) => failureOf((await attach(create()))(url, { signal: AbortSignal.abort() })),
  },
  {
    name: 'a signal that aborts while the origin is silent',
    answer: mute,
    except: onlyForwarded,
    instead: 'anything',
    run: async ({ attach, url, visited }) => {
      const controller = new AbortController();
      const pending = failureOf((await attach(create()))(url, { signal: controller.signal }));
      await visited();
      controller.abort();
      return pending;
    },
  },
  ...untilSignals,
  {
    name: 'a signal that aborts a stream which is being read',
    answer: always(200, asText, large),
    run: async ({ attach, url }) => {
      const controller = new AbortController();
      const stream = (await attach(create())).stream(url, { signal: controller.signal });
      stream.once('data', () => controller.abort());
      return new Promise((resolve) => stream.on('error', (error) => resolve(describeError(error))));
    },
  },
  {
    name: 'nobody listens',
    except: onlyForwarded,
    instead: 'anything',
    run: async ({ attach }) => failureOf((await attach(create()))('http://127.0.0.1:1/')),
  },
  {
    name: 'a name that does not exist',
    except: onlyForwarded,
    instead: 'anything',
    run: async ({ attach }) => failureOf((await attach(create()))('http://no-such-host.invalid/')),
  },
  {
    name: 'a connection that is closed without an answer',
    answer: ({ request }) => request.socket.destroy(),
    except: onlyForwarded,
    instead: 'anything',
    run: async ({ attach, url }) => failureOf((await attach(create()))(url)),
  },
  {
    name: 'a request that says that it has closed, and no more',
    answer: ({ request, send, hang }) => (request.headers['x-mine'] === undefined ? send(200, asText, 'one') : hang()),
    except: { hit: 'no request is made', stale: 'no request is made', collapsed: 'no request is made' },
    instead: 'anything',
    run: async ({ attach, url, note }) => {
      const controller = new AbortController();
      const pending = (await attach(create()))(url, { headers: { 'x-mine': '1' }, signal: controller.signal });
      pending.on('request', (request) => {
        request.once('close', () => {
          note('closed');
          controller.abort();
        });
        request.emit('close');
      });
      return failureOf(pending);
    },
  },
  {
    name: 'a body that is cut off',
    answer: ({ response, freshness }) => {
      response.writeHead(200, { ...freshness, 'Content-Length': 100 });
      response.write('half', () => response.destroy());
    },
    except: onlyForwarded,
    run: async ({ attach, url }) => failureOf((await attach(create()))(url)),
  },
  {
    name: 'an HTTP/2 body that is reset',
    answer: ({ response, freshness }) => {
      response.writeHead(200, { ...freshness });
      const { stream } = response as unknown as {
        stream: { close(code: number): void; write: (...values: unknown[]) => void };
      };
      stream.write('half', () => stream.close(8));
    },
    except: onlyForwarded,
    run: async ({ attach, tlsUrl }) =>
      failureOf((await attach(create()))(tlsUrl, { http2: true, https: { rejectUnauthorized: false } })),
  },
];

compareRows(test, gotKind, [...redirects, ...hooks, ...retries, ...streams, ...time]);

test.run();
