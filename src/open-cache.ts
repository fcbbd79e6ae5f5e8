import { Cache } from './cache.js';
import { publish } from './diagnostics.js';
import { type CacheOptions, type CompleteCacheOptions, completeCacheOptions } from './options.js';
import type { ResponseStore, StoreEvent } from './store/contract.js';
import { openDiskStore } from './store/disk-open.js';
import { createMemoryStore } from './store/memory-store.js';
import { createTieredStore } from './store/tiered-store.js';

/**
 * Opens a cache on a directory, made if missing. Resolves when it can be used; nothing else has to be awaited.
 *
 * Rejects with a `CacheError`: `ERR_CACHE_OPTIONS` (names the option), `ERR_CACHE_ACCESS` (the directory cannot be used),
 * `ERR_CACHE_FULL`, `ERR_CACHE_FORMAT`, `ERR_CACHE_LOCKED` (names the owner). Whatever is there already is left as it was.
 */
export async function openCache(options: CacheOptions): Promise<Cache> {
  const complete = completeCacheOptions(options);
  return new Cache(complete.store ?? (await openStore(complete)), complete);
}

/** The disk, and memory over it if there is to be any. */
async function openStore(options: CompleteCacheOptions): Promise<ResponseStore> {
  const {
    directory,
    lock,
    leaseMs,
    maxBytes,
    maxEntries,
    minFreeBytes,
    maxEntryBytes,
    memoryBytes,
    deduplicate,
    nowMs,
  } = options;
  const onEvent = publishStoreEvent;
  const limits = { maxBytes, maxEntries, minFreeBytes, maxEntryBytes };
  const compression = options.compression === true ? {} : options.compression;
  const coding = compression === false ? {} : { compression };
  const disk = await openDiskStore({ directory, lock, leaseMs, ...limits, ...coding, deduplicate, nowMs, onEvent });
  if (memoryBytes === 0) return disk;
  // One response must not push out all others.
  const maxMemoryEntryBytes = Math.min(1024 ** 2, Math.floor(memoryBytes / 16));
  const memory = createMemoryStore({ maxBytes: memoryBytes, maxEntryBytes: maxMemoryEntryBytes, nowMs });
  return createTieredStore({ memory, disk, maxMemoryEntryBytes, onEvent });
}

function publishStoreEvent(event: StoreEvent): void {
  switch (event.type) {
    case 'evict':
      publish('evict', { entries: event.entries, bytes: event.bytes });
      return;
    case 'corrupt':
      publish('corrupt', { key: event.key, detail: event.detail });
      return;
    case 'error':
    case 'down':
      publish('error', {
        error: event.error,
        during: event.type === 'down' ? 'store (it keeps nothing any more)' : 'store',
      });
  }
}
