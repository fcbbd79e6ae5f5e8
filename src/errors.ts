/**
 * Why an operation of the cache itself failed. A user's request never fails with one of these but for
 * `ERR_CACHE_OPTIONS`, `ERR_CACHE_ATTACHED` and `ERR_CACHE_CLOSED`, which are mistakes in the program.
 *
 * - `ERR_CACHE_OPTIONS`: an option has an unknown name or a value that is not allowed.
 * - `ERR_CACHE_ATTACHED`: the client already has a cache (ours or its own).
 * - `ERR_CACHE_CLOSED`: the cache was closed.
 * - `ERR_CACHE_ACCESS`: the directory cannot be created, read or written.
 * - `ERR_CACHE_FULL`: no space is left on the device, or the quota is used up.
 * - `ERR_CACHE_FORMAT`: the directory holds something that is not ours, or is of another format version.
 * - `ERR_CACHE_LOCKED`: somebody else has the directory, and one of the two wants it alone.
 * - `ERR_CACHE_CORRUPT`: stored bytes do not match their checksum.
 * - `ERR_CACHE_ABORTED`: the response was abandoned while it was being stored, so its body has no end.
 * - `ERR_CACHE_TIMEOUT`: a store of the user's own did not answer in time.
 * - `ERR_CACHE_WORKER`: the worker thread died, or did not answer.
 */
export type CacheErrorCode =
  | 'ERR_CACHE_OPTIONS'
  | 'ERR_CACHE_ATTACHED'
  | 'ERR_CACHE_CLOSED'
  | 'ERR_CACHE_ACCESS'
  | 'ERR_CACHE_FULL'
  | 'ERR_CACHE_FORMAT'
  | 'ERR_CACHE_LOCKED'
  | 'ERR_CACHE_CORRUPT'
  | 'ERR_CACHE_ABORTED'
  | 'ERR_CACHE_TIMEOUT'
  | 'ERR_CACHE_WORKER';

/** The one error class of this package. Tell its kinds apart by `code`, never by the message. */
export class CacheError extends Error {
  override readonly name = 'CacheError';
  readonly code: CacheErrorCode;

  constructor(code: CacheErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

/** Holds also for an error of another copy of this package, where `instanceof` does not. */
export function isCacheError(error: unknown): error is CacheError {
  return error instanceof Error && error.name === 'CacheError' && 'code' in error;
}

/** The end of a `switch` that must be exhaustive: compiles only if nothing is left. */
export function assertNever(value: never): never {
  throw new TypeError(`unexpected value: ${JSON.stringify(value)}`);
}
