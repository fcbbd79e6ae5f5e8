import { once } from 'node:events';
import type { Agent } from 'node:http';
import type { Readable } from 'node:stream';
import type { AxiosInstance } from 'axios';
import type { Got } from 'got';

/** What became of one request. `version` is the one that the head named, if there was one. */
export type ReadOutcome =
  | { readonly kind: 'read'; readonly version: string; readonly body: Buffer }
  | { readonly kind: 'failed'; readonly error: unknown; readonly version: string | undefined };

/** One request by one client, whose body is read as fast as it comes, or piece by piece when it is told to. */
export class FuzzReader {
  readonly outcome: Promise<ReadOutcome>;
  readonly #controller = new AbortController();
  readonly #chunks: Buffer[] = [];
  #isFast: boolean;
  #isAborted = false;
  #stream: Readable | undefined;

  constructor(open: (signal: AbortSignal) => Promise<{ stream: Readable; version: string }>, isFast: boolean) {
    this.#isFast = isFast;
    this.outcome = this.#read(open);
  }

  get isAborted(): boolean {
    return this.#isAborted;
  }

  /** A slow reader takes another piece. */
  step(): void {
    this.#stream?.resume();
  }

  hurry(): void {
    this.#isFast = true;
    this.#stream?.resume();
  }

  abort(): void {
    this.#isAborted = true;
    this.#controller.abort();
    this.#stream?.destroy();
  }

  async #read(open: (signal: AbortSignal) => Promise<{ stream: Readable; version: string }>): Promise<ReadOutcome> {
    let version: string | undefined;
    try {
      const opened = await open(this.#controller.signal);
      const { stream } = opened;
      version = opened.version;
      this.#stream = stream;
      if (this.#isAborted) stream.destroy();
      await this.#consume(stream);
      return { kind: 'read', version, body: Buffer.concat(this.#chunks) };
    } catch (error) {
      return { kind: 'failed', error, version };
    }
  }

  #consume(stream: Readable): Promise<void> {
    return new Promise((resolve, reject) => {
      stream.on('error', reject);
      stream.on('end', resolve);
      stream.on('close', () => reject(new Error('closed before its end')));
      stream.on('data', (chunk: Buffer) => {
        this.#chunks.push(chunk);
        if (!this.#isFast) stream.pause();
      });
    });
  }
}

export function axiosReader(instance: AxiosInstance, url: string, agent: Agent, isFast: boolean): FuzzReader {
  return new FuzzReader(async (signal) => {
    const response = await instance.get<Readable>(url, { responseType: 'stream', httpAgent: agent, signal });
    return { stream: response.data, version: String(response.headers['x-version']) };
  }, isFast);
}

export function gotReader(client: Got, url: string, agent: Agent, isFast: boolean): FuzzReader {
  return new FuzzReader(async (signal) => {
    const stream = client.stream(url, { agent: { http: agent }, retry: { limit: 0 }, signal });
    const [response] = await once(stream, 'response');
    return { stream, version: String(response.headers['x-version']) };
  }, isFast);
}
