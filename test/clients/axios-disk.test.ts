import { suite } from 'uvu';
import { type AxiosRow, axiosKind, describe, outcomeOf } from './axios-kind.js';
import { always } from './origin.js';
import { compareRows } from './transparency.js';

const test = suite('axios: answers off the disk, which take their time');

const create = axiosKind.create;
const asText = { 'Content-Type': 'text/plain' };
const large = Buffer.alloc(300_000, 'A line of a large body, which no store keeps beside its head.\n');

const rows: readonly AxiosRow[] = [
  { name: 'a small body', run: async ({ attach, url }) => describe((await attach(create())).get(url)) },
  {
    name: 'a large body',
    answer: always(200, asText, large),
    run: async ({ attach, url }) => describe((await attach(create())).get(url)),
  },
  {
    name: 'a large body as a stream',
    answer: always(200, asText, large),
    run: async ({ attach, url }) => describe((await attach(create())).get(url, { responseType: 'stream' })),
  },
  {
    name: 'an empty body',
    answer: always(200, asText, ''),
    run: async ({ attach, url }) => describe((await attach(create())).get(url)),
  },
  // Without redirects, axios works on Node's own request, which is over once a 304 has been read.
  ...[0, 5].map(
    (maxRedirects): AxiosRow => ({
      name: `maxRedirects ${maxRedirects}`,
      run: async ({ attach, url }) => describe((await attach(create())).get(url, { maxRedirects })),
    }),
  ),
  {
    name: 'a redirect that is not followed',
    answer: always(302, { Location: '/elsewhere' }),
    prime: async ({ attach, url }) =>
      (await attach(create())).get(url, { maxRedirects: 0, validateStatus: () => true }),
    run: async ({ attach, url }) => outcomeOf((await attach(create())).get(url, { maxRedirects: 0 })),
  },
  {
    name: 'a stream that is destroyed half-way',
    answer: always(200, asText, large),
    run: async ({ attach, url }) => {
      const { data } = await (await attach(create())).get(url, { responseType: 'stream' });
      await new Promise((resolve) => {
        data.once('data', () => data.destroy());
        data.on('close', resolve);
      });
      return { destroyed: data.destroyed };
    },
  },
];

compareRows(test, axiosKind, rows, 'disk');

test.run();
