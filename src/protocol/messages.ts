import type { LogEnd } from '../disk/board.js';
import type { HeadRow } from '../disk/head-codec.js';
import type { BodyFile, IndexParts, SegmentName } from '../disk/index-table.js';

/** `shared`: with other processes. `exclusive`: alone. */
export type LockMode = 'shared' | 'exclusive';

/** Which log a task writes to. Sent with every task, so that a worker that was restarted can go on in a new segment. */
export interface WriterSession {
  readonly directory: string;
  readonly writer: number;
  /** Which numbers its records have: see `nextSequenceOf`. */
  readonly lane: number;
  readonly lock: LockMode;
  /**
   * The last segment with a record that was acknowledged, and where the last one ends. What a lost worker left beyond it
   * was never acknowledged and must not come to light at the next opening.
   */
  readonly last: { readonly number: number; readonly usedBytes: number };
  readonly segmentBytes: number;
  /** For bodies whose records name a codec: how hard to try, and the part that must be gained. */
  readonly compression: { readonly level: number; readonly minGain: number } | undefined;
  /** Whether body files with the same bytes become links to one. */
  readonly deduplicate: boolean;
}

export interface OpenTask {
  readonly kind: 'open';
  readonly directory: string;
  readonly lock: LockMode;
  readonly nowMs: number;
  readonly measureFree: boolean;
  readonly deduplicate: boolean;
  /** What was read of it before, to save time. */
  readonly placed: PlacedHints | undefined;
}

/** Hints that were read before the writer was there: their rows to where the index will have them. */
export interface PlacedHints {
  readonly rows: SharedArrayBuffer;
  /** How many slots of it hold rows. */
  readonly used: number;
  readonly hints: readonly PlacedHint[];
}

export interface PlacedHint {
  readonly segment: SegmentName;
  readonly frame: Uint8Array;
  readonly firstSlot: number;
  readonly rowCount: number;
  readonly headers: Uint8Array;
  /** Of all of it, as it was read. */
  readonly crc: number;
}

/** Records back to back, complete but for their checksums and for their heads, which are drafts that the worker packs. */
export interface LogSlab {
  readonly buffer: ArrayBuffer;
  readonly usedBytes: number;
  /** Rows of heads that the buffer cannot carry. */
  readonly rows: readonly HeadRow[];
  /** It came back unwritten once: its heads are packed. */
  readonly isPacked: boolean;
}

/** Pieces of bodies that have files of their own: `file`, start in the buffer and length, three numbers a piece. */
export interface BodySlab {
  readonly buffer: ArrayBuffer;
  readonly pieces: readonly number[];
}

/** Responses to be appended again, because the segment that they are in is about to go. */
export interface MoveTask {
  readonly from: SegmentName;
  /** What the records may take; one that would go beyond is left for the next time. */
  readonly limitBytes: number;
  /** Newer than that of any record that is in the log: for a segment that is begun with what is moved. */
  readonly sequence: number;
  /** Where the responses are: writer and number of the segment, offset, length and sequence, five numbers each. */
  readonly places: readonly number[];
}

/** Done in the order of the fields. */
export interface BatchTask {
  readonly kind: 'batch';
  readonly session: WriterSession;
  /** Oldest first, and in this order whenever the power goes: what they removed must not come back. */
  readonly dropSegments: readonly SegmentName[];
  readonly removeFiles: readonly Pick<BodyFile, 'writer' | 'number'>[];
  readonly bodies: readonly BodySlab[];
  /** Body files to sync, close and move to their place. */
  readonly finish: readonly number[];
  /** Body files to give up. */
  readonly abandon: readonly number[];
  /** Ends the segment that is open. */
  readonly seal: boolean;
  readonly logs: readonly LogSlab[];
  /** After the logs: what a record among them removes is not moved, and what a later one removes was moved before. */
  readonly moves: MoveTask | undefined;
  /** Whether to tell how much room the device has. */
  readonly measureFree: boolean;
}

export interface CloseTask {
  readonly kind: 'close';
  readonly session: WriterSession;
}

