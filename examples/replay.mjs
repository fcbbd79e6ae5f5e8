// Records pages with got, whatever they say about caching, and replays them without a network.
//   node examples/replay.mjs record https://example.com/
//   node examples/replay.mjs replay https://example.com/
import got from 'got';
import { openCache } from 'offloop';
import { cacheGot } from 'offloop/got';

const [action, ...urls] = process.argv.slice(2);
const cache = await openCache({ directory: '.recording', mode: 'ignore-rules', offline: action === 'replay' });
const client = got.extend(cacheGot(cache), { throwHttpErrors: false });
for (const url of urls) {
  const { statusCode, body } = await client.get(url);
  console.log(statusCode, `${body.length} characters`, url); // 504 for what was not recorded
}
await cache.close();
