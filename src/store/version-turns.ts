import type { StoredHead } from '../http/message.js';
import { isOutversioned } from '../http/version.js';
import type { CommitResult } from './contract.js';

/** Lets heads with a version be stored one after the other under each key, so that to compare and to store is one step. */
export class VersionTurns {
  readonly #headsUnder: (key: string) => Promise<readonly StoredHead[]>;
  readonly #last = new Map<string, Promise<unknown>>();
  mismatches = 0;

  constructor(headsUnder: (key: string) => Promise<readonly StoredHead[]>) {
    this.#headsUnder = headsUnder;
  }

  async run(key: string, head: StoredHead, store: () => Promise<CommitResult>): Promise<CommitResult> {
    const turn = (this.#last.get(key) ?? Promise.resolve()).then(async (): Promise<CommitResult> => {
      const stored = await this.#headsUnder(key);
      if (!stored.some((other) => isOutversioned(head, other))) return store();
      this.mismatches += 1;
      return { outcome: 'declined', reason: 'version-mismatch' };
    });
    const settled = turn.catch(() => undefined);
    this.#last.set(key, settled);
    try {
      return await turn;
    } finally {
      if (this.#last.get(key) === settled) this.#last.delete(key);
    }
  }
}
