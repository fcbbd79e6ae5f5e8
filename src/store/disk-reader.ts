import type { Readable } from 'node:stream';
import { codecs } from '../disk/codecs.js';
import type { DiskIndex, LogPlace, SegmentName } from '../disk/index-table.js';
import { hashOfKey, type KeyHash } from '../disk/key-hash.js';
import { bodyPlaces, type RecordHeader } from '../disk/record.js';
import { CacheError } from '../errors.js';
import type { StoredHead } from '../http/message.js';
import { failureOf } from '../protocol/failure.js';
import type { WriterFailure } from '../protocol/messages.js';
import type { StoredResponse } from './contract.js';
import { type ByteRange, createBlockStream, createBytesStream, type OpenBlocks } from './disk-body.js';
import type { DiskFiles } from './disk-files.js';
import { openBodyOf, type ReadRecord, readCodedBody, readRecord } from './disk-record-reader.js';

export interface DiskReaderOptions {
  readonly index: DiskIndex;
  readonly files: DiskFiles;
  /** A stored response turned out to be damaged. */
  readonly onDamage: (key: string, hash: KeyHash, sequence: number, detail: string) => void;
  /** A file is not there: a segment, or the body's own. */
  readonly onMissing: (key: string, place: LogPlace, file: SegmentName | 'body') => void;
  /** A file could not be read, which says nothing of what is in it. */
  readonly onFailure: (failure: WriterFailure) => void;
}

/** A record and where it was read. */
export interface FoundRecord {
  readonly place: LogPlace;
  readonly record: ReadRecord;
}

/** Several responses may lie in one buffer: a small one that somebody keeps would hold on to all of them. */
const holdsLittleElse = (bytes: Uint8Array): boolean => bytes.byteLength >= bytes.buffer.byteLength / 8;

/** Turns slots of the index into stored responses. */
export class DiskReader {
  readonly #options: DiskReaderOptions;

  constructor(options: DiskReaderOptions) {
    this.#options = options;
  }

  /**
   * Reads what is at a slot; `undefined` if it is of another key, damaged, or gone by the time it was read. Without a
   * key: whatever is there.
   */
  async read(slot: number, key: string | undefined): Promise<FoundRecord | undefined> {
    const { index, files, onDamage, onMissing, onFailure } = this.#options;
    const place = index.placeOf(slot);
    const isMoved = (): boolean => !index.isHeadIn(slot, place.ordinal);
    let record: ReadRecord | string | undefined;
    try {
      record = await readRecord(files, place);
    } catch (error) {
      if (index.sequenceOf(slot) === place.sequence && isMoved()) return this.read(slot, key);
      const failure = failureOf(error);
      if (failure.code === 'ENOENT') onMissing(key ?? '', place, place.segment);
      // A segment that was dropped meanwhile, or files that were closed, are not worth a word.
      else if (index.sequenceOf(slot) === place.sequence) onFailure(failure);
    }
    if (record === undefined || index.sequenceOf(slot) !== place.sequence) return undefined;
    if (typeof record === 'string') {
      onDamage(key ?? '', index.hashOf(slot), place.sequence, record);
      return undefined;
    }
    return key !== undefined && record.key !== key ? undefined : { place, record };
  }

  responseOf({ place, record }: FoundRecord): StoredResponse {
    const { onDamage, onMissing } = this.#options;
    const { header, key, head, inlineBody } = record;
    const bodyBytes = header.rawBytes;
    const onCorrupt = (detail: string): void => onDamage(key, header.hash, place.sequence, detail);
    const open = () => this.#openBlocks(place, record, onCorrupt);
    return {
      ref: { key, sequence: place.sequence },
      head,
      bodyBytes,
      tier: 'disk',
      inlineBody,
      isInlineBodyOwn: inlineBody !== undefined && holdsLittleElse(inlineBody),
      openBody(range?: ByteRange): Readable {
        if (inlineBody !== undefined) return createBytesStream(inlineBody, range);
        const body = {
          bodyBytes,
          open,
          onCorrupt,
          onMissing: () => onMissing(key, place, bodyFileNameIn(header, place)),
        };
        return createBlockStream(body, range);
      },
    };
  }

