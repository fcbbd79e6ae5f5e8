// What the engine and its decisions cost alone, in µs of the event loop per request: no client, no network, no disk.
//   node benchmarks/micro.mjs [part of a name] [--rounds 9] [--count 20000]
// For a profile: node --cpu-prof benchmarks/micro.mjs miss
import { parseArgs } from 'node:util';
import { Cache } from '../dist/src/cache.js';
import { completeCacheOptions, requestDefaults } from '../dist/src/options.js';
import { decideRequest } from '../dist/src/semantics/decide-request.js';
import { decideStorage } from '../dist/src/semantics/decide-storage.js';
import { present } from '../dist/src/semantics/present.js';
import { measured, median } from './lib/measure.mjs';
import { printTable } from './lib/table.mjs';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { rounds: { type: 'string', default: '9' }, count: { type: 'string', default: '20000' } },
});
const count = Number(values.count);
const inFlight = 16;

const url = (page) => `https://example.com/page/${page}?from=benchmark`;
/** What axios sends. */
const requestOf = (page) => ({
  method: 'GET',
  url: url(page),
  fields: [
    'Accept',
    'application/json, text/plain, */*',
    'User-Agent',
    'axios/1.21.1',
    'Accept-Encoding',
    'gzip, compress, deflate, br',
    'Host',
    'example.com',
    'Connection',
    'keep-alive',
  ],
});
const body = Buffer.alloc(20_000, 'x');
const startMs = Date.now();

/** What a page of a site looks like; no two of the same second differ but in their validators. */
const fieldsOf = (page) => [
  'Date',
  new Date(startMs).toUTCString(),
  'Content-Type',
  'text/html; charset=utf-8',
  'Content-Length',
  String(body.length),
  'Server',
  'nginx',
  'Connection',
  'keep-alive',
  'Cache-Control',
  'public, max-age=3600, stale-while-revalidate=60',
  'ETag',
  `"${page}-5f3"`,
  'Last-Modified',
  new Date(startMs - 86_400_000 - (page % 1000) * 1000).toUTCString(),
  'Vary',
  'Accept-Encoding',
  'X-Content-Type-Options',
  'nosniff',
];
const responseOf = (page) => ({ status: 200, statusText: 'OK', httpVersion: '1.1', fields: fieldsOf(page) });

const tap = {
  observe(sink) {
    sink.write(body);
    sink.end(true);
  },
  release() {},
};
const noTrailers = [];
const forwardOf = (head) => async () => ({ head, body: tap, trailers: () => noTrailers });

const rules = {
  mode: 'default',
  shared: true,
  offline: false,
  methods: requestDefaults.methods,
  heuristicFraction: 0.1,
  maxHeuristicMs: 86_400_000,
  ttlMs: undefined,
  expiresAtMs: undefined,
  ttlJitter: 0,
  maxTtlMs: undefined,
  cacheControlTargets: [],
  staleWhileRevalidateSeconds: 0,
  staleIfErrorSeconds: 0,
  keyHoldsCredentials: false,
};
const times = { requestTimeMs: startMs, responseTimeMs: startMs };
const storedOf = (page) => decideStorage(requestOf(page), { response: responseOf(page), ...times }, rules).head;

/** Keeps nothing and says that it does: what is left is the engine. */
class NullStore {
  #found;
  #result = Promise.resolve({ outcome: 'stored' });
  #ready = Promise.resolve();
  constructor(found) {
    this.#found = found;
  }
  has(key) {
    return this.#found(key).length === 0 ? 'absent' : 'maybe';
  }
  async lookup(key) {
    return this.#found(key);
  }
  create() {
    const [result, ready] = [this.#result, this.#ready];
    return { write: () => true, ready: () => ready, commit: () => result, abort: () => ready };
  }
  async close() {}
}

// Not by openCache, which would take it for a user's, and limit the time that it may take.
const cacheOn = (found) =>
  new Cache(new NullStore(found), completeCacheOptions({ directory: 'none', nowMs: () => startMs }));
const none = [];

const engineCase = (cache, presented, forward) => async (from) => {
  let next = from;
  const worker = async () => {
    while (next < from + count) {
      const index = (next++ - from) % presented.length;
      await cache.exchange(presented[index], forward[index]);
    }
  };
  await Promise.all(Array.from({ length: inFlight }, worker));
};
const plainCase = (act) => (from) => {
  for (let page = from; page < from + count; page++) act(page);
};

const pages = Array.from({ length: count }, (_, page) => page);
const requests = pages.map(requestOf);
const responses = pages.map(responseOf);
const heads = pages.map(storedOf);
const presented = requests.map((request) => ({ request, hasBody: false }));
const forwards = responses.map(forwardOf);
const at = (page) => page % count;
let kept;

const byKey = new Map();
for (const [page, head] of heads.entries()) {
  byKey.set(`${url(page)}`, [
    {
      ref: { key: '', sequence: page },
      head,
      bodyBytes: body.length,
      tier: 'disk',
      inlineBody: body,
      openBody: () => {
        throw new Error('the body is at hand');
      },
    },
  ]);
}
const missing = cacheOn(() => none);
const filled = cacheOn((key) => byKey.get(key.slice(key.lastIndexOf(' ') + 1)) ?? none);

const cases = {
  'floor (only the forward)': async (from) => {
    let next = from;
    const worker = async () => {
      while (next < from + count) kept = await forwards[at(next++)]();
    };
    await Promise.all(Array.from({ length: inFlight }, worker));
  },
  'engine: miss, stored': engineCase(missing, presented, forwards),
  'engine: miss, stored (short way)': async (from) => {
    let next = from;
    const worker = async () => {
      while (next < from + count) {
        const page = at(next++);
        const miss = missing.miss(presented[page]);
        kept = miss.answered(await forwards[page]());
      }
    };
    await Promise.all(Array.from({ length: inFlight }, worker));
  },
  'engine: hit (exchange)': engineCase(filled, presented, forwards),
  'engine: hit (reuse)': async (from) => {
    let next = from;
    const worker = async () => {
      while (next < from + count) kept = await filled.reuse(presented[at(next++)]);
    };
    await Promise.all(Array.from({ length: inFlight }, worker));
  },
  'decisions: miss': plainCase((page) => {
    kept = decideRequest(requests[at(page)], none, rules, startMs);
  }),
  'decisions: store': plainCase((page) => {
    kept = decideStorage(requests[at(page)], { response: responses[at(page)], ...times }, rules);
  }),
  'decisions: hit': plainCase((page) => {
    kept = decideRequest(requests[at(page)], [heads[at(page)]], rules, startMs + 1000);
  }),
  'decisions: present a hit': plainCase((page) => {
    kept = present(requests[at(page)], heads[at(page)], body.length, 1);
  }),
};

const chosen = Object.entries(cases).filter(
  ([name]) => positionals.length === 0 || positionals.some((part) => name.includes(part)),
);
const results = new Map(chosen.map(([name]) => [name, []]));
for (const [, run] of chosen) await run(0);
for (let round = 0; round < Number(values.rounds); round++) {
  for (const [name, run] of chosen) {
    const { threadMs, ms } = await measured(() => run(count * (round + 1)));
    results.get(name).push(((Number.isNaN(threadMs) ? ms : threadMs) / count) * 1000);
  }
}
printTable(
  `µs of processor time per request, ${values.rounds} rounds of ${count}`,
  ['', 'median', 'least'],
  chosen.map(([name]) => [name, median(results.get(name)).toFixed(2), Math.min(...results.get(name)).toFixed(2)]),
);
if (kept === undefined) process.exitCode = 1;
await Promise.all([missing.close(), filled.close()]);
