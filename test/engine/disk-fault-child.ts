// Crawls while the disk fails, and tells its parent what it got. Its files may be limited in size by `ulimit -f`.
import { chmod, mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { openCache } from '../../src/index.js';
import { bytesOf } from '../contract/contract-kit.js';
import { makers } from './clients.js';
import { eventsDuring } from './fixture.js';
import { Origin, reply } from './origin.js';

const [fault, name, given = ''] = process.argv.slice(2);
const directory = fault === 'read-only' ? await ownDirectory() : given;
const small = 1_000;
const large = 900_000;

const report = await crawl();
if (directory !== given) await rm(directory, { recursive: true, force: true });
if (process.send === undefined) throw new Error('started without a parent');
await promisify(process.send.bind(process) as (message: unknown, done: (error: Error | null) => void) => void)(report);
process.disconnect();

async function crawl(): Promise<object> {
  await using origin = await Origin.open((request, response) => {
    const size = Number((request.url ?? '').slice(1));
    reply(response, bytesOf(size, size), { 'Cache-Control': 'max-age=60' });
  });
  await using cache = await openCache({ directory });
  const client = (name === 'axios' ? makers.axios : makers.got)(cache);
  if (fault === 'read-only') await setModes(0o500);
  const isRight = async (size: number): Promise<boolean> =>
    (await client.ask(`${origin.url}/${size}`)).body.equals(bytesOf(size, size));
  let areBytesRight = true;
  let errors: readonly unknown[] = [];
  const skips = await eventsDuring('skip', async () => {
    errors = await eventsDuring('error', async () => {
      for (const size of [small, large]) {
        areBytesRight &&= await isRight(size);
        await cache.flush();
      }
    });
  });
  const statusesAfter = [];
  for (const size of [small, large]) statusesAfter.push((await client.ask(`${origin.url}/${size}`)).info?.status);
  await cache.flush();
  if (fault === 'read-only') await setModes(0o700);
  const reasons = [...new Set(skips.map(({ reason }) => reason))];
  return { areBytesRight, reasons, statusesAfter, hasError: errors.length > 0 };
}

/** Permissions mean nothing to root, so root becomes nobody. */
async function ownDirectory(): Promise<string> {
  if (process.getuid?.() === 0) {
    process.setgid?.(65_534);
    process.setuid?.(65_534);
  }
  return mkdtemp(join(tmpdir(), 'offloop-fault-'));
}

async function setModes(mode: number): Promise<void> {
  const root = join(directory, 'offloop-1');
  for (const folder of ['.', ...(await readdir(root))]) {
    if (!folder.startsWith('owner')) await chmod(join(root, folder), mode);
  }
}
