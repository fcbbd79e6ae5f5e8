// What a store of very many responses costs: to open, per hit, and on the disk.
import { randomBytes } from 'node:crypto';
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { forEachNumber, measured } from '../lib/measure.mjs';

const MAX_IN_FLIGHT = 4096;
const MAX_BYTES_IN_FLIGHT = 8 * 1024 ** 2;
const HOST = 'http://scale.test';
const WARM_UP = 1000;

/** Fills a directory through the store, without a client: a million crawled pages would take all day. `count`, `bodyBytes`. */
export async function scaleFill(_subject, { directory, count, bodyBytes }) {
  const [{ openDiskStore }, { cacheKeyOf }] = await Promise.all([
    import('../../dist/src/store/disk-open.js'),
    import('../../dist/src/http/key.js'),
  ]);
  const store = await openDiskStore({ directory, maxBytes: 64 * 1024 ** 3 });
  const noise = randomBytes(bodyBytes);
  const started = performance.now();
  const inFlight = Math.min(MAX_IN_FLIGHT, Math.ceil(MAX_BYTES_IN_FLIGHT / bodyBytes));
  await forEachNumber(0, count, inFlight, async (number) => {
    const url = `${HOST}/page/${number}`;
    const body = Buffer.from(noise);
    body.writeUInt32LE(number);
    const writer = store.create(cacheKeyOf({ method: 'GET', url }), headOf(url, number, bodyBytes), {});
    if (!writer.write(body)) await writer.ready();
    const { outcome, reason } = await writer.commit();
    if (outcome !== 'stored') throw new Error(`page ${number} was declined: ${reason}`);
  });
  const seconds = (performance.now() - started) / 1000;
  await store.close();
  return { seconds, diskBytes: await bytesOnDisk(directory) };
}

/** Opens what was filled and hits pages all over it, each once. `count`: how many there are; `hits`: how many of them to ask for. */
export async function scale(_subject, { directory, count, hits }) {
  const [{ openCache }, { cacheAxios }, { default: axios }] = await Promise.all([
    import('../../dist/src/index.js'),
    import('../../dist/interceptors/axios.js'),
    import('axios'),
  ]);
  const cpu = process.cpuUsage();
  const started = performance.now();
  const cache = await openCache({ directory, maxBytes: 64 * 1024 ** 3 });
  const openMs = performance.now() - started;
  const { user, system } = process.cpuUsage(cpu);
  const client = cacheAxios(axios.create(), cache);
  // Another order than that in which they were stored; each page once.
  const step = stepFor(count);
  const ask = async (number) => {
    const page = (number * step) % count;
    const { data, cached } = await client.get(`${HOST}/page/${page}`, { responseType: 'arraybuffer' });
    if (!cached || data.readUInt32LE() !== page) throw new Error(`page ${page} is not what was stored`);
  };
  await ask(0);
  const firstHitMs = performance.now() - started;
  await forEachNumber(1, WARM_UP, 16, ask);
  globalThis.gc?.();
  const cost = await measured(() => forEachNumber(1 + WARM_UP, hits, 16, ask));
  const rssMiB = process.memoryUsage.rss() / 1024 ** 2;
  await cache.close();
  const [threadUs, loopUs] = [cost.threadMs, cost.loopMs].map((ms) => (ms / hits) * 1000);
  return { openMs, openCpuMs: (user + system) / 1000, firstHitMs, threadUs, loopUs, rssMiB };
}

function headOf(url, number, bodyBytes) {
  const fields = ['Content-Type', 'text/html; charset=utf-8', 'Content-Length', String(bodyBytes)];
  fields.push('Cache-Control', 'max-age=86400', 'ETag', `"${number}"`, 'Date', new Date().toUTCString());
  const nowMs = Date.now();
  return {
    ...{ url, method: 'GET', status: 200, statusText: 'OK', httpVersion: '1.1', fields, selecting: [] },
    ...{ requestTimeMs: nowMs, responseTimeMs: nowMs },
  };
}

/** About the golden part of `count`, and without a common divisor. */
function stepFor(count) {
  let step = Math.floor(count * 0.618);
  while (greatestCommonDivisor(step, count) !== 1) step += 1;
  return step;
}

function greatestCommonDivisor(a, b) {
  return b === 0 ? a : greatestCommonDivisor(b, a % b);
}

/** As the file system counts. */
async function bytesOnDisk(directory) {
  let bytes = 0;
  for (const name of await readdir(directory, { recursive: true })) {
    bytes += (await stat(join(directory, name))).blocks * 512;
  }
  return bytes;
}
