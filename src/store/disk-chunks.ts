/** A chunk that is shorter is copied into a block of ours: a million tiny ones would cost more than what they hold. */
const copyBelowBytes = 8 * 1024;
const blockBytes = 64 * 1024;

/** The bytes of a body that are in memory: all of it, or what came last. */
export class ChunkWindow {
  #chunks: Uint8Array[] = [];
  /** Where in the body the first chunk starts. */
  #firstByte = 0;
  #endByte = 0;
  /** The last chunk is the used part of this block, if there is one. */
  #block: Uint8Array | undefined;

  get chunks(): readonly Uint8Array[] {
    return this.#chunks;
  }

  get endByte(): number {
    return this.#endByte;
  }

  get heldBytes(): number {
    return this.#endByte - this.#firstByte;
  }

  /** Keeps a long chunk, or a first one, as it is: so it must not be changed after. */
  append(chunk: Uint8Array): void {
    const isFirst = this.#endByte === 0;
    this.#endByte += chunk.byteLength;
    if (isFirst || chunk.byteLength >= copyBelowBytes) {
      this.#block = undefined;
      this.#chunks.push(chunk);
      return;
    }
    const last = this.#block === undefined ? undefined : this.#chunks.at(-1);
    if (this.#block !== undefined && last !== undefined && last.byteLength + chunk.byteLength <= blockBytes) {
      this.#block.set(chunk, last.byteLength);
      this.#chunks[this.#chunks.length - 1] = this.#block.subarray(0, last.byteLength + chunk.byteLength);
      return;
    }
    this.#block = new Uint8Array(blockBytes);
    this.#block.set(chunk);
    this.#chunks.push(this.#block.subarray(0, chunk.byteLength));
  }

  /** Puts a copy in the place of the first chunk: the caller wants it back. */
  ownFirst(): void {
    const [first] = this.#chunks;
    if (first !== undefined) this.#chunks[0] = Buffer.from(first);
  }

  /** Forgets what lies before a place in the body, as far as whole chunks do. */
  dropBefore(position: number): void {
    let dropped = 0;
    for (const chunk of this.#chunks) {
      if (this.#firstByte + chunk.byteLength > position) break;
      this.#firstByte += chunk.byteLength;
      dropped += 1;
    }
    if (dropped === 0) return;
    this.#chunks = this.#chunks.slice(dropped);
    if (this.#chunks.length === 0) this.#block = undefined;
  }

  /** The bytes from a place on, up to the end of a chunk; `undefined` if they are not here. */
  at(position: number): Uint8Array | undefined {
    if (position < this.#firstByte) return undefined;
    let start = this.#firstByte;
    for (const chunk of this.#chunks) {
      if (position < start + chunk.byteLength) return chunk.subarray(position - start);
      start += chunk.byteLength;
    }
    return undefined;
  }

  isForgotten(position: number): boolean {
    return position < this.#firstByte;
  }
}
