import type { Socket } from 'node:net';
import { type Frame, frameBytes, readFrame, writeFrame } from './frames.js';

/** Who is at this end of a connection. */
export interface FrameListener {
  /** `false`: nobody who knows the protocol says that. The connection is closed. */
  onFrame(frame: Frame): boolean;
  /** The connection is gone. Called once. */
  onClose(): void;
}

/** What the other end may leave unread, in bytes, before it counts as gone. */
const maxUnreadBytes = 1024 * 1024;
const firstOutboxBytes = 32 * frameBytes;

/** A connection that carries frames: what is sent in one turn of the event loop goes in one write. Keeps no process alive. */
export class FrameSocket {
  readonly #socket: Socket;
  readonly #listener: FrameListener;
  #outbox: Buffer = Buffer.alloc(0);
  #outboxBytes = 0;
  #rest: Buffer = Buffer.alloc(0);
  #isClosed = false;

  constructor(socket: Socket, listener: FrameListener) {
    this.#socket = socket;
    this.#listener = listener;
    socket.unref();
    socket.on('data', (chunk: Buffer) => this.#take(chunk));
    socket.on('error', () => this.#closed());
    socket.on('end', () => socket.destroy());
    socket.on('close', () => this.#closed());
  }

  send(frame: Frame): void {
    if (this.#isClosed) return;
    if (this.#outboxBytes + frameBytes > this.#outbox.byteLength) this.#grow();
    writeFrame(this.#outbox, this.#outboxBytes, frame);
    if (this.#outboxBytes === 0) setImmediate(() => this.#flush());
    this.#outboxBytes += frameBytes;
  }

  close(): void {
    this.#socket.destroy();
  }

  /** Sends what was said, and closes then. */
  end(): void {
    this.#flush();
    this.#socket.destroySoon();
  }

  #grow(): void {
    const larger = Buffer.allocUnsafe(Math.max(firstOutboxBytes, 2 * this.#outbox.byteLength));
    this.#outbox.copy(larger, 0, 0, this.#outboxBytes);
    this.#outbox = larger;
  }

  #flush(): void {
    if (this.#isClosed || this.#outboxBytes === 0) return;
    const bytes = this.#outbox.subarray(0, this.#outboxBytes);
    // What was handed to the socket is the socket's.
    this.#outbox = this.#outbox.subarray(this.#outboxBytes);
    this.#outboxBytes = 0;
    if (this.#socket.writableLength > maxUnreadBytes) this.close();
    else this.#socket.write(bytes);
  }

  #take(chunk: Buffer): void {
    const bytes = this.#rest.byteLength === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    let at = 0;
    for (; at + frameBytes <= bytes.byteLength; at += frameBytes) {
      if (this.#isClosed) return;
      if (!this.#listener.onFrame(readFrame(bytes, at))) {
        this.close();
        return;
      }
    }
    this.#rest = bytes.subarray(at);
  }

  #closed(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#listener.onClose();
  }
}
