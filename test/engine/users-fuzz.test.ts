// time limit: 300 s
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { randomOf } from '../contract/contract-kit.js';
import type { Answer, Ask, Client } from './clients.js';
import { withEachClient } from './fixture.js';
import { type Handler, reply } from './origin.js';

const test = suite('users of one process, at random');

const controls = [
  'max-age=2',
  'max-age=2, public',
  's-maxage=2',
  'max-age=1, stale-while-revalidate=50',
  'max-age=1, stale-if-error=50',
  'max-age=3, must-revalidate',
  'max-age=5, immutable',
  'private, max-age=3',
  'no-cache',
  'max-age=0',
];
const modes = ['default', 'default', 'no-cache', 'reload', 'force-cache', 'only-if-cached', 'ignore-rules'] as const;
const users = ['alice', 'bob', 'carol', undefined] as const;

const randomly = (seed: number) => {
  const random = randomOf(seed);
  const below = (limit: number): number => random() % limit;
  return { below, pick: <T>(values: readonly T[]): T => values[below(values.length)] as T };
};

/** Marks by its ETag whose an answer is, and with `!` that the origin says it is for everyone. */
function originOf(seed: number): Handler {
  const { below, pick } = randomly(seed);
  return (request, response) => {
    const owner = request.headers.cookie ?? 'nobody';
    const control = pick(controls);
    const etag = `"${owner}${/public|s-maxage/.test(control) ? '!' : ''}"`;
    const vary = pick([undefined, undefined, 'Cookie', 'Accept-Language']);
    const location = request.method === 'POST' ? request.url : undefined;
    const fields = { 'Cache-Control': control, ETag: etag, Vary: vary, 'Content-Location': location };
    if (below(20) === 0) return reply(response, 'error', {}, 503);
    if (below(40) === 0) return response.destroy();
    const isCurrent = request.method === 'GET' && request.headers['if-none-match'] === etag;
    return reply(response, isCurrent ? '' : `${etag} ${control}`, fields, isCurrent ? 304 : 200);
  };
}

function check(user: string, { status, headers, text, info }: Answer): void {
  if (status >= 500) return;
  const etag = String(headers.etag);
  assert.ok(etag === `"${user}"` || etag.endsWith('!"'), `${user} got ${status} ${etag}: ${JSON.stringify(info)}`);
  if (status === 200 && text !== '') assert.ok(text.startsWith(etag), `${text} under ${etag}: ${JSON.stringify(info)}`);
}

async function askOnce(client: Client, url: string, { below, pick }: ReturnType<typeof randomly>): Promise<boolean> {
  const user = pick(users);
  const method = pick(['GET', 'GET', 'GET', 'HEAD', 'POST']);
  const ask: Ask = {
    method,
    headers: {
      ...(user !== undefined && { Cookie: user }),
      ...(below(8) === 0 && { Range: 'bytes=0-4' }),
      ...(below(10) === 0 && { 'If-None-Match': `"${user ?? 'nobody'}"` }),
    },
    ...(method === 'POST' && { body: 'x' }),
    cache: {
      mode: pick(modes),
      ...(below(4) === 0 && { ttlMs: 3000 }),
      ...(below(5) === 0 && { staleIfErrorSeconds: 60, staleWhileRevalidateSeconds: 60 }),
      ...(below(9) === 0 && { key: 'mine' }),
    },
  };
  // A connection that is lost is the client's to report.
  const answer = await client.ask(`${url}/${below(3)}`, ask).catch(() => undefined);
  if (answer !== undefined) check(user ?? 'nobody', answer);
  return answer?.isFromCache === true;
}

for (const shared of [true, false]) {
  withEachClient(
    test,
    `nobody gets what is another's, whatever is asked at once (${shared ? 'shared' : 'private'})`,
    () => originOf(7),
    { tier: 'memory', shared },
    async ({ client, cache, clock, at }) => {
      const random = randomly(shared ? 11 : 12);
      let hits = 0;
      for (let step = 0; step < 150; step += 1) {
        const batch = Array.from({ length: 1 + random.below(6) }, () => askOnce(client, at(''), random));
        hits += (await Promise.all(batch)).filter(Boolean).length;
        if (random.below(3) === 0) await cache.flush();
        if (random.below(3) === 0) clock.advanceSeconds(random.below(4));
      }
      assert.ok(hits > 50, `only ${hits} came from the cache`);
    },
  );
}

test.run();