/** Reads what is stored and compares it with its checksums, up to a limit: between two of these, batches have their turn. */
export interface CheckTask {
  readonly kind: 'check';
  readonly directory: string;
  /** As in `MoveTask`. */
  readonly places: readonly number[];
  /** Where in the body of the first one to go on, at the beginning of a block. */
  readonly startByte: number;
  /** How much is read at the most, but for a single record. */
  readonly limitBytes: number;
}

/** Looks for body files that no response refers to. */
export interface OrphanTask {
  readonly kind: 'orphans';
  readonly directory: string;
  /** One of the 256 folders of body files. */
  readonly folder: number;
  /** Files in it that are referred to: writer and number, two numbers each. */
  readonly referred: readonly number[];
  readonly remove: boolean;
}

export type WriterTask = OpenTask | BatchTask | CheckTask | OrphanTask | CloseTask;

/** An error in a shape that survives the way between threads. */
export interface WriterFailure {
  /** `ENOSPC`, `EACCES`, …; one of `CacheErrorCode`; or `''`. */
  readonly code: string;
  readonly message: string;
}

export interface SegmentInfo extends SegmentName {
  /** What the file and its hint take. */
  readonly bytes: number;
}

export type OpenAnswer =
  | { readonly outcome: 'failed'; readonly failure: WriterFailure }
  | {
      readonly outcome: 'opened';
      readonly writer: number;
      readonly lane: number;
      /** How much of the logs of others is in the index. */
      readonly others: readonly LogEnd[];
      /** How often somebody had opened the directory by then. */
      readonly arrivals: number;
      readonly index: IndexParts;
      /** Oldest first. */
      readonly segments: readonly SegmentInfo[];
      readonly freeBytes: number | undefined;
    };

export interface WrittenAnswer {
  readonly outcome: 'written';
  readonly segment: number;
  readonly offset: number;
  readonly usedBytes: number;
}

/** Where a slab went, or why it did not, and how long it is with its heads packed. */
export type LogAnswer =
  | WrittenAnswer
  | { readonly outcome: 'failed'; readonly failure: WriterFailure; readonly usedBytes: number };

export type MoveAnswer =
  /** The segment that they are in now, and for each in the order of the task: offset and length there; 0 and 0 for one that is damaged, 1 and 0 for one that does not fit. */
  | { readonly outcome: 'moved'; readonly segment: number; readonly places: readonly number[] }
  | { readonly outcome: 'failed'; readonly failure: WriterFailure };

export type BodyAnswer =
  | { readonly file: number; readonly outcome: 'written'; readonly bytes: number }
  | {
      readonly file: number;
      readonly outcome: 'finished';
      readonly bytes: number;
      readonly crcs: Uint32Array;
      /** See `contentOf`. */
      readonly content: number;
    }
  | { readonly file: number; readonly outcome: 'failed'; readonly failure: WriterFailure };

export interface CheckAnswer {
  /** How many of the places were read to the end. */
  readonly done: number;
  /** Where in the body of the next one to go on. */
  readonly startByte: number;
  readonly bytes: number;
  readonly damaged: readonly { readonly place: number; readonly key: string; readonly detail: string }[];
}

export interface OrphanAnswer {
  readonly files: number;
  readonly bytes: number;
  readonly problems: readonly WriterFailure[];
}

export interface CloseAnswer {
  /** What could not be sealed or let go of: no harm to any record. */
  readonly problems: readonly WriterFailure[];
}

export interface BatchAnswer {
  /** The slabs' buffers, log first, in the order they came. */
  readonly buffers: readonly ArrayBuffer[];
  readonly logs: readonly LogAnswer[];
  readonly bodies: readonly BodyAnswer[];
  readonly moved: MoveAnswer | undefined;
  /** What segments that were dropped had to say of others, and where it is now: headers without anything behind them. */
  readonly carried: readonly WrittenAnswer[];
  /** What other users of the device find free, if that was asked for and can be told. */
  readonly freeBytes: number | undefined;
  /** What went wrong without harm to any record: a file that could not be removed, a hint that could not be written. */
  readonly problems: readonly WriterFailure[];
}
