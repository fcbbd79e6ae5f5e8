import { contentKeyOf, isLink } from '../disk/body-content.js';
import type { BodyFile } from '../disk/index-table.js';

/** In a count: one that was made as a link. Below it are those that were not. */
const oneLink = 2 ** 26;

/**
 * How many files on the disk the body files are, when some of them are links to others with the same bytes. Those that were not made as links are
 * files each; if only links are left of a content, they are one file together.
 */
export class BodyContents {
  readonly #counts = new Map<number, number>();

  /** Whether it takes space that none of the others has taken. */
  add(file: BodyFile): boolean {
    return this.#change(file, 1) > 0;
  }

  /** Whether that gives its space back. */
  remove(file: BodyFile): boolean {
    return this.#change(file, -1) < 0;
  }

  #change(file: BodyFile, change: number): number {
    const key = contentKeyOf(file);
    const before = this.#counts.get(key) ?? 0;
    const after = before + change * (isLink(file.content) ? oneLink : 1);
    if (after === 0) this.#counts.delete(key);
    else this.#counts.set(key, after);
    return filesIn(after) - filesIn(before);
  }
}

function filesIn(count: number): number {
  return count === 0 ? 0 : Math.max(1, count % oneLink);
}
