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

/** Where a message keeps what Node's messages do not have. No private fields: what is made of a message, by `Object.create()` or as a `Proxy`, has none. */
const ownState = Symbol('stored');

interface State {
  readonly message: StoredMessage;
  readonly stored: StoredBody;
  readonly trailers: FieldLines | undefined;
  source: Readable | undefined;
  reader: Readable | undefined;
}

/** A response out of the cache in the shape of Node's own, so that a client treats it like one off the wire. */
export class StoredMessage extends IncomingMessage {
  /** What got reads `isFromCache` from. */
  readonly fromCache = true;
  readonly cacheInfo: CacheInfo;
  readonly [ownState]: State;

  /**
   * A property that holds who reads a message, and ends the message with its reader. One for all of them: with functions of its own, each would be an
   * object of its own kind, which V8 is slow with.
   */
  static readonly ofReader = {
    enumerable: true,
    configurable: true,
    get(this: StoredMessage): Readable | undefined {
      return this[ownState].reader;
    },
    set(this: StoredMessage, value: Readable): void {
      const state = this[ownState];
      const { message } = state;
      if (this !== message) {
        Object.defineProperty(this, 'request', { value, enumerable: true, configurable: true, writable: true });
        return;
      }
      state.reader = value;
      if (value.destroyed) process.nextTick(() => message.destroy());
      else endWith(value, message);
    },
  };

  constructor(response: CacheResponse, stored: StoredBody) {
    super(noSocket);
    const { head, info, trailers } = response;
    this.cacheInfo = info;
    this[ownState] = { message: this, stored, trailers, source: undefined, reader: undefined };
    this.statusCode = head.status;
    this.statusMessage = head.statusText;
    this.httpVersion = head.httpVersion;
    const [major = '1', minor = '1'] = head.httpVersion.split('.');
    this.httpVersionMajor = Number(major);
    this.httpVersionMinor = Number(minor);
    addHeaderLines(this, [...head.fields]);
  }

  override _read(): void {
    const state = this[ownState];
    const { message, source } = state;
    const { inline, isOwn } = state.stored;
    if (inline !== undefined) {
      if (inline.byteLength > 0) message.push(isOwn ? bufferOver(inline) : Buffer.from(inline));
      complete(state);
      return;
    }
    if (source === undefined) openSource(state);
    else source.resume();
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    this[ownState].source?.destroy();
    super._destroy(error, callback);
  }
}

/** One reader follows many redirects: it gets one listener for all of their messages. */
const readBy = new WeakMap<Readable, StoredMessage[]>();

function endWith(reader: Readable, message: StoredMessage): void {
  const known = readBy.get(reader);
  if (known !== undefined) {
    known.push(message);
    return;
  }
  const messages = [message];
  readBy.set(reader, messages);
  reader.once('close', () => {
    for (const each of messages) each.destroy();
  });
}

function openSource(state: State): void {
  const { message, stored } = state;
  const source = stored.open();
  state.source = source;
  source.on('data', (chunk: Buffer) => {
    if (!message.push(chunk)) source.pause();
  });
  source.on('end', () => complete(state));
  source.on('error', (error) => message.destroy(error));
}

function complete({ message, trailers }: State): void {
  message.complete = true;
  // Once it is complete, Node takes lines for trailers.
  if (trailers !== undefined) addHeaderLines(message, [...trailers]);
  message.push(null);
}
