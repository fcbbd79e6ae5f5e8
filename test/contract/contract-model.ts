import assert from 'node:assert/strict';
import type { EntryWriter, ResponseStore, Selector, StoredResponse, StoreRef } from '../../src/store/contract.js';
import { assertBody, bytesOf, type ContractRun, headOf, listed, randomOf, writeAll } from './contract-kit.js';

const stepsPerRun = 120;
const keys = ['http://a.example/1', 'http://a.example/12', 'n http://b.example/1', 'm https://a.example/1'];
const tags = ['red', 'blue'];
const selectors: readonly Selector[] = [
  ...keys.map((key) => ({ key })),
  { prefix: 'http://a.example/1' },
  { prefix: 'https:' },
  { host: 'a.example' },
  { host: 'b.example:80' },
  { tag: 'red' },
  { tag: 'blue' },
  { tag: ['none', 'red', 'blue'] },
  { namespace: 'n' },
  { namespace: '' },
  { where: ({ key, tags: own }) => key.startsWith('m') || own.length === 2 },
];

/** What the simplest possible store would hold. `id` is in the head and seeds the body. */
interface Modelled {
  id: number;
  readonly bodyId: number;
  readonly key: string;
  readonly bodyBytes: number;
  readonly tags: readonly string[];
  ref: StoreRef;
  isStale: boolean;
}

interface Incoming {
  readonly writer: EntryWriter;
  readonly made: Omit<Modelled, 'ref' | 'isStale'>;
  readonly replaces: readonly StoreRef[];
  isCovered: boolean;
}

/** Random operations, each compared with a model. */
export function testRandomSequences(run: ContractRun): void {
  for (const seed of run.seeds) {
    run.test(
      `holds what a simple model holds after ${stepsPerRun} random operations (seed ${seed})`,
      async (store, reopen) => {
        const walk = new RandomWalk(store, seed);
        for (let step = 0; step < stepsPerRun; step += 1) {
          await walk.step();
          if (run.isDurable && step % 40 === 39) await walk.restart(reopen);
        }
        await walk.checkAll();
      },
    );
  }
}

class RandomWalk {
  #store: ResponseStore;
  readonly #random: () => number;
  #model: Modelled[] = [];
  #incoming: Incoming[] = [];
  /** Refs that were good once. */
  #oldRefs: StoreRef[] = [];
  #lastId = 0;

  constructor(store: ResponseStore, seed: number) {
    this.#store = store;
    this.#random = randomOf(seed);
  }

  async step(): Promise<void> {
    const dice = this.#random() % 100;
    if (dice < 40) await this.#begin();
    else if (dice < 62) await this.#finish();
    else if (dice < 74) await this.#freshen();
    else if (dice < 82) await this.#remove();
    else if (dice < 88) await this.#invalidate();
    else if (dice < 92) await this.#invalidateSoftly();
    else if (dice < 99) await this.checkAll();
    else await this.#clear();
    await this.#checkKey(this.#pick(keys));
  }

  async restart(reopen: () => Promise<ResponseStore>): Promise<void> {
    this.#store = await reopen();
    this.#incoming = [];
    for (const modelled of this.#model) {
      const found = await this.#store.lookup(modelled.key);
      const same = found.find((response) => idOf(response) === modelled.id);
      assert.ok(same !== undefined, `response ${modelled.id} is there after a restart`);
      modelled.ref = same.ref;
    }
    this.#oldRefs = [];
    await this.checkAll();
  }

