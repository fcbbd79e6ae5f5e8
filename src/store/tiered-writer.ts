import type { Readable } from 'node:stream';
import type { CommitResult, DeclineReason, EntryWriter } from './contract.js';

export interface TierWriters {
  readonly disk: EntryWriter;
  /** Unless the response was not admitted, or has outgrown memory. */
  readonly memory: EntryWriter | undefined;
}

export type TrailerOptions = { readonly trailers?: readonly string[] };

export interface TieredWriterOptions extends TierWriters {
  /** The longest body that goes to memory, in bytes. */
  readonly maxMemoryBytes: number;
  /** The announced length does not exceed it. */
  readonly fitsMemory: boolean;
  readonly commitBoth: (writers: TierWriters, options?: TrailerOptions) => Promise<CommitResult>;
}

export class TieredWriter implements EntryWriter {
  readonly #options: TieredWriterOptions;
  #memory: EntryWriter | undefined;
  #bytes = 0;
  #result: Promise<CommitResult> | undefined;

  constructor(options: TieredWriterOptions) {
    this.#options = options;
    this.#memory = options.memory;
  }

  get declined(): DeclineReason | undefined {
    const reason = this.#options.disk.declined;
    if (reason === undefined || this.#memory === undefined || this.#memory.declined !== undefined) return reason;
    return memoryMayFollow(reason) ? undefined : reason;
  }

  write(chunk: Uint8Array, isLent?: boolean): boolean {
    this.#bytes += chunk.length;
    if (this.#memory !== undefined && this.#bytes > this.#options.maxMemoryBytes) {
      void this.#memory.abort();
      this.#memory = undefined;
    }
    this.#memory?.write(chunk, isLent);
    return this.#options.disk.write(chunk, isLent);
  }

  ready(): Promise<void> {
    return this.#options.disk.ready();
  }

  commit(options?: TrailerOptions): Promise<CommitResult> {
    const { disk, commitBoth } = this.#options;
    this.#result ??= commitBoth({ disk, memory: this.#memory }, options);
    return this.#result;
  }

  async abort(): Promise<void> {
    if (this.#result !== undefined) return;
    this.#result = Promise.resolve({ outcome: 'declined', reason: 'unavailable' });
    await Promise.all([this.#options.disk.abort(), this.#memory?.abort()]);
  }

  /** From memory if the body is known to fit there: the disk may be behind, or gone. */
  openBody(options?: { readonly start?: number }): Readable {
    const { disk, fitsMemory } = this.#options;
    return this.#memory !== undefined && fitsMemory ? this.#memory.openBody(options) : disk.openBody(options);
  }
}

/** The disk has failed or is behind; else the response itself is the reason, or something newer is. */
export function memoryMayFollow(reason: DeclineReason): boolean {
  return reason === 'unavailable' || reason === 'overloaded' || reason === 'no-space';
}
