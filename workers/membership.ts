import type { LogEnd } from '../src/disk/board.js';
import type { WriterSession } from '../src/protocol/messages.js';
import { adopt } from './adopt.js';
import { BoardFile } from './board-file.js';
import { inTurn } from './directory-turn.js';
import { giveSignOfLife, ownersOf, removeOwner } from './owner.js';
import { silenceMs } from './process-identity.js';

/** A writer among those who have a directory open: says that it is alive and how far it is, and sees to what dead ones left. */
export class Membership {
  readonly #root: string;
  readonly #session: Pick<WriterSession, 'writer' | 'lane' | 'lock'>;
  readonly #board: BoardFile | undefined;
  readonly #timer: NodeJS.Timeout;

  constructor(root: string, session: Pick<WriterSession, 'writer' | 'lane' | 'lock'>) {
    this.#root = root;
    this.#session = session;
    this.#board = session.lock === 'shared' ? new BoardFile(root) : undefined;
    this.#timer = setInterval(() => this.#beat(), silenceMs / 6);
    this.#timer.unref();
  }

  publish(end: LogEnd): void {
    this.#board?.publish(this.#session.lane, end);
  }

  /** Nothing will come of this writer any more. */
  end(): void {
    // In this order: once the owner is gone, the lane may be another's.
    this.#board?.clear(this.#session.lane);
    this.abandon();
    removeOwner(this.#root, this.#session.writer);
  }

  abandon(): void {
    clearInterval(this.#timer);
    this.#board?.close();
  }

  #beat(): void {
    giveSignOfLife(this.#root, this.#session.writer);
    const board = this.#board;
    if (board === undefined) return;
    try {
      if (ownersOf(this.#root, Date.now()).dead.length === 0) return;
      inTurn(this.#root, () => adopt(this.#root, board, ownersOf(this.#root, Date.now()).dead));
    } catch {
      // Somebody else will see to it, the next opening at the latest.
    }
  }
}
