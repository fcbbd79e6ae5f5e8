import { monitorEventLoopDelay } from 'node:perf_hooks';
import type { Cache } from 'offloop';
import { openCache } from 'offloop';
import { type ClientName, clientOf, type Get } from './clients.js';
import { answerParent, reportProgress } from './ipc.js';
import type { ManifestFile } from './manifest.js';

export interface Setup {
  readonly client: ClientName;
  /** Where the cache is; `undefined` crawls without one. */
  readonly directory: string | undefined;
  readonly files: readonly ManifestFile[];
}

export interface Pass {
  readonly url: string;
  /** Ask the origin whether what is stored is still good, however fresh it is. */
  readonly validate: boolean;
}

export interface PassResult {
  readonly requests: number;
  /** How many responses had each `cacheInfo.status`. */
  readonly statuses: Readonly<Record<string, number>>;
  readonly bodyBytes: number;
  readonly seconds: number;
  /** How late timers were, in ms. */
  readonly delayMs: { readonly p50: number; readonly p99: number; readonly max: number };
  readonly peakRssBytes: number;
  /** Whatever went wrong: a body that is not the file, or a request that failed. */
  readonly faults: readonly string[];
}

export type CrawlProtocol = {
  readonly setUp: { readonly ask: Setup; readonly answer: null };
  readonly run: { readonly ask: Pass; readonly answer: PassResult };
  readonly close: { readonly ask: null; readonly answer: null };
};

const IN_FLIGHT = 32;
const TIMER_MS = 1;
const LARGE_BYTES = 1024 * 1024;

let files: readonly ManifestFile[] = [];
let cache: Cache | undefined;
let get: Get | undefined;

answerParent<CrawlProtocol>({
  async setUp(setup) {
    files = setup.files;
    if (setup.directory !== undefined) cache = await openCache({ directory: setup.directory });
    get = clientOf(setup.client, cache);
    return null;
  },
  async run(pass) {
    if (get === undefined) throw new Error('set up first');
    return measured(crawlAll(get, pass));
  },
  async close() {
    await cache?.close();
    return null;
  },
});

type Crawled = Pick<PassResult, 'requests' | 'statuses' | 'bodyBytes' | 'faults'>;

async function measured(work: Promise<Crawled>): Promise<PassResult> {
  const delay = monitorEventLoopDelay({ resolution: TIMER_MS });
  let peakRssBytes = 0;
  const sample = () => {
    peakRssBytes = Math.max(peakRssBytes, process.memoryUsage.rss());
  };
  const sampler = setInterval(sample, 20);
  const started = performance.now();
  delay.enable();
  try {
    const crawled = await work;
    const seconds = (performance.now() - started) / 1000;
    const lateMs = (nanoseconds: number) => Math.max(0, nanoseconds / 1e6 - TIMER_MS);
    const delayMs = { p50: lateMs(delay.percentile(50)), p99: lateMs(delay.percentile(99)), max: lateMs(delay.max) };
    sample();
    return { ...crawled, seconds, delayMs, peakRssBytes };
  } finally {
    delay.disable();
    clearInterval(sampler);
  }
}

/** Fetches every file once. What is stored on the way is durable when this resolves. */
async function crawlAll(fetchOne: Get, { url, validate }: Pass): Promise<Crawled> {
  const statuses: Record<string, number> = {};
  const faults: string[] = [];
  let bodyBytes = 0;
  let done = 0;
  const queue = files.values();
  const worker = async () => {
    for (const file of queue) {
      try {
        const { status, bytes, sha256, cacheStatus } = await fetchOne({
          url: `${url}/${encodeURI(file.path)}`,
          validate,
          isLarge: file.bytes > LARGE_BYTES,
        });
        statuses[cacheStatus] = (statuses[cacheStatus] ?? 0) + 1;
        bodyBytes += bytes;
        if (status !== 200 || sha256 !== file.sha256) {
          faults.push(`${file.path}: status ${status}, ${bytes} bytes that are not the file's ${file.bytes}`);
        }
      } catch (error) {
        faults.push(`${file.path}: ${error instanceof Error ? error.message : String(error)}`);
      }
      done++;
      if (done % 20 === 0) reportProgress(done);
    }
  };
  await Promise.all(Array.from({ length: IN_FLIGHT }, worker));
  await cache?.flush();
  return { requests: done, statuses, bodyBytes, faults };
}
