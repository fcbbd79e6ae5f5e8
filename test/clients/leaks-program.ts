/** Run by leaks.test.ts: uses a cache in every way that might leave something behind, closes it, and has to end. */
import { once } from 'node:events';
import axios from 'axios';
import got from 'got';
import { cacheAxios } from '../../interceptors/axios.js';
import { cacheGot } from '../../interceptors/got.js';
import { openCache } from '../../src/index.js';

const [, , kind, directory = '', url = ''] = process.argv;
const cache = await openCache({ directory });
if (kind === 'axios') {
  const client = cacheAxios(axios.create({ proxy: false }), cache);
  for (const path of ['/fresh', '/old', '/old', '/stale', '/stale', '/fail', '/cut', '/missing'])
    await client.get(url + path).catch(() => undefined);
  for (const path of ['/large', '/large', '/large?other']) {
    const { data } = await client.get(url + path, { responseType: 'stream' });
    data.once('data', () => data.destroy());
    await once(data, 'close');
  }
  const unread = await client.get(`${url}/large?unread`, { responseType: 'stream' });
  unread.data.destroy();
  const together = Array.from({ length: 3 }, (_, n) =>
    client.get(`${url}/large?together`, n === 1 ? { signal: AbortSignal.timeout(1) } : {}),
  );
  await Promise.allSettled(together);
} else {
  const client = got.extend(cacheGot(cache), { retry: { limit: 0 } });
  for (const path of ['/fresh', '/old', '/old', '/stale', '/stale', '/fail', '/cut', '/missing'])
    await client(url + path).catch(() => undefined);
  for (const path of ['/large', '/large', '/large?other']) {
    const stream = client.stream(url + path);
    await once(stream, 'data');
    stream.destroy();
  }
  await client(`${url}/large?aborted`, { signal: AbortSignal.timeout(1) }).catch(() => undefined);
  const together = Array.from({ length: 3 }, (_, n) =>
    client(`${url}/large?together`, n === 1 ? { signal: AbortSignal.timeout(1) } : {}),
  );
  await Promise.allSettled(together);
}
await cache.close();
console.log('closed');
