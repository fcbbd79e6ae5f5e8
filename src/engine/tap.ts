import type { Readable } from 'node:stream';

/** Who receives a copy of a body while its reader reads it. */
export interface BodySink {
  /** Takes the next bytes. `false`: hold the body back until `ready()` resolves. `isLent`: they may change once `end` has returned. */
  write(chunk: Uint8Array, isLent: boolean): boolean;
  /** Resolves within a bounded time. */
  ready(): Promise<void>;
  /** The body came to its end; `isComplete` is false when it was cut off. */
  end(isComplete: boolean): void;
  /** The body from `start` on, as far as it has come and then as it comes. */
  openBody(start: number): Readable;
  /** Nothing will be kept: what has gone by is to be had for a while at most. */
  readonly isDeclined: boolean;
  /** The rest is worth having even if its reader goes away. */
  isWanted(): boolean;
}

/**
 * When the body's chunks come into the hands of somebody who may write over them, which must not spoil what is stored: never, as the client makes one
 * body of copies; when the body has ended; as they come.
 */
export type ChunksShown = 'never' | 'at-end' | 'at-once';

/** How far a body that will not be kept may run ahead of its reader, in bytes: so much of it stores hold for those who read along. */
const maxLeadBytes = 512 * 1024;

/** A reader that has fallen behind, and goes on in what the sink has. */
interface CatchUp {
  readonly source: Readable;
  /** Where in the body it is, in bytes. */
  position: number;
}

/**
 * Listens in on a stream that somebody else pushes into (a response of Node's HTTP client), below its reader. The stream stays the
 * very object that the client made, with its socket, its trailers and its back-pressure: only `push` and `_read` are watched. Made
 * in the turn in which the response arrives, so that no byte comes before it; what comes before `observe` is kept.
 */
export class Tap<Stream extends Readable = Readable> {
  readonly stream: Stream;
  readonly #streamPush: Readable['push'];
  readonly #streamRead: Readable['_read'];
  readonly #shown: ChunksShown;
  #early: Uint8Array[] = [];
  #earlyEnd: boolean | undefined;
  #sink: BodySink | undefined;
  #bytes = 0;
  #isOver = false;
  /** The store is behind: no more bytes for now. `#isReadWanted`: the reader asked for some meanwhile. */
  #isHeldBack = false;
  #isReadWanted = false;
  #isEndHeldBack = false;
  /** The reader's buffer is full. */
  #isReaderFull = false;
  /** Others read along: the body goes at the pace of the fastest, and a reader that falls behind reads from the store. */
  #isShared = false;
  #catchUp: CatchUp | undefined;
  /** The reader has gone away, and the body goes on without it; called when it is over. */
  #letGo: (() => void) | undefined;

