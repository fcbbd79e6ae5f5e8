/** A namespace as records name it: 53 bits of its hash, 0 for the empty one. */
export type NamespaceHash = number;

/** What another thread needs to go on. */
export interface NamespaceParts {
  readonly hashes: readonly NamespaceHash[];
  readonly counts: readonly number[];
  readonly flushedAt: readonly number[];
  readonly flushes: ReadonlyMap<NamespaceHash, number>;
}

/** Ids have 16 bits in a slot of the index. */
const maxIds = 0x1_0000;
/** Flushes that are remembered for records that come late; a record comes as late as a batch, or another process's log, is long. */
const maxFlushes = 4096;

/**
 * The namespaces of what is in the index, by a small id that each slot carries. To flush one is to give up its id: whatever carries
 * that and is older is gone at once, however much it is, and its slots are taken back later, a few at a time.
 */
export class NamespaceTable {
  readonly #hashes: NamespaceHash[];
  /** By id: how many slots carry it. */
  readonly #counts: number[];
  /** By id: the sequence of the flush by which it was given up; 0 while it is good. */
  readonly #flushedAt: number[];
  readonly #ids = new Map<NamespaceHash, number>();
  readonly #freeIds: number[] = [];
  readonly #flushes: Map<NamespaceHash, number>;
  #flushedCount = 0;

  constructor(parts?: NamespaceParts) {
    this.#hashes = [...(parts?.hashes ?? [])];
    this.#counts = [...(parts?.counts ?? [])];
    this.#flushedAt = [...(parts?.flushedAt ?? [])];
    this.#flushes = new Map(parts?.flushes);
    for (const [id, hash] of this.#hashes.entries()) {
      if (this.#counts[id] === 0) this.#freeIds.push(id);
      else if (this.#flushedAt[id] === 0) this.#ids.set(hash, id);
      else this.#flushedCount += this.#counts[id] ?? 0;
    }
  }

  toParts(): NamespaceParts {
    return { hashes: this.#hashes, counts: this.#counts, flushedAt: this.#flushedAt, flushes: this.#flushes };
  }

  /** Slots that are taken and count for nothing any more. */
  get flushedCount(): number {
    return this.#flushedCount;
  }

  /** How many namespaces hold something, besides the empty one. */
  get usedCount(): number {
    return this.#ids.size - (this.#ids.has(0) ? 1 : 0);
  }

  isUsed(hash: NamespaceHash): boolean {
    return this.#ids.has(hash);
  }

  /** How many responses a namespace holds. */
  countOf(hash: NamespaceHash): number {
    const id = this.#ids.get(hash);
    return id === undefined ? 0 : (this.#counts[id] ?? 0);
  }

  /** Counts a slot in. `undefined`: a flush came after it was written, or there are too many namespaces. */
  enter(hash: NamespaceHash, sequence: number): number | undefined {
    if (this.#flushes.size > 0 && sequence < (this.#flushes.get(hash) ?? 0)) return undefined;
    const id = this.#ids.get(hash) ?? this.#newId(hash);
    if (id !== undefined) this.#counts[id] = (this.#counts[id] ?? 0) + 1;
    return id;
  }

  /** Counts so many slots in, all of a higher sequence than `after`. `undefined`: it may not be the same for all of them. */
  enterMany(hash: NamespaceHash, after: number, count: number): number | undefined {
    const id = this.enter(hash, after);
    if (id !== undefined) this.#counts[id] = (this.#counts[id] ?? 0) + count - 1;
    return id;
  }

  /** Counts so many slots out that are not flushed. */
  leaveMany(id: number, count: number): void {
    this.#counts[id] = (this.#counts[id] ?? 0) - count + 1;
    this.leave(id);
  }

  /** Counts a slot out. */
  leave(id: number): void {
    const left = (this.#counts[id] ?? 0) - 1;
    this.#counts[id] = left;
    const isFlushed = this.#flushedAt[id] !== 0;
    if (isFlushed) this.#flushedCount -= 1;
    if (left > 0) return;
    if (!isFlushed) this.#ids.delete(this.#hashes[id] ?? 0);
    this.#freeIds.push(id);
  }

  /** Whether a flush that is remembered covers what was stored then. */
  wasFlushed(hash: NamespaceHash, sequence: number): boolean {
    return this.#flushes.size > 0 && sequence < (this.#flushes.get(hash) ?? 0);
  }

  /** The last flush of a namespace that is remembered; 0: none. */
  lastFlushOf(hash: NamespaceHash): number {
    return this.#flushes.get(hash) ?? 0;
  }

  /** The sequence of the flush by which an id was given up; 0 while it is good. */
  flushedAtOf(id: number): number {
    return this.#flushedAt[id] ?? 0;
  }

  /** Whether a slot that carries an id was flushed. */
  isFlushed(id: number, sequence: number): boolean {
    return sequence < (this.#flushedAt[id] ?? 0);
  }

  isGood(id: number): boolean {
    return this.#flushedAt[id] === 0;
  }

  hashOf(id: number): NamespaceHash {
    return this.#hashes[id] ?? 0;
  }

  /** Returns how many responses are gone by it. */
  flush(hash: NamespaceHash, sequence: number): number {
    if (sequence <= (this.#flushes.get(hash) ?? 0)) return 0;
    this.#flushes.delete(hash);
    this.#flushes.set(hash, sequence);
    const [oldest] = this.#flushes.keys();
    if (this.#flushes.size > maxFlushes && oldest !== undefined) this.#flushes.delete(oldest);
    const id = this.#ids.get(hash);
    if (id === undefined) return 0;
    this.#ids.delete(hash);
    this.#flushedAt[id] = sequence;
    const count = this.#counts[id] ?? 0;
    this.#flushedCount += count;
    return count;
  }

  /** Everything is gone; what comes late is still late. */
  clear(): void {
    this.#hashes.length = 0;
    this.#counts.length = 0;
    this.#flushedAt.length = 0;
    this.#freeIds.length = 0;
    this.#ids.clear();
    this.#flushedCount = 0;
  }

  #newId(hash: NamespaceHash): number | undefined {
    const id = this.#freeIds.pop() ?? this.#hashes.length;
    if (id >= maxIds) return undefined;
    this.#hashes[id] = hash;
    this.#counts[id] = 0;
    this.#flushedAt[id] = 0;
    this.#ids.set(hash, id);
    return id;
  }
}
