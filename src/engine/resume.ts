import { Readable } from 'node:stream';
import { CacheError } from '../errors.js';
import { isWeak } from '../http/etags.js';
import { fieldValueOf, withFields, withoutFields, withoutHopByHop } from '../http/fields.js';
import type { FieldLines, ResponseHead } from '../http/message.js';
import type { CacheResponse } from './messages.js';

/** Where in a representation of `ofBytes` a body lies, in bytes, the last one included. */
export interface BodyPart {
  readonly start: number;
  readonly end: number;
  readonly ofBytes: number;
}

/**
 * A body out of the cache that does not end where its source breaks off (the request it follows fails, a stored block is damaged): it
 * asks again, once, and goes on from where it was, if the new answer is the same representation. Its reader notices nothing.
 */
export class ResumingBody extends Readable {
  readonly #head: ResponseHead;
  readonly #again: () => Promise<CacheResponse>;
  readonly #part: BodyPart | undefined;
  #source: Readable;
  #delivered = 0;
  #missing: number;
  #toSkip = 0;
  #hasAsked = false;

  /** `head`: of the whole representation. `part`: what of it the source has, if not all. */
  constructor(source: Readable, head: ResponseHead, again: () => Promise<CacheResponse>, part?: BodyPart) {
    super();
    this.#head = head;
    this.#again = again;
    this.#part = part;
    this.#missing = part === undefined ? Number.POSITIVE_INFINITY : part.end - part.start + 1;
    this.#source = source;
    this.#listen(source);
  }

  override _read(): void {
    this.#source.resume();
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    this.#source.destroy();
    callback(error);
  }

  #listen(source: Readable): void {
    source.on('data', (chunk: Buffer) => this.#take(source, chunk));
    source.on('end', () => {
      if (this.#source !== source || this.#missing === 0) return;
      if (this.#part === undefined) this.push(null);
      else this.destroy(new CacheError('ERR_CACHE_ABORTED', `${this.#missing} bytes of a part did not come`));
    });
    source.on('error', (error) => {
      if (this.#source === source && this.#missing > 0 && !this.destroyed) void this.#resume(error);
    });
    source.pause();
  }

  #take(source: Readable, chunk: Buffer): void {
    if (this.#source !== source) return;
    const skipped = Math.min(this.#toSkip, chunk.byteLength);
    this.#toSkip -= skipped;
    const taken = chunk.subarray(skipped, skipped + this.#missing);
    if (taken.byteLength === 0) return;
    this.#delivered += taken.byteLength;
    this.#missing -= taken.byteLength;
    if (!this.push(taken)) source.pause();
    if (this.#missing === 0) this.push(null);
  }

  /** How much of a new answer's body is to be skipped to go on in it; `undefined`: it is of no use. */
  #placeIn(head: ResponseHead): number | undefined {
    if (this.#part === undefined || head.status !== 206) {
      return this.#mayGoOn(this.#head, head) ? (this.#part?.start ?? 0) + this.#delivered : undefined;
    }
    const { start, end, ofBytes } = this.#part;
    const isSamePart = fieldValueOf(head.fields, 'content-range') === `bytes ${start}-${end}/${ofBytes}`;
    // The length of the whole is in Content-Range.
    const whole = { ...head, status: this.#head.status, fields: withFields(head.fields, lengthOf(this.#head)) };
    return isSamePart && this.#mayGoOn(this.#head, whole) ? this.#delivered : undefined;
  }

  #mayGoOn(one: ResponseHead, other: ResponseHead): boolean {
    return isSameRepresentation(one, other) || (this.#delivered === 0 && isSameShape(one, other));
  }

  async #resume(cause: Error): Promise<void> {
    if (this.#hasAsked) {
      this.destroy(cause);
      return;
    }
    this.#hasAsked = true;
    try {
      const { head, body } = await this.#again();
      const source = body.from === 'origin' ? body.tap.stream : body.open();
      const toSkip = this.#placeIn(head);
      if (this.destroyed || toSkip === undefined) {
        source.on('error', () => undefined);
        source.destroy();
        this.destroy(cause);
        return;
      }
      this.#toSkip = toSkip;
      this.#source = source;
      this.#listen(source);
      source.resume();
    } catch (error) {
      this.destroy(error instanceof Error ? error : cause);
    }
  }
}

/** The bytes of one can go on in the other: a strong validator says so (RFC 9110 §8.8.1), or a date and a length do. */
function isSameRepresentation(one: ResponseHead, other: ResponseHead): boolean {
  const same = (name: string): boolean => fieldValueOf(one.fields, name) === fieldValueOf(other.fields, name);
  if (one.status !== other.status || !same('content-encoding')) return false;
  const etag = fieldValueOf(one.fields, 'etag');
  if (etag !== undefined) return !isWeak(etag) && same('etag');
  return fieldValueOf(one.fields, 'last-modified') !== undefined && same('last-modified') && same('content-length');
}

/** Say something of one message, and nothing of the representation in it. */
const ofOneMessage: ReadonlySet<string> = new Set([
  'age',
  'cache-status',
  'content-length',
  'date',
  'expires',
  'server-timing',
  'set-cookie',
  'x-request-id',
]);

/** Nothing tells two answers apart, and a reader that has had no byte of the one may have the other. */
function isSameShape(one: ResponseHead, other: ResponseHead): boolean {
  const length = fieldValueOf(one.fields, 'content-length');
  // A reader who was told of no length takes any.
  if (length !== undefined && length !== fieldValueOf(other.fields, 'content-length')) return false;
  return one.status === other.status && shapeOf(one) === shapeOf(other);
}

function shapeOf({ fields }: ResponseHead): string {
  const kept = withoutFields(withoutHopByHop(fields), (name) => ofOneMessage.has(name));
  const names = new Set(kept.filter((_, position) => position % 2 === 0).map((name) => name.toLowerCase()));
  return JSON.stringify([...names].sort().map((name) => [name, fieldValueOf(kept, name)]));
}

function lengthOf({ fields }: ResponseHead): FieldLines {
  const length = fieldValueOf(fields, 'content-length');
  return length === undefined ? [] : ['Content-Length', length];
}
