import type { HeaderCursor } from '../src/disk/hint.js';
import type { DiskIndex } from '../src/disk/index-table.js';
import type { RecordHeader } from '../src/disk/record.js';
import { lateSequences } from '../src/disk/sequences.js';

const recordsBetweenForgetting = 4096;

/** The records of one segment as its hint tells of them, in the order of the log, on their way into the index. */
export class LogCursor {
  readonly #index: DiskIndex;
  readonly #ordinal: number;
  readonly #headers: HeaderCursor;
  #slot: number;
  #endSlot: number;
  #header: RecordHeader | undefined;
  /** Of the next header; `Infinity` if there is none. */
  #headerOffset: number;

  /** `rows`: where they are in the index. Those of records from `limitBytes` of the segment on are given up. */
  constructor(
    index: DiskIndex,
    ordinal: number,
    rows: { readonly first: number; readonly count: number },
    headers: HeaderCursor,
    limitBytes: number,
  ) {
    this.#index = index;
    this.#ordinal = ordinal;
    this.#headers = headers;
    this.#slot = rows.first;
    this.#endSlot = rows.first + rows.count;
    while (this.#endSlot > this.#slot && index.rowOffsetOf(this.#endSlot - 1) >= limitBytes) {
      this.#endSlot -= 1;
      index.releaseRow(this.#endSlot);
    }
    this.#headerOffset = headers.offset;
    this.#header = headers.isAtEnd ? undefined : headers.header;
    this.#endAtDamage();
  }

  get isAtEnd(): boolean {
    return this.#slot >= this.#endSlot && this.#header === undefined;
  }

  /** `Infinity` at the end. */
  get sequence(): number {
    if (this.#isAtRow) return this.#index.rowSequenceOf(this.#slot);
    return this.#header?.sequence ?? Infinity;
  }

  /** Applies the next record, and those after it that are not newer than `limit`. */
  applyUpTo(limit: number): void {
    const index = this.#index;
    let applied = 0;
    let forgottenAt = 0;
    while (!this.isAtEnd && (applied === 0 || this.sequence <= limit)) {
      if (this.#isAtRow) {
        const end = index.runEnd(this.#slot + 1, this.#endSlot, limit, this.#headerOffset);
        index.applyRows(this.#slot, end, this.#ordinal);
        applied += end - this.#slot;
        this.#slot = end;
      } else {
        this.#applyHeader();
        applied += 1;
      }
      if (applied - forgottenAt < recordsBetweenForgetting) continue;
      forgottenAt = applied;
      index.recent.forgetBefore(index.lastSequence - lateSequences);
    }
  }

  get #isAtRow(): boolean {
    if (this.#slot >= this.#endSlot) return false;
    return this.#headerOffset === Infinity || this.#index.rowOffsetOf(this.#slot) < this.#headerOffset;
  }

  #applyHeader(): void {
    if (this.#header !== undefined) this.#index.apply(this.#header, this.#ordinal, this.#headerOffset);
    this.#headers.advance();
    this.#headerOffset = this.#headers.offset;
    this.#header = this.#headers.isAtEnd ? undefined : this.#headers.header;
    this.#endAtDamage();
  }

  /** What comes after a header that cannot be one is not read. */
  #endAtDamage(): void {
    if (this.#header !== undefined || this.#headers.isAtEnd) return;
    while (this.#endSlot > this.#slot && this.#index.rowOffsetOf(this.#endSlot - 1) > this.#headerOffset) {
      this.#endSlot -= 1;
      this.#index.releaseRow(this.#endSlot);
    }
    this.#headerOffset = Infinity;
  }
}
