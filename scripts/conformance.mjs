// Measures every cache with the public suite and writes the table of docs/conformance.md.
//   npm run conformance [-- --peers]     with --peers the other caches too (npm ci in scripts/conformance first);
//                                        without, their rows stay as they are
import { execFile } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import { parseArgs, promisify } from 'node:util';
import { scoreOf } from '../dist/test/conformance/score.js';

const run = promisify(execFile);
const root = new URL('..', import.meta.url);
const { dependencies: versions } = JSON.parse(
  await readFile(new URL('conformance/package.json', import.meta.url), 'utf8'),
);
const peer = (name, exported) => ({
  client: `scripts/conformance/peers.mjs#${exported}`,
  label: () => `${name} ${versions[name]}`,
});

const ours = ['axios', 'got'].flatMap((client) =>
  ['disk', 'tiered'].map((store) => ({ client, store, label: () => `offloop, ${client}, ${store}` })),
);
const peers = [
  peer('undici', 'undici'),
  peer('got', 'gotCache'),
  peer('make-fetch-happen', 'makeFetchHappenCache'),
  peer('axios-cache-interceptor', 'axiosCacheInterceptor'),
];
const none = { client: 'none', label: () => 'no cache' };

const { values } = parseArgs({ options: { peers: { type: 'boolean', default: false } } });
const rows = [];
for (const cache of values.peers ? [...ours, ...peers, none] : ours) {
  rows.push(await rowOf(cache));
  console.log(rows.at(-1));
}
await writeTable(rows);

async function rowOf({ client, store = 'disk', label }) {
  const asPrivate = await resultsOf(client, store, 'private');
  const asShared = await resultsOf(client, store, 'shared');
  const browser = asPrivate.filter((result) => !result.clientOnly);
  return `| ${[label(), ...[browser, asPrivate, asShared].map(cell)].join(' | ')} |`;
}

/** Of two runs: the suite measures seconds on the real clock, and a busy machine must count against no cache. */
async function resultsOf(client, store, type) {
  const first = await runOf(client, store, type);
  const second = new Map((await runOf(client, store, type)).map((result) => [result.id, result]));
  return first.map((result) => (result.verdict === 'pass' ? result : (second.get(result.id) ?? result)));
}

async function runOf(client, store, type) {
  const { stdout } = await run(
    process.execPath,
    ['dist/test/conformance/run.js', '--client', client, '--store', store, '--type', type],
    { cwd: root, timeout: 120_000, maxBuffer: 16 * 1024 * 1024 },
  );
  return JSON.parse(stdout.slice(stdout.indexOf('{"client"'))).results;
}

function cell(results) {
  const { required, optimal } = scoreOf(results);
  return `${required.passed} + ${optimal.passed} of ${required.of} + ${optimal.of}`;
}

/** Rows that were not measured this time stay as they are, and so does the Node that they were measured with. */
async function writeTable(lines) {
  const file = new URL('docs/conformance.md', root);
  const text = await readFile(file, 'utf8');
  const table = /(?<=<!-- table -->\n)[\s\S]*?(?=\n<!-- \/table -->)/;
  const [before = ''] = table.exec(text) ?? [];
  const kept = values.peers ? [] : before.split('\n').filter((line) => /^\| (?!offloop|\|)[a-z]/.test(line));
  const othersNode = values.peers ? process.versions.node : /others with Node (\d+(?:\.\d+)*)/.exec(before)?.[1];
  const measured = `http-cache-tests 0.4.5, passed required + optimal. Ours with Node ${process.versions.node}, the others with Node ${othersNode}.`;
  const head = ['| | private | private, and what browsers hide | shared |', '|---|---|---|---|'];
  await writeFile(
    file,
    text.replace(table, () => [measured, '', ...head, ...lines, ...kept].join('\n')),
  );
}
