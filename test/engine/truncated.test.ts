import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import axios from 'axios';
import got from 'got';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { cacheAxios } from '../../interceptors/axios.js';
import { cacheGot } from '../../interceptors/got.js';
import { bytesOf } from '../contract/contract-kit.js';
import { makers } from './clients.js';
import { entriesOf, eventsDuring, nextEvent, onBench, withEachClient } from './fixture.js';
import type { Handler } from './origin.js';

const test = suite('a download that is cut off');
const fresh = { 'Cache-Control': 'max-age=60' };
const size = 2_500_000;
const body = bytesOf(size, 3);

type Cut =
  | 'length is exceeded'
  | 'length is short'
  | 'chunks are cut'
  | 'connection is reset'
  | 'chunk size is nonsense';

/** The first answer breaks off in this way once half of it is out; the next ones are whole. */
function cutting(cut: Cut, bytes: Buffer): Handler {
  let count = 0;
  return (request, response) => {
    count += 1;
    const isCut = count === 1;
    if (!isCut) {
      response.writeHead(200, { ...fresh, 'Content-Length': String(bytes.length) });
      response.end(bytes);
      return;
    }
    const framing =
      cut === 'length is short' || cut === 'connection is reset'
        ? `Content-Length: ${bytes.length}`
        : 'Transfer-Encoding: chunked';
    const half = bytes.subarray(0, bytes.length / 2);
    const { socket } = request;
    if (cut === 'length is exceeded') {
      socket.end(
        `HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nContent-Length: 9\r\nConnection: close\r\n\r\n${half.toString('hex')}`,
      );
      return;
    }
    socket.write(`HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\n${framing}\r\n\r\n`);
    if (framing.startsWith('Transfer')) socket.write(`${half.length.toString(16)}\r\n`);
    socket.write(half, () => {
      if (cut === 'connection is reset') socket.resetAndDestroy();
      else socket.end(cut === 'chunk size is nonsense' ? '\r\nxyz\r\n' : '');
    });
  };
}

for (const cut of [
  'length is exceeded',
  'length is short',
  'chunks are cut',
  'connection is reset',
  'chunk size is nonsense',
] as const) {
  for (const bytes of [body.subarray(0, 3000), body]) {
    withEachClient(
      test,
      `${bytes.length} bytes whose ${cut}: an error for the caller, and no trace`,
      () => cutting(cut, bytes),
      {},
      async (bench) => {
        const { client, cache, directory, origin, at } = bench;
        const skips = await eventsDuring('skip', async () => {
          const skipped = nextEvent('skip');
          const error = await client.ask(at('/')).catch((reason: unknown) => reason);
          assert.instance(error, Error, 'the client must not take it for a whole body');
          await skipped;
          await cache.flush();
        });
        assert.equal(
          skips.map(({ reason }) => reason),
          ['incomplete'],
        );
        assert.is(await entriesOf(cache), 0);
        assert.equal(await readdir(join(directory, 'offloop-1', 'tmp')), []);
        assert.ok((await client.ask(at('/'))).body.equals(bytes));
        await cache.flush();
        assert.ok((await client.ask(at('/'))).body.equals(bytes));
        assert.is(origin.hits.length, 2);
      },
    );
  }
}

/** Sends half of the body, and the rest when it is told to. */
function halfThenRest(): { handler: Handler; rest: () => void } {
  let rest: () => void = () => undefined;
  const gate = new Promise<void>((resolve) => {
    rest = resolve;
  });
  const handler: Handler = async (_, response) => {
    response.writeHead(200, { ...fresh, 'Content-Length': String(size) });
    response.write(body.subarray(0, size / 2));
    await gate;
    response.end(body.subarray(size / 2));
  };
  return { handler, rest };
}

test('axios: a caller that gives up in the middle leaves nothing', () => {
  const { handler } = halfThenRest();
  return onBench(makers.axios, handler, {}, async ({ cache, directory, at }) => {
    const instance = cacheAxios(axios.create({ proxy: false }), cache);
    const controller = new AbortController();
    const response = await instance.get(at('/'), { responseType: 'stream', signal: controller.signal });
    const skipped = nextEvent('skip');
    response.data.on('error', () => undefined);
    response.data.once('data', () => controller.abort());
    assert.is((await skipped).reason, 'incomplete');
    await cache.flush();
    assert.is(await entriesOf(cache), 0);
    assert.equal(await readdir(join(directory, 'offloop-1', 'tmp')), []);
  });
});

test('got: a caller that gives up in the middle leaves nothing', () => {
  const { handler } = halfThenRest();
  return onBench(makers.got, handler, {}, async ({ cache, directory, at }) => {
    const stream = got.extend(cacheGot(cache)).stream(at('/'));
    const skipped = nextEvent('skip');
    stream.on('error', () => undefined);
    stream.once('data', () => stream.destroy());
    assert.is((await skipped).reason, 'incomplete');
    await cache.flush();
    assert.is(await entriesOf(cache), 0);
    assert.equal(await readdir(join(directory, 'offloop-1', 'tmp')), []);
  });
});

test('finishAbandonedBytes: what is nearly whole is finished in the background', () => {
  const { handler, rest } = halfThenRest();
  return onBench(makers.got, handler, { finishAbandonedBytes: size }, async ({ client, cache, origin, at }) => {
    const stream = got.extend(cacheGot(cache)).stream(at('/'));
    const stored = nextEvent('store');
    stream.on('error', () => undefined);
    stream.once('data', () => {
      stream.destroy();
      rest();
    });
    await stored;
    assert.ok((await client.ask(at('/'))).body.equals(body));
    assert.is(origin.hits.length, 1);
  });
});

test.run();
