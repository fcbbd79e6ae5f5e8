import type { HeadRow } from '../disk/head-codec.js';
import type { WriterFailure } from './messages.js';
import type { RecordResult } from './write-queue.js';

/** Records that were appended together, and whom to tell what became of them. */
export interface Unit {
  readonly records: number;
  settle(result: RecordResult): void;
  /** Nobody waits for it any more. What becomes of it is still settled. */
  giveUp(failure: WriterFailure): void;
}

/** A buffer that goes to the writer and comes back. */
export interface Slab {
  readonly buffer: ArrayBuffer;
  readonly bytes: Uint8Array;
  readonly view: DataView;
  usedBytes: number;
  readonly units: Unit[];
  /** Rows of heads that the buffer cannot carry. */
  readonly rows: HeadRow[];
  /** `file`, start and length of every piece of a body. */
  readonly pieces: number[];
  /** It came back unwritten once. */
  readonly isRetry: boolean;
}

/** A fixed number of buffers, made as they are needed and used again and again. */
export class SlabPool {
  readonly slabBytes: number;
  readonly maxSlabs: number;
  readonly #free: ArrayBuffer[] = [];
  #made = 0;

  constructor(slabBytes: number, maxSlabs: number) {
    this.slabBytes = slabBytes;
    this.maxSlabs = maxSlabs;
  }

  /** The last slab of a list if so many bytes fit into it, or a new one; `undefined` when all are in use. */
  slabFor(list: Slab[], bytes: number): Slab | undefined {
    const last = list.at(-1);
    if (last !== undefined && !last.isRetry && last.usedBytes + bytes <= this.slabBytes) return last;
    if (bytes > this.slabBytes) throw new RangeError(`a record of ${bytes} bytes is larger than a slab`);
    const buffer = this.#free.pop() ?? this.#make();
    if (buffer === undefined) return undefined;
    const slab = slabOver(buffer);
    list.push(slab);
    return slab;
  }

  giveBack(buffer: ArrayBuffer): void {
    this.#free.push(buffer);
  }

  /** Buffers that will not come back. */
  writeOff(count: number): void {
    this.#made -= count;
  }

  #make(): ArrayBuffer | undefined {
    if (this.#made >= this.maxSlabs) return undefined;
    this.#made += 1;
    return new ArrayBuffer(this.slabBytes);
  }
}

/** The slab that a buffer which came back unwritten was. */
export function retryOf(slab: Slab, buffer: ArrayBuffer, usedBytes: number): Slab {
  return { ...slabOver(buffer), usedBytes, units: slab.units, isRetry: true };
}

function slabOver(buffer: ArrayBuffer): Slab {
  return {
    buffer,
    bytes: new Uint8Array(buffer),
    view: new DataView(buffer),
    usedBytes: 0,
    units: [],
    rows: [],
    pieces: [],
    isRetry: false,
  };
}
