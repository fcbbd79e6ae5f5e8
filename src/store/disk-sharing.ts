import type { LogEnd } from '../disk/board.js';
import { type DiskIndex, fileOf, type LogPlace, type SegmentName } from '../disk/index-table.js';
import { hashOfKey, isSameHash, namespaceHashOf } from '../disk/key-hash.js';
import { bodyPlaces, type RecordHeader, recordTypes } from '../disk/record.js';
import { lateSequences, sequencesPerMs } from '../disk/sequences.js';
import { recordCostOf } from '../disk/slot-row.js';
import type { NewsKind } from '../peers/frames.js';
import { Peers } from '../peers/peers.js';
import { failureOf } from '../protocol/failure.js';
import type { SegmentInfo, WriterFailure } from '../protocol/messages.js';
import type { Lease } from './contract.js';
import type { DiskEntryWriter } from './disk-entry-writer.js';
import type { DiskFiles } from './disk-files.js';
import { DiskFollower } from './disk-follower.js';
import type { RecordWriter } from './disk-record-writer.js';
import type { DiskSpace } from './disk-space.js';
import type { ForeignRecord } from './foreign-log.js';
import { namespaceOf } from './select.js';

export interface SharingParts {
  readonly index: DiskIndex;
  readonly files: DiskFiles;
  readonly space: DiskSpace;
  readonly records: RecordWriter;
  readonly writers: ReadonlySet<DiskEntryWriter>;
  /** The folder that is shared. */
  readonly root: string;
  /** How long a request waits for another process's, in ms. */
  readonly leaseMs: number;
  readonly nowMs: () => number;
  readonly monotonicMs: () => number;
  readonly after: (ms: number, callback: () => void) => () => void;
  /** Others have stored, changed or removed something. */
  onChange(): void;
  /** One of them has flushed a namespace. */
  onFlushed(): void;
  /** So many responses are gone because another process made room. */
  onEvicted(entries: number): void;
  onFailure(failure: WriterFailure): void;
}

/** What was known of the others when the directory was opened. */
export interface KnownOthers {
  readonly writer: number;
  readonly lane: number;
  readonly others: readonly LogEnd[];
  readonly arrivals: number;
  readonly segments: readonly SegmentInfo[];
}

/** A directory that other processes write to as well: their records come into the index, and their files are theirs to remove. */
export class DiskSharing {
  readonly #parts: SharingParts;
  readonly #follower: DiskFollower;
  readonly #peers: Peers;

