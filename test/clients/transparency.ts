import diagnostics from 'node:diagnostics_channel';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Test } from 'uvu';
import * as assert from 'uvu/assert';
import { type Cache, openCache, type RequestOptions } from '../../src/index.js';
import { createMemoryStore } from '../../src/store/memory-store.js';
import { differencesOf } from './differences.js';
import { type Mode, modes } from './modes.js';
import { type Answer, always, createTlsServer, Origin } from './origin.js';

/** What a row works with: it does the same thing with a cache and without. */
export interface Scene<Client> {
  /** Where the row's origin is: `http://127.0.0.1:…/`. */
  readonly url: string;
  readonly port: number;
  /** The same origin by TLS, with HTTP/2 for who asks for it; its certificate is its own. */
  readonly tlsUrl: string;
  /** The same origin on a socket in the file system. */
  readonly socketPath: string;
  /** Puts the cache on a client if there is to be one; says which client to use. */
  attach(client: Client): Promise<Client>;
  /** Resolves when the next request has reached the origin. */
  visited(): Promise<void>;
  /** Notes that something happened, in order; what was noted is part of the outcome. */
  note(event: string): void;
}

/** One behaviour of a client: what comes of it must be the same with a cache, in every mode. */
export interface Row<Client> {
  readonly name: string;
  readonly answer?: Answer;
  /** Makes the origin's answers known to the cache. By default: a plain GET of the URL. */
  readonly prime?: (scene: Scene<Client>) => Promise<unknown>;
  /** Modes that the row says nothing about, and why. */
  readonly except?: Partial<Record<Mode, string>>;
  /** What the cache does in a mode where it is not what the mode is named for; `undefined`: nothing. */
  readonly instead?: Partial<Record<Mode, string | undefined>> | 'anything';
  /** It asks for one thing more than once: later answers are stored ones in every mode. */
  readonly repeats?: boolean;
  run(scene: Scene<Client>): Promise<unknown>;
}

export interface ClientKind<Client> {
  readonly modes: readonly Mode[];
  create(): Client;
  /** What attaching would do to the client if it attached nothing. */
  bare?(client: Client): Client;
  attach(client: Client, cache: Cache, options: RequestOptions): Client;
  /** Fetches all of a URL and ignores what comes. */
  fetch(client: Client, url: string): Promise<unknown>;
}

const smallJson = always(200, { 'Content-Type': 'application/json', 'X-Origin': 'yes' }, '{"one":1,"text":"żółć"}');
const channelNames = ['miss', 'hit', 'revalidate', 'collapse', 'stale', 'skip', 'error'];

interface Bench {
  readonly directory: string;
  readonly cache: Cache;
  readonly origin: Origin;
  readonly tlsOrigin: Origin;
  readonly socketOrigin: Origin;
  readonly socketPath: string;
  nowMs: number;
  events: string[];
  onEvent: (name: string) => void;
}

/** Adds one test for every row and mode. */
export function compareRows<Client>(
  test: Test<Record<string, unknown>>,
  kind: ClientKind<Client>,
  rows: readonly Row<Client>[],
  store = process.env.OFFLOOP_CLIENTS_STORE ?? 'memory',
): void {
  let bench: Bench;
  const listeners = channelNames.map((name) => {
    const listener = () => {
      bench.events.push(name);
      bench.onEvent(name);
    };
    return [`offloop:${name}`, listener] as const;
  });
  test.before(async () => {
    bench = await openBench(store === 'disk');
    for (const [name, listener] of listeners) diagnostics.subscribe(name, listener);
  });
  test.after(async () => {
    for (const [name, listener] of listeners) diagnostics.unsubscribe(name, listener);
    await bench.cache.close();
    for (const origin of originsOf(bench)) await origin[Symbol.asyncDispose]();
    await rm(bench.directory, { recursive: true, force: true });
  });
  for (const row of rows) {
    for (const mode of kind.modes) {
      if (row.except?.[mode] !== undefined) continue;
      test(`${row.name} (${mode})`, () => compare(bench, kind, row, mode));
    }
  }
}

const originsOf = (bench: Bench): readonly Origin[] => [bench.origin, bench.tlsOrigin, bench.socketOrigin];

async function openBench(onDisk: boolean): Promise<Bench> {
  const directory = await mkdtemp(join(tmpdir(), 'offloop-clients-'));
  const bench = { directory, nowMs: Date.now(), events: [] as string[], onEvent: () => undefined };
  const nowMs = () => bench.nowMs;
  // Every row has a namespace of its own in every mode.
  const options = { directory, shared: false, nowMs, maxNamespaces: 10_000 };
  const store = onDisk ? undefined : createMemoryStore({ maxBytes: 64 * 1024 ** 2, nowMs });
  const cache = await openCache(store === undefined ? options : { ...options, store });
  const origin = await new Origin(nowMs).listen();
  const tlsOrigin = await new Origin(nowMs, createTlsServer).listen();
  const socketPath = join(directory, 'origin.sock');
  const socketOrigin = await new Origin(nowMs).listen(socketPath);
  return Object.assign(bench, { cache, origin, tlsOrigin, socketOrigin, socketPath });
}

