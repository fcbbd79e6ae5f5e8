import { Cache } from './cache.js';
import { publish } from './diagnostics.js';
import { type CacheOptions, completeCacheOptions } from './options.js';
import type { StoreEvent } from './store/contract.js';
import { openDiskStore } from './store/disk-open.js';

/**
 * Opens a cache on a directory, made if missing. Resolves when it can be used; nothing else has to be awaited.
 *
 * Rejects with a `CacheError`: `ERR_CACHE_OPTIONS` (names the option), `ERR_CACHE_ACCESS` (the directory cannot be used),
 * `ERR_CACHE_FULL`, `ERR_CACHE_FORMAT`, `ERR_CACHE_LOCKED` (names the owner). Whatever is there already is left as it was.
 */
export async function openCache(options: CacheOptions): Promise<Cache> {
  const complete = completeCacheOptions(options);
  const { directory, maxBytes, maxEntryBytes, nowMs } = complete;
  const store =
    complete.store ?? (await openDiskStore({ directory, maxBytes, maxEntryBytes, nowMs, onEvent: publishStoreEvent }));
  return new Cache(store, complete);
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
