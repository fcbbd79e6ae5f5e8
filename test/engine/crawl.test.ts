import { fork } from 'node:child_process';
import { hash } from 'node:crypto';
import { once } from 'node:events';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { bytesOf } from '../contract/contract-kit.js';
import { makers } from './clients.js';
import { entriesOf, onBench } from './fixture.js';
import { type Handler, reply } from './origin.js';

const test = suite('a crawl');

const pageCount = 40;
const pageOf = (path: string): Buffer => {
  const number = Number(path.slice(1));
  return bytesOf([0, 1, 700, 5_000, 90_000][number % 5] ?? 0, number + 1);
};
const site: Handler = (request, response) =>
  reply(response, pageOf(request.url ?? ''), { 'Cache-Control': 'max-age=3600', 'Content-Type': 'text/html' });
const paths = Array.from({ length: pageCount }, (_, number) => `/${number}`);

for (const [name, makeClient] of Object.entries(makers)) {
  test(`${name}: is answered from the disk after a restart, with the origin stopped`, () =>
    onBench(makeClient, site, {}, async (bench) => {
      for (const answer of await Promise.all(paths.map((path) => bench.client.ask(bench.at(path))))) {
        assert.is(answer.info?.status, 'miss');
        assert.is(answer.isFromCache, false);
      }
      await bench.cache.flush();
      assert.is(await entriesOf(bench.cache), pageCount);
      const urls = paths.map((path) => bench.at(path));
      await bench.origin.close();
      await bench.reopen();
      for (const [position, url] of urls.entries()) {
        const answer = await bench.client.ask(url);
        assert.is(answer.status, 200);
        assert.ok(answer.body.equals(pageOf(paths[position] ?? '')), url);
        assert.is(answer.isFromCache, true);
        assert.is(answer.info?.status, 'hit');
        assert.is(answer.headers['content-type'], 'text/html');
        assert.match(String(answer.headers['cache-status']), /^offloop; hit/);
      }
      assert.is(bench.origin.hits.length, pageCount);
    }));

  test(`${name}: what one process stored answers in another`, () =>
    onBench(makeClient, site, {}, async (bench) => {
      const urls = paths.map((path) => bench.at(path));
      for (const url of urls) await bench.client.ask(url);
      await bench.origin.close();
      await bench.cache.close();
      const child = fork(new URL('crawl-child.js', import.meta.url), [bench.directory, name, ...urls]);
      let message: unknown;
      child.on('message', (value) => {
        message = value;
      });
      const [code] = await once(child, 'close');
      assert.is(code, 0);
      assert.equal(
        message,
        paths.map((path) => ({ status: 'hit', sha256: hash('sha256', pageOf(path)) })),
      );
    }));

  test(`${name}: what the other client stored answers, and the field lines stay what they were`, () => {
    const handler: Handler = (_, response) => {
      response.statusMessage = 'Fine';
      reply(response, 'ok', {
        'Cache-Control': 'max-age=60',
        Link: ['</a>; rel=a', '</b>; rel=b'],
        'X-Name': 'caf\xe9',
      });
    };
    return onBench(makeClient, handler, {}, async ({ cache, client, origin, at }) => {
      const [other] = Object.entries(makers).flatMap(([otherName, make]) => (otherName === name ? [] : [make(cache)]));
      await other?.ask(at('/'));
      await cache.flush();
      const answer = await client.ask(at('/'));
      assert.is(answer.text, 'ok');
      assert.is(answer.headers.link, '</a>; rel=a, </b>; rel=b');
      assert.is(answer.headers['x-name'], 'caf\xe9');
      assert.is(answer.isFromCache, true);
      assert.is(origin.hits.length, 1);
    });
  });
}

test.run();
