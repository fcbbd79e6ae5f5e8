// Runs the tests that depend on axios, got or Node with other versions of them than those installed, and compiles a user's program.
//   npm run build && node scripts/clients.mjs [--keep] [node=22,axios=1.7.9,got=15 …]
// Versions come from the npm registry (Node too: the package "node"), into a temporary directory.
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs, promisify } from 'node:util';

const run = promisify(execFile);
const root = fileURLToPath(new URL('..', import.meta.url));
const { values, positionals } = parseArgs({ options: { keep: { type: 'boolean' } }, allowPositionals: true });
/** The oldest and the newest of each, and what Node 20 may be combined with. The installed versions are `npm test`'s. */
const defaults = [
  'node=20.19.0,axios=1.7.0,got=14.0.0',
  'node=22,axios=1.8.4,got=15.0.0',
  'node=24,axios=1.21.1,got=15.1.0',
  'node=26,axios=1.21.1,got=16.1.0',
];
const tests = ['test/clients', 'engine/http', 'store/disk-store'];
const compile = ['--noEmit', '--strict', '--target', 'es2023', '--module', 'nodenext', '--types', 'node'];
const consumed = { originRequests: 2, bodies: ['body', 'body', 'body', 'body'] };
const { name, type, exports, dependencies, devDependencies, overrides } = await readManifest(root);

let isGood = true;
for (const wanted of positionals.length > 0 ? positionals : defaults) {
  const directory = await mkdtemp(join(tmpdir(), 'offloop-clients-'));
  try {
    const versions = Object.fromEntries(wanted.split(',').map((pair) => pair.split('=')));
    await install(directory, versions);
    console.log(`${wanted}: ${await describeInstalled(directory)}`);
    await consume(directory);
    isGood = (await runTests(directory)) && isGood;
  } catch (error) {
    isGood = false;
    console.log(`FAIL ${wanted}: ${error.stdout || error.stderr || error.message}`);
  } finally {
    if (values.keep) console.log(`left in ${directory}`);
    else await rm(directory, { recursive: true, force: true });
  }
}
process.exitCode = isGood ? 0 : 1;

async function readManifest(directory) {
  return JSON.parse(await readFile(join(directory, 'package.json'), 'utf8'));
}

/** A copy of this package, with the same runtime dependencies and other clients. */
async function install(directory, versions) {
  const manifest = {
    name,
    type,
    exports,
    private: true,
    dependencies: {
      ...dependencies,
      uvu: devDependencies.uvu,
      '@types/node': devDependencies['@types/node'],
      'got-scraping': devDependencies['got-scraping'],
      ...versions,
    },
    overrides,
  };
  await writeFile(join(directory, 'package.json'), JSON.stringify(manifest));
  await run('npm', ['install', '--no-audit', '--no-fund', '--loglevel=error'], { cwd: directory });
  await mkdir(join(directory, 'test'));
  for (const path of ['dist', 'test/run.mjs', 'test/verdict.mjs', 'test/fixtures'])
    await cp(join(root, path), join(directory, path), { recursive: true });
}

async function describeInstalled(directory) {
  const clients = ['axios', 'got'].map(async (client) => {
    const { version } = await readManifest(join(directory, 'node_modules', client));
    return `${client} ${version}`;
  });
  const { stdout } = await run(nodeOf(directory), ['--version']);
  return [`Node ${stdout.trim()}`, ...(await Promise.all(clients))].join(', ');
}

function nodeOf(directory) {
  return join(directory, 'node_modules/node/bin/node');
}

/** A program that loads the package by `require()`, and two that are compiled against its declarations and the clients' own. */
async function consume(directory) {
  const fixtures = join(directory, 'test/fixtures/consumer');
  const program = [join(fixtures, 'consumer.cjs'), join(directory, 'cache')];
  const { stdout } = await run(nodeOf(directory), program, { cwd: directory });
  if (stdout.trim() !== JSON.stringify(consumed)) throw new Error(`require() of the package: ${stdout}`);
  await cp(join(fixtures, 'consumer.ts.txt'), join(directory, 'consumer.mts'));
  await cp(join(fixtures, 'consumer.cts.txt'), join(directory, 'consumer.cts'));
  const tsc = [join(root, 'node_modules/typescript/bin/tsc'), ...compile, 'consumer.mts', 'consumer.cts'];
  await run(process.execPath, tsc, { cwd: directory });
}

async function runTests(directory) {
  const runner = spawn(nodeOf(directory), ['test/run.mjs', ...tests], { cwd: directory, stdio: 'inherit' });
  const [code] = await once(runner, 'exit');
  return code === 0;
}
