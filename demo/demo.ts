import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { CLIENT_NAMES, type ClientName } from './clients.js';
import type { CrawlProtocol, PassResult } from './crawl.js';
import { type Peer, startPeer } from './ipc.js';
import { readManifest } from './manifest.js';
import type { OriginCount, OriginProtocol } from './origin.js';
import { fromCache, type Progress, printTable, type Row, startProgress } from './report.js';

const USAGE = `Crawls this project's own node_modules over HTTP, with axios and with got, and checks every body.

  npm run demo -- [--files N] [--client axios|got] [--short]

  --files N    crawl N of the files (default: all)
  --client X   only one of the clients
  --short      the same as --files 300: what CI runs
`;

const { values } = parseArgs({
  options: {
    files: { type: 'string' },
    client: { type: 'string' },
    short: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
});
const maxFiles = Number(values.files ?? (values.short ? 300 : Number.POSITIVE_INFINITY));
const clients = CLIENT_NAMES.filter((name) => values.client === undefined || name === values.client);
if (values.help || !(maxFiles >= 1) || clients.length === 0) {
  console.log(USAGE);
  process.exit(values.help ? 0 : 2);
}

const folder = fileURLToPath(new URL('../../node_modules', import.meta.url));
const files = await readManifest(folder, maxFiles);
const totalMb = files.reduce((sum, { bytes }) => sum + bytes, 0) / 1e6;
console.log(`${files.length} files, ${totalMb.toFixed(1)} MB, served from node_modules by sirv with compression.`);
console.log('p50, p99, max: how late timers fired in the crawling process. RSS: its peak memory.\n');

const temporary = await mkdtemp(join(tmpdir(), 'offloop-demo-'));
let faults: string[];
try {
  faults = [];
  for (const client of clients) faults.push(...(await showClient(client, join(temporary, client))));
} finally {
  await rm(temporary, { recursive: true, force: true });
}
if (faults.length > 0) {
  console.error(`\n${faults.length} faults, of which the first ones are:\n  ${faults.slice(0, 20).join('\n  ')}`);
  process.exitCode = 1;
} else {
  console.log('\nEvery body of every pass is the file on disk, byte for byte, and the origin saw what it should.');
}

/** All passes with one client; prints the table, and returns what was wrong. */
async function showClient(client: ClientName, directory: string): Promise<string[]> {
  const origin = startPeer<OriginProtocol>(new URL('./origin.js', import.meta.url));
  const rows: Row[] = [];
  const wrong: string[] = [];
  try {
    const { url } = await origin.ask('listen', { folder });
    const run = async (crawler: Crawler, name: string, expected: Expected, validate = false) => {
      const result = await crawler.run(`${client}: ${name}`, { url, validate });
      const count = expected.origin === 'down' ? undefined : await origin.ask('takeCount', null);
      rows.push({ name, result, origin: count });
      wrong.push(...faultsOf(result, count, expected).map((fault) => `${client}, ${name}: ${fault}`));
    };

    const bare = await startCrawler(client, undefined);
    await run(bare, 'without the cache', { origin: 'all', fromCache: false });
    await bare.close();

    const first = await startCrawler(client, directory);
    await run(first, 'cold', { origin: 'all', fromCache: false });
    await run(first, 'warm', { origin: 'none', fromCache: true });
    await first.close();

    const second = await startCrawler(client, directory);
    await run(second, 'warm, in a new process', { origin: 'none', fromCache: true });
    await run(second, 'every one validated', { origin: 'all-304', fromCache: true }, true);
    await origin.kill();
    await run(second, 'origin stopped', { origin: 'down', fromCache: true });
    await second.close();
  } finally {
    await origin.kill();
  }
  console.log(printTable(client, rows));
  return wrong;
}

interface Crawler {
  run(label: string, pass: CrawlProtocol['run']['ask']): Promise<PassResult>;
  /** Closes the cache and ends the process. */
  close(): Promise<void>;
}

async function startCrawler(client: ClientName, directory: string | undefined): Promise<Crawler> {
  let progress: Progress | undefined;
  const peer: Peer<CrawlProtocol> = startPeer(new URL('./crawl.js', import.meta.url), (done) => progress?.update(done));
  await peer.ask('setUp', { client, directory, files });
  return {
    async run(label, pass) {
      progress = startProgress(label, files.length);
      try {
        return await peer.ask('run', pass);
      } finally {
        progress.end();
      }
    },
    async close() {
      await peer.ask('close', null);
      await peer.kill();
    },
  };
}

interface Expected {
  readonly origin: 'all' | 'all-304' | 'none' | 'down';
  readonly fromCache: boolean;
}

function faultsOf(result: PassResult, count: OriginCount | undefined, expected: Expected): string[] {
  const wrong = [...result.faults];
  const total = files.length;
  const cached = expected.fromCache ? total : 0;
  if (fromCache(result) !== cached) wrong.push(`${fromCache(result)} answers came from the cache, not ${cached}`);
  if (count === undefined) return wrong;
  const requests = expected.origin === 'none' ? 0 : total;
  const notModified = expected.origin === 'all-304' ? total : 0;
  if (count.requests !== requests) wrong.push(`the origin saw ${count.requests} requests, not ${requests}`);
  if (count.notModified !== notModified) wrong.push(`the origin sent ${count.notModified} 304s, not ${notModified}`);
  return wrong;
}
