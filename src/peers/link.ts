import { connect } from 'node:net';
import type { KeyHash } from '../disk/key-hash.js';
import { addressOf } from './address.js';
import { FrameSocket } from './frame-socket.js';
import {
  type Frame,
  frameTypes,
  type NewsKind,
  newsKinds,
  noHash,
  protocolMark,
  releaseKinds,
  words,
} from './frames.js';
import type { Claim, LeaseHome, Release } from './lease-book.js';

export interface LinkOptions {
  readonly root: string;
  /** Who speaks. */
  readonly from: number;
  /** Who is spoken to. */
  readonly to: number;
  /** Who does not answer for so long counts as gone, in ms; for twice as long at the most. */
  readonly answerMs: number;
  /** It is there, and listens. */
  onReady(): void;
  /** It is not there any more, or never was. Called once. */
  onGone(): void;
}

interface Asked {
  readonly claim: Claim;
  readonly round: number;
  isAnswered: boolean;
}

/** What this process says to another one, over a connection of its own, and what it is answered. */
export class Link implements LeaseHome {
  readonly writer: number;
  readonly #options: LinkOptions;
  readonly #ids = new Map<Claim, number>();
  readonly #asked = new Map<number, Asked>();
  #socket: FrameSocket | undefined;
  #lastId = 0;
  #unanswered = 0;
  #round = 0;
  #timer: NodeJS.Timeout | undefined;
  #isReady = false;
  #isGone = false;

  constructor(options: LinkOptions) {
    this.writer = options.to;
    this.#options = options;
    void this.#open();
  }

  tell(kind: NewsKind, hash: KeyHash): void {
    this.#socket?.send({ type: frameTypes.news, detail: newsKinds.indexOf(kind), id: 0, hash });
  }

  ask(claim: Claim): void {
    if (this.#isGone || this.#socket === undefined) {
      claim.told('lost');
      return;
    }
    this.#lastId = (this.#lastId + 1) >>> 0;
    const id = this.#lastId;
    this.#ids.set(claim, id);
    this.#asked.set(id, { claim, round: this.#round, isAnswered: false });
    this.#unanswered += 1;
    this.#timer ??= setTimeout(() => this.#checkAnswers(), this.#options.answerMs);
    this.#socket.send({ type: frameTypes.ask, detail: 0, id, hash: claim.hash });
  }

  release(claim: Claim, how: Release): void {
    const id = this.#ids.get(claim);
    if (id === undefined) return;
    this.#forget(id, claim);
    this.#socket?.send({ type: frameTypes.release, detail: releaseKinds.indexOf(how), id, hash: noHash });
  }

  close(): void {
    if (this.#socket === undefined) this.#gone();
    else this.#socket.end();
  }

  async #open(): Promise<void> {
    const { root, from, to } = this.#options;
    const address = await addressOf(root, to);
    if (address === undefined || this.#isGone) {
      this.#gone();
      return;
    }
    this.#socket = new FrameSocket(connect(address), {
      onFrame: (frame) => this.#hear(frame),
      onClose: () => this.#gone(),
    });
    this.#socket.send({ type: frameTypes.hello, detail: 0, id: protocolMark, hash: { ...noHash, a: from } });
  }

  #hear({ type, detail, id, hash }: Frame): boolean {
    if (!this.#isReady) {
      // Somebody else may listen where the other one did.
      if (type !== frameTypes.welcome || id !== protocolMark || hash.a !== this.writer) return false;
      this.#isReady = true;
      this.#options.onReady();
      return true;
    }
    const word = words[detail];
    if (type !== frameTypes.told || word === undefined) return false;
    const asked = this.#asked.get(id);
    // Given up before it was answered.
    if (asked === undefined) return true;
    this.#noteAnswer(asked);
    if (word === 'over' || word === 'apart') this.#forget(id, asked.claim);
    asked.claim.told(word);
    return true;
  }

  #forget(id: number, claim: Claim): void {
    const asked = this.#asked.get(id);
    if (asked !== undefined) this.#noteAnswer(asked);
    this.#asked.delete(id);
    this.#ids.delete(claim);
  }

  #noteAnswer(asked: Asked): void {
    if (asked.isAnswered) return;
    asked.isAnswered = true;
    this.#unanswered -= 1;
    if (this.#unanswered > 0) return;
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  /** One timer for all who wait; it keeps the process alive for as long as somebody does. */
  #checkAnswers(): void {
    const isLate = [...this.#asked.values()].some(({ isAnswered, round }) => !isAnswered && round < this.#round);
    this.#round += 1;
    this.#timer = undefined;
    if (isLate) this.#socket?.close();
    else this.#timer = setTimeout(() => this.#checkAnswers(), this.#options.answerMs);
  }

  #gone(): void {
    if (this.#isGone) return;
    this.#isGone = true;
    clearTimeout(this.#timer);
    this.#options.onGone();
    const asked = [...this.#asked.values()];
    this.#asked.clear();
    this.#ids.clear();
    for (const { claim } of asked) claim.told('lost');
  }
}
