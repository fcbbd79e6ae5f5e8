import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { CacheEvents } from '../../src/index.js';
import { openDiskStore } from '../../src/store/disk-open.js';
import { bytesOf } from '../contract/contract-kit.js';
import { makers } from './clients.js';
import { entriesOf, eventsDuring, inDirectory, nextEvent, onBench } from './fixture.js';
import { always, type Handler, reply } from './origin.js';

const test = suite('a disk that fails');

/** Bodies by their path: `/5000` has 5000 bytes. With a validator, but for what is below `/plain/`; in parts below `/ranged/`. */
const bySize: Handler = (request, response) => {
  const path = request.url ?? '';
  const size = Number(path.slice(path.lastIndexOf('/') + 1));
  const etag = path.startsWith('/plain/') ? {} : { ETag: `"${size}"` };
  const fields = { 'Cache-Control': 'max-age=3600', ...etag };
  const range = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? '');
  if (range === null || !path.startsWith('/ranged/')) reply(response, bytesOf(size, size), fields);
  else {
    const [start, end] = [Number(range[1]), Number(range[2])];
    const part = bytesOf(size, size).subarray(start, end + 1);
    reply(response, part, { ...fields, 'Content-Range': `bytes ${start}-${end}/${size}` }, 206);
  }
};

/** Spoils a byte in every 4 KiB of every file, from `start` on. */
async function spoil(directory: string, start: number): Promise<void> {
  for (const file of await filesBelow(directory)) {
    const bytes = await readFile(file);
    for (let at = start; at < bytes.length; at += 4096) bytes[at] = ~(bytes[at] ?? 0);
    await writeFile(file, bytes);
  }
}

async function filesBelow(directory: string): Promise<string[]> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true });
  return entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath ?? entry.path, entry.name));
}

const sizes = [1_000, 60_000, 400_000, 3_000_000];

