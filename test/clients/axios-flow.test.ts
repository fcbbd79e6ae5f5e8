// time limit: 300 s
import type { ClientRequest } from 'node:http';
import axios from 'axios';
import { suite } from 'uvu';
import { type AxiosRow, axiosKind, describe, failureOf, outcomeOf } from './axios-kind.js';
import { type Answer, always, byPath } from './origin.js';
import { compareRows } from './transparency.js';

const test = suite('axios: redirects, time and aborts');

const create = axiosKind.create;
const asText = { 'Content-Type': 'text/plain' };
const large = Buffer.alloc(400_000, 'A line of a body that takes its time.\n');

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
  '/echo': ({ send, request }) => send(200, asText, `echo ${request.method}`),
  '/nowhere': to(302, 'http://'),
});

/** Only the head comes. */
const silent: Answer = ({ response, freshness }) => {
  response.writeHead(200, { ...freshness, 'Content-Length': 10 });
  response.flushHeaders();
};
const mute: Answer = ({ hang }) => hang();
const neverStored = 'its answer is never whole, so never stored';
const onlyForwarded: NonNullable<AxiosRow['except']> = {
  hit: neverStored,
  'first hit': neverStored,
  validated: neverStored,
  stale: neverStored,
  collapsed: neverStored,
};
const { collapsed: _, ...exceptCollapsed } = onlyForwarded;
const notPlain = {
  hit: 'miss',
  'first hit': 'miss',
  validated: 'miss',
  stale: 'miss',
  collapsed: 'miss',
  miss: 'skip',
};

const nothing: AxiosRow['instead'] = {
  miss: undefined,
  hit: undefined,
  'first hit': undefined,
  validated: undefined,
  stale: undefined,
  collapsed: undefined,
  bypass: undefined,
};

const redirects: readonly AxiosRow[] = [
  {
    name: 'redirects are followed',
    answer: chain,
    run: async ({ attach, url }) => describe((await attach(create())).get(url, { headers: { 'X-Mine': 'yes' } })),
    prime: async ({ attach, url }) => (await attach(create())).get(url, { headers: { 'X-Mine': 'yes' } }),
  },
  {
    name: 'redirects are followed for a stream, which knows them',
    answer: chain,
    run: async ({ attach, url }) => {
      const { data } = await (await attach(create())).get(url, { responseType: 'stream' });
      data.resume();
      return { responseUrl: data.responseUrl, redirects: data.redirects };
    },
  },
  {
    name: 'maxRedirects 0',
    answer: chain,
    prime: async ({ attach, url }) =>
      (await attach(create())).get(url, { maxRedirects: 0, validateStatus: () => true }),
    run: async ({ attach, url }) => failureOf((await attach(create())).get(url, { maxRedirects: 0 })),
  },
  {
    name: 'maxRedirects 1',
    answer: chain,
    run: async ({ attach, url }) => failureOf((await attach(create())).get(url, { maxRedirects: 1 })),
  },
  {
    name: 'a redirect to itself',
    answer: chain,
    prime: async ({ attach, url }) => (await attach(create())).get(`${url}loop`).catch(() => undefined),
    run: async ({ attach, url }) => failureOf((await attach(create())).get(`${url}loop`, { maxRedirects: 3 })),
  },
  {
    name: 'a redirect to no URL',
    answer: chain,
    prime: async ({ attach, url }) => (await attach(create())).get(`${url}nowhere`).catch(() => undefined),
    run: async ({ attach, url }) => failureOf((await attach(create())).get(`${url}nowhere`)),
  },
  {
    name: 'beforeRedirect sees every hop and may change it',
    answer: chain,
    repeats: true,
    run: async ({ attach, url, note }) =>
      describe(
        (await attach(create())).get(url, {
          beforeRedirect: (options, details) => {
            note(`${options.method} ${options.path} ${details.statusCode} ${details.headers.location}`);
            options.headers['x-mine'] = 'set on the way';
          },
        }),
      ),
    prime: async ({ attach, url }) =>
      (await attach(create())).get(url, {
        beforeRedirect: (options) => {
          options.headers['x-mine'] = 'set on the way';
        },
      }),
  },
  {
    name: 'beforeRedirect that throws',
    answer: chain,
    run: async ({ attach, url }) =>
      failureOf(
        (await attach(create())).get(url, {
          beforeRedirect: () => {
            throw new RangeError('not there');
          },
        }),
      ),
  },
  ...['307', '303'].map(
    (status): AxiosRow => ({
      name: `a POST that is redirected by ${status}`,
      answer: chain,
      instead: status === '307' ? notPlain : { ...notPlain },
      except: { hit: 'a POST', 'first hit': 'a POST', stale: 'a POST', validated: 'a POST', collapsed: 'a POST' },
      run: async ({ attach, url }) => describe((await attach(create())).post(`${url}${status}`, { a: 1 })),
    }),
  ),
];

