import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { setImmediate } from 'node:timers/promises';
import type { CacheOptions } from '../../src/index.js';
import type { Client } from '../engine/clients.js';
import type { Command, Reply } from './process-child.js';

export interface Got {
  readonly status: number;
  readonly text: string;
  readonly cache: string | undefined;
  readonly tier: string | undefined;
  readonly tag: string | undefined;
}

/** Another process with a cache on a directory. */
export class Peer {
  readonly process: ChildProcess;
  readonly exited: Promise<unknown>;
  readonly #waiting = new Map<number, (reply: Reply) => void>();
  #replies: Promise<unknown> = Promise.resolve();
  #lastId = 0;

  private constructor(directory: string, options: Partial<CacheOptions>, client: Client['name']) {
    this.process = fork(new URL('process-child.js', import.meta.url), [directory, JSON.stringify(options), client]);
    this.exited = once(this.process, 'exit');
    this.process.on('message', (message) => {
      const { id, reply } = message as { readonly id: number; readonly reply: Reply };
      const take = this.#waiting.get(id);
      this.#waiting.delete(id);
      take?.(reply);
    });
    this.process.once('exit', (code) => {
      const message = `the process ended with ${code}`;
      for (const take of this.#waiting.values()) take({ kind: 'failed', code: '', message });
    });
  }

  static async open(
    directory: string,
    options: Partial<CacheOptions> = {},
    client: Client['name'] = 'got',
  ): Promise<Peer> {
    const peer = new Peer(directory, options, client);
    await peer.#reply(0);
    return peer;
  }

  /** One thing after the other. Rejects with what it failed with, code first. */
  ask<T>(command: Command): Promise<T> {
    const reply = this.#replies.then(() => this.askNow<T>(command));
    this.#replies = reply.catch(() => {});
    return reply;
  }

  /** Whatever else it is doing. */
  askNow<T>(command: Command): Promise<T> {
    this.#lastId += 1;
    const reply = this.#reply(this.#lastId);
    this.process.send({ id: this.#lastId, command });
    return reply as Promise<T>;
  }

  get(url: string, more: Omit<Extract<Command, { kind: 'get' }>, 'kind' | 'url'> = {}): Promise<Got> {
    return this.ask({ kind: 'get', url, ...more });
  }

  async close(): Promise<void> {
    await this.ask({ kind: 'close' });
    await this.exited;
  }

  async kill(): Promise<void> {
    this.process.kill('SIGKILL');
    await this.exited;
  }

  async #reply(id: number): Promise<unknown> {
    const reply = await new Promise<Reply>((resolve) => this.#waiting.set(id, resolve));
    if (reply.kind === 'failed') throw new Error(`${reply.code} ${reply.message}`);
    return reply.value;
  }
}

/** Looks again and again. It is a matter of milliseconds; a loaded machine may take a while. */
export async function until<T>(look: () => Promise<T>, isIt: (found: T) => boolean, what: string): Promise<T> {
  const deadline = performance.now() + 20_000;
  for (;;) {
    const found = await look();
    if (isIt(found)) return found;
    // What is looked at may be in this process.
    await setImmediate();
    if (performance.now() > deadline) throw new Error(`never seen: ${what}; at last: ${JSON.stringify(found)}`);
  }
}

interface Counted {
  readonly counters: Readonly<Record<string, number>>;
}

async function counterOf(peer: Peer, name: string): Promise<number> {
  const { counters } = await peer.askNow<Counted>({ kind: 'stats' });
  return counters[name] ?? counters[`disk.${name}`] ?? 0;
}

/** Resolves when each of them can speak to all others. */
export async function acquainted(peers: readonly Peer[]): Promise<void> {
  for (const peer of peers) {
    await until(
      () => counterOf(peer, 'peers'),
      (count) => count === peers.length - 1,
      'all others',
    );
  }
}

/** Resolves when their requests have waited for those of other processes so many times in all. */
export async function waited(peers: readonly Peer[], times: number): Promise<void> {
  await until(
    async () => {
      const counts = await Promise.all(peers.map((peer) => counterOf(peer, 'leasesWaited')));
      return counts.reduce((sum, count) => sum + count, 0);
    },
    (count) => count >= times,
    `${times} requests that wait`,
  );
}

/** Processes that know each other, with these clients. */
export async function inGroup(
  directory: string,
  clients: readonly Client['name'][],
  options: Partial<CacheOptions>,
  work: (peers: readonly Peer[]) => Promise<void>,
): Promise<void> {
  const peers = await Promise.all(clients.map((client) => Peer.open(directory, options, client)));
  try {
    await acquainted(peers);
    await work(peers);
    for (const peer of peers) if (peer.process.connected) await peer.close();
  } finally {
    for (const peer of peers) peer.process.kill('SIGKILL');
  }
}
