import * as fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { EntryWriter, ResponseStore, Selector, StoredResponse, StoreRef } from '../../src/store/contract.js';
import { createMemoryStore } from '../../src/store/memory-store.js';
import { createTieredStore } from '../../src/store/tiered-store.js';
import { headOf } from '../contract/contract-kit.js';

const races = suite('tiered store, interleaved');

const keys = ['http://a.example/1', 'http://a.example/2'];
const selectors: readonly Selector[] = [{ key: 'http://a.example/1' }, { prefix: 'http://a.example/' }, { tag: 't' }];

type Operation =
  | { readonly kind: 'store' | 'replace' | 'freshen' | 'remove' | 'lookup'; readonly key: number }
  | { readonly kind: 'invalidate'; readonly selector: number }
  | { readonly kind: 'clear' };

const operation: fc.Arbitrary<Operation> = fc.oneof(
  {
    weight: 12,
    arbitrary: fc.record({
      kind: fc.constantFrom('store', 'replace', 'replace', 'freshen', 'remove', 'lookup', 'lookup', 'lookup'),
      key: fc.nat(keys.length - 1),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constant('invalidate' as const), selector: fc.nat(selectors.length - 1) }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('clear' as const) }) },
);

/** A store each of whose operations waits before and after it is performed, for as long as the scheduler likes. */
function dawdling(store: ResponseStore, scheduler: fc.Scheduler): ResponseStore {
  const late = async <T>(work: () => Promise<T>): Promise<T> => {
    await scheduler.schedule(Promise.resolve());
    const result = await work();
    await scheduler.schedule(Promise.resolve());
    return result;
  };
  return {
    lookup: (key) => late(() => store.lookup(key)),
    create: (key, head, options) => {
      const writer = store.create(key, head, options);
      const dawdler: EntryWriter = {
        write: (chunk) => writer.write(chunk),
        ready: () => writer.ready(),
        commit: (commitOptions) => late(() => writer.commit(commitOptions)),
        abort: () => late(() => writer.abort()),
        openBody: (range) => writer.openBody(range),
      };
      return dawdler;
    },
    updateHead: (ref, head, options) => late(() => store.updateHead(ref, head, options)),
    remove: (ref) => late(() => store.remove(ref)),
    invalidate: (selector, options) => late(() => store.invalidate(selector, options)),
    entries: (selector) => store.entries(selector),
    stats: () => store.stats(),
    flush: () => store.flush(),
    clear: () => late(() => store.clear()),
    close: () => store.close(),
    [Symbol.asyncDispose]: () => store.close(),
  };
}

function idOf(response: StoredResponse): number {
  return Number(response.head.metadata);
}

function nameOf(response: StoredResponse): string {
  return `${idOf(response)} as ${response.ref.sequence}`;
}

/** Performs operations and notes which responses must not be seen any more by whoever begins to look from now on. */
class Crowd {
  readonly #store: ResponseStore;
  readonly #gone = new Set<number>();
  /** Committed or freshened, and not known to be gone. */
  readonly #live = new Map<number, StoreRef>();
  readonly #ids = new Map<string, number>();
  #lastId = 0;

  constructor(store: ResponseStore) {
    this.#store = store;
  }

