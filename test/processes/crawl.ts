import { createHash } from 'node:crypto';
import type { Cache } from '../../src/index.js';
import { randomOf } from '../contract/contract-kit.js';
import type { Answer, Client } from '../engine/clients.js';

export const pages = 24;

/** What the origin has at a page: every version is another, so that a mixed or torn one is found out. */
export function bodyOfPage(page: number, version: number): Buffer {
  const sizes = [0, 30, 700, 5_000, 70_000, 1_200_000];
  const size = sizes[page % sizes.length] ?? 0;
  const block = createHash('sha256').update(`${page} ${version}`).digest();
  return Buffer.alloc(size, block);
}

/** Why an answer is not what the origin has ever sent; `undefined` if it is. */
export function faultOf(page: number, answer: Answer): string | undefined {
  if (answer.status === 504) return undefined;
  const version = Number(answer.headers['x-version']);
  if (answer.headers['x-page'] !== String(page)) return `page ${page} has the head of ${answer.headers['x-page']}`;
  return answer.body.equals(bodyOfPage(page, version)) ? undefined : `page ${page}, version ${version}, is not whole`;
}

export interface CrawlOptions {
  readonly url: string;
  readonly seed: number;
  readonly requests: number;
  /** How many URIs there are of each page. */
  readonly copies?: number;
}

/** Asks for pages, new ones and stored ones, and invalidates some; resolves to what was wrong. */
export async function crawl(
  cache: Cache,
  client: Client,
  { url, seed, requests, copies = 1 }: CrawlOptions,
): Promise<string[]> {
  const random = randomOf(seed);
  const faults: string[] = [];
  for (let i = 0; i < requests; i += 4) {
    const asked = Array.from({ length: 4 }, async () => {
      const page = random() % pages;
      const dice = random() % 100;
      const mode = dice < 25 ? 'reload' : dice < 35 ? 'no-cache' : dice < 60 ? 'only-if-cached' : 'default';
      const fault = faultOf(page, await client.ask(`${url}/${page}?copy=${random() % copies}`, { cache: { mode } }));
      if (fault !== undefined) faults.push(fault);
    });
    await Promise.all(asked);
    const dice = random() % 100;
    if (dice < 15) await cache.invalidate({ prefix: `${url}/${random() % pages}` });
    else if (dice === 15) await cache.clear();
    else if (dice === 16) await cache.invalidate({ tag: 't' });
    else if (dice === 17) await cache.invalidate({ namespace: 'n' });
  }
  return faults;
}
