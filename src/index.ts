export { Cache, type CacheChoice, checkChoice, layChoices } from './cache.js';
export type { CacheEvents } from './diagnostics.js';
export { bodyHashOf } from './engine/body-hash.js';
export type { CacheInfo, CacheResponse, Forward, OriginResponse, Presented } from './engine/messages.js';
export type { Miss } from './engine/miss.js';
export { type BodySink, type ChunksShown, Tap } from './engine/tap.js';
export { CacheError, type CacheErrorCode, isCacheError } from './errors.js';
export type { FieldLines, RequestHead, ResponseHead, StoredHead } from './http/message.js';
export { isOutversioned } from './http/version.js';
export { openCache } from './open-cache.js';
export type { CacheOptions, OptionRule, RequestOptions } from './options.js';
export type { CacheSelector, CacheTarget, SelectableResponse } from './selectors.js';
export type { CacheMode, ForwardReason } from './semantics/decisions.js';
export type { CompressionOptions } from './store/compression.js';
export type {
  Admission,
  Candidate,
  CommitResult,
  CreateOptions,
  DeclineReason,
  EntryWriter,
  InvalidateOptions,
  LookupOptions,
  MaintainReport,
  Presence,
  PresenceOptions,
  ResponseStore,
  Selector,
  StoredResponse,
  StoreEvent,
  StoreListener,
  StoreRef,
  StoreStats,
  UpdateOptions,
  VerifyReport,
} from './store/contract.js';
export { createMemoryStore, type MemoryStore, type MemoryStoreOptions } from './store/memory-store.js';
export { createMatcher } from './store/select.js';
export { createTieredStore, type TieredStoreOptions } from './store/tiered-store.js';
