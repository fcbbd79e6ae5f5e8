// Runs test/clients against other versions of axios, got and Node than those installed, and prints a table.
//   npm run build && node scripts/clients.mjs [--keep] [node=22,axios=1.7.9,got=15 …]
// Versions come from the npm registry (Node too: the package "node"), into a temporary directory.
import { execFile } from 'node:child_process';
import { cp, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs, promisify } from 'node:util';

const run = promisify(execFile);
const root = fileURLToPath(new URL('..', import.meta.url));
const { values, positionals } = parseArgs({ options: { keep: { type: 'boolean' } }, allowPositionals: true });
const defaults = [
  'node=20.19,axios=1.7.9,got=14.0.0',
  'node=20,axios=1.21.1,got=14',
  'node=22,axios=1.7.9,got=15',
  'node=24,axios=1.21.1,got=16',
  'node=26,axios=1.21.1,got=16',
];
const { dependencies, devDependencies, overrides } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8'));

let isGood = true;
for (const wanted of positionals.length > 0 ? positionals : defaults) {
  const directory = await mkdtemp(join(tmpdir(), 'offloop-clients-'));
  try {
    const versions = Object.fromEntries(wanted.split(',').map((pair) => pair.split('=')));
    await install(directory, versions);
    console.log(`${wanted}: ${await describeInstalled(directory)}`);
    for (const file of await testFiles()) isGood = (await runFile(directory, file)) && isGood;
  } catch (error) {
    isGood = false;
    console.log(`${wanted}: ${error.stderr || error.message}`);
  } finally {
    if (!values.keep) await rm(directory, { recursive: true, force: true });
    else console.log(`  left in ${directory}`);
  }
}
process.exitCode = isGood ? 0 : 1;

async function install(directory, versions) {
  const { uvu } = devDependencies;
  const manifest = { private: true, type: 'module', dependencies: { ...dependencies, uvu, ...versions }, overrides };
  await writeFile(join(directory, 'package.json'), JSON.stringify(manifest));
  await run('npm', ['install', '--no-audit', '--no-fund', '--loglevel=error'], { cwd: directory });
  await cp(join(root, 'dist'), join(directory, 'dist'), { recursive: true });
}

async function describeInstalled(directory) {
  const names = ['axios', 'got'];
  const versions = names.map(async (name) => {
    const manifest = await readFile(join(directory, 'node_modules', name, 'package.json'), 'utf8');
    return `${name} ${JSON.parse(manifest).version}`;
  });
  const { stdout } = await run(nodeOf(directory), ['--version']);
  return [`Node ${stdout.trim()}`, ...(await Promise.all(versions))].join(', ');
}

async function testFiles() {
  const names = await readdir(join(root, 'dist/test/clients'));
  return names.filter((name) => name.endsWith('.test.js')).sort();
}

function nodeOf(directory) {
  return join(directory, 'node_modules/node/bin/node');
}

async function runFile(directory, file) {
  const started = run(nodeOf(directory), [join('dist/test/clients', file)], {
    cwd: directory,
    timeout: 180_000,
    maxBuffer: 64 * 1024 ** 2,
  });
  const { code, stdout, stderr } = await started.then(
    (output) => ({ code: 0, ...output }),
    (error) => error,
  );
  const count = (word) => new RegExp(`${word}:\\s+(\\d+)`).exec(stdout)?.[1];
  const isGood = code === 0 && count('Passed') === count('Total') && count('Total') !== undefined;
  console.log(`  ${isGood ? 'ok  ' : 'FAIL'} ${file}: ${count('Passed') ?? 0} of ${count('Total') ?? '?'}`);
  if (!isGood) {
    const failed = [...stdout.matchAll(/FAIL.*?"(.*)"/g)].map(([, name]) => `       ${name}`);
    console.log((failed.length > 0 ? failed : [stderr.slice(-2000)]).join('\n'));
  }
  return isGood;
}
