import type { KeyHash } from '../disk/key-hash.js';
import type { Release, Word } from './lease-book.js';

/** What one process says to another: always so many bytes, drawn in `src/disk/FORMAT.md`. */
export const frameBytes = 24;

export const frameTypes = Object.freeze({ hello: 1, welcome: 2, news: 3, ask: 4, release: 5, told: 6 });

/**
 * What one process tells all others, the weightiest last: it has stored something; something that others may have is gone; a key was
 * invalidated; more than that was.
 */
export const newsKinds = Object.freeze(['stored', 'removed', 'key', 'all'] as const);
export type NewsKind = (typeof newsKinds)[number];

/** Of `release`. See `Release`. */
export const releaseKinds: readonly Release[] = Object.freeze(['look', 'apart'] as const);

/** Of `told`. See `Word`. */
export const words: readonly Word[] = Object.freeze(['granted', 'look', 'held', 'over', 'apart'] as const);

/** Says in `hello` and `welcome` what follows: "OFP1". */
export const protocolMark = 0x3150464f;

export interface Frame {
  readonly type: number;
  readonly detail: number;
  /** Which request for a lease it is about, by the number that the one who asked gave it; or the protocol. */
  readonly id: number;
  /** Of the key, if there is one; or, in `a`, the writer who speaks. */
  readonly hash: KeyHash;
}

export const noHash: KeyHash = Object.freeze({ a: 0, b: 0, c: 0, d: 0 });

export function writeFrame(target: Buffer, at: number, { type, detail, id, hash }: Frame): void {
  target.writeUInt32LE(type | (detail << 8), at);
  target.writeUInt32LE(id, at + 4);
  target.writeUInt32LE(hash.a, at + 8);
  target.writeUInt32LE(hash.b, at + 12);
  target.writeUInt32LE(hash.c, at + 16);
  target.writeUInt32LE(hash.d, at + 20);
}

export function readFrame(source: Buffer, at: number): Frame {
  return {
    type: source.readUInt8(at),
    detail: source.readUInt8(at + 1),
    id: source.readUInt32LE(at + 4),
    hash: {
      a: source.readUInt32LE(at + 8),
      b: source.readUInt32LE(at + 12),
      c: source.readUInt32LE(at + 16),
      d: source.readUInt32LE(at + 20),
    },
  };
}
