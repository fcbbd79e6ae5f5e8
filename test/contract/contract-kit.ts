import assert from 'node:assert/strict';
import type { Readable } from 'node:stream';
import type { StoredHead } from '../../src/http/message.js';
import type { CommitResult, CreateOptions, ResponseStore, StoredResponse } from '../../src/store/contract.js';

/** Room that a test gives the store. Every other limit of the store must be out of the way. */
export interface ContractLimits {
  readonly maxBytes: number;
  readonly maxEntryBytes: number;
}

/** Where a store keeps what it keeps: a directory, a database, nothing at all. Each test gets a new, empty one. */
export interface ContractPlace {
  /** Opens a store. If it is durable, a second `open` after `close` finds what the first had stored. */
  open(limits: ContractLimits): Promise<ResponseStore>;
  /** Called when the test is over and the store is closed. */
  remove(): Promise<void>;
}

export interface ContractOptions {
  /** Registers a test: `test` of `node:test`, of uvu, `it` of others. */
  readonly test: (name: string, run: () => Promise<void>) => void;
  /** What is stored is there again after `close` and `open`. */
  readonly isDurable: boolean;
  /** Seeds of the random sequences. A failure names its seed. @default 20 seeds, always the same */
  readonly seeds?: readonly number[];
}

export interface ContractRun {
  readonly isDurable: boolean;
  readonly seeds: readonly number[];
  test(name: string, run: (store: ResponseStore, reopen: () => Promise<ResponseStore>) => Promise<void>): void;
  testWithin(
    limits: ContractLimits,
    name: string,
    run: (store: ResponseStore, reopen: () => Promise<ResponseStore>) => Promise<void>,
  ): void;
}

export function headOf(url: string, more: Partial<StoredHead> = {}): StoredHead {
  return {
    status: 200,
    statusText: 'OK',
    httpVersion: '1.1',
    fields: ['Content-Type', 'text/plain', 'Cache-Control', 'max-age=60'],
    url,
    method: 'GET',
    selecting: [],
    requestTimeMs: 1_700_000_000_000,
    responseTimeMs: 1_700_000_000_123,
    ...more,
  };
}

/** Bytes that differ from place to place and from seed to seed. */
export function bytesOf(length: number, seed = 1): Buffer {
  const bytes = Buffer.allocUnsafe(length);
  const next = randomOf(seed);
  for (let at = 0; at < length; at += 4) {
    const word = next();
    for (let i = at; i < Math.min(at + 4, length); i += 1) bytes[i] = word >>> (8 * (i - at));
  }
  return bytes;
}

/** Mulberry32: numbers from 0 to 2^32 - 1, the same for the same seed. */
export function randomOf(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let word = Math.imul(state ^ (state >>> 15), 1 | state);
    word = (word + Math.imul(word ^ (word >>> 7), 61 | word)) ^ word;
    return (word ^ (word >>> 14)) >>> 0;
  };
}

/** Writes as a polite caller does: waits when asked to. */
export async function writeAll(
  writer: { write(chunk: Uint8Array): boolean; ready(): Promise<void> },
  body: Uint8Array,
  chunkBytes = 64 * 1024,
): Promise<void> {
  for (let at = 0; at < body.length; at += chunkBytes) {
    if (!writer.write(body.subarray(at, at + chunkBytes))) await writer.ready();
  }
}

export async function put(
  store: ResponseStore,
  key: string,
  body: Uint8Array,
  options: CreateOptions & { readonly head?: StoredHead; readonly trailers?: readonly string[] } = {},
): Promise<CommitResult> {
  const { head = headOf(key), trailers, ...createOptions } = options;
  const writer = store.create(key, head, createOptions);
  await writeAll(writer, body);
  const { declined } = writer;
  const result = await writer.commit(trailers === undefined ? {} : { trailers });
  // What a writer says early it says for good.
  if (declined !== undefined) assertDeclined(result, declined);
  return result;
}

/** As `put`, when there is no reason to decline. */
export async function mustPut(...parameters: Parameters<typeof put>): Promise<StoredResponse> {
  const result = await put(...parameters);
  assert.equal(result.outcome, 'stored', JSON.stringify(result));
  if (result.outcome !== 'stored') throw new TypeError('unreachable');
  return result.response;
}

export async function mustFindOne(store: ResponseStore, key: string): Promise<StoredResponse> {
  const found = await store.lookup(key);
  assert.equal(found.length, 1, `stored responses under ${key}`);
  const [response] = found;
  if (response === undefined) throw new TypeError('unreachable');
  return response;
}

export function assertDeclined(result: CommitResult, reason?: string): void {
  assert.equal(result.outcome, 'declined');
  if (reason !== undefined && result.outcome === 'declined') assert.equal(result.reason, reason);
}

export async function readAll(stream: Readable): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(chunk);
  return Buffer.concat(chunks);
}

/** `assert.deepEqual` on megabytes prints megabytes. */
export function assertSameBytes(actual: Uint8Array, expected: Uint8Array): void {
  assert.equal(actual.length, expected.length, 'length of the body');
  if (Buffer.compare(actual, expected) === 0) return;
  const at = actual.findIndex((byte, index) => byte !== expected[index]);
  assert.fail(`byte ${at} is ${actual[at]} and not ${expected[at]}`);
}

export async function assertBody(response: StoredResponse, expected: Uint8Array): Promise<void> {
  assert.equal(response.bodyBytes, expected.length);
  if (response.inlineBody !== undefined) assertSameBytes(response.inlineBody, expected);
  assertSameBytes(await readAll(response.openBody()), expected);
}

export async function assertFails(stream: Readable): Promise<void> {
  await assert.rejects(
    readAll(stream),
    (error: unknown) => error instanceof Error && !(error instanceof assert.AssertionError),
  );
}

export async function listed(entries: AsyncIterable<StoredResponse>): Promise<StoredResponse[]> {
  const all: StoredResponse[] = [];
  for await (const response of entries) all.push(response);
  return all;
}
