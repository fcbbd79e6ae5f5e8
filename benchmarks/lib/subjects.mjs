// What is measured: each subject opens on a directory and gives `get(url)`, which resolves to the body as a Buffer.
// `bare`: the same client without a cache. `floor`: the same client when nothing is to be done but to hand the answer out.
// `inMemory`: what it stored is gone with the process.
import { createRequire } from 'node:module';
import { Readable } from 'node:stream';
import axios from 'axios';
import got from 'got';
import { pageOf } from './bodies.mjs';

const CACHE = { maxBytes: 8 * 1024 ** 3, maxEntryBytes: 2 * 1024 ** 3 };
const nothingToClose = { async flush() {}, async close() {} };
// The floors answer so; what it says does not matter.
const constantBody = pageOf(0);
const constantHeaders = {
  'cache-control': 'max-age=86400',
  'content-type': 'text/html; charset=utf-8',
  etag: '"0"',
  'content-length': String(constantBody.length),
  date: 'Sat, 01 Jan 2000 00:00:00 GMT',
};

const axiosGet = (client) => async (url) => (await client.get(url, { responseType: 'arraybuffer' })).data;
const axiosStream = (client) => async (url) => (await client.get(url, { responseType: 'stream' })).data;
// `.buffer()` would decode the body as text first.
const gotGet = (client) => async (url) => (await client.get(url, { responseType: 'buffer' })).body;
const gotStream = (client) => async (url) => client.stream(url);

async function openOurs(directory) {
  const { openCache } = await import('../../dist/src/index.js');
  return openCache({ directory, ...CACHE });
}

export const subjects = {
  axios: {
    async open() {
      const client = axios.create();
      return { get: axiosGet(client), stream: axiosStream(client), ...nothingToClose };
    },
  },
  got: {
    async open() {
      return { get: gotGet(got), stream: gotStream(got), ...nothingToClose };
    },
  },
  'axios floor': {
    async open() {
      const adapter = async (config) => ({
        data: constantBody,
        status: 200,
        statusText: 'OK',
        headers: { ...constantHeaders },
        config,
        request: {},
      });
      return { get: axiosGet(axios.create({ adapter })), ...nothingToClose };
    },
  },
  'got floor': {
    async open() {
      const request = (url) => {
        const response = Readable.from([constantBody], { objectMode: false });
        return Object.assign(response, {
          statusCode: 200,
          statusMessage: 'OK',
          headers: { ...constantHeaders },
          trailers: {},
          fromCache: true,
          url: String(url),
          complete: true,
        });
      };
      return { get: gotGet(got.extend({ request })), ...nothingToClose };
    },
  },
  'axios + offloop': {
    bare: 'axios',
    floor: 'axios floor',
    isOurs: true,
    async open(directory) {
      const { cacheAxios } = await import('../../dist/interceptors/axios.js');
      const cache = await openOurs(directory);
      const client = cacheAxios(axios.create(), cache);
      const close = () => cache.close();
      return { get: axiosGet(client), stream: axiosStream(client), flush: () => cache.flush(), close };
    },
  },
  'got + offloop': {
    bare: 'got',
    floor: 'got floor',
    isOurs: true,
    async open(directory) {
      const { cacheGot } = await import('../../dist/interceptors/got.js');
      const cache = await openOurs(directory);
      const client = got.extend(cacheGot(cache));
      const close = () => cache.close();
      return { get: gotGet(client), stream: gotStream(client), flush: () => cache.flush(), close };
    },
  },
  'axios-cache-interceptor': {
    bare: 'axios',
    floor: 'axios floor',
    inMemory: true,
    async open() {
      const { setupCache } = await import('axios-cache-interceptor');
      return { get: axiosGet(setupCache(axios.create())), ...nothingToClose };
    },
  },
  'got, cache: new Map()': {
    bare: 'got',
    floor: 'got floor',
    inMemory: true,
    async open() {
      return { get: gotGet(got.extend({ cache: new Map() })), ...nothingToClose };
    },
  },
  undici: {
    async open() {
      const { Agent, request } = await import('undici');
      const dispatcher = new Agent();
      return { get: undiciGet(request, dispatcher), flush: async () => {}, close: () => dispatcher.close() };
    },
  },
  'undici cache, SQLite': {
    bare: 'undici',
    needsSqlite: true,
    async open(directory) {
      const { Agent, cacheStores, interceptors, request } = await import('undici');
      const store = new cacheStores.SqliteCacheStore({ location: `${directory}.sqlite`, maxCount: 1_000_000 });
      const dispatcher = new Agent().compose(interceptors.cache({ store }));
      const close = async () => {
        await dispatcher.close();
        store.close();
      };
      return { get: undiciGet(request, dispatcher), flush: async () => {}, close };
    },
  },
  'undici cache, memory': {
    bare: 'undici',
    inMemory: true,
    async open() {
      const { Agent, cacheStores, interceptors, request } = await import('undici');
      const store = new cacheStores.MemoryCacheStore({ maxCount: 1_000_000, maxSize: 8 * 1024 ** 3 });
      const dispatcher = new Agent().compose(interceptors.cache({ store }));
      return { get: undiciGet(request, dispatcher), flush: async () => {}, close: () => dispatcher.close() };
    },
  },
  'make-fetch-happen, no cache': {
    async open() {
      return openMakeFetchHappen({});
    },
  },
  'make-fetch-happen': {
    bare: 'make-fetch-happen, no cache',
    async open(directory) {
      return openMakeFetchHappen({ cachePath: directory });
    },
  },
};

export const ours = Object.keys(subjects).filter((name) => subjects[name].isOurs);
export const peers = Object.keys(subjects).filter(
  (name) => subjects[name].bare !== undefined && !subjects[name].isOurs,
);

/** Why a subject cannot be measured here; `undefined` if it can. */
export function obstacleOf(name) {
  if (subjects[name].needsSqlite && Number(process.versions.node.split('.')[0]) < 24) {
    return 'needs a Node with node:sqlite (24)';
  }
  if (peers.includes(name) && name !== 'got, cache: new Map()') {
    const [packageName] = name.split(/[ ,]/);
    try {
      createRequire(import.meta.url).resolve(packageName);
    } catch {
      return 'is not installed: npm ci in benchmarks/';
    }
  }
  return undefined;
}

function undiciGet(request, dispatcher) {
  return async (url) => Buffer.from(await (await request(url, { dispatcher })).body.arrayBuffer());
}

async function openMakeFetchHappen(options) {
  const { default: makeFetchHappen } = await import('make-fetch-happen');
  const fetch = makeFetchHappen.defaults({ ...options, retry: false, maxSockets: 64 });
  return { get: async (url) => (await fetch(url)).buffer(), ...nothingToClose };
}
