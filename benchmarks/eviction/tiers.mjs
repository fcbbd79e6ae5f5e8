// Event-loop time of a store and of a hit in each tier: node benchmarks/eviction/tiers.mjs   (needs `npm run build`)
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openDiskStore } from '../../dist/src/store/disk-open.js';
import { createMemoryStore } from '../../dist/src/store/memory-store.js';
import { createTieredStore } from '../../dist/src/store/tiered-store.js';

const MiB = 1024 * 1024;
const count = 4000;
const bodyBytes = 12_000;
const slab = Buffer.alloc(64 * 1024, 'x');
const head = {
  status: 200,
  statusText: 'OK',
  httpVersion: '1.1',
  fields: Array.from({ length: 24 }, (_, i) => (i % 2 === 0 ? `X-Field-${i}` : `some value ${i}`)),
  method: 'GET',
  selecting: [],
  requestTimeMs: 1_700_000_000_000,
  responseTimeMs: 1_700_000_000_123,
};
const urlOf = (i) => `https://a.example/path/to/page-${i}.html`;

async function store(into, i) {
  const writer = into.create(urlOf(i), { ...head, url: urlOf(i) }, { expectedBytes: bodyBytes });
  writer.write(slab.subarray(0, bodyBytes));
  return writer.commit();
}

async function hit(from, i) {
  const [found] = await from.lookup(urlOf(i));
  if (found === undefined) throw new Error(`${urlOf(i)} is not stored`);
  return found.inlineBody?.length ?? 0;
}

/** Busy µs of this thread for each call, 64 at a time. */
async function busyOf(work) {
  const before = performance.eventLoopUtilization();
  for (let i = 0; i < count; i += 64) {
    await Promise.all(Array.from({ length: Math.min(64, count - i) }, (_, n) => work(i + n)));
  }
  const { active } = performance.eventLoopUtilization(before);
  return (active * 1000) / count;
}

const directory = await mkdtemp(join(tmpdir(), 'offloop-tiers-'));
const stores = {
  memory: createMemoryStore({ maxBytes: 256 * MiB }),
  disk: await openDiskStore({ directory: join(directory, 'a'), maxBytes: 1024 * MiB }),
};
for (const admission of ['always', 'auto', 'never']) {
  stores[`tiered, ${admission}`] = createTieredStore({
    memory: createMemoryStore({ maxBytes: 256 * MiB }),
    disk: await openDiskStore({ directory: join(directory, admission), maxBytes: 1024 * MiB }),
    admission,
  });
}
console.log(`| ${bodyBytes} bytes | store | first hit | second hit |\n|---|---|---|---|`);
for (const [name, one] of Object.entries(stores)) {
  await busyOf((i) => one.lookup(urlOf(i)));
  const cells = [await busyOf((i) => store(one, i))];
  await one.flush();
  cells.push(await busyOf((i) => hit(one, i)));
  await one.flush();
  cells.push(await busyOf((i) => hit(one, i)));
  console.log(`| ${name} | ${cells.map((us) => us.toFixed(1)).join(' | ')} |`);
  await one.close();
}
await rm(directory, { recursive: true });
