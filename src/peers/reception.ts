import { createServer, type Server, type Socket } from 'node:net';
import type { KeyHash } from '../disk/key-hash.js';
import { announce, newAddress, removeFolderOf, retract } from './address.js';
import { FrameSocket } from './frame-socket.js';
import {
  type Frame,
  frameTypes,
  type NewsKind,
  newsKinds,
  noHash,
  protocolMark,
  releaseKinds,
  words,
} from './frames.js';
import type { Claim, LeaseBook, Word } from './lease-book.js';

export interface ReceptionHost {
  /** The writer that this process is. */
  readonly writer: number;
  readonly book: LeaseBook;
  /** Somebody has connected. */
  onHello(writer: number): void;
  /** `hash`: of a key that was invalidated. */
  onNews(kind: NewsKind, hash: KeyHash): void;
}

/** Two connections for each of the others, and some for those who do not know how to speak. */
const maxGuests = 256;

/** Listens to the other processes that have the directory open. */
export class Reception {
  readonly #root: string;
  readonly #host: ReceptionHost;
  readonly #server: Server;
  readonly #guests = new Set<Guest>();
  #address: string | undefined;

  constructor(root: string, host: ReceptionHost) {
    this.#root = root;
    this.#host = host;
    this.#server = createServer((socket) => this.#welcome(socket));
    this.#server.maxConnections = maxGuests;
  }

  /** Rejects if nobody can be listened to. */
  async open(): Promise<void> {
    const { writer } = this.#host;
    const address = await newAddress(this.#root, writer);
    this.#address = address;
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', reject);
      // Workers of `node:cluster` would all listen as one otherwise.
      this.#server.listen({ path: address, exclusive: true }, resolve);
    });
    this.#server.on('error', () => {});
    this.#server.unref();
    await announce(this.#root, writer, address);
  }

  /** Never fails: what cannot be removed now is swept by who comes next. */
  close(): void {
    for (const guest of this.#guests) guest.close();
    this.#server.close(() => {});
    if (this.#address === undefined) return;
    removeFolderOf(this.#address);
    try {
      retract(this.#root, this.#host.writer);
    } catch {
      // The directory may be gone.
    }
  }

  #welcome(socket: Socket): void {
    const guest = new Guest(socket, this.#host, () => this.#guests.delete(guest));
    this.#guests.add(guest);
  }
}

/** Leases that one process may ask for at once; beyond that, nobody waits for anybody. */
const maxClaims = 16_384;

/** Another process, at the other end of a connection that it made. */
class Guest {
  readonly #host: ReceptionHost;
  readonly #socket: FrameSocket;
  readonly #claims = new Map<number, Claim>();
  #isKnown = false;

  constructor(socket: Socket, host: ReceptionHost, onGone: () => void) {
    this.#host = host;
    this.#socket = new FrameSocket(socket, {
      onFrame: (frame) => this.#hear(frame),
      onClose: () => {
        onGone();
        for (const claim of this.#claims.values()) host.book.release(claim, 'look');
        this.#claims.clear();
      },
    });
  }

  close(): void {
    this.#socket.close();
  }

  #hear({ type, detail, id, hash }: Frame): boolean {
    if (!this.#isKnown) {
      if (type !== frameTypes.hello || id !== protocolMark) return false;
      this.#isKnown = true;
      const own = { ...noHash, a: this.#host.writer };
      this.#socket.send({ type: frameTypes.welcome, detail: 0, id: protocolMark, hash: own });
      this.#host.onHello(hash.a);
      return true;
    }
    switch (type) {
      case frameTypes.news: {
        const kind = newsKinds[detail];
        if (kind === undefined) return false;
        this.#host.onNews(kind, hash);
        return true;
      }
      case frameTypes.ask:
        return this.#ask(id, hash);
      case frameTypes.release: {
        const claim = this.#claims.get(id);
        const how = releaseKinds[detail];
        if (how === undefined) return false;
        this.#claims.delete(id);
        // What it was told in the meantime has crossed this.
        if (claim !== undefined) this.#host.book.release(claim, how);
        return true;
      }
      default:
        return false;
    }
  }

  #ask(id: number, hash: KeyHash): boolean {
    if (this.#claims.has(id)) return false;
    if (this.#claims.size >= maxClaims) {
      this.#tell(id, 'apart');
      return true;
    }
    const claim: Claim = { hash, told: (word) => this.#tell(id, word) };
    this.#claims.set(id, claim);
    this.#host.book.ask(claim);
    return true;
  }

  #tell(id: number, word: Word): void {
    const detail = words.indexOf(word);
    if (detail < 0) return;
    if (word === 'over' || word === 'apart') this.#claims.delete(id);
    this.#socket.send({ type: frameTypes.told, detail, id, hash: noHash });
  }
}