  /** What was just stored: read again only if somebody wants its body. */
  responseAt(place: LogPlace, key: string, head: StoredHead, bodyBytes: number): StoredResponse {
    const openBody = (range?: ByteRange): Readable => this.#openAgain(place, key, bodyBytes, range);
    return { ref: { key, sequence: place.sequence }, head, bodyBytes, tier: 'disk', inlineBody: undefined, openBody };
  }

  #openAgain(place: LogPlace, key: string, bodyBytes: number, range: ByteRange | undefined): Readable {
    const { onDamage, onMissing } = this.#options;
    let missing: SegmentName | 'body' = place.segment;
    const onCorrupt = (detail: string): void => onDamage(key, hashOfKey(key), place.sequence, detail);
    const open = async () => {
      const record = await this.#readAgain(place, hashOfKey(key));
      if (record === undefined) throw new CacheError('ERR_CACHE_ACCESS', 'the body has an unknown codec');
      if (typeof record === 'string') {
        onCorrupt(record);
        throw new CacheError('ERR_CACHE_CORRUPT', record);
      }
      missing = bodyFileNameIn(record.header, place);
      return this.#openBlocks(place, record, onCorrupt);
    };
    const body = { bodyBytes, open, onCorrupt, onMissing: () => onMissing(key, place, missing) };
    return createBlockStream(body, range);
  }

  /** A body that is coded is decoded as a whole: no more than what goes into the log is ever coded. */
  async #openBlocks(
    place: LogPlace,
    { header, crcs }: ReadRecord,
    onCorrupt: (detail: string) => void,
  ): Promise<OpenBlocks> {
    const opened = await this.#openBody(place, header);
    if (header.codec === codecs.identity) return { ...opened, crcs, blockShift: header.blockShift };
    try {
      const decoded = await readCodedBody(opened, header, crcs);
      if (typeof decoded === 'string') {
        onCorrupt(decoded);
        throw new CacheError('ERR_CACHE_CORRUPT', decoded);
      }
      const handle = {
        read: async (position: number, length: number) => decoded.subarray(position, position + length),
        close: () => {},
      };
      return { handle, startInFile: 0, crcs: undefined, blockShift: header.blockShift };
    } finally {
      opened.handle.close();
    }
  }

  /** The body of a response that may have been moved since its head was read. */
  async #openBody(place: LogPlace, header: RecordHeader): ReturnType<typeof openBodyOf> {
    const { files } = this.#options;
    try {
      return await openBodyOf(files, place, header);
    } catch (error) {
      const now = this.#newPlaceOf(place, header.hash);
      const record = now === undefined ? undefined : await readRecord(files, now);
      if (now === undefined || record === undefined || typeof record === 'string') throw error;
      return openBodyOf(files, now, record.header);
    }
  }

  async #readAgain(place: LogPlace, hash: KeyHash): Promise<ReadRecord | string | undefined> {
    const { files } = this.#options;
    try {
      return await readRecord(files, place);
    } catch (error) {
      const now = this.#newPlaceOf(place, hash);
      if (now === undefined) throw error;
      return readRecord(files, now);
    }
  }

  /** Where a response is by now, if it was moved. */
  #newPlaceOf(place: LogPlace, hash: KeyHash): LogPlace | undefined {
    const { index } = this.#options;
    const slot = index.slotOf(hash, place.sequence);
    const now = slot < 0 ? undefined : index.placeOf(slot);
    return now?.ordinal === place.ordinal ? undefined : now;
  }
}

/** What holds a body. */
function bodyFileNameIn({ place, bodyWriter, bodyNumber }: RecordHeader, { segment }: LogPlace): SegmentName | 'body' {
  switch (place) {
    case bodyPlaces.inline:
      return segment;
    case bodyPlaces.log:
      return { writer: bodyWriter, number: bodyNumber };
    case bodyPlaces.file:
      return 'body';
  }
}
