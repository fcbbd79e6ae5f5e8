/**
 * One run of the public suite, in a process of its own: the suite rewrites its test objects.
 *
 *   node dist/test/conformance/run.js --client axios|got|none|<module>#<export> --type private|shared
 *     --store disk|tiered|memory [--id <test>] [--summary]
 *
 * Prints the results as JSON. A module's export is `(type, directory) => Promise<fetch>`.
 */

import { mkdtemp, rm } from 'node:fs/promises';
import http from 'node:http';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { plainFetch } from './clients.js';
import type { SuiteFetch } from './fetch.js';
import { openOurs, type StoreName } from './ours.js';
import { printScore, scoreOf } from './score.js';
import { startServer } from './server.js';
import { type CacheType, runSuite, type TestResult } from './suite.js';

const { values } = parseArgs({
  options: {
    client: { type: 'string', default: 'none' },
    type: { type: 'string', default: 'private' },
    store: { type: 'string', default: 'disk' },
    id: { type: 'string' },
    summary: { type: 'boolean', default: false },
  },
});

// Some tests send more bytes than they announce; a connection that is used again would carry them into another test.
http.globalAgent = new http.Agent({ keepAlive: false });

const results = await run();
if (values.summary) print(results);
else console.log(JSON.stringify({ client: values.client, type: values.type, store: values.store, results }));

async function run(): Promise<readonly TestResult[]> {
  const type = oneOf<CacheType>('type', values.type, ['private', 'shared']);
  const directory = await mkdtemp(join(tmpdir(), 'offloop-conformance-'));
  await using server = await startServer();
  try {
    if (values.client === 'axios' || values.client === 'got') {
      const store = oneOf<StoreName>('store', values.store, ['disk', 'tiered', 'memory']);
      await using ours = await openOurs(values.client, store, type, directory);
      return await runSuite(ours.fetch, type, server.baseUrl, values.id);
    }
    const fetch = values.client === 'none' ? plainFetch() : await openModule(type, directory);
    return await runSuite(fetch, type, server.baseUrl, values.id);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

async function openModule(type: CacheType, directory: string): Promise<SuiteFetch> {
  const [path = '', name = 'default'] = values.client.split('#');
  const module = await import(pathToFileURL(resolve(path)).href);
  return module[name](type, directory);
}

function print(all: readonly TestResult[]): void {
  const inBrowser = all.filter((result) => !result.clientOnly);
  console.log(`${values.client} ${values.type} ${values.store}`);
  if (inBrowser.length < all.length && values.type === 'private') {
    console.log(`  as a browser is tested: ${printScore(scoreOf(inBrowser))}`);
  }
  console.log(`  all that applies:       ${printScore(scoreOf(all))}`);
  for (const { id, kind, verdict, message } of all) {
    if (verdict === 'pass' || verdict === 'yes' || verdict === 'no') continue;
    console.log(`  ${verdict} (${kind}) ${id}${message ? `: ${message}` : ''}`);
  }
}

function oneOf<T extends string>(option: string, value: string, allowed: readonly T[]): T {
  const found = allowed.find((one) => one === value);
  if (found === undefined) throw new Error(`--${option} is one of ${allowed.join(', ')}, not ${value}`);
  return found;
}
