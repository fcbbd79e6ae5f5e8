/** Reads up to `length` bytes at a place of a file into a buffer of its own. */
export type ReadBytes = (
  fd: number,
  position: number,
  length: number,
  done: (error: Error | null, bytes: Uint8Array) => void,
) => void;

interface Wanted {
  readonly fd: number;
  readonly position: number;
  readonly length: number;
  readonly done: (error: Error | null, bytes: Uint8Array) => void;
}

/** A buffer lives as long as any part of it, so this is what a small body that somebody keeps may hold on to: twice a chunk off a socket. */
const maxSharedBytes = 128 * 1024;
const maxGapBytes = 1024;

/**
 * Reads that come up in one turn of the event loop are submitted together, and those of neighbours are one: waking a thread of libuv, and making
 * a buffer, cost more than what is read. What was stored in a row is asked for in a row.
 */
export class MergedReads {
  readonly #read: ReadBytes;
  #wanted: Wanted[] = [];

  constructor(read: ReadBytes) {
    this.#read = read;
  }

  /** No two readers get the same bytes in memory. */
  add(wanted: Wanted): void {
    this.#wanted.push(wanted);
    if (this.#wanted.length === 1) setImmediate(() => this.#submit());
  }

  #submit(): void {
    const wanted = this.#wanted;
    this.#wanted = [];
    if (wanted.length > 1) wanted.sort((a, b) => a.fd - b.fd || a.position - b.position);
    for (let first = 0, next = 1; first < wanted.length; first = next, next += 1) {
      while (next < wanted.length && areNeighbours(wanted, first, next)) next += 1;
      this.#readTogether(wanted, first, next);
    }
  }

  #readTogether(wanted: readonly Wanted[], first: number, end: number): void {
    const start = wanted[first];
    const last = wanted[end - 1];
    if (start === undefined || last === undefined) return;
    if (start === last) {
      this.#read(start.fd, start.position, start.length, start.done);
      return;
    }
    const { fd, position } = start;
    this.#read(fd, position, last.position + last.length - position, (error, bytes) => {
      for (let at = first; at < end; at += 1) {
        const each = wanted[at];
        if (each === undefined) return;
        const from = each.position - position;
        if (error === null) each.done(null, bytes.subarray(from, from + each.length));
        // One that cannot be read says nothing of its neighbours.
        else this.#read(fd, each.position, each.length, each.done);
      }
    });
  }
}

function areNeighbours(wanted: readonly Wanted[], first: number, next: number): boolean {
  const [start, before, candidate] = [wanted[first], wanted[next - 1], wanted[next]];
  if (start === undefined || before === undefined || candidate === undefined || candidate.fd !== start.fd) return false;
  const gap = candidate.position - (before.position + before.length);
  return gap >= 0 && gap <= maxGapBytes && candidate.position + candidate.length - start.position <= maxSharedBytes;
}
