export interface SegmentName {
  readonly writer: number;
  readonly number: number;
}

/** A body that has a file of its own. */
export interface BodyFile {
  readonly writer: number;
  readonly number: number;
  readonly bytes: number;
  /** See `contentOf`. */
  readonly content: number;
}

/** Where a stored response is in the log. */
export interface LogPlace {
  /** Where it is in the index, as long as `sequence` is there. */
  readonly slot: number;
  /** The segment's number in the index. */
  readonly ordinal: number;
  readonly segment: SegmentName;
  readonly offset: number;
  readonly recordBytes: number;
  readonly sequence: number;
}
