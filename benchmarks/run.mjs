// node benchmarks/run.mjs [store] [hit] [timers] [large] [scale] [--peers] [--rounds N] [--count N] [--only WORD]. See README.md.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { largeHash } from './lib/bodies.mjs';
import { median } from './lib/measure.mjs';
import { runCase, startOrigin } from './lib/processes.mjs';
import { obstacleOf, ours, peers, subjects } from './lib/subjects.mjs';
import { printTable } from './lib/table.mjs';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    peers: { type: 'boolean', default: false },
    rounds: { type: 'string', default: '5' },
    count: { type: 'string' },
    only: { type: 'string', default: '' },
  },
});
const rounds = Number(values.rounds);
const benchmarks = { store, hit, timers, large, scale };
// Filling a directory with a million responses takes minutes: only when asked for.
const chosen = positionals.length > 0 ? positionals : Object.keys(benchmarks).filter((name) => name !== 'scale');
const unknown = chosen.filter((name) => !(name in benchmarks));
if (unknown.length > 0 || !(rounds >= 1)) {
  console.error(
    `usage: node benchmarks/run.mjs [${Object.keys(benchmarks).join('] [')}] [--peers] [--rounds N] [--count N]`,
  );
  process.exit(2);
}

const names = [...ours, ...(values.peers ? peers : [])].filter((name) => name.includes(values.only));
const directory = await mkdtemp(join(tmpdir(), 'offloop-benchmark-'));
const origin = await startOrigin();
const missed = [];
let directories = 0;
try {
  console.log(`Node ${process.version}, ${rounds} rounds, medians`);
  for (const name of chosen) await benchmarks[name]();
} finally {
  origin.stop();
  await rm(directory, { recursive: true, force: true });
}
for (const sentence of missed) console.log(`MISSED: ${sentence}`);
process.exitCode = missed.length > 0 ? 1 : 0;

async function store() {
  const count = Number(values.count ?? 10_000);
  const rows = [];
  for (const name of measurable(names)) {
    const { bare } = subjects[name];
    const runs = await interleaved([bare, name], async (subject) => {
      const place = newDirectory();
      const result = await runCase({ case: 'store', subject, url: origin.url, directory: place, count });
      await rm(place, { recursive: true, force: true });
      return result;
    });
    const ratio = median(runs.map(([without, with_]) => with_.perSecond / without.perSecond));
    const added = median(runs.map(([without, with_]) => with_.loopUs - without.loopUs));
    const addedThread = median(runs.map(([without, with_]) => with_.threadUs - without.threadUs));
    const addedCpu = median(runs.map(([without, with_]) => with_.cpuUs - without.cpuUs));
    rows.push([
      name,
      median(runs.map(([without]) => without.perSecond)).toFixed(0),
      median(runs.map(([, with_]) => with_.perSecond)).toFixed(0),
      ratio.toFixed(2),
      ...[added, addedThread, addedCpu].map((us) => us.toFixed(0)),
    ]);
    if (subjects[name].isOurs) {
      bar(ratio >= 0.8, `store, ${name}: ${ratio.toFixed(2)} of the bare client's rate; at least 0.80`);
      bar(added <= 60, `store, ${name}: ${added.toFixed(0)} µs of event loop per stored response; at most 60`);
    }
  }
  const head = ['cache', 'bare req/s', 'req/s', 'ratio', 'added loop µs', 'added thread µs', 'added cpu µs'];
  printTable(`store: ${count} distinct 20 KB pages, 64 in flight, durable at the end`, head, rows);
}

async function hit() {
  const count = Number(values.count ?? 4000);
  const rows = [];
  for (const name of measurable(names)) {
    const { floor, inMemory } = subjects[name];
    const place = await filled(name, count);
    const run = (subject) => runCase({ case: 'hit', subject, url: origin.url, directory: place, count });
    const runs = await interleaved(floor === undefined ? [name] : [name, floor], run);
    const [mine, least] = [0, 1].map((column) =>
      runs[0].length > column ? runs.map((row) => row[column]) : undefined,
    );
    const times = least === undefined ? undefined : median(runs.map(([own, low]) => own.loopUs / low.loopUs));
    rows.push([
      name,
      inMemory ? 'memory' : 'disk',
      median(mine.map(({ perSecond }) => perSecond)).toFixed(0),
      ...['loopUs', 'threadUs', 'cpuUs'].map((what) => median(mine.map((result) => result[what])).toFixed(0)),
      least === undefined ? '-' : median(least.map(({ loopUs }) => loopUs)).toFixed(0),
      times === undefined ? '-' : `${times.toFixed(2)}x`,
    ]);
    if (subjects[name].isOurs) bar(times <= 2, `hit, ${name}: ${times.toFixed(2)} times the floor; at most 2`);
    await rm(place, { recursive: true, force: true });
  }
  const head = ['cache', 'from', 'hits/s', 'loop µs', 'thread µs', 'cpu µs', 'floor loop µs', 'of floor'];
  printTable(`hit: ${count} distinct 20 KB pages, each once after a restart, 16 in flight`, head, rows);
}

