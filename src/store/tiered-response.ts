import { type Duplex, pipeline, type Readable } from 'node:stream';
import type { StoredHead } from '../http/message.js';
import type { StoredResponse, StoreRef } from './contract.js';

type Range = { readonly start?: number; readonly end?: number };

/** A copy in the memory tier, under the ref by which callers know it. */
export class MemoryCopy implements StoredResponse {
  readonly tier = 'memory';
  readonly ref: StoreRef;
  readonly #copy: StoredResponse;

  constructor(ref: StoreRef, copy: StoredResponse) {
    this.ref = ref;
    this.#copy = copy;
  }

  get head(): StoredHead {
    return this.#copy.head;
  }

  get bodyBytes(): number {
    return this.#copy.bodyBytes;
  }

  get inlineBody(): Uint8Array | undefined {
    return this.#copy.inlineBody;
  }

  openBody(range?: Range): Readable {
    return this.#copy.openBody(range);
  }
}

/** A response in the disk tier whose body waits to be copied to memory, and must not be written over before. */
export class SharedResponse implements StoredResponse {
  readonly tier = 'disk';
  readonly ref: StoreRef;
  readonly head: StoredHead;
  readonly bodyBytes: number;
  readonly inlineBody: Uint8Array | undefined;
  readonly #response: StoredResponse;

  constructor(response: StoredResponse) {
    this.ref = response.ref;
    this.head = response.head;
    this.bodyBytes = response.bodyBytes;
    this.inlineBody = response.inlineBody;
    this.#response = response;
  }

  openBody(range?: Range): Readable {
    return this.#response.openBody(range);
  }
}

/** A response in the disk tier whose body is promoted by the first reader that reads all of it. */
export class TappedResponse implements StoredResponse {
  readonly tier = 'disk';
  readonly inlineBody = undefined;
  readonly ref: StoreRef;
  readonly head: StoredHead;
  readonly bodyBytes: number;
  readonly #response: StoredResponse;
  readonly #tap: (response: StoredResponse) => Duplex | undefined;

  constructor(response: StoredResponse, tap: (response: StoredResponse) => Duplex | undefined) {
    this.ref = response.ref;
    this.head = response.head;
    this.bodyBytes = response.bodyBytes;
    this.#response = response;
    this.#tap = tap;
  }

  openBody(range?: Range): Readable {
    const body = this.#response.openBody(range);
    const isAll = range?.start === undefined && range?.end === undefined;
    const tap = isAll ? this.#tap(this.#response) : undefined;
    // `pipeline` destroys each with the error of the other; the reader of the tap is told, so nothing is left to do here.
    return tap === undefined ? body : pipeline(body, tap, () => {});
  }
}
