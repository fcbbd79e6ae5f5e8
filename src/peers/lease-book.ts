import type { KeyHash } from '../disk/key-hash.js';

/** How a lease ended: look up what is stored by now; or, the answer is of no use to others, so that each has to ask for himself. */
export type Release = 'look' | 'apart';

/**
 * What the home of a key says to who asked for its lease.
 * - `granted`. `look`: granted, but somebody has just given it back, so that something may be stored that was not known of.
 * - `held`: somebody else has it; there will be another word.
 * - `over`: who had it has given it back; what there is has to be looked up. `apart`: nobody has to wait for anybody.
 * - `lost`: the home is not there any more.
 */
export type Word = 'granted' | 'look' | 'held' | 'over' | 'apart' | 'lost';

/** Who asks for a lease. */
export interface Claim {
  readonly hash: KeyHash;
  told(word: Word): void;
}

/** Where the leases of some keys are had. */
export interface LeaseHome {
  /** Tells the claim before it returns, or later. */
  ask(claim: Claim): void;
  /** What was granted is over, or what was asked for is not wanted any more; it is told nothing more. */
  release(claim: Claim, how: Release): void;
}

interface Held {
  holder: Claim;
  sinceMs: number;
  readonly waiting: Set<Claim>;
}

/** How many ended leases are remembered. */
const maxRemembered = 4096;

/** Who asks the origin for what, of the keys that are at home in this process. */
export class LeaseBook implements LeaseHome {
  readonly #limitMs: number;
  readonly #monotonicMs: () => number;
  readonly #held = new Map<string, Held>();
  /** How leases ended of late, the oldest first. */
  readonly #ended = new Map<string, { readonly how: Release; readonly atMs: number }>();

  /** `limitMs`: how long a lease counts. */
  constructor(limitMs: number, monotonicMs: () => number) {
    this.#limitMs = limitMs;
    this.#monotonicMs = monotonicMs;
  }

  /** Leases that somebody has. */
  get size(): number {
    return this.#held.size;
  }

  ask(claim: Claim): void {
    const name = nameOf(claim.hash);
    const held = this.#held.get(name);
    const nowMs = this.#monotonicMs();
    if (held === undefined) {
      const how = this.#recentEnd(name, nowMs);
      if (how !== 'apart') this.#held.set(name, { holder: claim, sinceMs: nowMs, waiting: new Set() });
      claim.told(how ?? 'granted');
    } else if (nowMs - held.sinceMs >= this.#limitMs) {
      held.holder = claim;
      held.sinceMs = nowMs;
      claim.told('look');
    } else {
      held.waiting.add(claim);
      claim.told('held');
    }
  }

  release(claim: Claim, how: Release): void {
    const name = nameOf(claim.hash);
    const held = this.#held.get(name);
    if (held === undefined || held.waiting.delete(claim) || held.holder !== claim) return;
    this.#end(name, held, how);
  }

  /**
   * Something was invalidated: whoever asked the origin for it before must not answer those who come from now on. Without a hash: whatever it
   * was.
   */
  break(hash: KeyHash | undefined): void {
    const names = hash === undefined ? [...this.#held.keys()] : [nameOf(hash)];
    for (const name of names) {
      const held = this.#held.get(name);
      if (held !== undefined) this.#end(name, held, 'look');
    }
  }

  #end(name: string, held: Held, how: Release): void {
    this.#held.delete(name);
    this.#remember(name, how);
    for (const waiting of held.waiting) waiting.told(how === 'apart' ? 'apart' : 'over');
  }

  /**
   * A key whose answers are for each alone is not asked for by one after the other; and who has looked before the lease was given back
   * must look again.
   */
  #recentEnd(name: string, nowMs: number): Release | undefined {
    const ended = this.#ended.get(name);
    return ended !== undefined && nowMs - ended.atMs < this.#limitMs ? ended.how : undefined;
  }

  #remember(name: string, how: Release): void {
    this.#ended.delete(name);
    this.#ended.set(name, { how, atMs: this.#monotonicMs() });
    if (this.#ended.size <= maxRemembered) return;
    for (const oldest of this.#ended.keys()) {
      this.#ended.delete(oldest);
      return;
    }
  }
}

function nameOf({ a, b, c, d }: KeyHash): string {
  return String.fromCharCode(
    ...[a & 0xffff, a >>> 16, b & 0xffff, b >>> 16],
    ...[c & 0xffff, c >>> 16, d & 0xffff, d >>> 16],
  );
}
