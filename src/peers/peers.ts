import { hashOfKey, isSameHash, type KeyHash } from '../disk/key-hash.js';
import { type NewsKind, newsKinds, noHash } from './frames.js';
import { Lease, type LeaseHost } from './lease.js';
import { LeaseBook, type LeaseHome } from './lease-book.js';
import { Link } from './link.js';
import { Reception } from './reception.js';

export interface PeersOptions {
  /** The folder that the processes share. */
  readonly root: string;
  /** The writer that this process is. */
  readonly writer: number;
  /** How long a request waits for another process's, in ms; 0: it does not ask. */
  readonly leaseMs: number;
  /** ms since any moment, never going back. */
  readonly monotonicMs: () => number;
  /** Calls back after so many ms without keeping the process alive; what it returns cancels. */
  readonly after: (ms: number, callback: () => void) => () => void;
  /** Resolves when everything that others had stored before the call is known. */
  look(): Promise<void>;
  /** Another process has stored something; or, with `isGone`, something that this one may have is gone. */
  onNews(isGone: boolean): void;
  /** Others cannot reach this process. */
  onFailure(error: unknown): void;
}

interface News {
  readonly kind: NewsKind;
  readonly hash: KeyHash;
}

/** How long a lease counts for processes that do not ask for any themselves, in ms. */
const usualLeaseMs = 5_000;
/** A process that could not be reached is tried again after so long, in ms. */
const retryMs = 1_000;
const maxFailed = 256;
/** News that something was stored is gathered for so long, in ms. */
const newsMs = 15;

/** The other processes that have a directory open: tells them what this one has done, and agrees with them on who asks the origin for what. */
export class Peers {
  readonly #options: PeersOptions;
  readonly #book: LeaseBook;
  readonly #reception: Reception;
  readonly #leaseHost: LeaseHost;
  readonly #links = new Map<number, Link>();
  readonly #failedAtMs = new Map<number, number>();
  /** Have made themselves known while they were being connected to. */
  readonly #heard = new Set<number>();
  #ready: readonly Link[] = [];
  #news: News | undefined;
  #isNewsHeldBack = false;
  #opening: Promise<void> | undefined;
  #isOpen = false;
  #isClosed = false;
  /** How often a request waited for another process's. */
  waits = 0;

  constructor(options: PeersOptions) {
    const { root, writer, leaseMs, monotonicMs } = options;
    this.#options = options;
    this.#book = new LeaseBook(leaseMs === 0 ? usualLeaseMs : leaseMs, monotonicMs);
    this.#leaseHost = {
      homeOf: (hash) => this.#homeOf(hash),
      look: () => options.look(),
      monotonicMs,
      limitMs: leaseMs,
      onWait: () => {
        this.waits += 1;
      },
    };
    this.#reception = new Reception(root, {
      writer,
      book: this.#book,
      onHello: (other) => {
        this.#failedAtMs.delete(other);
        // It may have been looked for a moment too early, and that may not have come to its end.
        if (this.#links.has(other)) this.#heard.add(other);
        this.meet(other);
      },
      onNews: (kind, hash) => {
        this.#break(kind, hash);
        options.onNews(kind !== 'stored');
      },
    });
  }

  /** How many others can be spoken to. */
  get count(): number {
    return this.#ready.length;
  }

  /** Begins to listen. Never rejects. Then, who is there is to be looked for: of two that come at once, the later one finds the other. */
  open(): Promise<void> {
    this.#opening ??= this.#reception
      .open()
      .catch((error: unknown) => this.#options.onFailure(error))
      .then(() => {
        this.#isOpen = true;
      });
    return this.#opening;
  }

  /** Somebody is there: to be called as often as that is seen. */
  meet(writer: number): void {
    if (!this.#isOpen || this.#isClosed || writer === this.#options.writer || this.#links.has(writer)) return;
    const { root, leaseMs, monotonicMs } = this.#options;
    if (monotonicMs() - (this.#failedAtMs.get(writer) ?? -Infinity) < retryMs) return;
    const link = new Link({
      root,
      from: this.#options.writer,
      to: writer,
      answerMs: Math.max(1, (leaseMs === 0 ? usualLeaseMs : leaseMs) / 10),
      onReady: () => {
        this.#heard.delete(writer);
        this.#ready = [...this.#ready, link];
      },
      onGone: () => {
        this.#links.delete(writer);
        const isHeard = this.#heard.delete(writer);
        this.#ready = this.#ready.filter((other) => other !== link);
        if (this.#failedAtMs.size >= maxFailed) this.#failedAtMs.clear();
        this.#failedAtMs.set(writer, monotonicMs());
        if (!isHeard) return;
        this.#failedAtMs.delete(writer);
        this.meet(writer);
      },
    });
    this.#links.set(writer, link);
  }

  /** To be called when what this process did can be seen by others. They hear of it at once, unless it is only that something was stored. */
  tell(kind: NewsKind, hash: KeyHash = noHash): void {
    if (this.#ready.length === 0) return;
    this.#break(kind, hash);
    const before = this.#news;
    this.#news = before === undefined ? { kind, hash } : weightier(before, { kind, hash });
    const isDue = kind !== 'stored' && (before === undefined || before.kind === 'stored');
    if (isDue || (before === undefined && !this.#isNewsHeldBack)) setImmediate(() => this.#sendNews());
  }

  /** `undefined`: there is nobody to agree with. */
  lease(key: string): Lease | undefined {
    if (this.#ready.length === 0 || this.#options.leaseMs === 0) return undefined;
    const hash = hashOfKey(key);
    const lease = new Lease(this.#leaseHost, hash);
    if (this.#homeOf(hash) === this.#book) lease.tryAt(this.#book);
    return lease;
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#opening;
    for (const link of this.#links.values()) link.close();
    this.#reception.close();
  }

  #sendNews(): void {
    const news = this.#news;
    if (news === undefined) return;
    this.#news = undefined;
    for (const link of this.#ready) link.tell(news.kind, news.hash);
    if (this.#isNewsHeldBack) return;
    this.#isNewsHeldBack = true;
    this.#options.after(newsMs, () => {
      this.#isNewsHeldBack = false;
      this.#sendNews();
    });
  }

  #break(kind: NewsKind, hash: KeyHash): void {
    if (kind === 'key') this.#book.break(hash);
    else if (kind === 'all') this.#book.break(undefined);
  }

  /**
   * Everybody who knows the same processes finds the same one (rendezvous hashing), and when one goes, only its keys go elsewhere. Who knows
   * others may find another: then the origin is asked once more than needed.
   */
  #homeOf(hash: KeyHash): LeaseHome {
    let home: LeaseHome = this.#book;
    let best = scoreOf(hash, this.#options.writer);
    for (const link of this.#ready) {
      const score = scoreOf(hash, link.writer);
      if (score <= best) continue;
      best = score;
      home = link;
    }
    return home;
  }
}

function weightier(one: News, other: News): News {
  if (one.kind === 'key' && other.kind === 'key' && !isSameHash(one.hash, other.hash)) return { ...one, kind: 'all' };
  return newsKinds.indexOf(other.kind) > newsKinds.indexOf(one.kind) ? other : one;
}

function scoreOf({ a, b }: KeyHash, writer: number): number {
  let score = Math.imul(a ^ writer, 0x85ebca6b);
  score = Math.imul(score ^ (score >>> 13) ^ b, 0xc2b2ae35);
  score = Math.imul(score ^ (score >>> 16), 0x85ebca6b);
  return (score ^ (score >>> 15)) >>> 0;
}
