import { lstat, mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import type { StoredHead } from '../../src/http/message.js';
import type { CreateOptions, ResponseStore, StoredResponse } from '../../src/store/contract.js';
import { type DiskStoreOptions, openDiskStore } from '../../src/store/disk-open.js';
import type { DiskStore } from '../../src/store/disk-store.js';

export const MiB = 1024 * 1024;

export async function inTemporaryDirectory(work: (directory: string) => Promise<void>): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), 'offloop-store-'));
  try {
    await work(directory);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

/** What `du` would say of everything in a directory: links to one file count once, and what goes meanwhile takes nothing. */
export async function blocksOf(directory: string): Promise<number> {
  const files = new Map<number, number>();
  for (const name of await readdir(directory, { recursive: true })) {
    const file = await lstat(join(directory, name)).catch(unlessGone);
    if (file !== undefined) files.set(file.ino, file.blocks * 512);
  }
  return [...files.values()].reduce((sum, bytes) => sum + bytes, 0);
}

function unlessGone(error: unknown): undefined {
  if (!(error instanceof Error && 'code' in error && error.code === 'ENOENT')) throw error;
}

export function openIn(directory: string, options: Partial<DiskStoreOptions> = {}): Promise<DiskStore> {
  return openDiskStore({ directory, maxBytes: 256 * MiB, ...options });
}

export function headOf(url: string, more: Partial<StoredHead> = {}): StoredHead {
  return {
    url,
    method: 'GET',
    status: 200,
    statusText: 'OK',
    httpVersion: '1.1',
    fields: ['Content-Type', 'text/plain', 'Cache-Control', 'max-age=60'],
    selecting: [],
    requestTimeMs: 1_790_000_000_000,
    responseTimeMs: 1_790_000_000_050,
    ...more,
  };
}

export async function store(
  target: ResponseStore,
  key: string,
  body: Uint8Array | string,
  options: CreateOptions & { readonly head?: StoredHead } = {},
): Promise<StoredResponse> {
  const { head = headOf(key), ...rest } = options;
  const writer = target.create(key, head, rest);
  const bytes = typeof body === 'string' ? Buffer.from(body) : body;
  for (let at = 0; at < bytes.byteLength; at += 65_536) {
    if (!writer.write(bytes.subarray(at, at + 65_536))) await writer.ready();
  }
  const result = await writer.commit();
  if (result.outcome !== 'stored') throw new Error(`declined: ${result.reason}`);
  return result.response;
}

export async function bodyOf(response: StoredResponse | undefined): Promise<Buffer> {
  if (response === undefined) throw new Error('there is no response');
  return buffer(response.openBody());
}

export async function textAt(target: ResponseStore, key: string): Promise<string | undefined> {
  const [response] = await target.lookup(key);
  return response === undefined ? undefined : (await bodyOf(response)).toString('latin1');
}

/** Bytes that are easy to make again and hard to mix up. */
export function bytesOf(length: number, seed: number): Buffer {
  const bytes = Buffer.alloc(length);
  let state = seed >>> 0 || 1;
  for (let i = 0; i < length; i += 1) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    bytes[i] = state >>> 24;
  }
  return bytes;
}

/** The budget of a child that churns. */
export const churnBytes = 10 * MiB;

/** The body that a test's response of this number has: mostly small, now and then one that needs a file. */
export function bodyOfNumber(number: number): Buffer {
  const length = number % 37 === 5 ? 2 * MiB + number : number % 11 === 3 ? 90_000 + number : (number * 131) % 5000;
  return bytesOf(length, number + 1);
}
