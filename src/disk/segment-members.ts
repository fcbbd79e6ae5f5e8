/**
 * The slots whose head or body is in a segment, in the order of the log. What left a slot since is still listed, and what came twice is
 * listed twice: whoever reads the list looks at the slot. So an entry costs 4 bytes and no time when a response goes, and slots that follow
 * each other, as in what was opened, cost 8 together: the first of them, and the last with a mark.
 */
export class SegmentMembers {
  readonly #lists: (Uint32Array<ArrayBuffer> | undefined)[];
  readonly #counts: number[];

  constructor(lists: readonly Uint32Array<ArrayBuffer>[] = []) {
    this.#lists = [...lists];
    this.#counts = lists.map(({ length }) => length);
  }

  add(segment: number, slot: number): void {
    const list = this.#lists[segment];
    const count = this.#counts[segment] ?? 0;
    const last = list === undefined || count === 0 ? 0 : (list[count - 1] ?? 0);
    if (list === undefined || count === 0 || slot !== (last & ~endMark) + 1) this.#push(segment, slot);
    else if ((last & endMark) === 0) this.#push(segment, slot | endMark);
    else list[count - 1] = slot | endMark;
  }

  /** Slots from one on, up to but without another. */
  addRun(segment: number, from: number, to: number): void {
    this.add(segment, from);
    if (to - from < 2) return;
    const count = this.#counts[segment] ?? 0;
    const list = this.#lists[segment];
    if (list !== undefined && ((list[count - 1] ?? 0) & endMark) !== 0) list[count - 1] = (to - 1) | endMark;
    else this.#push(segment, (to - 1) | endMark);
  }

  /** Also what comes while it is read. */
  *of(segment: number): Generator<number, void, void> {
    let next = 0;
    for (let i = 0; i < (this.#counts[segment] ?? 0); i += 1) {
      const first = this.#entry(segment, i);
      if ((first & endMark) === 0) next = first;
      for (; next <= (this.#entry(segment, i) & ~endMark); next += 1) yield next;
    }
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
    return Array.from({ length: segments }, (_, segment) => {
      const list = this.#lists[segment];
      return list === undefined ? new Uint32Array(0) : list.slice(0, this.#counts[segment] ?? 0);
    });
  }

  #entry(segment: number, i: number): number {
    return this.#lists[segment]?.[i] ?? 0;
  }

  #push(segment: number, entry: number): void {
    const count = this.#counts[segment] ?? 0;
    let list = this.#lists[segment];
    if (list === undefined || count === list.length) {
      const longer = new Uint32Array(Math.max(16, 2 * count));
      if (list !== undefined) longer.set(list);
      list = longer;
      this.#lists[segment] = list;
    }
    list[count] = entry;
    this.#counts[segment] = count + 1;
  }
}

/** The last one of several that follow each other. Slots are fewer than 2^31. */
const endMark = 0x8000_0000;
