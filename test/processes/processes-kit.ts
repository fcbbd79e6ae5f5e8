import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import type { CacheOptions } from '../../src/index.js';
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
  #replies: Promise<unknown> = Promise.resolve();

  private constructor(directory: string, options: Partial<CacheOptions>) {
    this.process = fork(new URL('process-child.js', import.meta.url), [directory, JSON.stringify(options)]);
    this.exited = once(this.process, 'exit');
  }

  static async open(directory: string, options: Partial<CacheOptions> = {}): Promise<Peer> {
    const peer = new Peer(directory, options);
    await peer.#next();
    return peer;
  }

  /** One thing after the other. Rejects with what it failed with, code first. */
  ask<T>(command: Command): Promise<T> {
    const reply = this.#replies.then(() => {
      const next = this.#next();
      this.process.send(command);
      return next;
    });
    this.#replies = reply.catch(() => {});
    return reply as Promise<T>;
  }

  get(url: string, more: { readonly method?: string; readonly mode?: 'reload' | 'only-if-cached' } = {}): Promise<Got> {
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

  async #next(): Promise<unknown> {
    const reply = await new Promise<Reply>((resolve, reject) => {
      const onExit = (code: number | null) => reject(new Error(`the process ended with ${code}`));
      this.process.once('exit', onExit);
      this.process.once('message', (message) => {
        this.process.off('exit', onExit);
        resolve(message as Reply);
      });
    });
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
    if (performance.now() > deadline) throw new Error(`never seen: ${what}; at last: ${JSON.stringify(found)}`);
  }
}