  async checkAll(): Promise<void> {
    const found = await listed(this.#store.entries());
    assert.deepEqual(found.map(idOf).sort(), this.#model.map(({ id }) => id).sort());
    assert.equal((await this.#store.stats()).entries, this.#model.length);
    for (const key of keys) await this.#checkKey(key);
  }

  async #checkKey(key: string): Promise<void> {
    const expected = this.#model.filter((modelled) => modelled.key === key);
    const found = await this.#store.lookup(key);
    assert.deepEqual(found.map(idOf).sort(), expected.map(({ id }) => id).sort(), `responses under ${key}`);
    for (const response of found) {
      const modelled = expected.find(({ id }) => id === idOf(response));
      if (modelled === undefined) continue;
      assert.deepEqual(response.ref, modelled.ref);
      assert.equal(response.head.invalidatedMs !== undefined, modelled.isStale, `response ${modelled.id} is stale`);
      await assertBody(response, bytesOf(modelled.bodyBytes, modelled.bodyId));
    }
  }

  async #begin(): Promise<void> {
    const key = this.#pick(keys);
    const id = this.#nextId();
    const bodyBytes = this.#pick([0, 1, 300, 5000, 70_000, 300_000]);
    const made = { id, bodyId: id, key, bodyBytes, tags: tags.filter(() => this.#chance(40)) };
    const replaces = this.#model.filter((modelled) => modelled.key === key && this.#chance(60)).map(({ ref }) => ref);
    if (this.#oldRefs.length > 0 && this.#chance(10)) {
      const old = this.#pick(this.#oldRefs);
      if (old.key === key) replaces.push(old);
    }
    const options = { replaces, tags: made.tags, ...(this.#chance(50) && { expectedBytes: bodyBytes }) };
    const writer = this.#store.create(key, headOf(urlOf(key), { metadata: id }), options);
    await writeAll(writer, bytesOf(bodyBytes, id), 30_000);
    this.#incoming.push({ writer, made, replaces, isCovered: false });
    if (this.#chance(60)) await this.#finish();
  }

  async #finish(): Promise<void> {
    const incoming = this.#incoming.splice(this.#random() % Math.max(1, this.#incoming.length), 1)[0];
    if (incoming === undefined) return;
    if (this.#chance(15)) {
      await incoming.writer.abort();
      return;
    }
    const result = await incoming.writer.commit();
    const replaced = this.#model.filter(({ ref }) => incoming.replaces.some((other) => isSameRef(ref, other)));
    const isCurrent = !incoming.isCovered && replaced.length === incoming.replaces.length;
    assert.equal(result.outcome, isCurrent ? 'stored' : 'declined', `commit of ${incoming.made.id}`);
    if (result.outcome === 'declined') return;
    this.#forget(replaced);
    this.#model.push({ ...incoming.made, ref: result.response.ref, isStale: false });
  }

  async #freshen(): Promise<void> {
    const id = this.#nextId();
    const { ref, modelled } = this.#pickRef();
    const updated = await this.#store.updateHead(ref, headOf(urlOf(ref.key), { metadata: id }));
    assert.equal(updated !== undefined, modelled !== undefined, 'freshened');
    if (updated === undefined || modelled === undefined) return;
    this.#oldRefs.push(modelled.ref);
    modelled.ref = updated.ref;
    modelled.id = id;
    modelled.isStale = false;
  }

  async #remove(): Promise<void> {
    const { ref, modelled } = this.#pickRef();
    assert.equal(await this.#store.remove(ref), modelled !== undefined, 'removed');
    if (modelled !== undefined) this.#forget([modelled]);
  }

  async #invalidate(): Promise<void> {
    const selector = this.#pick(selectors);
    const covered = this.#model.filter((modelled) => isCovered(selector, modelled));
    for (const incoming of this.#incoming) incoming.isCovered ||= isCovered(selector, incoming.made);
    assert.equal(await this.#store.invalidate(selector), covered.length, `invalidated ${JSON.stringify(selector)}`);
    this.#forget(covered);
  }

  async #invalidateSoftly(): Promise<void> {
    const selector = this.#pick(selectors);
    const covered = this.#model.filter((modelled) => isCovered(selector, modelled) && !modelled.isStale);
    for (const incoming of this.#incoming) incoming.isCovered ||= isCovered(selector, incoming.made);
    const marked = await this.#store.invalidate(selector, { softMs: 1_700_000_000_000 });
    assert.equal(marked, covered.length, `invalidated softly ${JSON.stringify(selector)}`);
    for (const modelled of covered) {
      const found = (await this.#store.lookup(modelled.key)).find((response) => idOf(response) === modelled.id);
      assert.ok(found !== undefined, `response ${modelled.id} is there after a soft invalidation`);
      this.#oldRefs.push(modelled.ref);
      modelled.ref = found.ref;
      modelled.isStale = true;
    }
  }

  async #clear(): Promise<void> {
    await this.#store.clear();
    for (const incoming of this.#incoming) incoming.isCovered = true;
    this.#forget(this.#model);
  }

  #forget(gone: readonly Modelled[]): void {
    this.#oldRefs.push(...gone.map(({ ref }) => ref));
    this.#model = this.#model.filter((modelled) => !gone.includes(modelled));
  }

  #pickRef(): { ref: StoreRef; modelled: Modelled | undefined } {
    const isOld = this.#model.length === 0 || (this.#oldRefs.length > 0 && this.#chance(30));
    if (!isOld) {
      const modelled = this.#pick(this.#model);
      return { ref: modelled.ref, modelled };
    }
    const ref = this.#oldRefs.length > 0 ? this.#pick(this.#oldRefs) : { key: this.#pick(keys), sequence: -1 };
    return { ref, modelled: undefined };
  }

  #pick<T>(list: readonly T[]): T {
    const picked = list[this.#random() % list.length];
    if (picked === undefined) throw new RangeError('nothing to pick');
    return picked;
  }

  #chance(percent: number): boolean {
    return this.#random() % 100 < percent;
  }

  #nextId(): number {
    this.#lastId += 1;
    return this.#lastId;
  }
}

function idOf(response: StoredResponse): number {
  return Number(response.head.metadata);
}

function isSameRef(a: StoreRef, b: StoreRef): boolean {
  return a.key === b.key && a.sequence === b.sequence;
}

function urlOf(key: string): string {
  return key.split(' ').at(-1) ?? '';
}

function isCovered(selector: Selector, { key, tags: own }: Pick<Modelled, 'key' | 'tags'>): boolean {
  const url = urlOf(key);
  if ('key' in selector) return key === selector.key;
  if ('prefix' in selector) return url.startsWith(selector.prefix);
  if ('tag' in selector) return [selector.tag].flat().some((tag) => own.includes(tag));
  if ('namespace' in selector) return (key.includes(' ') ? key.split(' ')[0] : '') === selector.namespace;
  if ('where' in selector) return selector.where({ key, tags: own, head: headOf(url) });
  const { hostname, port, protocol } = new URL(url);
  const fullPort = port || (protocol === 'https:' ? '443' : '80');
  return selector.host === hostname || selector.host === `${hostname}:${fullPort}`;
}
