import { resolve } from 'node:path';
import { CacheError, type CacheErrorCode } from '../errors.js';
import type { LockMode, OpenAnswer, WriterFailure } from '../protocol/messages.js';
import { createWriterPool } from '../protocol/pool.js';
import type { CompressionOptions } from './compression.js';
import type { StoreListener } from './contract.js';
import { placeHints } from './disk-hints.js';
import { DiskStore } from './disk-store.js';

export interface DiskStoreOptions {
  /** Where to keep the responses. Only the folder `offloop-1` in it is ever touched. */
  readonly directory: string;
  /** What the cache may take on the disk, in bytes. The oldest responses go first. */
  readonly maxBytes: number;
  /** What the cache may hold, in responses. @default Infinity */
  readonly maxEntries?: number;
  /** What is to stay free on the device, in bytes. @default 0 */
  readonly minFreeBytes?: number;
  /** How bodies are compressed. @default not at all */
  readonly compression?: CompressionOptions;
  /** Whether bodies of more than 1 MiB that are the same, byte for byte, share one file. @default true */
  readonly deduplicate?: boolean;
  /** A longer response is not stored, in bytes. @default maxBytes / 4 */
  readonly maxEntryBytes?: number;
  /** `shared`: other processes may have the directory open as well. `exclusive`: none may. @default 'shared' */
  readonly lock?: LockMode;
  /** How long a request waits while another process asks the origin for the same, in ms. 0: not at all. @default 5000 */
  readonly leaseMs?: number;
  readonly onEvent?: StoreListener;
  /** The compiled `workers/writer.js`, where a bundler has moved it. */
  readonly workerUrl?: URL;
  /** ms since the epoch. @default Date.now */
  readonly nowMs?: () => number;
  /** ms since any moment, never going back. @default performance.now */
  readonly monotonicMs?: () => number;
  /** Size of a file of the log, in bytes. @default maxBytes / 128, 256 KiB at least, 64 MiB at most */
  readonly segmentBytes?: number;
  /** How many segments' descriptors are kept open. @default 192 */
  readonly maxOpenSegments?: number;
  /** When the disk has not answered for so long, in ms, nothing is stored until it does. @default 30000 */
  readonly stallMs?: number;
  /** Calls back after so many ms without keeping the process alive; what it returns cancels. @default setTimeout */
  readonly after?: (ms: number, callback: () => void) => () => void;
}

const MiB = 1024 * 1024;
// From dist/src/store.
const defaultWorker = new URL('../../workers/writer.js', import.meta.url);

/**
 * Opens a directory as a store, to itself or with other processes, until `close`. Rejects with a `CacheError`:
 * `ERR_CACHE_ACCESS`, `ERR_CACHE_FULL`, `ERR_CACHE_FORMAT`, `ERR_CACHE_LOCKED` or `ERR_CACHE_WORKER`.
 */
export async function openDiskStore(options: DiskStoreOptions): Promise<DiskStore> {
  const directory = resolve(options.directory);
  const { nowMs = Date.now, lock = 'shared', minFreeBytes = 0, deduplicate = true } = options;
  const pool = createWriterPool(options.workerUrl ?? defaultWorker);
  let answer: OpenAnswer;
  try {
    const measureFree = minFreeBytes > 0;
    // While the thread starts.
    const placed = await placeHints(directory);
    answer = await pool.open({ kind: 'open', directory, lock, nowMs: nowMs(), measureFree, deduplicate, placed });
  } catch (cause) {
    await pool.close(undefined).catch(() => {});
    throw new CacheError('ERR_CACHE_WORKER', 'the thread that writes the cache could not be started', { cause });
  }
  if (answer.outcome === 'failed') {
    await pool.close(undefined);
    throw openError(directory, answer.failure);
  }
  const settings = {
    directory,
    lock,
    leaseMs: options.leaseMs ?? 5_000,
    maxBytes: options.maxBytes,
    maxEntries: options.maxEntries ?? Infinity,
    minFreeBytes,
    compression: options.compression,
    deduplicate,
    maxEntryBytes: options.maxEntryBytes ?? Math.floor(options.maxBytes / 4),
    segmentBytes: options.segmentBytes ?? Math.min(64 * MiB, Math.max(MiB / 4, Math.floor(options.maxBytes / 128))),
    maxOpenSegments: options.maxOpenSegments ?? 192,
    stallMs: options.stallMs ?? 30_000,
    after: options.after ?? afterMs,
    nowMs,
    monotonicMs: options.monotonicMs ?? (() => performance.now()),
    onEvent: options.onEvent ?? (() => {}),
  };
  return new DiskStore(settings, pool, answer);
}

function afterMs(ms: number, callback: () => void): () => void {
  const timer = setTimeout(callback, ms);
  timer.unref();
  return () => clearTimeout(timer);
}

function openError(directory: string, { code, message }: WriterFailure): CacheError {
  switch (code) {
    case 'ERR_CACHE_FORMAT':
    case 'ERR_CACHE_LOCKED':
    case 'ERR_CACHE_ACCESS':
      return new CacheError(code, message);
    case 'ENOSPC':
    case 'EDQUOT':
      return asError(
        'ERR_CACHE_FULL',
        `no space is left for a cache in ${directory}; free some or use another directory`,
      );
    case 'EACCES':
    case 'EPERM':
      return asError(
        'ERR_CACHE_ACCESS',
        `${directory} cannot be written by this user; change its permissions or use another directory`,
      );
    case 'EROFS':
      return asError(
        'ERR_CACHE_ACCESS',
        `${directory} is on a file system that is mounted read-only; use another directory`,
      );
    case 'ENOTDIR':
    case 'EEXIST':
      return asError(
        'ERR_CACHE_ACCESS',
        `${directory}, or something above or in it, is a file and not a directory; use another directory`,
      );
    case 'EMFILE':
    case 'ENFILE':
      return asError('ERR_CACHE_ACCESS', 'too many files are open; raise the limit (ulimit -n)');
    default:
      return asError('ERR_CACHE_ACCESS', `${directory} cannot be used for a cache; use another directory`);
  }

  function asError(as: CacheErrorCode, sentence: string): CacheError {
    return new CacheError(as, `${sentence} (${message})`);
  }
}
