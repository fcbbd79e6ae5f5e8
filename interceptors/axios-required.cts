// axios has a second set of types for CommonJS programs, which no declaration in a module reaches.
import type { AxiosInstance } from 'axios';
import type { CacheChoice, CacheInfo } from '../src/index.js' with { 'resolution-mode': 'import' };

declare module 'axios' {
  interface AxiosRequestConfig {
    /** What the cache is to do with this request: options, or `false` to leave it alone. */
    cache?: CacheChoice;
  }
  interface AxiosResponse {
    /** A stored response answered, fresh, stale or validated. */
    cached?: boolean;
    /** What the cache had to do with it; absent if nothing. */
    cacheInfo?: CacheInfo;
  }
}

/** An instance of the axios that `require()` gives, to TypeScript a type of its own. */
export type RequiredAxiosInstance = AxiosInstance;
