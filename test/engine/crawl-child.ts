// Asks for URLs through a cache that another process has filled, and tells its parent what it got.
import { hash } from 'node:crypto';
import { promisify } from 'node:util';
import { openCache } from '../../src/index.js';
import { makers } from './clients.js';

const [directory = '', name, ...urls] = process.argv.slice(2);
const cache = await openCache({ directory });
const client = (name === 'axios' ? makers.axios : makers.got)(cache);
const answers: object[] = [];
for (const url of urls) {
  const { info, body } = await client.ask(url);
  answers.push({ status: info?.status, sha256: hash('sha256', body) });
}
await cache.close();
if (process.send === undefined) throw new Error('started without a parent');
await promisify(process.send.bind(process) as (message: unknown, done: (error: Error | null) => void) => void)(answers);
process.disconnect();
