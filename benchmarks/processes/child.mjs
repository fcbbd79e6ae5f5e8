// One of several processes on a directory. Does what run.mjs asks.
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import axios from 'axios';
import got from 'got';
import { forEachNumber, measured } from '../lib/measure.mjs';

const [dist, directory, options] = process.argv.slice(2);
const load = (path) => import(pathToFileURL(join(dist, path)).href);
const { openCache } = await load('src/index.js');
const { cacheAxios } = await load('interceptors/axios.js');
const { cacheGot } = await load('interceptors/got.js');
const IN_FLIGHT = 32;
const cache = await openCache({ directory, ...JSON.parse(options) });
const viaAxios = cacheAxios(axios.create({ proxy: false }), cache);
const viaGot = got.extend(cacheGot(cache));
const clients = {
  axios: async (url) => (await viaAxios.get(url, { responseType: 'arraybuffer' })).data,
  got: async (url) => (await viaGot(url, { responseType: 'buffer' })).body,
};
let inFlight = 0;
let page = process.pid * 10_000;

const now = () => String(process.hrtime.bigint());

/** New pages, and every other time one that was asked for lately. */
async function keepAsking(url) {
  while (inFlight > 0) {
    const number = page % 2 === 0 ? page : page - 11;
    page += 1;
    await clients.got(`${url}/page/${number}`);
  }
}

async function isThere(url) {
  const found = await cache.reuse({ request: { method: 'GET', url, fields: [] }, hasBody: false });
  return found !== undefined;
}

const acts = {
  ready: () => true,
  async load({ url, inFlight: wanted }) {
    inFlight = wanted;
    for (let i = 0; i < wanted; i++) void keepAsking(url);
  },
  async watch({ url, isThere: wanted }) {
    while ((await isThere(url)) !== wanted) await setTimeout(1);
    return now();
  },
  async stored({ url }) {
    const done = new Promise((resolve) => {
      const listener = (event) => {
        if (event.url !== url) return;
        unsubscribe('offloop:store', listener);
        resolve(now());
      };
      subscribe('offloop:store', listener);
    });
    await clients.got(url);
    return done;
  },
  async invalidated({ url }) {
    await cache.invalidate({ url });
    return now();
  },
  async knows({ peers }) {
    while ((await cache.stats()).counters.peers !== peers) await setTimeout(1);
  },
  async miss({ url, from, count, client }) {
    const ask = (number) => clients[client](`${url}/page/${number}`);
    await forEachNumber(from + count, 1000, IN_FLIGHT, ask);
    const { threadMs, loopMs } = await measured(() => forEachNumber(from, count, IN_FLIGHT, ask));
    return { threadUs: (threadMs * 1000) / count, loopUs: (loopMs * 1000) / count };
  },
};

process.on('message', async ({ id, what, ...more }) => {
  if (what === 'close') {
    await cache.close();
    process.disconnect();
    return;
  }
  process.send({ id, value: await acts[what](more) });
});
