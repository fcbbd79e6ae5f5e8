/**
 * The slots whose head or body is in a segment, in the order of the log. What left a slot since is still listed, and what came twice is
 * listed twice: whoever reads the list looks at the slot. So an entry costs 4 bytes and no time when a response goes.
 */
export class SegmentMembers {
  readonly #lists: (Uint32Array<ArrayBuffer> | undefined)[];
  readonly #counts: number[];

  constructor(lists: readonly Uint32Array<ArrayBuffer>[] = []) {
    this.#lists = [...lists];
    this.#counts = lists.map(({ length }) => length);
  }

  add(segment: number, slot: number): void {
    const count = this.#counts[segment] ?? 0;
    let list = this.#lists[segment];
    if (list === undefined || count === list.length) {
      const longer = new Uint32Array(Math.max(16, 2 * count));
      if (list !== undefined) longer.set(list);
      list = longer;
      this.#lists[segment] = list;
    }
    list[count] = slot;
    this.#counts[segment] = count + 1;
  }

  of(segment: number): Uint32Array {
    return this.#lists[segment]?.subarray(0, this.#counts[segment] ?? 0) ?? none;
  }

  drop(segment: number): void {
    this.#lists[segment] = undefined;
    this.#counts[segment] = 0;
  }

  clear(): void {
    this.#lists.fill(undefined);
    this.#counts.fill(0);
  }

  /** A list for each segment up to `segments`, to move them between threads. */
  toLists(segments: number): Uint32Array<ArrayBuffer>[] {
    return Array.from({ length: segments }, (_, segment) => Uint32Array.from(this.of(segment)));
  }
}

const none = new Uint32Array(0);
