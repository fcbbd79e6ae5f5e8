import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import http, { type Agent } from 'node:http';
import { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Duplex } from 'node:stream';
import axios from 'axios';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { cacheAxios } from '../../interceptors/axios.js';
import { type Cache, openCache, type ResponseStore } from '../../src/index.js';
import { createMemoryStore } from '../../src/store/memory-store.js';
import { type Answer, Origin } from './origin.js';

interface Context {
  directory: string;
  cache: Cache;
  origin: Origin;
  url: string;
  /** The client's own, and what it connected with. */
  agent: Agent;
  sockets: Socket[];
}

const test = suite<Context>('a response that comes while the cache is at work');

/** Invalidates what an unsafe request changed only once the connection is gone, as a slow disk would. */
function slowStore(ended: () => Promise<unknown>): ResponseStore {
  const store = createMemoryStore({ maxBytes: 1024 ** 2 });
  return new Proxy(store, {
    get(target, name) {
      const value: unknown = Reflect.get(target, name);
      if (typeof value !== 'function') return value;
      if (name !== 'invalidate') return value.bind(target);
      return async (...values: unknown[]) => {
        await ended();
        return Reflect.apply(value, target, values);
      };
    },
  });
}

class WatchedAgent extends http.Agent {
  readonly #sockets: Socket[];

  constructor(sockets: Socket[]) {
    super({ keepAlive: false });
    this.#sockets = sockets;
  }

  override createConnection(
    options: http.ClientRequestArgs,
    callback?: (error: Error | null, stream: Duplex) => void,
  ): Duplex | null | undefined {
    const socket = super.createConnection(options, callback);
    if (socket instanceof Socket) this.#sockets.push(socket);
    return socket;
  }
}

test.before.each(async (context) => {
  context.directory = await mkdtemp(join(tmpdir(), 'offloop-held-'));
  context.sockets = [];
  const ended = async (): Promise<void> => {
    const socket = context.sockets[0];
    if (socket !== undefined && !socket.closed) await once(socket, 'close');
  };
  context.cache = await openCache({ directory: context.directory, store: slowStore(ended) });
  context.origin = await new Origin(Date.now).listen();
  context.url = `http://127.0.0.1:${context.origin.port}/`;
  context.agent = new WatchedAgent(context.sockets);
});

test.after.each(async ({ cache, origin, directory }) => {
  await cache.close();
  await origin[Symbol.asyncDispose]();
  await rm(directory, { recursive: true, force: true });
});

test('reaches axios although its connection has ended meanwhile', async ({ cache, origin, url, agent, sockets }) => {
  origin.use(({ send }) => send(201, { 'Content-Type': 'text/plain' }, 'made'), {});
  const client = cacheAxios(axios.create({ proxy: false, maxRedirects: 0, httpAgent: agent }), cache);
  for (const method of ['post', 'put', 'delete']) {
    sockets.length = 0;
    const response = await client.request({ url, method, data: 'x' });
    assert.is(response.status, 201);
    assert.is(response.data, 'made');
    assert.ok(sockets[0]?.closed, 'the connection had ended');
    assert.ok(response.request.destroyed, 'and the request with it');
  }
});

test('reaches axios cut short, if its connection was cut meanwhile', async ({ cache, origin, url, agent, sockets }) => {
  const cutShort: Answer = ({ response }) => {
    response.writeHead(200, { 'Content-Length': '10' });
    response.write('half', () => response.destroy());
  };
  origin.use(cutShort, {});
  const failure = async (client: typeof axios): Promise<unknown> => {
    sockets.length = 0;
    const error: unknown = await client
      .post(url, 'x', { proxy: false, maxRedirects: 0, httpAgent: agent })
      .catch((reason: unknown) => reason);
    return axios.isAxiosError(error) ? [error.code, error.message] : error;
  };
  const bare = await failure(axios);
  assert.equal(await failure(cacheAxios(axios.create(), cache) as typeof axios), bare);
});

test.run();
