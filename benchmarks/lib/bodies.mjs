// What the origin serves, and how a subject's answer is checked.
import { createHash } from 'node:crypto';

export const PAGE_BYTES = 20_000;
export const LARGE_BYTES = 1024 ** 3;
export const CHUNK_BYTES = 1024 ** 2;

// Fixed noise, in letters as a page would be: no coding or deduplication makes much of it.
const noise = Buffer.alloc(CHUNK_BYTES);
for (let at = 0, seed = 1; at < CHUNK_BYTES; at++) {
  seed = (Math.imul(seed, 1664525) + 1013904223) | 0;
  noise[at] = 0x40 + ((seed >>> 20) & 0x3f);
}

export function pageOf(number) {
  const page = Buffer.from(noise.subarray(0, PAGE_BYTES));
  page.write(nameOf(number));
  return page;
}

export function assertPage(body, number) {
  const isWhole = body.length === PAGE_BYTES && body[PAGE_BYTES - 1] === noise[PAGE_BYTES - 1];
  if (!isWhole || body.latin1Slice(0, 8) !== nameOf(number)) throw new Error(`the body of page ${number} is wrong`);
}

const nameOf = (number) => String(number).padStart(8, '0');

/** The same buffer each time. */
export function largeChunk(number) {
  noise.write(nameOf(number));
  return noise;
}

export function largeHash() {
  const hash = createHash('sha256');
  for (let number = 0; number * CHUNK_BYTES < LARGE_BYTES; number++) hash.update(largeChunk(number));
  return hash.digest('hex');
}
