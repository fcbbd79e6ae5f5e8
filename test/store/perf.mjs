// Measures the disk store, by hand: `npx tsc && node test/store/perf.mjs [stores|hits|large|open] [directory]`.
import { mkdirSync, mkdtempSync, openSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { HintBuilder } from '../../dist/src/disk/hint.js';
import { hashOfKey } from '../../dist/src/disk/key-hash.js';
import { hintFileOf, segmentFileOf } from '../../dist/src/disk/layout.js';
import { headerWith, recordBytesOf, recordHeaderBytes, recordTypes, writeHeader } from '../../dist/src/disk/record.js';
import { openDiskStore } from '../../dist/src/store/disk-open.js';

const [what = 'all', base = tmpdir()] = process.argv.slice(2);
const directory = mkdtempSync(join(base, 'offloop-perf-'));
process.on('exit', () => rmSync(directory, { recursive: true, force: true }));

const fields = [];
for (let i = 0; i < 15; i += 1) fields.push(`X-Header-Name-${i}`, `some value of a header ${i}, max-age=3600`);
const headOf = (url) => ({
  url,
  method: 'GET',
  status: 200,
  statusText: 'OK',
  httpVersion: '1.1',
  fields,
  selecting: [],
  requestTimeMs: 1_790_000_000_000,
  responseTimeMs: 1_790_000_000_050,
});
const urlOf = (i) => `https://example.com/some/path/that/is/usual?page=${i}`;
// CPU time of the main thread (Linux): what the event loop really costs, also on a busy machine.
const loopMs = (before = 0) =>
  Number(readFileSync(`/proc/self/task/${process.pid}/schedstat`, 'utf8').split(' ')[0]) / 1e6 - before;

async function inParallel(count, width, work) {
  let next = 0;
  await Promise.all(
    Array.from({ length: width }, async () => {
      while (next < count) await work(next++);
    }),
  );
}

async function measure(name, count, work) {
  const elu = loopMs();
  const start = performance.now();
  await work();
  const ms = performance.now() - start;
  const perSecond = Math.round((count / ms) * 1000);
  console.log(`${name}: ${perSecond}/s, ${((loopMs(elu) * 1000) / count).toFixed(1)} µs of the main thread each`);
}

async function storesAndHits() {
  for (const bytes of [2_000, 20_000, 200_000]) {
    const count = bytes > 100_000 ? 2_000 : 20_000;
    const store = await openDiskStore({ directory: join(directory, `s${bytes}`), maxBytes: 4e9 });
    const body = Buffer.alloc(bytes, 'x');
    const put = async (i) => {
      const writer = store.create(urlOf(i), headOf(urlOf(i)));
      writer.write(body);
      await writer.commit();
    };
    await inParallel(2_000, 64, (i) => put(-i - 1));
    await measure(`store ${bytes} B, 64 in flight`, count, () => inParallel(count, 64, put));
    await measure(`store ${bytes} B, one at a time`, 300, () => inParallel(300, 1, put));
    const { bytes: used, entries } = await store.stats();
    console.log(`  disk per response: ${Math.round(used / entries)} B`);
    for (const width of [1, 32]) {
      await measure(`hit ${bytes} B, ${width} in flight`, count, () =>
        inParallel(count, width, async (i) => (await store.lookup(urlOf(i)))[0].inlineBody.byteLength),
      );
    }
    await measure('miss', 50_000, () => inParallel(50_000, 1, (i) => store.lookup(`no${i}`)));
    await store.close();
    rmSync(join(directory, `s${bytes}`), { recursive: true });
  }
}

async function large() {
  const store = await openDiskStore({ directory: join(directory, 'large'), maxBytes: 8e9 });
  const chunk = Buffer.alloc(65_536, 'x');
  const before = process.memoryUsage().rss;
  let peak = 0;
  const elu = loopMs();
  const start = performance.now();
  const writer = store.create('k', headOf(urlOf(1)));
  for (let i = 0; i < 16_384; i += 1) {
    if (!writer.write(chunk)) await writer.ready();
    if (i % 256 === 0) peak = Math.max(peak, process.memoryUsage().rss);
  }
  await writer.commit();
  let ms = performance.now() - start;
  console.log(
    `1 GiB body stored: ${Math.round(1024 / (ms / 1000))} MiB/s, ${(loopMs(elu) / 1024).toFixed(3)} ms of the main thread per MiB, ${Math.round((peak - before) / 2 ** 20)} MiB more memory`,
  );
  const eluRead = loopMs();
  const startRead = performance.now();
  let read = 0;
  for await (const piece of (await store.lookup('k'))[0].openBody()) read += piece.length;
  ms = performance.now() - startRead;
  console.log(
    `1 GiB body read: ${Math.round(read / 2 ** 20 / (ms / 1000))} MiB/s, ${(loopMs(eluRead) / 1024).toFixed(3)} ms of the main thread per MiB`,
  );
  await store.close();
}

async function opening() {
  const folder = join(directory, 'open', 'offloop-1', 'segments');
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const headBytes = 900;
  const bodyBytes = 2_000;
  const recordBytes = recordBytesOf(headBytes, bodyBytes, 16, 0);
  const perSegment = Math.floor((64 * 2 ** 20 - 96) / recordBytes);
  const bytes = new Uint8Array(recordHeaderBytes);
  const view = new DataView(bytes.buffer);
  for (let done = 0, number = 1; done < 1_000_000; number += 1) {
    const hint = new HintBuilder();
    let offset = 0;
    const add = (header) => {
      writeHeader(view, 0, header);
      hint.add(bytes, 0, offset);
      offset += header.recordBytes;
    };
    add(headerWith({ type: recordTypes.begin, sequence: 0 }));
    for (let i = 0; i < perSegment && done < 1_000_000; i += 1, done += 1) {
      add(
        headerWith({
          type: recordTypes.stored,
          sequence: done + 1,
          hash: hashOfKey(urlOf(done)),
          headBytes,
          bodyBytes,
          rawBytes: bodyBytes,
          recordBytes,
        }),
      );
    }
    const name = { writer: 1, number };
    openSync(join(folder, segmentFileOf(name)), 'w', 0o600);
    truncateSync(join(folder, segmentFileOf(name)), offset);
    writeFileSync(join(folder, hintFileOf(name)), hint.toBytes(offset));
  }
  for (let i = 0; i < 2; i += 1) {
    const start = performance.now();
    const elu = loopMs();
    const store = await openDiskStore({ directory: join(directory, 'open'), maxBytes: 64e9 });
    console.log(
      `opened ${(await store.stats()).entries} responses in ${Math.round(performance.now() - start)} ms, ${loopMs(elu).toFixed(0)} ms of the main thread, ${Math.round(process.memoryUsage().arrayBuffers / 2 ** 20)} MiB of index`,
    );
    await measure('miss in 1,000,000', 50_000, () => inParallel(50_000, 1, (i) => store.lookup(`no${i}`)));
    await store.close();
  }
}

if (what === 'all' || what === 'stores') await storesAndHits();
if (what === 'all' || what === 'large') await large();
if (what === 'all' || what === 'open') await opening();
