// time limit: 300 s
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readlinkSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import http from 'node:http';
import type { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import axios, { type AxiosInstance } from 'axios';
import got, { type Got } from 'got';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { cacheAxios } from '../../interceptors/axios.js';
import { cacheGot } from '../../interceptors/got.js';
import { openCache } from '../../src/index.js';
import { type Answer, Origin } from './origin.js';

interface Context {
  directory: string;
  origin: Origin;
  url: string;
  agent: http.Agent;
}

const test = suite<Context>('what a cache leaves behind');

const large = Buffer.alloc(2_000_000, 'A line of a body that is not read to its end.\n');

/** Fresh, to be validated, never stored, or failing, by path. */
const answer: Answer = ({ send, path, request, response }) => {
  if (path.startsWith('/cut')) {
    response.writeHead(200, { 'Content-Length': 100 });
    response.write('half', () => response.destroy());
  } else if (path.startsWith('/fail')) request.socket.destroy();
  else if (path.startsWith('/large')) send(200, { 'Cache-Control': 'max-age=60' }, large);
  else if (path.startsWith('/missing')) send(404, { 'Cache-Control': 'no-store' }, 'none');
  else if (request.headers['if-none-match'] !== undefined) response.writeHead(304, { ETag: '"1"' }).end();
  else send(200, { 'Cache-Control': freshnessOf(path), ETag: '"1"' }, 'body');
};

function freshnessOf(path: string): string {
  if (path.startsWith('/old')) return 'no-cache';
  return path.startsWith('/stale') ? 'max-age=0, stale-while-revalidate=1000' : 'max-age=60';
}

test.before.each(async (context) => {
  context.directory = await mkdtemp(join(tmpdir(), 'offloop-leaks-'));
  context.origin = await new Origin(Date.now).listen();
  context.origin.use(answer, {});
  context.url = `http://127.0.0.1:${context.origin.port}`;
  context.agent = new http.Agent({ keepAlive: true, maxSockets: 4 });
});

test.after.each(async ({ directory, origin, agent }) => {
  agent.destroy();
  await origin[Symbol.asyncDispose]();
  await rm(directory, { recursive: true, force: true });
});

const paths = ['/fresh', '/fresh', '/old', '/old', '/stale', '/stale', '/missing', '/fail', '/cut', '/large', '/large'];

async function useAxios(client: AxiosInstance, url: string): Promise<void> {
  for (const path of paths) await client.get(url + path).catch(() => undefined);
  for (const path of ['/large', '/large?other']) {
    const { data } = await client.get(url + path, { responseType: 'stream' });
    data.once('data', () => data.destroy());
    await once(data, 'close');
    const controller = new AbortController();
    const aborted = await client.get(url + path, { responseType: 'stream', signal: controller.signal });
    aborted.data.on('error', () => undefined);
    controller.abort();
    await once(aborted.data, 'close');
  }
  // All but one read along with another's request, and some of them leave.
  const leaving = AbortSignal.timeout(1);
  await Promise.allSettled(
    [undefined, leaving, undefined, leaving].flatMap((signal) =>
      ['/large?together', '/fresh?together', '/missing?together', '/cut?together'].map((path) =>
        client.get(url + path, { ...(signal !== undefined && { signal }) }),
      ),
    ),
  );
}

async function useGot(client: Got, url: string): Promise<void> {
  for (const path of paths) await client(url + path).catch(() => undefined);
  for (const path of ['/large', '/large?got']) {
    const stream = client.stream(url + path);
    await once(stream, 'data');
    stream.destroy();
    await client(url + path, { signal: AbortSignal.timeout(1) }).catch(() => undefined);
  }
  const leaving = AbortSignal.timeout(1);
  await Promise.allSettled(
    [undefined, leaving, undefined, leaving].flatMap((signal) =>
      ['/large?together', '/fresh?together', '/missing?together', '/cut?together'].map((path) =>
        client(url + path, { ...(signal !== undefined && { signal }) }),
      ),
    ),
  );
}

/** What listens to the sockets that are free to be used again. */
function listenersOf(agent: http.Agent): readonly string[] {
  const sockets = Object.values(agent.freeSockets).flatMap((list) => list ?? []);
  return sockets.map((socket) => {
    const names = socket.eventNames().map(String).sort();
    return names.map((name) => `${name} ${socket.listenerCount(name)}`).join(', ');
  });
}

for (const kind of ['axios', 'got'] as const) {
  const use = async (agent: http.Agent, url: string, attach: (kind: 'axios' | 'got') => AxiosInstance | Got) => {
    const client = attach(kind);
    if ('extend' in client) await useGot(client.extend({ agent: { http: agent }, retry: { limit: 0 } }), url);
    else {
      client.defaults.httpAgent = agent;
      await useAxios(client, url);
    }
  };

  test(`${kind}: pooled sockets carry the listeners that they carry without a cache`, async (context) => {
    const { directory, url, agent } = context;
    const bareAgent = new http.Agent({ keepAlive: true, maxSockets: 1 });
    const agentOf = (bare: boolean): http.Agent => (bare ? bareAgent : agent);
    const simple = async (client: AxiosInstance | Got, bare: boolean): Promise<void> => {
      for (const path of ['/fresh', '/old', '/old', '/stale', '/stale', '/fresh', '/missing']) {
        if ('extend' in client) await client(url + path, { agent: { http: agentOf(bare) }, throwHttpErrors: false });
        else await client.get(url + path, { httpAgent: agentOf(bare), validateStatus: null });
      }
    };
    const cache = await openCache({ directory });
    await simple(kind === 'axios' ? axios.create({ proxy: false }) : got, true);
    await simple(
      kind === 'axios' ? cacheAxios(axios.create({ proxy: false }), cache) : got.extend(cacheGot(cache)),
      false,
    );
    await cache.close();
    const withCache = listenersOf(agent);
    const without = listenersOf(bareAgent);
    bareAgent.destroy();
    assert.is.not(withCache.length, 0);
    assert.equal(new Set(withCache), new Set(without));
  });

  test(`${kind}: open files and event loop resources are what they were, once the cache is closed`, async (context) => {
    const { directory, url, agent } = context;
    // What Node and the client open once and for all.
    const warmUp = await openCache({ directory: join(directory, 'warm-up') });
    await warmUp.close();
    const before = { files: openFiles(), resources: resources() };
    const cache = await openCache({ directory });
    await use(agent, url, (which) =>
      which === 'axios' ? cacheAxios(axios.create({ proxy: false }), cache) : got.extend(cacheGot(cache)),
    );
    await cache.close();
    await socketsGone(agent, context.origin);
    await nothingUnderWay(before.resources);
    assert.equal({ files: openFiles(), resources: resources() }, before);
  });

  test(`${kind}: a process that has aborted, failed and left bodies unread ends by itself after close()`, async (context) => {
    const program = fileURLToPath(new URL('./leaks-program.js', import.meta.url));
    const run = promisify(execFile);
    const { stdout } = await run(process.execPath, [program, kind, context.directory, context.url], {
      timeout: 60_000,
    });
    assert.is(stdout, 'closed\n');
  });
}

/** What is open, by kind: sockets and pipes have numbers that differ. */
function openFiles(): readonly string[] {
  const links = readdirSync('/proc/self/fd').map((name) => {
    try {
      return readlinkSync(`/proc/self/fd/${name}`);
    } catch {
      // The directory itself was open while it was read.
      return '';
    }
  });
  return links
    .filter((link) => link !== '')
    .map((link) => link.replace(/\d+/g, '…'))
    .sort();
}

/** Sorts of things that keep the event loop going, by how many. */
function resources(): Readonly<Record<string, number>> {
  const counts: Record<string, number> = {};
  for (const name of process.getActiveResourcesInfo().sort()) counts[name] = (counts[name] ?? 0) + 1;
  return counts;
}

/** Files and sockets that were just let go of are closed some turns later. */
async function nothingUnderWay(before: Readonly<Record<string, number>>): Promise<void> {
  const wanted = JSON.stringify(before);
  for (let turns = 0; turns < 10_000 && JSON.stringify(resources()) !== wanted; turns += 1) await setImmediate();
}

/** Connections are the agent's and the origin's: they are closed here, and what is left is the cache's. */
async function socketsGone(agent: http.Agent, origin: Origin): Promise<void> {
  const mine: Socket[] = [...Object.values(agent.freeSockets), ...Object.values(agent.sockets)].flatMap(
    (list) => list ?? [],
  );
  await Promise.all(
    mine.map(async (socket) => {
      if (socket.destroyed) return;
      const closed = once(socket, 'close');
      socket.destroy();
      await closed;
    }),
  );
  await origin.disconnect();
}

if (process.platform !== 'linux') console.error('open files are counted in /proc, which is on Linux alone');
test.run();