  constructor(parts: SharingParts, known: KnownOthers) {
    this.#parts = parts;
    const { index, files, nowMs, monotonicMs } = parts;
    this.#follower = new DiskFollower(
      {
        files,
        writer: known.writer,
        lane: known.lane,
        nowMs,
        monotonicMs,
        ordinalOf: (segment) => index.ordinalOf(segment),
        apply: (records) => this.#apply(records),
        onSeen: (writer) => this.#peers.meet(writer),
        onLooked: (startMs, isAlone) => {
          // A record that is not known yet is numbered later than the look began, or a little earlier if somebody was there to number it.
          index.recent.forgetBefore(startMs * sequencesPerMs - (isAlone ? 0 : lateSequences));
        },
        onFailure: (error) => parts.onFailure(failureOf(error)),
      },
      { ...known, writers: known.segments.map(({ writer }) => writer) },
    );
    this.#peers = new Peers({
      root: parts.root,
      writer: known.writer,
      leaseMs: parts.leaseMs,
      monotonicMs,
      after: parts.after,
      look: () => this.#follower.look(),
      onNews: (isGone) => (isGone ? this.#follower.noteChanged() : this.#follower.noteStored()),
      onFailure: (error) => parts.onFailure(failureOf(error)),
    });
    void this.#peers.open().then(() => this.#follower.look());
  }

  /** Others that can be spoken to. */
  get peers(): number {
    return this.#peers.count;
  }

  /** How often a request waited for another process's. */
  get leasesWaited(): number {
    return this.#peers.waits;
  }

  /** The right to ask the origin for what is under a key; `undefined`: nobody else could. */
  lease(key: string): Lease | undefined {
    return this.#peers.lease(key);
  }

  /** A record of this process's own is on the disk, and on the board. `isEviction`: others need not hear of it at once. */
  tell({ type, hash }: RecordHeader, isEviction: boolean): void {
    this.#peers.tell(isEviction ? 'stored' : newsOf(type), hash);
  }

  /** An invalidation is done that consists of more than one record. */
  tellInvalidated(): void {
    this.#peers.tell('all');
  }

  /** `undefined`: what is known of the others is recent enough. Otherwise wait. */
  refresh(): Promise<void> | undefined {
    return this.#follower.refresh();
  }

  /** Whether what is known of the others is recent enough; with nobody else there, `asLastSeen` is content with less. */
  isRecent(options: { readonly asLastSeen: boolean }): boolean {
    return this.#follower.isRecent(options);
  }

  /** Resolves when everything that others had written before the call is known. */
  look(): Promise<void> {
    return this.#follower.look();
  }

  async close(): Promise<void> {
    await this.#peers.close();
    await this.#follower.close();
  }

  /** Whether there has been anybody else since this process came. */
  get hadOthers(): boolean {
    return this.#follower.hadOthers;
  }

  /** Whether this process is the one that makes room when that is needed, as long as it is about. */
  get isFirst(): boolean {
    return this.#follower.isFirst;
  }

  isOpenElsewhere(name: SegmentName): boolean {
    return this.#follower.isOpenElsewhere(name);
  }

  /** Whether a file is missing because another process has made room: what was in it is gone then, and nothing is damaged. */
  explains({ slot, sequence, ordinal, segment }: LogPlace, file: SegmentName | 'body'): boolean {
    if (!this.#follower.hadOthers) return false;
    const { index, records } = this.#parts;
    if (file !== 'body') {
      const isOfHead = file.writer === segment.writer && file.number === segment.number;
      this.#forgetSegment(isOfHead ? ordinal : index.ordinalOf(file));
    } else if (index.sequenceOf(slot) === sequence && !records.isLeaving(sequence)) {
      this.#parts.onEvicted(1);
      void records.note({ type: recordTypes.removed, hash: index.hashOf(slot), replaces: sequence });
    }
    return true;
  }

  #forgetSegment(ordinal: number): void {
    const { index, space, files } = this.#parts;
    this.#parts.onEvicted(index.dropSegment(ordinal).length);
    space.forget(ordinal);
    files.forgetSegment(ordinal);
    this.#releaseFreed();
  }

  #apply(records: readonly ForeignRecord[]): void {
    const { index, space } = this.#parts;
    for (const { header, segment, offset } of records) {
      const ordinal = index.ordinalOf(segment);
      space.reserveRecords(recordCostOf(header));
      space.settle(segment, ordinal, header.recordBytes, recordCostOf(header));
      if (header.type === recordTypes.stored && header.place === bodyPlaces.file) {
        space.addFile(fileOf(header));
      }
      this.#parts.records.observe(header.sequence);
      this.#supersedeBy(header);
      index.apply(header, ordinal, offset);
      if (header.type === recordTypes.namespaceFlushed) this.#parts.onFlushed();
    }
    this.#releaseFreed();
    this.#parts.onChange();
  }

  #releaseFreed(): void {
    const { index, space } = this.#parts;
    for (const file of index.takeFreedFiles()) space.removeFile(file);
  }

  /** What is on its way in when another process invalidates it may be from before. */
  #supersedeBy(header: RecordHeader): void {
    // An old one is said again by whoever drops the segment that it was in.
    if (header.sequence < this.#parts.index.lastSequence - lateSequences) return;
    const isCovered = coverageOf(header);
    if (isCovered === undefined) return;
    for (const writer of this.#parts.writers) if (isCovered(writer.key)) writer.supersede('superseded');
  }
}

function newsOf(type: RecordHeader['type']): NewsKind {
  switch (type) {
    case recordTypes.removed:
      return 'removed';
    case recordTypes.keyInvalidated:
      return 'key';
    case recordTypes.cleared:
    case recordTypes.namespaceFlushed:
      return 'all';
    default:
      return 'stored';
  }
}

function coverageOf({ type, hash, namespaceHash }: RecordHeader): ((key: string) => boolean) | undefined {
  switch (type) {
    case recordTypes.cleared:
      return () => true;
    case recordTypes.keyInvalidated:
      return (key) => isSameHash(hashOfKey(key), hash);
    case recordTypes.namespaceFlushed:
      return (key) => namespaceHashOf(namespaceOf(key)) === namespaceHash;
    default:
      return undefined;
  }
}
