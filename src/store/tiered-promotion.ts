import { Transform, type TransformCallback } from 'node:stream';
import type { EntryWriter, ResponseStore, StoredResponse, StoreRef } from './contract.js';
import type { KnownKeys } from './tiered-known.js';

const turnBytes = 512 * 1024;

export interface PromotionCounters {
  promotionsQueued: number;
  promotionsDropped: number;
  promotionsCompleted: number;
}

interface Promotion {
  readonly response: StoredResponse;
  readonly body: Uint8Array;
}

/**
 * Copies what was read from disk to memory, a little in each turn of the event loop. The queue is bounded by the bytes
 * that it holds on to; what does not fit is dropped, as the next hit will offer it again.
 */
export class Promotions {
  readonly counters: PromotionCounters = { promotionsQueued: 0, promotionsDropped: 0, promotionsCompleted: 0 };
  readonly #memory: ResponseStore;
  readonly #known: KnownKeys;
  readonly #maxQueuedBytes: number;
  #queue: Promotion[] = [];
  #queuedBytes = 0;
  readonly #underWay = new Set<string>();
  #draining: Promise<void> | undefined;

  constructor(memory: ResponseStore, known: KnownKeys, maxQueuedBytes: number) {
    this.#memory = memory;
    this.#known = known;
    this.#maxQueuedBytes = maxQueuedBytes;
  }

  get depth(): number {
    return this.#queue.length;
  }

  offer(response: StoredResponse, body: Uint8Array): void {
    if (this.#underWay.has(nameOf(response.ref))) return;
    if (this.#queuedBytes + body.length > this.#maxQueuedBytes) {
      this.counters.promotionsDropped += 1;
      return;
    }
    this.counters.promotionsQueued += 1;
    this.#underWay.add(nameOf(response.ref));
    this.#queuedBytes += body.length;
    this.#queue.push({ response, body });
    this.#draining ??= this.#drain();
  }

  /** Promotes a body too large to be read along with its head, while a reader reads it. */
  tap(response: StoredResponse): Transform {
    this.counters.promotionsQueued += 1;
    const writer = this.#memory.create(response.ref.key, response.head, { expectedBytes: response.bodyBytes });
    return new Tap(writer, async (isWhole) => {
      if (isWhole) await this.#finish(response, writer);
      else {
        this.counters.promotionsDropped += 1;
        await writer.abort();
      }
    });
  }

  /** Resolves when nothing is queued. */
  async settled(): Promise<void> {
    while (this.#draining !== undefined) await this.#draining;
  }

  clear(): void {
    for (const { response } of this.#queue) this.#underWay.delete(nameOf(response.ref));
    this.counters.promotionsDropped += this.#queue.length;
    this.#queue = [];
    this.#queuedBytes = 0;
  }

  async #drain(): Promise<void> {
    while (this.#queue.length > 0) {
      await new Promise<void>((resolve) => setImmediate(resolve));
      let leftBytes = turnBytes;
      while (leftBytes > 0) {
        const promotion = this.#queue.shift();
        if (promotion === undefined) break;
        leftBytes -= promotion.body.length;
        this.#queuedBytes -= promotion.body.length;
        await this.#promote(promotion);
        this.#underWay.delete(nameOf(promotion.response.ref));
      }
    }
    this.#draining = undefined;
  }

  async #promote({ response, body }: Promotion): Promise<void> {
    if (this.#known.current(response.ref) === undefined) {
      this.counters.promotionsDropped += 1;
      return;
    }
    const writer = this.#memory.create(response.ref.key, response.head, { expectedBytes: body.length });
    writer.write(body);
    await this.#finish(response, writer);
  }

  async #finish({ ref }: StoredResponse, writer: EntryWriter): Promise<void> {
    const result = await writer.commit();
    const copy = result.outcome === 'stored' ? result.response.ref : undefined;
    if (copy !== undefined && this.#known.link(ref, copy)) {
      this.counters.promotionsCompleted += 1;
      return;
    }
    this.counters.promotionsDropped += 1;
    // Replaced, freshened, removed or invalidated meanwhile: a copy that is not linked is never seen.
    if (copy !== undefined) await this.#memory.remove(copy);
  }
}

function nameOf({ key, sequence }: StoreRef): string {
  return `${sequence} ${key}`;
}

class Tap extends Transform {
  readonly #writer: EntryWriter;
  readonly #done: (isWhole: boolean) => Promise<void>;
  #isWhole = false;

  constructor(writer: EntryWriter, done: (isWhole: boolean) => Promise<void>) {
    super();
    this.#writer = writer;
    this.#done = done;
  }

  override _transform(chunk: Uint8Array, _encoding: BufferEncoding, next: TransformCallback): void {
    this.#writer.write(chunk);
    next(null, chunk);
  }

  override _flush(next: TransformCallback): void {
    this.#isWhole = true;
    next();
  }

  override _destroy(error: Error | null, next: (error?: Error | null) => void): void {
    void this.#done(this.#isWhole);
    next(error);
  }
}
