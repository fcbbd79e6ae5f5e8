import { channel } from 'node:diagnostics_channel';
import type { RequestHead } from './http/message.js';

/** What is published on the channel `offloop:<name>`, and in what shape. */
export interface CacheEvents {
  /** A stored response answered, fresh or validated. */
  readonly hit: { readonly request: RequestHead; readonly key: string };
  /** A stale response answered. */
  readonly stale: { readonly request: RequestHead; readonly key: string };
  /** The origin was asked; `reason` is RFC 9211's `fwd`. */
  readonly miss: { readonly request: RequestHead; readonly key: string; readonly reason: string };
  /** A 304 freshened a stored response. */
  readonly revalidate: { readonly request: RequestHead; readonly key: string };
  /** A response became visible in the store. */
  readonly store: { readonly key: string; readonly url: string; readonly bytes: number };
  /** A response was not stored, and why. */
  readonly skip: { readonly key: string; readonly url: string; readonly reason: string };
  /** A request was answered by another's origin response. */
  readonly collapse: { readonly request: RequestHead; readonly key: string };
  readonly invalidate: { readonly entries: number };
  readonly evict: { readonly entries: number; readonly bytes: number };
  readonly corrupt: { readonly key: string; readonly detail: string };
  /** Something failed inside the cache; the request went on without it. */
  readonly error: { readonly error: unknown; readonly during: string };
}

const channels = {
  hit: channel('offloop:hit'),
  stale: channel('offloop:stale'),
  miss: channel('offloop:miss'),
  revalidate: channel('offloop:revalidate'),
  store: channel('offloop:store'),
  skip: channel('offloop:skip'),
  collapse: channel('offloop:collapse'),
  invalidate: channel('offloop:invalidate'),
  evict: channel('offloop:evict'),
  corrupt: channel('offloop:corrupt'),
  error: channel('offloop:error'),
} as const satisfies Record<keyof CacheEvents, unknown>;

/** Publishes to whoever subscribed to `offloop:<name>`; costs nothing when nobody did. */
export function publish<Name extends keyof CacheEvents>(name: Name, event: CacheEvents[Name]): void {
  const target = channels[name];
  if (target.hasSubscribers) target.publish(event);
}
