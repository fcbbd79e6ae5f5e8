// What the origin serves, and how a subject's answer is checked.
import { createHash } from 'node:crypto';

export const PAGE_BYTES = 20_000;
export const LARGE_BYTES = 1024 ** 3;
export const CHUNK_BYTES = 1024 ** 2;

// Fixed noise: no coding or deduplication makes it smaller.
const noise = Buffer.alloc(CHUNK_BYTES);
for (let at = 0, seed = 1; at < CHUNK_BYTES; at += 4) {
  seed = Math.imul(seed, 1664525) + 1013904223;
  noise.writeInt32LE(seed | 0, at);
}

export function pageOf(number) {
  const page = Buffer.from(noise.subarray(0, PAGE_BYTES));
  page.writeUInt32LE(number, 0);
  return page;
}

export function assertPage(body, number) {
  if (body.length !== PAGE_BYTES || body.readUInt32LE(0) !== number || body[PAGE_BYTES - 1] !== noise[PAGE_BYTES - 1]) {
    throw new Error(`the body of page ${number} is wrong`);
  }
}

/** The same buffer each time. */
export function largeChunk(number) {
  noise.writeUInt32LE(number, 0);
  return noise;
}

export function largeHash() {
  const hash = createHash('sha256');
  for (let number = 0; number * CHUNK_BYTES < LARGE_BYTES; number++) hash.update(largeChunk(number));
  return hash.digest('hex');
}
