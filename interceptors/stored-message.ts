import { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import type { Readable } from 'node:stream';
import type { CacheInfo, CacheResponse, FieldLines } from '../src/index.js';
import { bufferOver } from './stored-request.js';

/** As on a message whose connection went back to the pool: Node's types leave that state out. */
const noSocket = null as unknown as Socket;

type StoredBody = Extract<CacheResponse['body'], { from: 'cache' }>;

/** How Node's parser hands over field lines: `headers` is made of them, by Node's rules, when it is first read. Not in the types. */
function addHeaderLines(message: IncomingMessage, lines: string[]): void {
  const parserFacing = message as unknown as { _addHeaderLines(lines: string[], count: number): void };
  parserFacing._addHeaderLines(lines, lines.length);
}

/** A response out of the cache in the shape of Node's own, so that a client treats it like one off the wire. */
export class StoredMessage extends IncomingMessage {
  /** What got reads `isFromCache` from. */
  readonly fromCache = true;
  readonly cacheInfo: CacheInfo;
  readonly #stored: StoredBody;
  readonly #trailers: FieldLines | undefined;
  #source: Readable | undefined;
  #reader: Readable | undefined;

  /**
   * A property that holds who reads a message, and ends the message with its reader. One for all of them: with functions of its own, each would be an
   * object of its own kind, which V8 is slow with.
   */
  static readonly ofReader = {
    enumerable: true,
    configurable: true,
    get(this: StoredMessage): Readable | undefined {
      return this.#reader;
    },
    set(this: StoredMessage, reader: Readable): void {
      this.#reader = reader;
      if (reader.destroyed) process.nextTick(() => this.destroy());
      else reader.once('close', () => this.destroy());
    },
  };

  constructor(response: CacheResponse, stored: StoredBody) {
    super(noSocket);
    const { head, info, trailers } = response;
    this.#trailers = trailers;
    this.cacheInfo = info;
    this.#stored = stored;
    this.statusCode = head.status;
    this.statusMessage = head.statusText;
    this.httpVersion = head.httpVersion;
    const [major = '1', minor = '1'] = head.httpVersion.split('.');
    this.httpVersionMajor = Number(major);
    this.httpVersionMinor = Number(minor);
    addHeaderLines(this, [...head.fields]);
  }

  override _read(): void {
    const { inline, isOwn } = this.#stored;
    if (inline !== undefined) {
      if (inline.byteLength > 0) this.push(isOwn ? bufferOver(inline) : Buffer.from(inline));
      this.#complete();
      return;
    }
    if (this.#source === undefined) this.#openSource();
    else this.#source.resume();
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    this.#source?.destroy();
    super._destroy(error, callback);
  }

  #openSource(): void {
    const source = this.#stored.open();
    this.#source = source;
    source.on('data', (chunk: Buffer) => {
      if (!this.push(chunk)) source.pause();
    });
    source.on('end', () => this.#complete());
    source.on('error', (error) => this.destroy(error));
  }

  #complete(): void {
    this.complete = true;
    // Once it is complete, Node takes lines for trailers.
    if (this.#trailers !== undefined) addHeaderLines(this, [...this.#trailers]);
    this.push(null);
  }
}