  async perform(operation: Operation): Promise<void> {
    switch (operation.kind) {
      case 'store':
        return this.#store_(keyOf(operation.key), []);
      case 'replace':
        return this.#store_(keyOf(operation.key), await this.lookup(keyOf(operation.key)));
      case 'freshen':
        return this.#freshen(keyOf(operation.key));
      case 'remove':
        return this.#remove(keyOf(operation.key));
      case 'lookup':
        await this.lookup(keyOf(operation.key));
        return;
      case 'invalidate':
        return this.#cover(
          () => this.#store.invalidate(selectors[operation.selector] ?? { key: '' }),
          operation.selector,
        );
      case 'clear':
        return this.#cover(() => this.#store.clear(), 1);
    }
  }

  async lookup(key: string): Promise<readonly StoredResponse[]> {
    const gone = new Set(this.#gone);
    const found = await this.#store.lookup(key);
    for (const response of found) {
      assert.not(gone.has(idOf(response)), `response ${idOf(response)} is back`);
      const chunks: Buffer[] = [];
      for await (const chunk of response.openBody()) chunks.push(chunk);
      assert.is(String(Buffer.concat(chunks)), response.head.statusText, 'the body is of its head');
    }
    return found;
  }

  async #store_(key: string, replaced: readonly StoredResponse[]): Promise<void> {
    const id = this.#nextId();
    const body = `body ${id}`;
    const head = headOf(key, { statusText: body, metadata: id });
    const writer = this.#store.create(key, head, { replaces: replaced.map(({ ref }) => ref), tags: ['t'] });
    writer.write(Buffer.from(body));
    const result = await writer.commit();
    if (result.outcome === 'declined') return;
    for (const response of replaced) this.#gone.add(idOf(response));
    this.#note(result.response.ref, id);
  }

  async #freshen(key: string): Promise<void> {
    const [old] = await this.lookup(key);
    if (old === undefined) return;
    const id = this.#nextId();
    const updated = await this.#store.updateHead(old.ref, { ...old.head, metadata: id });
    if (updated === undefined) return;
    this.#gone.add(idOf(old));
    this.#note(updated.ref, id);
  }

  async #remove(key: string): Promise<void> {
    const [old] = await this.lookup(key);
    if (old !== undefined && (await this.#store.remove(old.ref))) this.#gone.add(idOf(old));
  }

  /** What was committed before it began is gone when it ends. */
  async #cover(work: () => Promise<unknown>, selector: number): Promise<void> {
    const covered = [...this.#live].filter(([, ref]) => selector > 0 || ref.key === keys[0]).map(([id]) => id);
    await work();
    for (const id of covered) this.#gone.add(id);
  }

  #note(ref: StoreRef, id: number): void {
    const name = `${ref.sequence} ${ref.key}`;
    assert.not(this.#ids.has(name), 'a ref is given out once');
    this.#ids.set(name, id);
    this.#live.set(id, ref);
  }

  #nextId(): number {
    this.#lastId += 1;
    return this.#lastId;
  }
}

function keyOf(position: number): string {
  return keys[position] ?? '';
}

for (const [name, memoryBytes] of [
  ['ample', 1024 * 1024],
  ['hardly any', 4000],
] as const) {
  for (const isMemoryLate of [false, true]) {
    const claim = `never brings back what was replaced, freshened, removed or invalidated (${name} memory${isMemoryLate ? ', itself late' : ''})`;
    races(claim, async () => {
      const property = fc.asyncProperty(
        fc.scheduler(),
        fc.array(operation, { minLength: 2, maxLength: 24 }),
        async (scheduler, operations) => {
          const disk = createMemoryStore({ maxBytes: 1024 * 1024 });
          const memory = createMemoryStore({ maxBytes: memoryBytes });
          const store = createTieredStore({
            memory: isMemoryLate ? dawdling(memory, scheduler) : memory,
            disk: dawdling(disk, scheduler),
            admission: 'always',
          });
          const crowd = new Crowd(store);
          const crowdWork = operations.map((one) =>
            scheduler.schedule(Promise.resolve()).then(() => crowd.perform(one)),
          );
          await scheduler.waitFor(Promise.all(crowdWork));
          await scheduler.waitFor(store.flush());
          for (const key of keys) {
            const before = await scheduler.waitFor(crowd.lookup(key));
            await scheduler.waitFor(store.flush());
            const after = await scheduler.waitFor(crowd.lookup(key));
            const onDisk = await disk.lookup(key);
            // Of two that were committed at the same time, either may come first.
            for (const found of [before, after]) assert.equal(found.map(nameOf).sort(), onDisk.map(nameOf).sort());
            if (memoryBytes > 100_000) assert.ok(after.every((response) => response.tier === 'memory'));
          }
          await scheduler.waitIdle();
          const stored = await disk.stats();
          if (memoryBytes > 100_000) {
            const inMemory = await memory.stats();
            assert.is(inMemory.entries, stored.entries, 'memory holds no more than there is');
          }
        },
      );
      await fc.assert(property, { numRuns: 300, includeErrorInReport: true });
    });
  }
}

races.run();
