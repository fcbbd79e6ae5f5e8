// What is measured. Each case gets an opened subject's maker and the job, and returns numbers.
import { createHash } from 'node:crypto';
import { assertPage } from '../lib/bodies.mjs';
import { forEachNumber, measured } from '../lib/measure.mjs';
import { scale, scaleFill } from './scale.mjs';

const WARM_UP = 1000;
const IN_FLIGHT = 64;

export const cases = { store, fill, hit, timers, large, scaleFill, scale };

/** A crawl of distinct pages, everything durable at the end; the time to flush counts. */
async function store(subject, { url, directory, count }) {
  const client = await subject.open(directory);
  const crawl = async (from, pages) => {
    await forEachNumber(from, pages, IN_FLIGHT, async (page) =>
      assertPage(await client.get(`${url}/page/${page}`), page),
    );
    await client.flush();
  };
  await crawl(1_000_000, WARM_UP);
  const cost = await measured(() => crawl(0, count));
  await client.close();
  return perRequest(cost, count);
}

/** Stores what `hit` and `timers` ask for. */
async function fill(subject, { url, directory, count }) {
  const client = await subject.open(directory);
  await fillPages(client, url, count + WARM_UP);
  await client.close();
  return {};
}

/** Distinct pages, each asked for once after a restart (of what keeps anything over one). */
async function hit(subject, { url, directory, count }) {
  const client = await subject.open(directory);
  if (subject.inMemory) await fillPages(client, url, count + WARM_UP);
  const isFloor = subject.bare === undefined;
  const ask = (page) => client.get(`${url}/page/${page}`).then((body) => assertPage(body, isFloor ? 0 : page));
  await forEachNumber(count, WARM_UP, 16, ask);
  globalThis.gc?.();
  const cost = await measured(() => forEachNumber(0, count, 16, ask));
  await client.close();
  return perRequest(cost, count);
}

/** Hits one after the other, and how long a timer had to wait meanwhile. */
async function timers(subject, { url, directory, count }) {
  const client = await subject.open(directory);
  if (subject.inMemory) await fillPages(client, url, count + WARM_UP);
  const ask = async (page) => assertPage(await client.get(`${url}/page/${page}`), page);
  await forEachNumber(count, WARM_UP, 16, ask);
  let ticks = 0;
  let maxGapMs = 0;
  let last = performance.now();
  const tick = () => {
    const now = performance.now();
    maxGapMs = Math.max(maxGapMs, now - last);
    last = now;
  };
  const timer = setInterval(() => {
    ticks++;
    tick();
  }, 1);
  const cost = await measured(() => forEachNumber(0, count, 1, ask));
  clearInterval(timer);
  tick();
  await client.close();
  return { ...perRequest(cost, count), ticks, maxGapMs };
}

/** One large body as a stream. */
async function large(subject, { url, directory }) {
  const client = await subject.open(directory);
  const hash = createHash('sha256');
  let bytes = 0;
  const cost = await measured(async () => {
    for await (const chunk of await client.stream(`${url}/large`)) {
      hash.update(chunk);
      bytes += chunk.length;
    }
    await client.flush();
  });
  await client.close();
  return { ...cost, bytes, sha256: hash.digest('hex'), maxRssBytes: process.resourceUsage().maxRSS * 1024 };
}

async function fillPages(client, url, count) {
  await forEachNumber(0, count, IN_FLIGHT, async (page) => assertPage(await client.get(`${url}/page/${page}`), page));
  await client.flush();
}

function perRequest({ ms, loopMs, threadMs, cpuMs }, count) {
  return {
    perSecond: (count / ms) * 1000,
    loopUs: (loopMs / count) * 1000,
    threadUs: (threadMs / count) * 1000,
    cpuUs: (cpuMs / count) * 1000,
  };
}
