import type { SegmentName } from './places.js';
import { SegmentMembers } from './segment-members.js';

/** What another thread needs to go on. */
export interface SegmentsParts {
  readonly names: readonly SegmentName[];
  readonly live: readonly number[];
  readonly members: readonly Uint32Array<ArrayBuffer>[];
}

const noSegment: SegmentName = { writer: 0, number: 0 };

/** The segments that the index knows, by small numbers, and what of it is in each. */
export class IndexSegments {
  readonly #names: SegmentName[] = [];
  readonly #ordinals = new Map<string, number>();
  /** By segment: how many heads and bodies of responses are in it. */
  readonly #live: number[] = [];
  /** By segment: how many responses with a body file have their head in it. */
  readonly #fileHeads: number[] = [];
  readonly #members: SegmentMembers;

  constructor(parts?: SegmentsParts) {
    this.#members = new SegmentMembers(parts?.members);
    if (parts === undefined) return;
    for (const name of parts.names) this.ordinalOf(name);
    for (const [segment, count] of parts.live.entries()) this.#live[segment] = count;
  }

  toParts(): SegmentsParts {
    return { names: this.#names, live: this.#live, members: this.#members.toLists(this.#names.length) };
  }

  /** A small number for a segment, the same as long as the index lives. */
  ordinalOf({ writer, number }: SegmentName): number {
    const key = keyOf(writer, number);
    const known = this.#ordinals.get(key);
    if (known !== undefined) return known;
    const ordinal = this.#names.push({ writer, number }) - 1;
    this.#live.push(0);
    this.#ordinals.set(key, ordinal);
    return ordinal;
  }

  nameOf(segment: number): SegmentName {
    return this.#names[segment] ?? noSegment;
  }

  isKnown(writer: number, number: number): boolean {
    return this.#ordinals.has(keyOf(writer, number));
  }

  isLive(segment: number): boolean {
    return (this.#live[segment] ?? 0) > 0;
  }

  holdsFileHeads(segment: number): boolean {
    return (this.#fileHeads[segment] ?? 0) > 0;
  }

  /** A slot's head and body are there, as counted before. */
  list(slot: number, segment: number, bodySegment: number): void {
    this.#members.add(segment, slot);
    if (bodySegment !== segment) this.#members.add(bodySegment, slot);
  }

  /** The same for slots that follow each other, which are counted too. */
  listRun(from: number, to: number, segment: number): void {
    if (to === from) return;
    this.#live[segment] = (this.#live[segment] ?? 0) + to - from;
    this.#members.addRun(segment, from, to);
  }

  countLive(segment: number, bodySegment: number, change: number): void {
    this.#live[segment] = (this.#live[segment] ?? 0) + change;
    if (bodySegment !== segment) this.#live[bodySegment] = (this.#live[bodySegment] ?? 0) + change;
  }

  countFileHead(segment: number, change: number): void {
    this.#fileHeads[segment] = (this.#fileHeads[segment] ?? 0) + change;
  }

  /** Slots that had their head or body in a segment, in the order of the log. */
  membersOf(segment: number): Iterable<number> {
    return this.#members.of(segment);
  }

  /** Nothing is in it any more. If it comes again, it gets another number. */
  forgetName(segment: number): void {
    const { writer, number } = this.nameOf(segment);
    this.#ordinals.delete(keyOf(writer, number));
  }

  forgetMembers(segment: number): void {
    this.#members.drop(segment);
  }

  /** Everything is gone, but for the numbers. */
  clear(): void {
    this.#live.fill(0);
    this.#fileHeads.fill(0);
    this.#members.clear();
  }
}

function keyOf(writer: number, number: number): string {
  return `${writer}-${number}`;
}
