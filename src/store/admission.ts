const generationKeys = 16_384;
const generationBits = 1 << 18;

/**
 * The keys seen lately, in 64 KiB: two Bloom filters of which the older is emptied when the younger is full. May take a
 * key for one that was seen (some 0.4 %), and forgets one after 16,384 to 32,768 others.
 */
export class SeenKeys {
  #younger = new Uint32Array(generationBits / 32);
  #older = new Uint32Array(generationBits / 32);
  #count = 0;

  /** Whether the key was seen before; from now on it was. */
  see(key: string): boolean {
    const hash = hashOf(key);
    // Two halves of one hash make any number of independent-enough ones (Kirsch and Mitzenmacher 2006).
    const step = ((hash >>> 17) | (hash << 15) | 1) >>> 0;
    let isInYounger = true;
    let isInOlder = true;
    for (let probe = 0; probe < 4; probe += 1) {
      const bit = (hash + Math.imul(probe, step)) & (generationBits - 1);
      const mask = 1 << (bit & 31);
      if (((this.#younger[bit >>> 5] ?? 0) & mask) === 0) isInYounger = false;
      if (((this.#older[bit >>> 5] ?? 0) & mask) === 0) isInOlder = false;
      this.#younger[bit >>> 5] = (this.#younger[bit >>> 5] ?? 0) | mask;
    }
    if (!isInYounger) this.#count += 1;
    if (this.#count >= generationKeys) this.#turn();
    return isInYounger || isInOlder;
  }

  #turn(): void {
    [this.#younger, this.#older] = [this.#older.fill(0), this.#younger];
    this.#count = 0;
  }
}

/** FNV-1a with a final mix; not for use against an adversary, who could only make a cache keep or not keep in memory. */
function hashOf(text: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i += 1) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}
