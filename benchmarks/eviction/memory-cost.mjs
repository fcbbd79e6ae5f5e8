// What a response in the memory store really costs, against what the store says it does.
// node --expose-gc benchmarks/eviction/memory-cost.mjs   (needs `npm run build`)
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { createMemoryStore } from '../../dist/src/store/memory-store.js';

const self = fileURLToPath(import.meta.url);

/** Strings of their own, as the parser makes them: literals would be shared. */
const own = (text) => Buffer.from(text, 'latin1').toString('latin1');

function headOf(i, fieldCount) {
  const fields = [];
  for (let n = 0; n < fieldCount; n += 1)
    fields.push(own(`X-Field-Name-${n}`), own(`a value of usual length ${i} ${n}`));
  return {
    status: 200,
    statusText: own('OK'),
    httpVersion: own('1.1'),
    fields,
    url: own(`https://host-${i % 1000}.example/some/path/to/page-${i}.html?session=none`),
    method: own('GET'),
    selecting: [own('accept-language'), own('en')],
    requestTimeMs: 1_700_000_000_000 + i,
    responseTimeMs: 1_700_000_000_123 + i,
  };
}

async function measure(bodyBytes, fieldCount, count) {
  const slab = Buffer.alloc(64 * 1024, 'x');
  const store = createMemoryStore({ maxBytes: 2 ** 40 });
  const used = () => {
    globalThis.gc?.();
    globalThis.gc?.();
    const { heapUsed, external, rss } = process.memoryUsage();
    return { heap: heapUsed + external, rss };
  };
  // So that what the first stores cost once (a larger young generation) is not counted as the cost of each.
  const first = count;
  for (let i = 0; i < first; i += 1) await storeOne(store, i, bodyBytes, fieldCount, slab);
  const before = used();
  const saidBefore = (await store.stats()).bytes;
  for (let i = first; i < first + count; i += 1) await storeOne(store, i, bodyBytes, fieldCount, slab);
  const after = used();
  const said = ((await store.stats()).bytes - saidBefore) / count;
  const heap = (after.heap - before.heap) / count;
  const rss = (after.rss - before.rss) / count;
  const cells = [bodyBytes, fieldCount, said, heap, rss].map((n) => Math.round(n).toLocaleString('en'));
  console.log(`| ${cells.join(' | ')} | ${(said / Math.max(heap, rss)).toFixed(2)} |`);
}

async function storeOne(store, i, bodyBytes, fieldCount, slab) {
  const head = headOf(i, fieldCount);
  const writer = store.create(own(`GET ${head.url}`), head, { expectedBytes: bodyBytes });
  for (let at = 0; at < bodyBytes; at += 16_384) writer.write(slab.subarray(0, Math.min(16_384, bodyBytes - at)));
  await writer.commit();
}

if (process.argv[2] === undefined) {
  console.log('| body | fields | the store says | heap + buffers | resident | said / real |');
  console.log('|---|---|---|---|---|---|');
  for (const [bodyBytes, fields, count] of [
    [0, 0, 60_000],
    [0, 10, 40_000],
    [0, 30, 20_000],
    [100, 10, 40_000],
    [2_000, 10, 40_000],
    [20_000, 10, 8_000],
    [200_000, 10, 1_000],
    [1_000_000, 10, 200],
  ]) {
    spawnSync(process.execPath, ['--expose-gc', self, bodyBytes, fields, count].map(String), { stdio: 'inherit' });
  }
} else {
  await measure(...process.argv.slice(2).map(Number));
}
