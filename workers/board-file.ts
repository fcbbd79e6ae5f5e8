import { closeSync, constants, fstatSync, ftruncateSync, openSync, readSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import {
  boardBytes,
  boardSlotBytes,
  type LogEnd,
  readArrivals,
  readBoardSlot,
  writeArrivals,
  writeBoardSlot,
} from '../src/disk/board.js';
import { boardFile } from '../src/disk/layout.js';
import { lanes } from '../src/disk/sequences.js';

/** Where writers say how far their logs are. Not synced: it speaks to processes that live, and of a boot that lasts. */
export class BoardFile {
  readonly #fd: number;

  constructor(root: string) {
    this.#fd = openSync(join(root, boardFile), constants.O_RDWR | constants.O_CREAT, 0o600);
    if (fstatSync(this.#fd).size < boardBytes) ftruncateSync(this.#fd, boardBytes);
  }

  /** In order of the lanes; `undefined` where there is nobody. */
  read(): (LogEnd | undefined)[] {
    const board = this.#bytes();
    return Array.from({ length: lanes }, (_, lane) => {
      const slot = readBoardSlot(board, lane);
      return typeof slot === 'string' ? undefined : slot;
    });
  }

  publish(lane: number, end: LogEnd): void {
    writeSync(this.#fd, writeBoardSlot(end), 0, boardSlotBytes, lane * boardSlotBytes);
  }

  clear(lane: number): void {
    writeSync(this.#fd, new Uint8Array(boardSlotBytes), 0, boardSlotBytes, lane * boardSlotBytes);
  }

  /** In turn only. Returns how often somebody came, this time included. */
  noteArrival(): number {
    const before = readArrivals(this.#bytes());
    const count = before === 'torn' ? Math.floor(Math.random() * 2 ** 31) : (before + 1) >>> 0;
    const { slot, lane } = writeArrivals(count);
    writeSync(this.#fd, slot, 0, boardSlotBytes, lane * boardSlotBytes);
    return count;
  }

  close(): void {
    closeSync(this.#fd);
  }

  #bytes(): Uint8Array {
    const board = new Uint8Array(boardBytes);
    readSync(this.#fd, board, 0, boardBytes, 0);
    return board;
  }
}
