// Runs test files, each in a process of its own. `node test/run.mjs [--at-once N] [--limit-ms N] [word | file]…`
// A word picks the files whose path holds it; without any, everything under dist/test runs. See test/README.md.
import { spawn } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { faultsOf, limitMsOf, parseSummary } from './verdict.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    'at-once': { type: 'string', default: '2' },
    'limit-ms': { type: 'string', default: '120000' },
  },
});
const atOnce = Number(values['at-once']);
const defaultLimitMs = Number(values['limit-ms']);
if (!(atOnce >= 1 && defaultLimitMs >= 1)) throw new RangeError('--at-once and --limit-ms take a number above 0');

const files = chooseFiles(positionals);
if (files.length === 0) {
  console.error(`no test file ${positionals.length > 0 ? `matches ${positionals.join(' ')}` : 'in dist/test'}`);
  console.log('0 passed, 1 failed');
  process.exit(1);
}

/** Process groups that are running now, so that an interrupted run leaves nothing behind. */
const running = new Set();
for (const signal of ['SIGINT', 'SIGTERM']) {
  process.once(signal, () => {
    for (const child of running) killGroup(child);
    process.exit(1);
  });
}

const queue = [...files];
const sum = { passed: 0, failed: 0, skipped: 0 };
await Promise.all(Array.from({ length: Math.min(atOnce, queue.length) }, runQueue));
console.log(`\n${sum.passed} passed, ${sum.failed} failed${sum.skipped > 0 ? `, ${sum.skipped} skipped` : ''}`);
process.exitCode = sum.failed > 0 ? 1 : 0;

async function runQueue() {
  for (let file = queue.shift(); file !== undefined; file = queue.shift()) report(file, await runFile(file));
}

function report(file, result) {
  const source = readFileSync(file, 'utf8');
  const summary = parseSummary(result.output);
  const faults = faultsOf(source, summary, result);
  const failed = Math.max(summary.total - summary.passed, faults.length > 0 ? 1 : 0);
  sum.passed += summary.passed;
  sum.failed += failed;
  sum.skipped += summary.skipped;
  const verdict = failed > 0 ? 'FAIL' : 'ok  ';
  console.log(`${verdict} ${relative(root, file)}  ${summary.passed}/${summary.total}  ${result.ms} ms`);
  for (const fault of faults) console.log(`     ${fault}`);
  if (failed > 0) console.log(result.output.trimEnd().replace(/^/gm, '     | '));
}

function runFile(file) {
  const limitMs = limitMsOf(readFileSync(file, 'utf8')) ?? defaultLimitMs;
  const started = performance.now();
  return new Promise((resolve) => {
    const child = spawn(process.execPath, [file], {
      cwd: root,
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, FORCE_COLOR: process.stdout.isTTY ? '1' : '0' },
    });
    running.add(child);
    let output = '';
    let timedOut = false;
    const timer = setTimeout(() => {
      timedOut = true;
      killGroup(child);
    }, limitMs);
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8');
      stream.on('data', (text) => {
        output += text;
      });
    }
    // What a test left running holds the pipes open: without this, 'close' would wait for it.
    child.on('exit', () => killGroup(child));
    child.on('close', (code, signal) => {
      clearTimeout(timer);
      running.delete(child);
      resolve({ output, code, signal, timedOut, limitMs, ms: Math.round(performance.now() - started) });
    });
  });
}

function killGroup(child) {
  try {
    if (process.platform === 'win32') child.kill('SIGKILL');
    else process.kill(-child.pid, 'SIGKILL');
  } catch (error) {
    if (error.code !== 'ESRCH') throw error; // nobody of the group is left
  }
}

function chooseFiles(words) {
  const named = words.filter((word) => word.endsWith('js') && existsSync(word));
  const rest = words.filter((word) => !named.includes(word));
  const all = words.length > 0 && rest.length === 0 ? [] : testFilesUnder(join(root, 'dist', 'test'));
  const picked = all.filter((file) => rest.length === 0 || rest.some((word) => relative(root, file).includes(word)));
  return [...named, ...picked].sort();
}

function testFilesUnder(folder) {
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { recursive: true })
    .filter((name) => name.endsWith('.test.js'))
    .map((name) => join(folder, name));
}
