import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { openCache } from '../../src/index.js';
import { bytesOf, randomOf } from '../contract/contract-kit.js';
import { makers } from './clients.js';
import { inDirectory } from './fixture.js';
import { Origin, reply } from './origin.js';

const test = suite('a crawl that is killed');

const kills = 20;
const sizes = [10, 3_000, 40_000, 1_200_000, 0, 700, 90_000, 300_000];
const pageOf = (number: number): Buffer => bytesOf(sizes[number % sizes.length] ?? 0, number + 1);

/** Crawls in a child until it has reported `batches` of them and sent a few more requests; resolves to what was acknowledged. */
async function crawlAndKill(
  directory: string,
  origin: Origin,
  from: number,
  batches: number,
  more: number,
): Promise<number[]> {
  const child: ChildProcess = fork(new URL('kill-child.js', import.meta.url), [directory, origin.url, String(from)]);
  const exited = once(child, 'exit');
  const acknowledged: number[] = [];
  let count = 0;
  await new Promise<void>((resolve, reject) => {
    child.on('message', (batch) => {
      acknowledged.push(...(batch as number[]));
      count += 1;
      if (count === batches) origin.arrived(origin.hits.length + more).then(resolve, reject);
    });
    child.once('exit', (code) => reject(new Error(`the child ended by itself, with ${code}`)));
  });
  child.kill('SIGKILL');
  await exited;
  return acknowledged;
}

test('keeps everything that flush acknowledged, and every byte is right, over twenty kills', () =>
  inDirectory(async (directory) => {
    await using origin = await Origin.open((request, response) =>
      reply(response, pageOf(Number((request.url ?? '').slice(1))), { 'Cache-Control': 'max-age=86400' }),
    );
    const random = randomOf(20_261_121);
    const acknowledged: number[] = [];
    let next = 0;
    for (let kill = 0; kill < kills; kill += 1) {
      const pages = await crawlAndKill(directory, origin, next, 1 + (random() % 2), random() % 9);
      acknowledged.push(...pages);
      const paths = new Set(origin.paths);
      next = 1 + Math.max(...[...paths].map((path) => Number(path.slice(1))));
      const hits = origin.hits.length;
      await using cache = await openCache({ directory, maxBytes: 256 * 1024 * 1024 });
      const client = makers.got(cache);
      for (const page of pages) {
        const answer = await client.ask(`${origin.url}/${page}`);
        assert.is(answer.info?.status, 'hit', `page ${page} after kill ${kill}`);
        assert.ok(answer.body.equals(pageOf(page)), `bytes of page ${page} after kill ${kill}`);
      }
      assert.is(origin.hits.length, hits);
    }
    await using cache = await openCache({ directory, maxBytes: 256 * 1024 * 1024 });
    const client = makers.got(cache);
    for (const page of acknowledged) {
      const answer = await client.ask(`${origin.url}/${page}`);
      assert.is(answer.info?.status, 'hit', `page ${page}`);
      assert.ok(answer.body.equals(pageOf(page)), `bytes of page ${page}`);
    }
    // What was not acknowledged may be there or not; if it is, it is whole.
    for await (const { head, openBody } of cache.entries()) {
      const page = Number(new URL(head.url).pathname.slice(1));
      const chunks: Buffer[] = [];
      for await (const chunk of openBody()) chunks.push(chunk);
      assert.ok(Buffer.concat(chunks).equals(pageOf(page)), `stored bytes of page ${page}`);
    }
    assert.ok(acknowledged.length >= kills * 8);
  }));

test.run();