const aborts: readonly AxiosRow[] = [
  {
    name: 'a signal that was aborted before',
    instead: nothing,
    run: async ({ attach, url }) => failureOf((await attach(create())).get(url, { signal: AbortSignal.abort() })),
  },
  {
    name: 'a signal that aborts while the origin is silent',
    answer: mute,
    except: onlyForwarded,
    instead: { bypass: undefined },
    run: async ({ attach, url, visited }) => {
      const controller = new AbortController();
      const client = await attach(create());
      const pending = failureOf(client.get(url, { signal: controller.signal }));
      await visited();
      controller.abort();
      return pending;
    },
  },
  {
    name: 'a signal that aborts during the body',
    answer: silent,
    except: onlyForwarded,
    run: async ({ attach, url }) => {
      const controller = new AbortController();
      const client = await attach(create());
      const { data } = await client.get(url, { signal: controller.signal, responseType: 'stream' });
      const failed = new Promise((resolve) => data.on('error', resolve));
      controller.abort();
      return failureOf(Promise.reject(await failed));
    },
  },
  {
    name: 'a signal that aborts a stream which is being read',
    answer: always(200, asText, large),
    run: async ({ attach, url }) => {
      const controller = new AbortController();
      const client = await attach(create());
      const { data } = await client.get(url, { signal: controller.signal, responseType: 'stream' });
      const failed = new Promise((resolve) => data.on('error', resolve));
      data.once('data', () => controller.abort());
      return failureOf(Promise.reject(await failed));
    },
  },
  {
    name: 'a signal that aborts when all is over',
    run: async ({ attach, url }) => {
      const controller = new AbortController();
      const client = await attach(create());
      const response = await client.get(url, { signal: controller.signal });
      controller.abort();
      return describe(response);
    },
  },
  {
    name: 'a CancelToken that was cancelled before',
    instead: nothing,
    run: async ({ attach, url }) => {
      const source = axios.CancelToken.source();
      source.cancel('not wanted');
      return failureOf((await attach(create())).get(url, { cancelToken: source.token }));
    },
  },
  {
    name: 'a CancelToken that is cancelled while the origin is silent',
    answer: mute,
    except: onlyForwarded,
    instead: { bypass: undefined },
    run: async ({ attach, url, visited }) => {
      const source = axios.CancelToken.source();
      const client = await attach(create());
      const pending = failureOf(client.get(url, { cancelToken: source.token }));
      await visited();
      source.cancel('not wanted');
      return pending;
    },
  },
];

const timeouts: readonly AxiosRow[] = [
  {
    name: 'a timeout while another’s request for the same thing hangs',
    answer: mute,
    except: { ...exceptCollapsed, miss: 'nobody to wait for', bypass: 'nobody to wait for' },
    instead: 'anything',
    run: async ({ attach, url }) => failureOf((await attach(create())).get(url, { timeout: 30 })),
  },
  {
    name: 'a signal that aborts while another’s request for the same thing hangs',
    answer: mute,
    except: { ...exceptCollapsed, miss: 'nobody to wait for', bypass: 'nobody to wait for' },
    instead: 'anything',
    run: async ({ attach, url }) => {
      const client = await attach(create());
      return failureOf(client.get(url, { signal: AbortSignal.timeout(20) }));
    },
  },
  ...[undefined, 'too slow for me'].map(
    (timeoutErrorMessage): AxiosRow => ({
      name: `a timeout while the origin is silent, message ${timeoutErrorMessage}`,
      answer: mute,
      except: onlyForwarded,
      instead: { bypass: undefined },
      run: async ({ attach, url }) => {
        const client = await attach(create());
        return failureOf(client.get(url, { timeout: 30, ...(timeoutErrorMessage && { timeoutErrorMessage }) }));
      },
    }),
  ),
  {
    name: 'a timeout with clarifyTimeoutError',
    answer: mute,
    except: onlyForwarded,
    instead: { bypass: undefined },
    run: async ({ attach, url }) =>
      failureOf((await attach(create())).get(url, { timeout: 30, transitional: { clarifyTimeoutError: true } })),
  },
  {
    name: 'a timeout during the body',
    answer: silent,
    except: onlyForwarded,
    run: async ({ attach, url }) => failureOf((await attach(create())).get(url, { timeout: 400 })),
  },
  {
    name: 'a timeout that is long enough',
    run: async ({ attach, url }) => describe((await attach(create())).get(url, { timeout: 5000 })),
  },
  {
    name: 'a timeout that is none',
    instead: 'anything',
    run: async ({ attach, url }) =>
      outcomeOf((await attach(create())).get(url, { timeout: 'soon' as unknown as number })),
  },
];

