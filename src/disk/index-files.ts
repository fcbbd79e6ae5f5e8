import type { BodyFile } from './places.js';

/** Which slots have a body in a file of its own, and which of those files nothing refers to any more. */
export class IndexFiles {
  readonly #files: Map<number, BodyFile>;
  #freed: BodyFile[] = [];

  constructor(files?: ReadonlyMap<number, BodyFile>) {
    this.#files = new Map(files);
  }

  toParts(): ReadonlyMap<number, BodyFile> {
    return this.#files;
  }

  has(slot: number): boolean {
    return this.#files.has(slot);
  }

  of(slot: number): BodyFile | undefined {
    return this.#files.get(slot);
  }

  set(slot: number, file: BodyFile): void {
    this.#files.set(slot, file);
  }

  /** In order of arrival but for those that were put last. */
  slots(): IterableIterator<number> {
    return this.#files.keys();
  }

  all(): IterableIterator<BodyFile> {
    return this.#files.values();
  }

  putLast(slot: number): void {
    const file = this.#files.get(slot);
    if (file === undefined) return;
    this.#files.delete(slot);
    this.#files.set(slot, file);
  }

  /** The file is no longer this slot's; whether it is anybody's is the caller's business. */
  take(slot: number): BodyFile | undefined {
    const file = this.#files.get(slot);
    if (file !== undefined) this.#files.delete(slot);
    return file;
  }

  /** Nothing refers to it. */
  free(file: BodyFile): void {
    this.#freed.push(file);
  }

  freeAll(): void {
    for (const file of this.#files.values()) this.#freed.push(file);
    this.#files.clear();
  }

  /** Those that were freed since this was last asked. */
  takeFreed(): readonly BodyFile[] {
    const freed = this.#freed;
    this.#freed = [];
    return freed;
  }
}
