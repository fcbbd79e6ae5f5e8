import { isLink } from '../disk/body-content.js';
import { codecs } from '../disk/codecs.js';
import { bodyPlaces, type RecordHeader } from '../disk/record.js';

/** What a disk store has done since it was opened. Told to users by these names: `docs/stats.md`. */
export class DiskCounters {
  lookups = 0;
  hits = 0;
  absent = 0;
  stored = 0;
  declined = 0;
  freshened = 0;
  removed = 0;
  invalidated = 0;
  softInvalidated = 0;
  namespacesFlushed = 0;
  evicted = 0;
  reinserted = 0;
  corrupt = 0;
  compressed = 0;
  compressedRawBytes = 0;
  compressionSavedBytes = 0;
  deduplicated = 0;
  deduplicatedBytes = 0;
  workersLost = 0;
  #triedToCompress = 0;

  /** `codec`: the one to be tried. */
  noteCommitted(codec: number): void {
    this.stored += 1;
    if (codec !== codecs.identity) this.#triedToCompress += 1;
  }

  /** Of what became of the body, only its record tells. */
  noteWritten({ codec, place, bodyBytes, rawBytes, bodyOffset }: RecordHeader): void {
    if (place === bodyPlaces.file && isLink(bodyOffset)) {
      this.deduplicated += 1;
      this.deduplicatedBytes += bodyBytes;
    }
    if (codec === codecs.identity) return;
    this.compressed += 1;
    this.compressedRawBytes += rawBytes;
    this.compressionSavedBytes += rawBytes - bodyBytes;
  }

  snapshot(): Readonly<Record<string, number>> {
    const counters: Omit<DiskCounters, 'noteCommitted' | 'noteWritten' | 'snapshot'> = { ...this };
    return { ...counters, compressionSkipped: Math.max(0, this.#triedToCompress - this.compressed) };
  }
}
