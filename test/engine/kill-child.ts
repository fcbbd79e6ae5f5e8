// Crawls until it is killed, and tells its parent what `flush` acknowledged.
import { openCache } from '../../src/index.js';
import { makers } from './clients.js';

const [directory = '', originUrl = '', from = '0'] = process.argv.slice(2);
const cache = await openCache({ directory, maxBytes: 256 * 1024 * 1024 });
const client = makers.got(cache);
let number = Number(from);
for (;;) {
  const batch = Array.from({ length: 8 }, () => number++);
  await Promise.all(batch.map((page) => client.ask(`${originUrl}/${page}`)));
  await cache.flush();
  process.send?.(batch);
}