async function timers() {
  const count = 1000;
  const rows = [];
  for (const name of measurable(names)) {
    const place = await filled(name, count);
    const runs = await interleaved([name], (subject) =>
      runCase({ case: 'timers', subject, url: origin.url, directory: place, count }),
    );
    const gaps = runs.map(([result]) => result.maxGapMs);
    const ticks = median(runs.map(([result]) => result.ticks));
    const totalMs = median(runs.map(([result]) => (count / result.perSecond) * 1000));
    rows.push([name, totalMs.toFixed(0), ticks.toFixed(0), median(gaps).toFixed(1), Math.max(...gaps).toFixed(1)]);
    if (subjects[name].isOurs) {
      bar(median(gaps) <= 20, `timers, ${name}: held back for ${median(gaps).toFixed(1)} ms; at most 20`);
    }
    await rm(place, { recursive: true, force: true });
  }
  const head = ['cache', 'total ms', 'ticks of a 1 ms timer', 'longest gap ms', 'worst of all rounds'];
  printTable(`timers: ${count} hits, one after the other`, head, rows);
}

async function large() {
  const expected = largeHash();
  const rows = [];
  for (const name of names.filter((candidate) => subjects[candidate].isOurs)) {
    const place = newDirectory();
    const job = { case: 'large', url: origin.url, directory: place };
    const bare = await runCase({ ...job, subject: subjects[name].bare });
    const miss = await runCase({ ...job, subject: name });
    const again = await runCase({ ...job, subject: name, url: origin.url });
    for (const [kind, result] of Object.entries({ bare, miss, hit: again })) {
      const overMb = (result.maxRssBytes - bare.maxRssBytes) / 1024 ** 2;
      const seconds = (result.ms / 1000).toFixed(2);
      const loop = ((result.loopMs / result.bytes) * 1024 ** 2).toFixed(2);
      rows.push([`${name}: ${kind}`, seconds, loop, (result.maxRssBytes / 1024 ** 2).toFixed(0), overMb.toFixed(0)]);
      bar(result.sha256 === expected, `large, ${name}, ${kind}: the bytes are not the origin's`);
      if (kind !== 'bare') bar(overMb <= 64, `large, ${name}, ${kind}: ${overMb.toFixed(0)} MiB over bare; at most 64`);
    }
    await rm(place, { recursive: true, force: true });
  }
  printTable(
    'large: one body of 1 GiB as a stream',
    ['', 'seconds', 'loop ms per MiB', 'peak RSS MiB', 'over bare'],
    rows,
  );
}

/** Opening and hits with `--count` responses (1,000,000) beside 10,000, and what a page of 20 KB takes on the disk. */
async function scale() {
  const counts = [10_000, Number(values.count ?? 1_000_000)];
  const [few, many] = counts.map(() => newDirectory());
  const places = new Map([
    [counts[0], few],
    [counts[1], many],
  ]);
  for (const [count, place] of places) {
    const job = { case: 'scaleFill', subject: 'axios', directory: place, count, bodyBytes: 512 };
    const { seconds, diskBytes } = await runCase(job);
    console.log(`${count} stored in ${seconds.toFixed(0)} s, ${(diskBytes / count).toFixed(0)} bytes each on the disk`);
  }
  const runs = await interleaved([...places.keys()], (count) =>
    runCase({ case: 'scale', subject: 'axios', directory: places.get(count), count, hits: 3000 }),
  );
  const rows = counts.map((count, column) => {
    const of = (what) => median(runs.map((row) => row[column][what])).toFixed(0);
    return [String(count), of('openMs'), of('openCpuMs'), of('firstHitMs'), of('loopUs'), of('threadUs'), of('rssMiB')];
  });
  const times = median(runs.map(([one, other]) => other.threadUs / one.threadUs));
  const firstHitMs = median(runs.map(([, other]) => other.firstHitMs));
  bar(firstHitMs <= 300, `scale: ${firstHitMs.toFixed(0)} ms until the first hit; at most 300`);
  bar(times <= 1.3, `scale: a hit costs ${times.toFixed(2)} times one among 10,000; at most 1.3`);
  const pages = { case: 'scaleFill', subject: 'axios', directory: newDirectory(), count: 5000, bodyBytes: 20_000 };
  const overBytes = (await runCase(pages)).diskBytes / pages.count - pages.bodyBytes;
  bar(overBytes <= 2400, `scale: ${overBytes.toFixed(0)} bytes on the disk over the 20,000 of a body; at most 2,400`);
  const head = ['responses', 'open ms', 'open cpu ms', 'first hit ms', 'hit loop µs', 'hit thread µs', 'RSS MiB'];
  printTable(`scale: hits all over the log, ${times.toFixed(2)} times the cost of those among 10,000`, head, rows);
  console.log(`a body of 20,000 bytes takes ${overBytes.toFixed(0)} more on the disk`);
}

/** Runs the subjects in turn, ABAB, so that a change of the machine's mood meets all of them. One row per round. */
async function interleaved(subjectNames, run) {
  const rows = [];
  for (let round = 0; round < rounds; round++) {
    const row = [];
    for (const subject of subjectNames) row.push(await run(subject));
    rows.push(row);
  }
  return rows;
}

async function filled(subject, count) {
  const place = newDirectory();
  if (!subjects[subject].inMemory) await runCase({ case: 'fill', subject, url: origin.url, directory: place, count });
  return place;
}

function measurable(candidates) {
  return candidates.filter((name) => {
    const obstacle = obstacleOf(name);
    if (obstacle !== undefined) console.log(`left out: ${name} ${obstacle}`);
    return obstacle === undefined;
  });
}

function newDirectory() {
  return join(directory, String(directories++));
}

function bar(isMet, sentence) {
  if (!isMet) missed.push(sentence);
}
