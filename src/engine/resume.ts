import { Readable } from 'node:stream';
import { isWeak } from '../http/etags.js';
import { fieldValueOf } from '../http/fields.js';
import type { ResponseHead } from '../http/message.js';
import type { CacheResponse } from './messages.js';

/**
 * A body out of the cache that does not end where its source breaks off (the request it follows fails, a stored block is damaged): it
 * asks again, once, and goes on from where it was, if the new answer is the same representation. Its reader notices nothing.
 */
export class ResumingBody extends Readable {
  readonly #head: ResponseHead;
  readonly #again: () => Promise<CacheResponse>;
  #source: Readable;
  #delivered = 0;
  #toSkip = 0;
  #hasAsked = false;

  /** `start`: where in the representation the source begins, in bytes; `end`: its last byte, if it is a part. */
  constructor(source: Readable, head: ResponseHead, again: () => Promise<CacheResponse>) {
    super();
    this.#head = head;
    this.#again = again;
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
      if (this.#source === source) this.push(null);
    });
    source.on('error', (error) => {
      if (this.#source === source && !this.destroyed) void this.#resume(error);
    });
    source.pause();
  }

  #take(source: Readable, chunk: Buffer): void {
    if (this.#source !== source) return;
    const skipped = Math.min(this.#toSkip, chunk.byteLength);
    this.#toSkip -= skipped;
    if (skipped === chunk.byteLength) return;
    this.#delivered += chunk.byteLength - skipped;
    if (!this.push(skipped === 0 ? chunk : chunk.subarray(skipped))) source.pause();
  }

  #mayGoOn(head: ResponseHead): boolean {
    if (isSameRepresentation(this.#head, head)) return true;
    return this.#delivered === 0 && isSameShape(this.#head, head);
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
      if (this.destroyed || !this.#mayGoOn(head)) {
        source.on('error', () => undefined);
        source.destroy();
        this.destroy(cause);
        return;
      }
      this.#toSkip = this.#delivered;
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

/** Nothing tells two answers apart, and a reader that has had no byte of the one may have the other. */
function isSameShape(one: ResponseHead, other: ResponseHead): boolean {
  const names = ['etag', 'last-modified', 'content-length', 'content-type', 'content-encoding'];
  return (
    one.status === other.status &&
    names.every((name) => fieldValueOf(one.fields, name) === fieldValueOf(other.fields, name))
  );
}
