import type { Readable } from 'node:stream';
import type { StoredHead } from '../http/message.js';
import type { StoredResponse, StoreRef } from './contract.js';
import type { MemoryBody } from './memory-body.js';

/** Goes on serving its body when it is evicted or removed meanwhile. */
export class MemoryResponse implements StoredResponse {
  readonly tier = 'memory';
  readonly ref: StoreRef;
  readonly head: StoredHead;
  readonly #body: MemoryBody;

  constructor(ref: StoreRef, head: StoredHead, body: MemoryBody) {
    this.ref = ref;
    this.head = head;
    this.#body = body;
  }

  get bodyBytes(): number {
    return this.#body.bytes;
  }

  get inlineBody(): Uint8Array | undefined {
    return this.#body.single;
  }

  openBody({ start, end }: { readonly start?: number; readonly end?: number } = {}): Readable {
    const from = start ?? 0;
    const to = end ?? this.bodyBytes - 1;
    const isWithin =
      Number.isSafeInteger(from) && Number.isSafeInteger(to) && from >= 0 && from <= to && to < this.bodyBytes;
    const isAll = start === undefined && end === undefined;
    if (!isWithin && !isAll) throw new RangeError(`bytes ${from}-${to} of a body of ${this.bodyBytes}`);
    return this.#body.open(from, to + 1);
  }
}
