import type { StoredHead } from '../http/message.js';
import type { WriterFailure } from '../protocol/messages.js';
import type { WriteQueue } from '../protocol/write-queue.js';
import type { CommitResult, CreateOptions, DeclineReason } from './contract.js';
import { type DiskCommits, reasonOf } from './disk-commits.js';
import type { DiskCounters } from './disk-counters.js';
import { DiskEntryWriter, type WriterHost, type WrittenBody } from './disk-entry-writer.js';
import type { DiskEvictor } from './disk-evictor.js';
import type { DiskFiles, ReadHandle } from './disk-files.js';
import type { DiskSpace } from './disk-space.js';
import { HeldBytes } from './held-bytes.js';
import type { VersionTurns } from './version-turns.js';

export interface WritersParts {
  readonly queue: WriteQueue;
  readonly files: DiskFiles;
  readonly space: DiskSpace;
  readonly evictor: Pick<DiskEvictor, 'makeRoom'>;
  readonly commits: DiskCommits;
  readonly versions: VersionTurns;
  readonly counters: DiskCounters;
  readonly maxEntryBytes: number;
  /** Why nothing can be stored now; `undefined` when all is well. */
  refusal(): DeclineReason | undefined;
}

/** Responses on their way to the disk, and what they share. */
export class DiskWriters implements WriterHost {
  readonly queue: WriteQueue;
  readonly maxEntryBytes: number;
  /** All that are under way. */
  readonly all = new Set<DiskEntryWriter>();
  readonly #parts: WritersParts;
  readonly #held = new HeldBytes();
  #nextFile = 1;

  constructor(parts: WritersParts) {
    this.queue = parts.queue;
    this.maxEntryBytes = parts.maxEntryBytes;
    this.#parts = parts;
  }

  create(key: string, head: StoredHead, options: CreateOptions): DiskEntryWriter {
    const writer = new DiskEntryWriter(this, key, head, options);
    this.all.add(writer);
    return writer;
  }

  /** None of them is stored, unless it is too late for that. */
  supersede(reason: 'superseded' | 'closed'): void {
    for (const writer of this.all) writer.supersede(reason);
  }

  /** Resolves when what is being committed by now is stored, or not. */
  async settled(): Promise<void> {
    await Promise.all([...this.all].map((writer) => writer.settled()));
  }

  inTurn(key: string, head: StoredHead, store: () => Promise<CommitResult>): Promise<CommitResult> {
    return this.#parts.versions.run(key, head, store);
  }

  refusal(): DeclineReason | undefined {
    return this.#parts.refusal();
  }

  newFile(): number {
    this.#nextFile += 1;
    return this.#nextFile - 1;
  }

  openUnfinished(file: number): Promise<ReadHandle> {
    return this.#parts.files.openUnfinishedBody({ writer: this.queue.session.writer, number: file });
  }

  reserveFile(bytes: number): void {
    this.#parts.space.reserve(bytes);
    this.#parts.evictor.makeRoom();
  }

  holdBytes(change: number): boolean {
    return this.#held.change(change);
  }

  isRoomy(): boolean {
    return this.#held.isRoomy;
  }

  room(): Promise<void> {
    return this.#held.room(this.queue);
  }

  reasonOf(failure: WriterFailure): DeclineReason {
    return reasonOf(failure);
  }

  commit(key: string, head: StoredHead, options: CreateOptions, body: WrittenBody): Promise<CommitResult> {
    return this.#parts.commits.commit(key, head, options, body);
  }

  forget(writer: DiskEntryWriter, isDeclined: boolean): void {
    if (isDeclined) this.#parts.counters.declined += 1;
    this.all.delete(writer);
  }
}
