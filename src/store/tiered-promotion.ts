import { Transform, type TransformCallback } from 'node:stream';
import type { EntryWriter, ResponseStore, StoredResponse, StoreRef } from './contract.js';
import type { Watch, Watches } from './tiered-watch.js';

const turnBytes = 512 * 1024;

export interface PromotionCounters {
  promotionsQueued: number;
  promotionsDropped: number;
  promotionsCompleted: number;
}

/** Where a promotion ends: notes the copy, unless the response is not stored any more. */
export type Link = (ref: StoreRef, memory: StoreRef) => boolean;

interface Promotion {
  readonly response: StoredResponse;
  readonly body: Uint8Array;
  readonly watch: Watch;
}

/**
 * Copies what was read from disk to memory, a little in each turn of the event loop. The queue is bounded by the bytes
 * that it holds on to; what does not fit is dropped, as the next hit will offer it again.
 */
export class Promotions {
  readonly counters: PromotionCounters = { promotionsQueued: 0, promotionsDropped: 0, promotionsCompleted: 0 };
  readonly #memory: ResponseStore;
  readonly #watches: Watches;
  readonly #link: Link;
  readonly #maxQueuedBytes: number;
  #queue: Promotion[] = [];
  #queuedBytes = 0;
  readonly #underWay = new Set<string>();
  #draining: Promise<void> | undefined;

  constructor(memory: ResponseStore, watches: Watches, link: Link, maxQueuedBytes: number) {
    this.#memory = memory;
    this.#watches = watches;
    this.#link = link;
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
    this.#queue.push({ response, body, watch: this.#watches.open(response.ref.key) });
    this.#draining ??= this.#drain();
  }

  /** Promotes a body too large to be read along with its head, while a reader reads it. */
  tap(response: StoredResponse): Transform {
    this.counters.promotionsQueued += 1;
    const watch = this.#watches.open(response.ref.key);
    const writer = this.#memory.create(response.ref.key, response.head, { expectedBytes: response.bodyBytes });
    return new Tap(writer, async (isWhole) => {
      if (isWhole) await this.#finish(response, writer, watch);
      else {
        this.counters.promotionsDropped += 1;
        this.#watches.close(watch);
        await writer.abort();
      }
    });
  }

  /** Resolves when nothing is queued. */
  async settled(): Promise<void> {
    while (this.#draining !== undefined) await this.#draining;
  }

  clear(): void {
    for (const { response, watch } of this.#queue) {
      this.#watches.close(watch);
      this.#underWay.delete(nameOf(response.ref));
    }
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

  async #promote({ response, body, watch }: Promotion): Promise<void> {
    if (!watch.holds(response.ref.sequence)) {
      this.counters.promotionsDropped += 1;
      this.#watches.close(watch);
      return;
    }
    const writer = this.#memory.create(response.ref.key, response.head, { expectedBytes: body.length });
    writer.write(body);
    await this.#finish(response, writer, watch);
  }

  async #finish(response: StoredResponse, writer: EntryWriter, watch: Watch): Promise<void> {
    const result = await writer.commit();
    this.#watches.close(watch);
    if (result.outcome === 'stored') {
      const { ref } = result.response;
      if (watch.holds(response.ref.sequence) && this.#link(response.ref, ref)) {
        this.counters.promotionsCompleted += 1;
        return;
      }
      await this.#memory.remove(ref);
    }
    this.counters.promotionsDropped += 1;
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
