import type { BodyFile } from '../disk/index-table.js';

type File = Pick<BodyFile, 'writer' | 'number'>;

/** How long body files stay that another process may be about to open, in ms. */
const lingerMs = 1000;

/** Body files that nothing refers to any more, for a while: somebody who found them a moment ago may not have opened them yet. */
export class LingeringFiles {
  readonly #after: (ms: number, callback: () => void) => () => void;
  readonly #remove: (files: readonly File[]) => void;
  #files: File[] = [];
  #cancel: (() => void) | undefined;

  constructor(after: (ms: number, callback: () => void) => () => void, remove: (files: readonly File[]) => void) {
    this.#after = after;
    this.#remove = remove;
  }

  add(files: readonly File[]): void {
    if (files.length === 0) return;
    this.#files.push(...files);
    this.#cancel ??= this.#after(lingerMs, () => this.flush());
  }

  /** Removes them now. */
  flush(): void {
    this.#cancel?.();
    this.#cancel = undefined;
    this.#remove(this.#files.splice(0));
  }
}