for (const [name, makeClient] of Object.entries(makers)) {
  test(`${name}: a body file that was removed is fetched again`, () =>
    onBench(makeClient, bySize, {}, async ({ client, cache, origin, directory, at }) => {
      const path = at('/3000000');
      await client.ask(path);
      await cache.flush();
      const bodies = (await filesBelow(directory)).filter((file) => file.includes('/bodies/'));
      assert.is(bodies.length, 1);
      for (const file of bodies) await rm(file);
      const answer = await client.ask(path);
      assert.ok(answer.body.equals(bytesOf(3_000_000, 3_000_000)));
      assert.is(origin.hits.length, 2);
      await cache.flush();
      assert.is((await client.ask(path)).info?.status, 'hit');
      assert.is(origin.hits.length, 2);
    }));

  for (const folder of ['/', '/plain/', '/ranged/']) {
    test(`${name}: damaged bytes never reach a caller (${folder === '/' ? 'with' : 'without'} validators)`, () =>
      onBench(makeClient, bySize, {}, async (bench) => {
        const paths = sizes.map((size) => `${folder}${size}`);
        for (const path of paths) await bench.client.ask(bench.at(path));
        await bench.cache.flush();
        await spoil(bench.directory, 512);
        const corrupt = await eventsDuring('corrupt', async () => {
          for (const [position, path] of paths.entries()) {
            const size = sizes[position] ?? 0;
            const answer = await bench.client.ask(bench.at(path));
            assert.ok(answer.body.equals(bytesOf(size, size)), path);
          }
        });
        assert.ok(corrupt.length >= sizes.length, `${corrupt.length} events`);
        await bench.cache.flush();
        for (const path of paths) assert.is((await bench.client.ask(bench.at(path))).info?.status, 'hit', path);
      }));

    for (const [kind, spoiltFrom] of [
      ['at once', 512],
      ['after a part of it was read', 2_000_000],
    ] as const) {
      // Without a validator nothing tells that what was read goes on in what comes.
      if (folder === '/plain/' && spoiltFrom > 1_000_000) continue;
      test(`${name}: a part of a damaged body goes on from the origin, ${kind} (${folder})`, () =>
        onBench(makeClient, bySize, {}, async ({ client, cache, directory, origin, at }) => {
          const url = at(`${folder}3000000`);
          await client.ask(url);
          await cache.flush();
          await spoil(directory, spoiltFrom);
          const corrupt = await eventsDuring('corrupt', async () => {
            const answer = await client.ask(url, { headers: { Range: 'bytes=1000000-2899999' } });
            assert.is(answer.status, 206);
            assert.is(answer.headers['content-range'], 'bytes 1000000-2899999/3000000');
            assert.ok(answer.body.equals(bytesOf(3_000_000, 3_000_000).subarray(1_000_000, 2_900_000)));
          });
          assert.is(corrupt.length, 1);
          assert.is(origin.hits.length, 2);
        }));
    }

    test(`${name}: a segment that was cut off or removed is a miss (${folder})`, () =>
      onBench(makeClient, bySize, {}, async (bench) => {
        const paths = sizes.map((size) => `${folder}${size}`);
        for (const path of paths) await bench.client.ask(bench.at(path));
        await bench.cache.close();
        for (const file of await filesBelow(bench.directory)) {
          if (file.includes('/segments/')) await writeFile(file, (await readFile(file)).subarray(0, 100));
        }
        await bench.reopen();
        for (const [position, path] of paths.entries()) {
          const size = sizes[position] ?? 0;
          const answer = await bench.client.ask(bench.at(path));
          assert.is(answer.info?.status, 'miss');
          assert.ok(answer.body.equals(bytesOf(size, size)), path);
        }
      }));
  }

  test(`${name}: a worker that dies takes no request with it, and the next answers are stored`, () =>
    inDirectory(async (directory) => {
      const errors: Error[] = [];
      const store = await openDiskStore({
        directory,
        maxBytes: 1e8,
        workerUrl: new URL('dying-writer.js', import.meta.url),
        onEvent: (event) => {
          if (event.type === 'error') errors.push(event.error);
        },
      });
      await onBench(makeClient, bySize, { store }, async ({ client, cache, at }) => {
        await client.ask(at('/999'));
        await cache.flush();
        await writeFile(join(directory, 'die'), '');
        const answers = await Promise.all(sizes.map((size) => client.ask(at(`/${size}`))));
        for (const [position, { body }] of answers.entries()) {
          const size = sizes[position] ?? 0;
          assert.ok(body.equals(bytesOf(size, size)), `${size}`);
        }
        await cache.flush();
        assert.is(errors.length, 1);
        assert.is((errors[0] as { code?: unknown }).code, 'ERR_CACHE_WORKER');
        assert.is((await client.ask(at('/999'))).info?.status, 'hit');
        for (const size of sizes) await client.ask(at(`/${size}`));
        await cache.flush();
        for (const size of sizes) assert.is((await client.ask(at(`/${size}`))).info?.status, 'hit', `${size}`);
      });
    }));

  /** Runs `disk-fault-child.ts`, with its files limited in size where that is the fault. */
  const inChild = (fault: 'full' | 'read-only'): Promise<unknown> =>
    inDirectory(async (directory) => {
      const script = fileURLToPath(new URL('disk-fault-child.js', import.meta.url));
      const command = `${fault === 'full' ? 'ulimit -f 256; ' : ''}exec "$0" "$@"`;
      const child = spawn('bash', ['-c', command, process.execPath, script, fault, name, directory], {
        stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
      });
      let report: unknown;
      child.on('message', (message) => {
        report = message;
      });
      const [code] = await once(child, 'close');
      assert.is(code, 0);
      assert.equal(report, {
        areBytesRight: true,
        // The small ones fit.
        reasons: fault === 'full' ? ['no-space'] : ['unavailable'],
        statusesAfter: fault === 'full' ? ['hit', 'miss'] : ['miss', 'miss'],
        hasError: true,
      });
    }).then(() => undefined);

  test(`${name}: a full disk keeps nothing back from the caller, and is named`, async () =>
    void (await inChild('full')));
  test(`${name}: a directory that cannot be written any more keeps nothing back from the caller`, async () =>
    void (await inChild('read-only')));
}

test('a directory that goes away is no error of a request: what comes is not stored', () =>
  onBench(makers.got, bySize, {}, async ({ client, cache, directory, at }) => {
    const folder = join(directory, 'offloop-1');
    await rename(folder, `${folder}-away`);
    const skip = nextEvent('skip');
    const answer = await client.ask(at('/1000'));
    assert.ok(answer.body.equals(bytesOf(1_000, 1_000)));
    await cache.flush();
    const event: CacheEvents['skip'] = await skip;
    assert.is(event.reason, 'unavailable');
    assert.is(await entriesOf(cache), 0);
    await rename(`${folder}-away`, folder);
  }));

test('what never ends and cannot be stored still flows: a body beyond every budget', () =>
  onBench(
    makers.got,
    always(bytesOf(2_000_000, 7), { 'Cache-Control': 'max-age=60' }),
    { maxBytes: 1_000_000, maxEntryBytes: 3_000_000 },
    async ({ client, cache, at }) => {
      const answer = await client.ask(at('/'));
      assert.ok(answer.body.equals(bytesOf(2_000_000, 7)));
      await cache.flush();
      assert.ok((await cache.stats()).bytes <= 2_100_000);
    },
  ));

test.run();
