import { crc32 } from 'node:zlib';
import type { BodyFile } from './index-table.js';

/**
 * What a record says of the content of a body file, 32 bits: the checksum of its checksums, with the last bit set if the file was made
 * as a link to an older one with the same bytes. Contents that differ may agree in this; which are the same, only their bytes tell.
 */
export function contentOf(crcs: Uint32Array): number {
  const table = new DataView(new ArrayBuffer(4 * crcs.length));
  crcs.forEach((crc, i) => {
    table.setUint32(4 * i, crc, true);
  });
  return (crc32(new Uint8Array(table.buffer)) & ~linkBit) >>> 0;
}

export function asLink(content: number): number {
  return (content | linkBit) >>> 0;
}

export function isLink(content: number): boolean {
  return (content & linkBit) !== 0;
}

/** The same for files that may have the same bytes: 31 bits of their content and 22 of their length. */
export function contentKeyOf({ bytes, content }: Pick<BodyFile, 'bytes' | 'content'>): number {
  return (content >>> 1) * 2 ** lengthBits + (bytes % 2 ** lengthBits);
}

const linkBit = 1;
const lengthBits = 22;
