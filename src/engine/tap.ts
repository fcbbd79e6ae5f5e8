import type { Readable } from 'node:stream';

/** Who receives a copy of a body while its reader reads it. */
export interface BodySink {
  /** Takes the next bytes. `false`: hold the body back until `ready()` resolves. */
  write(chunk: Uint8Array): boolean;
  /** Resolves within a bounded time. */
  ready(): Promise<void>;
  /** The body came to its end; `isComplete` is false when it was cut off. */
  end(isComplete: boolean): void;
}

/**
 * Listens in on a stream that somebody else pushes into (a response of Node's HTTP client), below its reader. The stream stays the
 * very object that the client made, with its socket, its trailers and its back-pressure: only `push` and `_read` are watched. Made
 * in the turn in which the response arrives, so that no byte comes before it; what comes before `observe` is kept.
 */
export class Tap<Stream extends Readable = Readable> {
  readonly stream: Stream;
  readonly #isComplete: () => boolean;
  #early: Uint8Array[] = [];
  #earlyEnd: boolean | undefined;
  #sink: BodySink | undefined;
  #isOver = false;
  #isHeldBack = false;
  #readWanted = false;

  /** `isComplete` is asked when the stream ends: did the whole body arrive, as far as its framing tells? */
  constructor(stream: Stream, isComplete: () => boolean) {
    this.stream = stream;
    this.#isComplete = isComplete;
    const push = stream.push;
    const read = stream._read;
    stream.push = (chunk: unknown, encoding?: BufferEncoding): boolean => {
      if (chunk === null) this.#end(this.#isComplete());
      else if (chunk instanceof Uint8Array && chunk.byteLength > 0) this.#chunk(chunk);
      const wantsMore = push.call(stream, chunk, encoding);
      return wantsMore && !this.#isHeldBack;
    };
    stream._read = (size: number): void => {
      if (this.#isHeldBack) this.#readWanted = true;
      else read.call(stream, size);
    };
    stream.once('close', () => this.#end(false));
  }

  /** Sends the body, from its first byte, to a sink. Once. */
  observe(sink: BodySink): void {
    this.#sink = sink;
    const early = this.#early;
    this.#early = [];
    for (const chunk of early) this.#feed(chunk);
    if (this.#earlyEnd !== undefined) sink.end(this.#earlyEnd);
  }

  /** Nobody wants a copy: the stream goes on by itself. */
  release(): void {
    this.#isOver = true;
    this.#early = [];
  }

  /** Nobody wants the body at all: it is read to its end, so that the connection can be used again. */
  discard(): void {
    this.release();
    this.stream.on('error', () => undefined);
    this.stream.resume();
  }

  #chunk(chunk: Uint8Array): void {
    if (this.#isOver) return;
    if (this.#sink === undefined) this.#early.push(chunk);
    else this.#feed(chunk);
  }

  #feed(chunk: Uint8Array): void {
    if (this.#sink?.write(chunk) === false && !this.#isHeldBack) this.#holdBack(this.#sink);
  }

  #holdBack(sink: BodySink): void {
    this.#isHeldBack = true;
    void sink.ready().then(() => {
      this.#isHeldBack = false;
      if (!this.#readWanted) return;
      this.#readWanted = false;
      if (!this.stream.destroyed) this.stream._read(0);
    });
  }

  #end(isComplete: boolean): void {
    if (this.#isOver) return;
    this.#isOver = true;
    if (this.#sink === undefined) this.#earlyEnd = isComplete;
    else this.#sink.end(isComplete);
  }
}
