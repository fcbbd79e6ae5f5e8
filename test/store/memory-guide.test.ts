// time limit: 300 s
import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { ResponseStore } from '../../src/store/contract.js';
import { bytesOf, mustPut } from '../contract/contract-kit.js';
import type { ContractLimits } from '../contract/store-contract.js';

const guide = suite('guide to stores');

const root = fileURLToPath(new URL('../../..', import.meta.url));
// Inside the package, so that its own name resolves to it.
const directory = await mkdtemp(join(root, 'dist/guide-'));

guide.before(async () => {
  const text = await readFile(join(root, 'docs/stores.md'), 'utf8');
  const files = new Map<string, string>();
  for (const [, name = 'directory-store.js', code = ''] of text.matchAll(
    /(?:<!-- file: ([\w.-]+) -->\n)?```js\n([\s\S]*?)```/g,
  )) {
    files.set(name, (files.get(name) ?? '') + code);
  }
  for (const [name, code] of files) await writeFile(join(directory, name), code);
});

guide.after(() => rm(directory, { recursive: true }));

function run(name: string) {
  return promisify(execFile)(process.execPath, [join(directory, name)], { cwd: directory, timeout: 100_000 });
}

guide('shows a store that passes the contract suite, run as it is shown', async () => {
  // What a failing run prints is worth more than that it failed.
  const { stdout } = await run('pages.test.js').catch((error) => ({ stdout: String(error.stdout ?? error) }));
  const [, passed] = /pass (\d+)/.exec(stdout) ?? [];
  assert.ok(Number(passed) > 100, stdout.slice(-500));
  assert.ok(/fail 0\b/.test(stdout), stdout);
});

guide('shows a store that a cache takes in place of its own, also with memory in front of it', async () => {
  for (const name of ['cache.js', 'tiered.js']) assert.is((await run(name)).stderr, '');
  assert.ok((await stat(join(directory, 'pages'))).isDirectory());
});

guide('shows a store that keeps its files to itself', async () => {
  const { openDirectoryStore }: { openDirectoryStore: (options: object) => Promise<ResponseStore> } = await import(
    pathToFileURL(join(directory, 'directory-store.js')).href
  );
  const limits: ContractLimits = { maxBytes: 100_000, maxEntryBytes: 10_000 };
  const store = await openDirectoryStore({ directory: join(directory, 'own'), ...limits });
  const { ref } = await mustPut(store, 'k', bytesOf(1000));
  assert.is((await stat(join(directory, 'own'))).mode & 0o777, 0o700);
  assert.is((await stat(join(directory, 'own', `${ref.sequence}.json`))).mode & 0o777, 0o600);
  await store.close();
});

guide.run();
