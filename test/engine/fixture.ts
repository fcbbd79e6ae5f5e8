import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Cache, type CacheEvents, type CacheOptions, openCache, type ResponseStore } from '../../src/index.js';
import { createMemoryStore } from '../../src/store/memory-store.js';
import { type Client, type MakeClient, makers } from './clients.js';
import { type Handler, Origin } from './origin.js';

/** A clock that stands still until it is moved. */
export class Clock {
  ms: number;
  readonly nowMs = (): number => this.ms;

  constructor(ms = Math.floor(Date.now() / 1000) * 1000) {
    this.ms = ms;
  }

  advanceSeconds(seconds: number): void {
    this.ms += seconds * 1000;
  }
}

/** An origin, a directory, a cache on it and one client, all gone when the test is over. */
export interface Bench {
  readonly origin: Origin;
  readonly clock: Clock;
  readonly directory: string;
  cache: Cache;
  client: Client;
  /** A path of the origin's as a URL. */
  at(path: string): string;
  /** Closes the cache, and opens one on the same directory. */
  reopen(options?: Partial<CacheOptions>): Promise<void>;
}

export type Body = (bench: Bench) => Promise<void>;

/** `tier: 'memory'`: a memory store in place of the disk's, where that makes no difference to what is tested. It does not outlive `reopen`. */
export type BenchOptions = Partial<CacheOptions> & { readonly tier?: 'memory' };

export async function inDirectory(work: (directory: string) => Promise<void>): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), 'offloop-engine-'));
  try {
    await work(directory);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

export function onBench(
  makeClient: MakeClient,
  handler: Handler,
  { tier, ...options }: BenchOptions,
  work: Body,
): Promise<void> {
  return inDirectory(async (directory) => {
    await using origin = await Origin.open(handler);
    const clock = new Clock();
    origin.nowMs = clock.nowMs;
    const open = (more: Partial<CacheOptions>) => {
      const store = tier === 'memory' ? createMemoryStore({ maxBytes: 64e6, nowMs: clock.nowMs }) : undefined;
      return openCache({ directory, nowMs: clock.nowMs, ...(store && { store }), ...options, ...more });
    };
    const cache = await open({});
    const bench: Bench = {
      origin,
      clock,
      directory,
      cache,
      client: makeClient(cache),
      at: (path) => origin.url + path,
      async reopen(more = {}) {
        await bench.cache.close();
        bench.cache = await open(more);
        bench.client = makeClient(bench.cache);
      },
    };
    try {
      await work(bench);
    } finally {
      await bench.cache.close();
    }
  });
}

type Register = (name: string, run: () => Promise<void>) => void;

/** Registers a test once for each client: they must not differ in any decision. */
export function withEachClient(
  test: Register,
  name: string,
  handler: () => Handler,
  options: BenchOptions,
  work: Body,
): void {
  for (const [client, make] of Object.entries(makers)) {
    test(`${client}: ${name}`, () => onBench(make, handler(), options, work));
  }
}

/** Records what is published on `offloop:<name>` while `work` runs. */
export async function eventsDuring<Name extends keyof CacheEvents>(
  name: Name,
  work: () => Promise<unknown>,
): Promise<CacheEvents[Name][]> {
  const events: CacheEvents[Name][] = [];
  // The channel carries what `CacheEvents` says.
  const listener = (event: unknown): void => void events.push(event as CacheEvents[Name]);
  subscribe(`offloop:${name}`, listener);
  try {
    await work();
  } finally {
    unsubscribe(`offloop:${name}`, listener);
  }
  return events;
}

/** Resolves with the next event on `offloop:<name>`. */
export function nextEvent<Name extends keyof CacheEvents>(name: Name): Promise<CacheEvents[Name]> {
  return new Promise((resolve) => {
    const listener = (event: unknown): void => {
      unsubscribe(`offloop:${name}`, listener);
      resolve(event as CacheEvents[Name]);
    };
    subscribe(`offloop:${name}`, listener);
  });
}

export async function storedUrls(cache: Cache | ResponseStore): Promise<string[]> {
  const urls: string[] = [];
  for await (const { head } of cache.entries()) urls.push(head.url);
  return urls.sort();
}

export async function entriesOf(cache: Cache): Promise<number> {
  return (await cache.stats()).entries;
}
