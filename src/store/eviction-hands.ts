import type { DiskIndex } from '../disk/index-table.js';
import type { DiskSpace, Segment } from './disk-space.js';

/** What is passed over at the most before something is taken that would have stayed. */
const maxPassed = 256;
/** Places that are empty by now are passed over faster. */
const maxSteps = 16_384;

export interface Turn {
  readonly nowMs: number;
  /** Up to this priority a response goes unless it was used; above it stays. */
  readonly commonPriority: number;
  /** Whether it goes already. */
  isGoing(sequence: number): boolean;
}

/** Whether a response goes if it is its turn. One that was used since its last turn stays until the next. */
function mayGo(index: DiskIndex, slot: number, { nowMs, commonPriority }: Turn): boolean {
  if (index.isExpired(slot, nowMs)) return true;
  const priority = index.priorityOf(slot);
  return priority < commonPriority || (priority === commonPriority && !index.wasUsed(slot));
}

/** Goes round the responses with a body file: SIEVE's hand, over a queue in order of arrival. */
export class FileHand {
  readonly #index: DiskIndex;

  constructor(index: DiskIndex) {
    this.#index = index;
  }

  /** The next to go; -1 if there is none, or `isDue` says that it is not yet its turn. */
  next(turn: Turn, isDue: (slot: number) => boolean): number {
    const index = this.#index;
    for (let passed = 0; ; passed += 1) {
      const [slot] = index.fileSlots();
      if (slot === undefined || !isDue(slot) || passed > 2 * maxPassed) return -1;
      const isGoing = turn.isGoing(index.sequenceOf(slot));
      if (!isGoing && (passed >= maxPassed || mayGo(index, slot, turn))) return slot;
      index.forgetUse(slot);
      index.putFileLast(slot);
    }
  }
}

/** Goes round all responses, segment by segment. */
export class EntryHand {
  readonly #index: DiskIndex;
  readonly #space: DiskSpace;
  #segment: Segment | undefined;
  #members: Iterator<number> | undefined;

  constructor(index: DiskIndex, space: DiskSpace) {
    this.#index = index;
    this.#space = space;
  }

  /** The next to go; -1 if none was found in a reasonable time. */
  next(turn: Turn): number {
    const index = this.#index;
    let stays = -1;
    for (let passed = 0, steps = 0; passed < maxPassed && steps < maxSteps; steps += 1) {
      const slot = this.#step();
      if (slot < 0 || turn.isGoing(index.sequenceOf(slot))) continue;
      if (mayGo(index, slot, turn)) return slot;
      passed += 1;
      index.forgetUse(slot);
      if (stays < 0 || index.priorityOf(slot) < index.priorityOf(stays)) stays = slot;
    }
    return stays;
  }

  /** -1 for a slot that has nothing in this segment any more. */
  #step(): number {
    const segment = this.#segment;
    const member = this.#members?.next();
    if (segment === undefined || member === undefined || member.done === true) {
      const segments = this.#space.segments();
      const at = segment === undefined ? -1 : segments.indexOf(segment);
      this.#segment = segments[at + 1] ?? segments[0];
      this.#members = this.#segment && this.#index.membersOf(this.#segment.ordinal)[Symbol.iterator]();
      return -1;
    }
    const slot = member.value;
    // A response with its head in one segment and its body in another has its turn with the head.
    return this.#index.isHeadIn(slot, segment.ordinal) ? slot : -1;
  }
}
