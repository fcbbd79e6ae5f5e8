import type { KeyHash } from '../disk/key-hash.js';
import type { Claim, LeaseHome, Release, Word } from './lease-book.js';

export interface LeaseHost {
  /** Of those who are there now. */
  homeOf(hash: KeyHash): LeaseHome;
  /** Resolves when everything that others had stored before the call is known. */
  look(): Promise<void>;
  readonly monotonicMs: () => number;
  /** How long others may be waited for in all, in ms. */
  readonly limitMs: number;
  /** Another process is waited for. */
  onWait(): void;
}

/** What comes next: ask the origin; or look up what is stored by now, and come back if it is not there. */
export type Turn = 'go' | 'look';

/** One request for the lease of a key: asks for it, waits for it, and gives it back. */
export class Lease implements Claim {
  readonly hash: KeyHash;
  readonly #host: LeaseHost;
  readonly #sinceMs: number;
  #home: LeaseHome | undefined;
  /** `look`: granted, when it was looked. `over`: whoever was waited for has given it back. `free`: nobody is waited for, whoever has it. */
  #state: 'new' | 'asked' | 'held' | 'over' | 'look' | 'granted' | 'free' = 'new';
  #resolve: ((turn: Turn) => void) | undefined;
  #resolveFirst: ((isGranted: boolean) => void) | undefined;
  #timer: NodeJS.Timeout | undefined;

  constructor(host: LeaseHost, hash: KeyHash) {
    this.hash = hash;
    this.#host = host;
    this.#sinceMs = host.monotonicMs();
  }

  get isGranted(): boolean {
    return this.#state === 'granted';
  }

  /** Asks a home that answers at once. `false`: it takes `next` to know more. */
  tryAt(home: LeaseHome): boolean {
    this.#ask(home);
    return this.isGranted;
  }

  first(): Promise<boolean> {
    if (this.#state !== 'new') return Promise.resolve(this.isGranted);
    return new Promise((resolve) => {
      this.#resolveFirst = resolve;
      this.#ask(this.#host.homeOf(this.hash));
    });
  }

  next(): Promise<Turn> {
    if (this.#state === 'granted' || this.#state === 'free') return Promise.resolve('go');
    return new Promise((resolve) => {
      this.#resolve = resolve;
      if (this.#state === 'new') this.#ask(this.#host.homeOf(this.hash));
      else if (this.#state === 'over') this.#askAgain();
      else if (this.#state === 'look') this.#settleAfterLook();
      else if (this.#state === 'held') this.#host.onWait();
    });
  }

  told(word: Word): void {
    this.#hear(word);
    const resolve = this.#resolveFirst;
    this.#resolveFirst = undefined;
    resolve?.(word === 'granted' || word === 'apart');
  }

  #hear(word: Word): void {
    switch (word) {
      case 'granted':
      case 'look':
        clearTimeout(this.#timer);
        this.#state = word;
        if (word === 'look') this.#settleAfterLook();
        else this.#settle('go');
        return;
      case 'held':
        this.#state = 'held';
        this.#limit();
        if (this.#resolve !== undefined) this.#host.onWait();
        return;
      case 'apart':
        this.#free();
        this.#settle('go');
        return;
      case 'over':
      case 'lost':
        // The origin is being asked already: it makes no difference any more.
        if (this.#state === 'granted' || this.#state === 'look' || this.#state === 'free') return;
        this.#state = 'over';
        this.#settleAfterLook();
    }
  }

  release(how: Release): void {
    const home = this.#home;
    this.#free();
    home?.release(this, how);
    this.#settle('go');
    this.#resolveFirst?.(false);
  }

  #ask(home: LeaseHome): void {
    this.#state = 'asked';
    this.#home = home;
    home.ask(this);
  }

  #askAgain(): void {
    if (this.#leftMs() <= 0) {
      this.release('look');
      return;
    }
    this.#limit();
    this.#ask(this.#host.homeOf(this.hash));
  }

  /** Keeps the process alive: so does a request that waits for an answer. */
  #limit(): void {
    this.#timer ??= setTimeout(() => this.#giveUp(), this.#leftMs());
  }

  #giveUp(): void {
    const home = this.#home;
    this.#free();
    home?.release(this, 'look');
    this.#settleAfterLook();
  }

  #leftMs(): number {
    return this.#host.limitMs - (this.#host.monotonicMs() - this.#sinceMs);
  }

  #free(): void {
    this.#state = 'free';
    this.#home = undefined;
    clearTimeout(this.#timer);
  }

  #settleAfterLook(): void {
    if (this.#resolve === undefined) return;
    void this.#host.look().then(() => {
      if (this.#state === 'look') this.#state = 'granted';
      this.#settle('look');
    });
  }

  #settle(turn: Turn): void {
    const resolve = this.#resolve;
    this.#resolve = undefined;
    resolve?.(turn);
  }
}
