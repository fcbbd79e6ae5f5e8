/** A user's value as plain data. `packedBytes`: how long it gets in msgpack at the most. */
export type PlainCopy =
  | { readonly kind: 'plain'; readonly value: unknown; readonly packedBytes: number }
  | { readonly kind: 'too-large' }
  | { readonly kind: 'not-plain' };

const maxDepth = 32;

/**
 * Copies what msgpack can carry: text, numbers, booleans, null, undefined, 64-bit bigints, Dates, bytes, and lists and plain objects of these.
 * The copy has no getters, no holes, no proxies and no owner who may go on changing it, so that it surely packs, within its bound, on another thread.
 */
export function plainCopyOf(value: unknown, maxBytes: number, maxNames = Number.POSITIVE_INFINITY): PlainCopy {
  const copier = new Copier(maxBytes, maxNames);
  try {
    return { kind: 'plain', value: copier.copy(value, 0), packedBytes: maxBytes - copier.leftBytes };
  } catch (error) {
    // A getter or a proxy of the user's may throw anything.
    return { kind: error === tooLarge ? 'too-large' : 'not-plain' };
  }
}

const tooLarge = new Error('too large');
const notPlain = new Error('not plain');

class Copier {
  leftBytes: number;
  /** Names of properties, of all objects together. */
  #leftNames: number;

  constructor(maxBytes: number, maxNames: number) {
    this.leftBytes = maxBytes;
    this.#leftNames = maxNames;
  }

  copy(value: unknown, depth: number): unknown {
    switch (typeof value) {
      case 'string':
        this.#take(5 + Buffer.byteLength(value));
        return value;
      case 'bigint':
        if (value < -(2n ** 63n) || value >= 2n ** 64n) throw notPlain;
        this.#take(9);
        return value;
      case 'number':
      case 'boolean':
      case 'undefined':
        this.#take(9);
        return value;
      case 'object':
        return value === null ? this.#null() : this.#copyObject(value, depth);
      default:
        throw notPlain;
    }
  }

  #copyObject(value: object, depth: number): unknown {
    if (depth >= maxDepth) throw notPlain;
    if (value instanceof Date) {
      this.#take(15);
      return new Date(value.getTime());
    }
    if (value instanceof Uint8Array) {
      this.#take(6 + value.byteLength);
      return new Uint8Array(value);
    }
    this.#take(5);
    if (Array.isArray(value)) {
      // Before anything is made of it: a list may claim any length.
      if (value.length > this.leftBytes) throw tooLarge;
      return Array.from(value, (item: unknown) => this.copy(item, depth + 1));
    }
    const prototype: unknown = Object.getPrototypeOf(value);
    if (prototype !== Object.prototype && prototype !== null) throw notPlain;
    const entries = Object.entries(value).map(([name, item]): [string, unknown] => {
      // A name that objects made of msgpack cannot have.
      if (name === '__proto__') throw notPlain;
      this.#leftNames -= 1;
      if (this.#leftNames < 0) throw tooLarge;
      this.#take(5 + Buffer.byteLength(name));
      return [name, this.copy(item, depth + 1)];
    });
    return Object.fromEntries(entries);
  }

  #null(): null {
    this.#take(1);
    return null;
  }

  #take(bytes: number): void {
    this.leftBytes -= bytes;
    if (this.leftBytes < 0) throw tooLarge;
  }
}
