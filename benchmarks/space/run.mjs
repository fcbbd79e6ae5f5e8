// What keeping a budget, compression and verification cost the disk store: node benchmarks/space/run.mjs [evict] [compress] [verify] [--rounds N].
// Everything is compared in turn, ABAB, each round in a directory of its own; medians, and ratios round by round.
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { openDiskStore } from '../../dist/src/store/disk-open.js';
import { pageOf } from '../lib/bodies.mjs';
import { forEachNumber, measured, median } from '../lib/measure.mjs';
import { printTable } from '../lib/table.mjs';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    rounds: { type: 'string', default: '5' },
    count: { type: 'string', default: '30000' },
    mib: { type: 'string', default: '1024' },
  },
});
const rounds = Number(values.rounds);
const count = Number(values.count);
const benchmarks = { evict, compress, verify };
const MiB = 1024 ** 2;
const IN_FLIGHT = 64;
const fields = ['Content-Type', 'text/html; charset=utf-8', 'Cache-Control', 'max-age=86400', 'ETag', '"1"'];
const base = await mkdtemp(join(tmpdir(), 'offloop-space-'));
let directories = 0;

function headOf(url) {
  const times = { requestTimeMs: 1_790_000_000_000, responseTimeMs: 1_790_000_000_050 };
  return { url, method: 'GET', status: 200, statusText: 'OK', httpVersion: '1.1', fields, selecting: [], ...times };
}

const urlOf = (number) => `https://example.com/some/path/that/is/usual?page=${number}`;

async function put(store, number, body) {
  const writer = store.create(urlOf(number), headOf(urlOf(number)));
  if (!writer.write(body)) await writer.ready();
  return (await writer.commit()).outcome;
}

async function inNewDirectory(options, work) {
  const directory = join(base, String(directories++));
  const store = await openDiskStore({ directory, maxBytes: 16 * 1024 * MiB, ...options });
  try {
    return await work(store, directory);
  } finally {
    await store.close();
    await rm(directory, { recursive: true, force: true });
  }
}

/** Runs every variant once a round, in turn. */
async function inTurn(variants) {
  const runs = variants.map(() => []);
  for (let round = 0; round < rounds; round++) {
    for (const [i, variant] of variants.entries()) runs[i].push(await variant.run());
  }
  return runs;
}

/** Stores `count` pages of 20 KB; with `hot`, looks so many up again and again meanwhile. `maxBytes` is full before the clock starts. */
async function crawl(maxBytes, fillBytes, hot) {
  return inNewDirectory({ maxBytes }, async (store) => {
    const body = pageOf(1);
    const fill = Math.ceil(fillBytes / body.length);
    await forEachNumber(0, fill, IN_FLIGHT, (number) => put(store, number, body));
    let highest = 0;
    let lowest = Infinity;
    let declined = 0;
    let done = 0;
    const cost = await measured(async () => {
      await forEachNumber(fill, count, IN_FLIGHT, async (number) => {
        if ((await put(store, number, body)) !== 'stored') declined++;
        done += 1;
        if (hot > 0 && done % 4 === 0) await store.lookup(urlOf(fill - hot + (done % hot)));
        if (done % 500 > 0) return;
        const { bytes } = await store.stats();
        highest = Math.max(highest, bytes);
        lowest = Math.min(lowest, bytes);
      });
      await store.flush();
    });
    const { counters } = await store.stats();
    const lookups = hot > 0 ? counters.hits / counters.lookups : Number.NaN;
    return { ...counters, ...cost, highest, lowest, declined, found: lookups };
  });
}

async function evict() {
  const budget = Number(values.mib) * MiB;
  const variants = [
    { name: 'no limit in reach', run: () => crawl(16 * 1024 * MiB, budget, 0) },
    { name: 'full', run: () => crawl(budget, 1.1 * budget, 0) },
    { name: 'no limit, 1,000 pages used', run: () => crawl(16 * 1024 * MiB, budget, 1000) },
    { name: 'full, 1,000 pages used', run: () => crawl(budget, 1.1 * budget, 1000) },
  ];
  const runs = await inTurn(variants);
  const rows = variants.map(({ name }, i) => {
    const mine = runs[i];
    const bare = runs[i - (i % 2)];
    return [
      name,
      median(mine.map(({ ms }) => (count / ms) * 1000)).toFixed(0),
      median(mine.map(({ ms }, round) => bare[round].ms / ms)).toFixed(2),
      median(mine.map(({ threadMs }) => (threadMs * 1000) / count)).toFixed(1),
      i % 2 === 0 ? '' : percent(median(mine.map(({ lowest }) => lowest / budget))),
      i % 2 === 0 ? '' : percent(median(mine.map(({ highest }) => highest / budget))),
      median(mine.map(({ reinserted }) => reinserted)).toFixed(0),
      Number.isNaN(mine[0].found) ? '' : percent(median(mine.map(({ found }) => found))),
    ];
  });
  const head = [`${values.mib} MiB`, 'stores/s', 'of bare', 'thread µs', 'lowest', 'highest', 'reinserted', 'found'];
  printTable(`evict: ${count} pages of 20 KB, ${IN_FLIGHT} in flight, ${rounds} rounds`, head, rows);
}