const network: readonly AxiosRow[] = [
  {
    name: 'nobody listens',
    except: onlyForwarded,
    instead: { bypass: undefined },
    run: async ({ attach }) => failureOf((await attach(create())).get('http://127.0.0.1:1/')),
  },
  {
    name: 'a name that does not exist',
    except: onlyForwarded,
    instead: { bypass: undefined },
    run: async ({ attach }) => failureOf((await attach(create())).get('http://no-such-host.invalid/')),
  },
  {
    name: 'a connection that is closed without an answer',
    answer: ({ request }) => request.socket.destroy(),
    except: onlyForwarded,
    instead: { bypass: undefined },
    run: async ({ attach, url }) => failureOf((await attach(create())).get(url)),
  },
  {
    name: 'an answer that is not HTTP',
    answer: ({ request }) => request.socket.end('nonsense\r\n\r\n'),
    except: onlyForwarded,
    instead: { bypass: undefined },
    run: async ({ attach, url }) => failureOf((await attach(create())).get(url)),
  },
  ...['', 'nonsense:', 'ftp://127.0.0.1/', 'http://', '/relative'].map(
    (url): AxiosRow => ({
      name: `the URL "${url}"`,
      except: onlyForwarded,
      // axios 1.7.0 takes a path for one on localhost, and later versions for no URL at all.
      instead: url === '' || url === '/relative' ? 'anything' : { miss: undefined, bypass: undefined },
      run: async ({ attach }) => failureOf((await attach(create())).get(url)),
    }),
  ),
  {
    name: 'a data: URL',
    instead: nothing,
    run: async ({ attach }) =>
      describe((await attach(create())).get('data:text/plain;base64,aGVsbG8=', { responseType: 'text' })),
  },
];

const progress: readonly AxiosRow[] = [
  {
    name: 'onDownloadProgress',
    answer: always(200, asText, large),
    run: async ({ attach, url }) => {
      let last: unknown;
      let before = -1;
      let isRising = true;
      const response = await (await attach(create())).get(url, {
        onDownloadProgress: ({ loaded, total, progress, lengthComputable, download, upload }) => {
          isRising &&= loaded > before;
          before = loaded;
          last = { loaded, total, progress, lengthComputable, download, upload };
        },
      });
      return { last, isRising, response: await describe(response) };
    },
  },
  {
    name: 'onUploadProgress of a GET',
    run: async ({ attach, url, note }) =>
      describe((await attach(create())).get(url, { onUploadProgress: () => note('upload') })),
  },
  {
    name: 'maxRate',
    run: async ({ attach, url }) => describe((await attach(create())).get(url, { maxRate: [1000, 100_000] })),
  },
  {
    name: 'what is seen of the request: its events',
    except: {
      hit: 'a hit has no connection',
      'first hit': 'a hit has no connection',
      stale: 'a hit has no connection',
      collapsed: 'a follower has no connection',
      validated: 'the answer to the condition is swallowed',
    },
    run: async ({ attach, url, note }) => {
      const client = await attach(create());
      const transport = await import('node:http');
      await client.get(url, {
        maxRedirects: 0,
        transport: {
          request: (...values: Parameters<typeof transport.request>) => {
            const request: ClientRequest = transport.request(...values);
            for (const event of ['socket', 'finish', 'response', 'close', 'error', 'abort', 'timeout'])
              request.on(event, () => note(event));
            return request;
          },
        },
      });
      return 'done';
    },
  },
];

compareRows(test, axiosKind, [...redirects, ...aborts, ...timeouts, ...network, ...progress]);

test.run();
