// Fetches pages with axios, at most one request a second to the network; what is stored costs no waiting.
//   node examples/polite-crawl.mjs https://example.com/ https://example.com/other
import { setTimeout as sleep } from 'node:timers/promises';
import axios from 'axios';
import { openCache } from 'offloop';
import { cacheAxios } from 'offloop/axios';

let next = Promise.resolve();
const cache = await openCache({
  directory: '.cache',
  staleIfErrorSeconds: 24 * 3600, // a page of yesterday is better than none
  beforeForward() {
    const turn = next;
    next = turn.then(() => sleep(1000, undefined, { ref: false }));
    return turn;
  },
});
const client = cacheAxios(axios.create(), cache);
for (const url of process.argv.slice(2)) {
  const { status, data, cacheInfo } = await client.get(url, { responseType: 'text' });
  console.log(status, cacheInfo.status, `${data.length} characters`, url);
}
await cache.close();
