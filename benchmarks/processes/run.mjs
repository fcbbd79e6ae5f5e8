// What processes that share a directory have of each other: node benchmarks/processes/run.mjs [visibility] [miss] [--rounds N] [--dist <folder>].
// `visibility`: how long it takes until three others see what one has stored, or invalidated, idle and each with `--load` requests in flight. `--dist`: of
// another build, to compare with. `miss`: what a miss costs that has to ask another process first, in turn with one that does not (ABAB).
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { median } from '../lib/measure.mjs';
import { startOrigin } from '../lib/processes.mjs';
import { printTable } from '../lib/table.mjs';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    rounds: { type: 'string', default: '5' },
    changes: { type: 'string', default: '60' },
    load: { type: 'string', multiple: true, default: ['0', '8'] },
    count: { type: 'string', default: '3000' },
    dist: { type: 'string', default: fileURLToPath(new URL('../../dist', import.meta.url)) },
  },
});
const dist = resolve(values.dist);
const benchmarks = { visibility, miss };
const origin = await startOrigin();
let freshPage = 0;

class Child {
  #child;
  #waiting = new Map();
  #lastId = 0;

  constructor(directory, options) {
    this.#child = fork(new URL('./child.mjs', import.meta.url), [dist, directory, JSON.stringify(options)]);
    this.#child.on('message', ({ id, value }) => this.#waiting.get(id)?.(value));
  }

  static async open(directory, options = {}) {
    const child = new Child(directory, options);
    await child.ask('ready');
    return child;
  }

  ask(what, more = {}) {
    const id = ++this.#lastId;
    this.#child.send({ id, what, ...more });
    return new Promise((done) => this.#waiting.set(id, done));
  }

  async close() {
    const gone = once(this.#child, 'exit');
    this.#child.send({ id: 0, what: 'close' });
    await gone;
  }
}

async function inNewDirectory(work) {
  const directory = await mkdtemp(join(tmpdir(), 'offloop-processes-'));
  try {
    return await work(directory);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

const printMs = (ns) => (ns / 1e6).toFixed(1);

async function visibility() {
  for (const load of values.load.map(Number)) {
    const rows = [];
    await inNewDirectory(async (directory) => {
      const children = await Promise.all(Array.from({ length: 4 }, () => Child.open(directory)));
      const [writer, ...others] = children;
      const seen = { stored: [], invalidated: [] };
      for (const child of children) await child.ask('load', { url: origin.url, inFlight: load });
      for (let change = 0; change < Number(values.changes); change++) {
        const url = `${origin.url}/page/${9_000_000 + freshPage++}`;
        for (const [what, isThere] of [
          ['stored', true],
          ['invalidated', false],
        ]) {
          const watching = [];
          for (const other of others) {
            watching.push(other.ask('watch', { url, isThere }));
            await other.ask('ready');
          }
          const doneAt = await writer.ask(what, { url });
          for (const at of await Promise.all(watching))
            seen[what].push(Math.max(0, Number(BigInt(at) - BigInt(doneAt))));
        }
      }
      for (const child of children) await child.ask('load', { inFlight: 0 });
      for (const [what, ns] of Object.entries(seen)) {
        ns.sort((a, b) => a - b);
        const at = (part) => printMs(ns[Math.min(ns.length - 1, Math.floor(ns.length * part))]);
        rows.push([what, at(0.5), at(0.95), at(0.99), at(1)]);
      }
      await Promise.all(children.map((child) => child.close()));
    });
    const title = `seen by three other processes after it was done, ms; each with ${load} requests in flight`;
    printTable(title, ['', 'median', '95 %', '99 %', 'longest'], rows);
  }
}

async function miss() {
  const variants = [
    { name: 'alone', others: 0, leaseMs: 5000 },
    { name: 'one other, no lease', others: 1, leaseMs: 0 },
    { name: 'one other', others: 1, leaseMs: 5000 },
    { name: 'three others', others: 3, leaseMs: 5000 },
  ];
  for (const client of ['axios', 'got']) {
    const runs = variants.map(() => []);
    for (let round = 0; round < Number(values.rounds); round++) {
      for (const [i, { others, leaseMs }] of variants.entries()) {
        const run = await inNewDirectory(async (directory) => {
          const children = [];
          for (let n = 0; n <= others; n++) children.push(await Child.open(directory, { leaseMs }));
          for (const child of children) await child.ask('knows', { peers: others });
          freshPage += 2 * Number(values.count) + 1000;
          const from = freshPage;
          const measured = await children[0].ask('miss', {
            url: origin.url,
            from,
            count: Number(values.count),
            client,
          });
          await Promise.all(children.map((child) => child.close()));
          return measured;
        });
        runs[i].push(run);
      }
    }
    const [alone] = runs;
    const rows = variants.map(({ name }, i) => [
      name,
      ...['threadUs', 'loopUs'].flatMap((unit) => [
        median(runs[i].map((run) => run[unit])).toFixed(0),
        median(runs[i].map((run, round) => run[unit] - alone[round][unit])).toFixed(0),
      ]),
    ]);
    printTable(`${client}: a miss, µs`, ['', 'thread', 'more than alone', 'loop', 'more than alone'], rows);
  }
}

for (const name of positionals.length === 0 ? Object.keys(benchmarks) : positionals) await benchmarks[name]();
origin.stop();