/** The request was really answered in this mode, or in the one that the row names instead. */
function assertMode(bench: Bench, instead: Row<unknown>['instead'], mode: Mode): void {
  assert.not.ok(bench.events.includes('error'), 'nothing failed inside the cache');
  if (instead === 'anything') return;
  const expected = instead !== undefined && mode in instead ? instead[mode] : modes[mode].event;
  if (expected === undefined) assert.equal(bench.events, [], 'the cache had no part in it');
  else assert.ok(bench.events.includes(expected), `the cache said "${expected}", not only "${bench.events}"`);
  if (expected === 'hit' && mode.endsWith('hit')) assert.is(requestsOf(bench), 0, 'the origin was not asked');
}

const requestsOf = (bench: Bench): number => originsOf(bench).reduce((sum, { requests }) => sum + requests, 0);

function forget(bench: Bench): void {
  bench.events = [];
  for (const origin of originsOf(bench)) origin.requests = 0;
}

async function compare<Client>(bench: Bench, kind: ClientKind<Client>, row: Row<Client>, mode: Mode): Promise<void> {
  const bare = await perform(bench, kind, row, mode, undefined);
  const namespace = `${row.name} ${mode}`;
  const options: RequestOptions = mode === 'bypass' ? { namespace, mode: 'no-store' } : { namespace };
  const cached = await perform(bench, kind, row, mode, options);
  assertMode(bench, row.instead, mode);
  const isStored = modes[mode].isStored || row.repeats === true;
  assert.equal(differencesOf(cached, bare, isStored), [], 'what differs from the client without a cache');
}

async function perform<Client>(
  bench: Bench,
  kind: ClientKind<Client>,
  row: Row<Client>,
  mode: Mode,
  options: RequestOptions | undefined,
): Promise<unknown> {
  const { origin, cache } = bench;
  const answer = row.answer ?? smallJson;
  const { freshness, isPrimed } = modes[mode];
  const notes: string[] = [];
  let isQuiet = false;
  const scene: Scene<Client> = {
    url: `http://127.0.0.1:${origin.port}/`,
    port: origin.port,
    tlsUrl: `https://127.0.0.1:${bench.tlsOrigin.port}/`,
    socketPath: bench.socketPath,
    attach: async (client) => {
      if (options === undefined) return kind.bare?.(client) ?? client;
      const attached = kind.attach(client, cache, options);
      if (mode !== 'hit') return attached;
      // A client that has sent something before may answer from the cache at once.
      isQuiet = true;
      await kind.fetch(attached, `http://127.0.0.1:${origin.port}/warm-up`).catch(() => undefined);
      isQuiet = false;
      forget(bench);
      return attached;
    },
    visited: () => origin.visited(),
    note: (event) => {
      if (!isQuiet) notes.push(event);
    },
  };
  const origins = originsOf(bench);
  for (const one of origins) one.use(answer, freshness);
  const prime = async (): Promise<void> => {
    if (options === undefined) return;
    const attach = async (client: Client) => kind.attach(client, cache, options);
    if (row.prime === undefined) await kind.fetch(await attach(kind.create()), scene.url);
    else await row.prime({ ...scene, attach, note: () => undefined });
  };
  if (isPrimed) {
    await prime();
    await cache.flush();
  }
  if (mode === 'stale') bench.nowMs += 10_000;
  let leader: Promise<void> | undefined;
  if (mode === 'collapsed' && options !== undefined) {
    for (const one of origins) one.hold();
    const started = new AbortController();
    const visits = origins.map((one) => one.visited(started.signal).catch(() => undefined));
    leader = prime().catch(() => undefined);
    await Promise.race([...visits, leader]);
    started.abort();
    bench.onEvent = (name) => {
      if (name === 'collapse') for (const one of origins) one.release();
    };
  }
  forget(bench);
  try {
    const result = await inTime(bench, row.run(scene));
    return { result, notes };
  } finally {
    bench.onEvent = () => undefined;
    for (const one of origins) one.release();
    await leader;
    await cache.flush();
  }
}

/** A row that hangs is a failure, and not the end of the run. */
async function inTime<T>(bench: Bench, work: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const tooLong = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      const said = `the cache said "${bench.events}", and the origin was asked ${requestsOf(bench)} times`;
      reject(new Error(`nothing came of it for 20 seconds: ${said}, with ${process.getActiveResourcesInfo()}`));
    }, 20_000);
  });
  try {
    return await Promise.race([work, tooLong]);
  } finally {
    clearTimeout(timer);
  }
}
