import { execFile } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { inspect, promisify } from 'node:util';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { cacheDefaults } from '../src/options.js';

const root = fileURLToPath(new URL('../..', import.meta.url));
const text = readFileSync(join(root, 'README.md'), 'utf8');
const optionsSource = readFileSync(join(root, 'src/options.ts'), 'utf8');
// Inside the package, so that its own name resolves to it.
const temporary = mkdtempSync(join(root, 'dist/readme-'));
let originRequests = 0;
const server = createServer((request, response) => {
  originRequests++;
  const isStorable = !request.url?.startsWith('/no-store');
  response.setHeader('Cache-Control', isStorable ? 'max-age=60' : 'no-store').end('body');
});

/** Every default as it would be written in a program; a clock by its name. */
const defaults = Object.entries(cacheDefaults).map(([name, value]) => {
  const written = value === Date.now ? 'Date.now' : inspect(value);
  return `${name} ${written.replace(/^\[ (.*) \]$/, '[$1]')}`;
});

const readme = suite('README');

readme.before(async () => {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
});

readme.after(() => {
  server.closeAllConnections();
  server.close();
  rmSync(temporary, { recursive: true, force: true });
});

readme('names every option, with the default that the code has', () => {
  const table = text.slice(text.indexOf('<!-- options'), text.indexOf('<!-- /options'));
  const rows = [...table.matchAll(/^\| `(\w+)` \| (?:`(.*?)` )?\|/gm)].map(
    ([, name, value]) => `${name} ${value ?? ''}`,
  );
  assert.equal(rows.sort(), [...defaults, 'directory '].sort());
});

readme('is not the only place with the right defaults: those in the doc comments are the same', () => {
  const documented = [...optionsSource.matchAll(/@default (.+)\n\s+\*\/\n\s+readonly (\w+)\?:/g)];
  assert.equal(documented.map(([, value, name]) => `${name} ${value}`).sort(), [...defaults].sort());
});

const programs = [...text.matchAll(/(<!-- not run -->\n)?```js\n([\s\S]*?)```/g)]
  .filter(([, mark]) => mark === undefined)
  .map(([, , code]) => code ?? '');

for (const client of ['axios', 'got']) {
  readme(`shows a program for ${client} that runs as written: a miss, then a hit`, async () => {
    const program = programs.find((code) => code.includes(`from '${client}'`));
    assert.ok(program !== undefined, 'the program was not found');
    const { port } = server.address() as AddressInfo;
    const file = join(temporary, `${client}.mjs`);
    writeFileSync(file, program.replaceAll('https://example.com/', `http://127.0.0.1:${port}/${client}`));
    originRequests = 0;
    const outputs: string[] = [];
    for (let run = 0; run < 2; run++) {
      const { stdout } = await promisify(execFile)(process.execPath, [file], { cwd: temporary, timeout: 60_000 });
      outputs.push(stdout.trim());
    }
    assert.equal(outputs, ['200 miss', '200 hit']);
    assert.is(originRequests, 1);
    rmSync(join(temporary, '.cache'), { recursive: true });
  });
}

async function runExample(name: string, ...args: string[]): Promise<string[]> {
  cpSync(join(root, 'examples', name), join(temporary, name));
  const options = { cwd: temporary, timeout: 60_000 };
  return (await promisify(execFile)(process.execPath, [name, ...args], options)).stdout.trim().split('\n');
}

readme('comes with an example that crawls politely, and waits for nothing that is stored', async () => {
  const { port } = server.address() as AddressInfo;
  const url = `http://127.0.0.1:${port}/polite`;
  originRequests = 0;
  assert.equal(await runExample('polite-crawl.mjs', url, url), [
    `200 miss 4 characters ${url}`,
    `200 hit 4 characters ${url}`,
  ]);
  assert.is(originRequests, 1);
});

readme('comes with an example that records what says no-store, and replays it without the network', async () => {
  const { port } = server.address() as AddressInfo;
  const url = `http://127.0.0.1:${port}/no-store`;
  assert.equal(await runExample('replay.mjs', 'record', url), [`200 4 characters ${url}`]);
  originRequests = 0;
  const [recorded, other] = await runExample('replay.mjs', 'replay', url, `${url}/other`);
  assert.is(recorded, `200 4 characters ${url}`);
  assert.match(other ?? '', /^504 /);
  assert.is(originRequests, 0);
});

readme.run();
