import { codecs } from '../disk/codecs.js';
import type { BodyFile, DiskIndex } from '../disk/index-table.js';
import { hashOfKey } from '../disk/key-hash.js';
import { bodyPlaces, fileBlockShift, framedBytesOf, logBlockShift, recordTypes } from '../disk/record.js';
import type { StoredHead } from '../http/message.js';
import type { WriterFailure } from '../protocol/messages.js';
import { onceKnown, type WriteQueue } from '../protocol/write-queue.js';
import type { Compression } from './compression.js';
import type { CommitResult, CreateOptions, DeclineReason, StoredResponse, StoreRef } from './contract.js';
import type { DiskCounters } from './disk-counters.js';
import type { WrittenBody } from './disk-entry-writer.js';
import type { Victim } from './disk-evictor.js';
import type { DiskReader, FoundRecord } from './disk-reader.js';
import type { RecordWriter } from './disk-record-writer.js';
import type { DiskSpace } from './disk-space.js';
import type { EntryLimit } from './entry-limit.js';

export interface CommitParts {
  readonly index: DiskIndex;
  readonly space: DiskSpace;
  readonly records: RecordWriter;
  readonly reader: DiskReader;
  readonly queue: WriteQueue;
  readonly compression: Compression | undefined;
  readonly limit: EntryLimit;
  readonly counters: DiskCounters;
  onEvicted(entries: number): void;
  /** The worker is well: it has stored something. */
  onStored(): void;
}

const noRefs: readonly StoreRef[] = [];
const noChunks: readonly Uint8Array[] = [];
const noTags: readonly string[] = [];
const outOfSpace: ReadonlySet<string> = new Set(['ENOSPC', 'EDQUOT', 'EFBIG']);

/** There is no room on the device, or none for this user. */
export function isOutOfSpace({ code }: Pick<WriterFailure, 'code'>): boolean {
  return outOfSpace.has(code);
}

/** Why something was not stored that could not be written. */
export function reasonOf(failure: WriterFailure): DeclineReason {
  if (isOutOfSpace(failure)) return 'no-space';
  if (failure.code === 'too-large') return 'too-large';
  return failure.code === 'ETIMEDOUT' ? 'overloaded' : 'unavailable';
}

/** Makes records of responses, and of new heads for them, and tells what became of those. */
export class DiskCommits {
  readonly #parts: CommitParts;

  constructor(parts: CommitParts) {
    this.#parts = parts;
  }

  /** The slot of what a ref names; -1 if that is gone, or will be when what is queued is written. */
  slotOf(ref: StoreRef): number {
    const { index, records } = this.#parts;
    return records.isLeaving(ref.sequence) ? -1 : index.slotOf(hashOfKey(ref.key), ref.sequence);
  }