  /** `isComplete` is asked when the stream ends: did the whole body arrive, as far as its framing tells? */
  constructor(stream: Stream, isComplete: () => boolean, shown: ChunksShown = 'at-once') {
    this.stream = stream;
    this.#shown = shown;
    this.#streamPush = stream.push;
    this.#streamRead = stream._read;
    stream.push = (chunk: unknown, encoding?: BufferEncoding) => this.#pushed(chunk, encoding, isComplete);
    stream._read = (size: number) => this.#wanted(size);
    stream.on('close', () => {
      this.#catchUp?.source.destroy();
      if (this.#letGo === undefined) this.#end(false);
    });
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

  /** Others read along from now on: a slow reader no longer holds the body back. */
  share(): void {
    if (this.#isShared || this.#isOver) return;
    this.#isShared = true;
    if (!this.#isReaderFull) return;
    this.#fallBehind();
    if (!this.#isHeldBack) this.#read(0);
  }

  /** Is the rest of the body wanted by anybody but its reader? Then `detach` before the reader goes. */
  isWanted(): boolean {
    return !this.#isOver && this.#sink?.isWanted() === true;
  }

  /** The reader goes away; the body goes on to the sink alone, and `letGo` is called when it is over or nobody wants it any more. */
  detach(letGo: () => void): void {
    this.#letGo = letGo;
    this.#catchUp?.source.destroy();
    if (!this.#isHeldBack) this.#read(0);
  }

  /** Nothing more will be pushed. */
  cut(): void {
    this.#end(false);
  }

  #push(chunk: unknown, encoding?: BufferEncoding): boolean {
    return this.#streamPush.call(this.stream, chunk, encoding);
  }

  #read(size: number): void {
    this.#streamRead.call(this.stream, size);
  }

  #pushed(chunk: unknown, encoding: BufferEncoding | undefined, isComplete: () => boolean): boolean {
    if (chunk === null) this.#endSoon(isComplete);
    else if (chunk instanceof Uint8Array && chunk.byteLength > 0) this.#chunk(chunk);
    if (this.#letGo !== undefined || this.#catchUp !== undefined) return !this.#isHeldBack && this.#mayRunAhead();
    // Small bodies come as a whole: it is by their ends that a client is kept from running ahead of the disk.
    if (chunk === null && this.#isHeldBack) {
      this.#isEndHeldBack = true;
      return false;
    }
    this.#isReaderFull = !this.#push(chunk, encoding);
    if (this.#isReaderFull && this.#isShared && chunk !== null) this.#fallBehind();
    return (!this.#isReaderFull || this.#isShared) && !this.#isHeldBack;
  }

  /** The reader has room. */
  #wanted(size: number): void {
    this.#isReaderFull = false;
    if (this.#catchUp !== undefined) this.#goOn(this.#catchUp);
    else if (this.#isHeldBack) this.#isReadWanted = true;
    else this.#read(size);
  }

  #goOn({ source }: CatchUp): void {
    source.resume();
    if (this.#sink?.isDeclined === true && !this.#isHeldBack && this.#mayRunAhead()) this.#read(0);
  }

  /** From here on the reader gets the body from the sink; opened at once, so that what it has not had yet stays there. */
  #fallBehind(): void {
    const source = this.#sink?.openBody(this.#bytes);
    if (source === undefined) return;
    const catchUp = { source, position: this.#bytes };
    this.#catchUp = catchUp;
    source.on('data', (chunk: Uint8Array) => {
      catchUp.position += chunk.byteLength;
      if (!this.#push(chunk)) source.pause();
    });
    source.on('end', () => this.#push(null));
    source.on('error', (error) => this.stream.destroy(error));
    source.pause();
  }

  #mayRunAhead(): boolean {
    if (this.#catchUp === undefined || this.#letGo !== undefined || this.#sink?.isDeclined !== true) return true;
    return this.#bytes - this.#catchUp.position < maxLeadBytes;
  }

  #chunk(chunk: Uint8Array): void {
    this.#bytes += chunk.byteLength;
    if (this.#isOver) return;
    const own = this.#shown === 'at-once' ? Buffer.from(chunk) : chunk;
    if (this.#sink === undefined) this.#early.push(own);
    else this.#feed(own);
  }

  #feed(chunk: Uint8Array): void {
    const sink = this.#sink;
    if (sink === undefined) return;
    if (!sink.write(chunk, this.#shown === 'at-end') && !this.#isHeldBack) this.#holdBack(sink);
    if (this.#letGo !== undefined && !sink.isWanted()) this.#end(false);
  }

  #holdBack(sink: BodySink): void {
    this.#isHeldBack = true;
    void sink.ready().then(() => {
      this.#isHeldBack = false;
      if (this.#isEndHeldBack) {
        this.#push(null);
        return;
      }
      const goesOnAlone = this.#letGo !== undefined || this.#catchUp !== undefined;
      if (!this.#isReadWanted && !goesOnAlone) return;
      this.#isReadWanted = false;
      this.#read(0);
    });
  }

  /** What goes wrong in the turn of the last byte (bytes beyond the announced length) is known at the end of that turn. */
  #endSoon(isComplete: () => boolean): void {
    if (this.#isOver) return;
    this.#isOver = true;
    queueMicrotask(() => this.#tell(isComplete()));
  }

  #end(isComplete: boolean): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#tell(isComplete);
  }

  #tell(isComplete: boolean): void {
    if (this.#sink === undefined) this.#earlyEnd = isComplete;
    else this.#sink.end(isComplete);
    this.#letGo?.();
  }
}