const percent = (part) => `${(100 * part).toFixed(1)} %`;

/** Real text: this project's own sources and documents, in pieces of 20 KB. */
async function pagesOfText() {
  const root = new URL('../../', import.meta.url).pathname;
  const texts = [];
  for (const folder of ['src', 'test', 'docs', 'interceptors']) {
    for (const name of await readdir(join(root, folder), { recursive: true })) {
      if (/\.(ts|md)$/.test(name)) texts.push(await readFile(join(root, folder, name)));
    }
  }
  const all = Buffer.concat(texts);
  return Array.from({ length: Math.floor(all.length / 20_000) }, (_, i) => all.subarray(20_000 * i, 20_000 * (i + 1)));
}

async function compress() {
  const pages = await pagesOfText();
  const total = Math.min(count, 10_000);
  const run = (compression) => () =>
    inNewDirectory(compression === undefined ? {} : { compression }, async (store) => {
      const pageAt = (number) => pages[number % pages.length];
      await forEachNumber(-1000, 1000, IN_FLIGHT, (number) => put(store, number, pageAt(-number)));
      const storing = await measured(async () => {
        await forEachNumber(0, total, IN_FLIGHT, (number) => put(store, number, pageAt(number)));
        await store.flush();
      });
      const hitting = await measured(() =>
        forEachNumber(0, total, 16, async (number) => {
          const [found] = await store.lookup(urlOf(number));
          if (found?.inlineBody?.length !== 20_000) throw new Error('a page is wrong');
        }),
      );
      const { bytes, entries } = await store.stats();
      return { storing, hitting, bytes: bytes / entries };
    });
  const variants = [
    { name: 'off', run: run(undefined) },
    { name: 'brotli 1', run: run({ level: 1 }) },
    { name: 'brotli 3', run: run({}) },
    { name: 'deflate 3', run: run({ codec: 'deflate' }) },
  ];
  const runs = await inTurn(variants);
  const rows = variants.map(({ name }, i) => [
    name,
    median(runs[i].map(({ storing }) => (total / storing.ms) * 1000)).toFixed(0),
    median(runs[i].map(({ storing }, round) => runs[0][round].storing.ms / storing.ms)).toFixed(2),
    median(runs[i].map(({ storing }) => (storing.cpuMs * 1000) / total)).toFixed(0),
    median(runs[i].map(({ storing }) => (storing.threadMs * 1000) / total)).toFixed(0),
    median(runs[i].map(({ bytes }) => bytes)).toFixed(0),
    median(runs[i].map(({ hitting }) => (hitting.threadMs * 1000) / total)).toFixed(0),
    median(runs[i].map(({ hitting }) => (hitting.cpuMs * 1000) / total)).toFixed(0),
  ]);
  const head = ['codec', 'stores/s', 'of off', 'cpu µs', 'thread µs', 'bytes each', 'hit thread µs', 'hit cpu µs'];
  printTable(`compress: ${total} pages of 20 KB of source code, ${pages.length} different`, head, rows);
}

/** How fast it reads, what storing loses meanwhile, and how much memory it takes. */
async function verify() {
  const total = Math.min(count, 10_000);
  const rows = [];
  const loss = [];
  const rates = [];
  for (let round = 0; round < rounds; round++) {
    await inNewDirectory({}, async (store) => {
      const body = pageOf(1);
      await forEachNumber(0, 2 * total, IN_FLIGHT, (number) => put(store, number, body));
      const storeMore = (from) =>
        measured(() => forEachNumber(from, total, IN_FLIGHT, (number) => put(store, number, body)));
      const alone = await storeMore(3 * total);
      const started = performance.now();
      const report = await store.verify();
      rates.push(report.bytes / MiB / ((performance.now() - started) / 1000));
      let isDone = false;
      const endless = (async () => {
        while (!isDone) await store.verify();
      })();
      const along = await storeMore(5 * total);
      isDone = true;
      await endless;
      loss.push(alone.ms / along.ms);
    });
  }
  rows.push([median(rates).toFixed(0), median(loss).toFixed(2), (process.memoryUsage().rss / MiB).toFixed(0)]);
  printTable('verify', ['MiB/s', 'stores/s while it runs, of alone', 'rss MiB'], rows);
}

try {
  for (const name of positionals.length > 0 ? positionals : Object.keys(benchmarks)) await benchmarks[name]();
} finally {
  await rm(base, { recursive: true, force: true });
}
