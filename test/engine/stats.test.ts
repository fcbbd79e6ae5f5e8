import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { openCache } from '../../src/index.js';
import { axiosClient } from './clients.js';
import { inDirectory, onBench } from './fixture.js';
import { counting } from './origin.js';

const test = suite('stats');
const root = fileURLToPath(new URL('../../..', import.meta.url));

/** The names in the first column of a page's tables. */
async function documented(): Promise<string[]> {
  const text = await readFile(join(root, 'docs/stats.md'), 'utf8');
  const cells = [...text.matchAll(/^\| (`.+?`) \|/gm)].map(([, cell]) => cell ?? '');
  return cells.flatMap((cell) => [...cell.matchAll(/`([\w.]+)`/g)].map(([, name]) => name ?? ''));
}

test('every counter there is is in docs/stats.md, and every one in there is', async () => {
  await inDirectory(async (directory) => {
    const cache = await openCache({ directory, memoryBytes: 1e6 });
    const { counters } = await cache.stats();
    await cache.close();
    const sizes = ['memory.entries', 'memory.bytes', 'memory.maxBytes'];
    const names = Object.keys(counters).filter((name) => !sizes.includes(name));
    const plain = new Set(names.map((name) => name.replace(/^(?:disk|memory)\./, '')));
    assert.equal([...plain].sort(), (await documented()).sort());
    for (const name of sizes) assert.type(counters[name], 'number');
  });
});

test('counts what the store did, by its name', async () => {
  await onBench(axiosClient, counting(), {}, async (bench) => {
    const { client, cache, at } = bench;
    const ask = (path: string, namespace = '') =>
      client.ask(at(path), { cache: { namespace, tags: ['t'], version: 1 } });
    for (const path of ['/1', '/2', '/3', '/1']) await ask(path);
    await ask('/1', 'n');
    await client.ask(at('/1'), { cache: { mode: 'reload', version: 1 } });
    await cache.flush();
    await cache.invalidate({ url: at('/1') });
    await cache.invalidate({ tag: 't' }, { soft: true });
    await cache.invalidate({ namespace: 'n' });
    const { counters, entries } = await cache.stats();
    const { stored, invalidated, softInvalidated, namespacesFlushed, removed, evicted, corrupt } = counters;
    assert.equal(
      { entries, stored, invalidated, softInvalidated, namespacesFlushed, removed, evicted, corrupt },
      {
        entries: 2,
        stored: 4,
        invalidated: 2,
        softInvalidated: 3,
        namespacesFlushed: 1,
        removed: 0,
        evicted: 0,
        corrupt: 0,
      },
    );
    const absent = counters.absent ?? 0;
    assert.ok(absent >= 4);
    assert.is(cache.has(at('/none')), 'absent');
    assert.is((await cache.stats()).counters.absent, absent + 1);
  });
});

test.run();