  async commit(key: string, head: StoredHead, options: CreateOptions, body: WrittenBody): Promise<CommitResult> {
    const { compression, limit, queue, reader, records, space } = this.#parts;
    const isFile = body.place === 'file';
    if (isFile) space.addFile(this.#fileOf(body));
    const replaced =
      options.replaces === undefined || options.replaces.length === 0
        ? noRefs
        : options.replaces.filter((ref) => !space.wasEvicted(ref.sequence));
    if (replaced.some((ref) => this.slotOf(ref) < 0)) {
      if (isFile) this.#giveBack(this.#fileOf(body));
      return { outcome: 'declined', reason: 'superseded' };
    }
    const own = replaced.find((ref) => ref.key === key);
    const others = replaced.length === 0 ? noRefs : replaced.filter((ref) => ref !== own);
    const coming = own === undefined ? 1 : 0;
    const mayCompress = compression !== undefined && !isFile;
    const codec = mayCompress ? compression.codecFor(head.fields, body.bytes) : codecs.identity;
    const victims = limit.admit(coming);
    const result = await records.put({
      key,
      head,
      tags: options.tags ?? noTags,
      crcs: isFile ? body.crcs : undefined,
      removes:
        others.length === 0
          ? victims
          : [...victims, ...others.map((ref) => ({ hash: hashOfKey(ref.key), replaces: ref.sequence }))],
      chunks: isFile ? noChunks : body.chunks,
      areLent: !isFile && body.areLent,
      header: {
        type: recordTypes.stored,
        hash: hashOfKey(key),
        replaces: own?.sequence ?? 0,
        priority: Math.max(-128, Math.min(127, Math.trunc(options.priority ?? 0))),
        expiresMs: options.expiresMs ?? 0,
        codec,
        place: isFile ? bodyPlaces.file : bodyPlaces.inline,
        blockShift: isFile ? fileBlockShift : logBlockShift,
        bodyBytes: body.bytes,
        rawBytes: body.bytes,
        bodyWriter: isFile ? queue.session.writer : 0,
        bodyNumber: isFile ? body.file : 0,
        bodyOffset: isFile ? body.content : 0,
      },
    });
    if (result.outcome === 'failed') {
      onceKnown(result, (final) => {
        if (final.outcome === 'written') {
          if (final.applied.place !== undefined) this.#noteStored(codec, victims);
          return;
        }
        limit.giveUp(coming, victims);
        if (isFile) this.#giveBack(this.#fileOf(body));
      });
      return { outcome: 'declined', reason: reasonOf(result.failure) };
    }
    const { place } = result.applied;
    if (place === undefined) return { outcome: 'declined', reason: 'superseded' };
    this.#noteStored(codec, victims);
    return { outcome: 'stored', response: reader.responseAt(place, key, head, body.bytes) };
  }

  /** Appends a new head for a body that stays. `undefined`: it was changed meanwhile, or could not be written. */
  async freshen(
    { place, record }: FoundRecord,
    head: StoredHead,
    expiresMs: number | undefined,
  ): Promise<StoredResponse | undefined> {
    const { index, reader, records } = this.#parts;
    const { header, key, tags, crcs } = record;
    const { sequence, segment, offset } = place;
    const slot = this.slotOf({ key, sequence });
    if (slot < 0) return undefined;
    if (!index.isHeadIn(slot, place.ordinal)) {
      // It was moved since it was read.
      const again = await reader.read(slot, key);
      return again && this.freshen(again, head, expiresMs);
    }
    const inline = header.place === bodyPlaces.inline;
    const result = await records.put({
      key,
      head,
      tags,
      crcs,
      removes: [],
      chunks: noChunks,
      areLent: false,
      header: {
        type: recordTypes.freshened,
        hash: header.hash,
        replaces: sequence,
        priority: header.priority,
        expiresMs: expiresMs ?? header.expiresMs,
        codec: header.codec,
        place: header.place === bodyPlaces.file ? bodyPlaces.file : bodyPlaces.log,
        blockShift: header.blockShift,
        bodyBytes: header.bodyBytes,
        rawBytes: header.rawBytes,
        bodyWriter: inline ? segment.writer : header.bodyWriter,
        bodyNumber: inline ? segment.number : header.bodyNumber,
        bodyOffset: inline
          ? offset + framedBytesOf(header.headBytes, header.bodyBytes, header.blockShift)
          : header.bodyOffset,
      },
    });
    if (result.outcome === 'failed' || result.applied.place === undefined) return undefined;
    return reader.responseAt(result.applied.place, key, head, header.rawBytes);
  }

  #noteStored(codec: number, victims: readonly Victim[]): void {
    const { counters, limit, onEvicted, onStored } = this.#parts;
    counters.noteCommitted(codec);
    if (victims.length > 0) onEvicted(victims.length);
    limit.check();
    onStored();
  }

  #fileOf({ file: number, bytes, content }: Extract<WrittenBody, { place: 'file' }>): BodyFile {
    return { writer: this.#parts.queue.session.writer, number, bytes, content };
  }

  #giveBack(file: BodyFile): void {
    this.#parts.space.removeFile(file);
    this.#parts.queue.removeFiles([file]);
  }
}
