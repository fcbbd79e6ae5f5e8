// A process with a cache of its own on a directory that others have too. Does what its parent asks, one thing after the other.
import { type CacheOptions, isCacheError, openCache, type Selector } from '../../src/index.js';
import { makers } from '../engine/clients.js';
import { crawl } from './crawl.js';

/** What a parent may ask for. */
export type Command =
  | {
      readonly kind: 'get';
      readonly url: string;
      readonly method?: string;
      readonly mode?: 'reload' | 'only-if-cached';
      readonly timeoutMs?: number;
      readonly language?: string;
    }
  /** All at once. */
  | { readonly kind: 'get-all'; readonly urls: readonly string[] }
  | { readonly kind: 'invalidate'; readonly selector: Selector }
  /** `leave`: lets go of its parent, and closes nothing. */
  | { readonly kind: 'leave' | 'clear' | 'flush' | 'close' | 'entries' | 'stats' }
  | {
      readonly kind: 'crawl';
      readonly url: string;
      readonly seed: number;
      readonly requests: number;
      readonly copies?: number;
    };

export type Reply =
  | { readonly kind: 'failed'; readonly code: string; readonly message: string }
  | { readonly kind: 'done'; readonly value: unknown };

const [directory = '', options = '{}', clientName = 'got'] = process.argv.slice(2);

function send(reply: Reply, id = 0): void {
  process.send?.({ id, reply });
}

function failureOf(error: unknown): Reply {
  return { kind: 'failed', code: isCacheError(error) ? error.code : '', message: String(error) };
}

try {
  const cache = await openCache({ directory, ...(JSON.parse(options) as Partial<CacheOptions>) });
  const client = makers[clientName === 'axios' ? 'axios' : 'got'](cache, { tags: ['t'], namespace: 'n' });
  const run = async (command: Command): Promise<unknown> => {
    switch (command.kind) {
      case 'get': {
        const { url, method = 'GET', mode, timeoutMs, language } = command;
        const answer = await client.ask(url, {
          method,
          ...(mode !== undefined && { cache: { mode } }),
          ...(timeoutMs !== undefined && { timeoutMs }),
          ...(language !== undefined && { headers: { 'Accept-Language': language } }),
        });
        const tag = answer.headers['x-tag'];
        return { status: answer.status, text: answer.text, cache: answer.info?.status, tier: answer.info?.tier, tag };
      }
      case 'get-all': {
        const answers = await Promise.all(command.urls.map((url) => client.ask(url)));
        return answers.map(({ status, text, info }) => ({ status, text, cache: info?.status }));
      }
      case 'invalidate':
        return cache.invalidate(command.selector);
      case 'clear':
        return cache.clear();
      case 'flush':
        return cache.flush();
      case 'entries': {
        const entries: string[] = [];
        for await (const { ref, head, bodyBytes } of cache.entries()) {
          entries.push(`${ref.sequence} ${head.url} ${bodyBytes}`);
        }
        return entries.sort();
      }
      case 'stats':
        return cache.stats();
      case 'crawl':
        return crawl(cache, client, command);
      case 'leave':
        setImmediate(() => process.disconnect());
        return undefined;
      case 'close':
        await cache.close();
        setImmediate(() => process.disconnect());
        return undefined;
    }
  };
  process.on('message', ({ id, command }: { readonly id: number; readonly command: Command }) => {
    run(command).then(
      (value) => send({ kind: 'done', value }, id),
      (error: unknown) => send(failureOf(error), id),
    );
  });
  send({ kind: 'done', value: 'open' });
} catch (error) {
  send(failureOf(error));
  process.disconnect();
}
