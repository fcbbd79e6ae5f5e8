import cliProgress from 'cli-progress';
import type { PassResult } from './crawl.js';
import type { OriginCount } from './origin.js';

export interface Row {
  readonly name: string;
  readonly result: PassResult;
  /** `undefined` while the origin is down. */
  readonly origin: OriginCount | undefined;
}

export interface Progress {
  update(done: number): void;
  end(): void;
}

/** A bar that moves on a terminal; elsewhere a line when the pass begins and one when it ends. */
export function startProgress(label: string, total: number): Progress {
  if (!process.stdout.isTTY) {
    console.log(`${label}: ${total} files …`);
    return { update() {}, end() {} };
  }
  const bar = new cliProgress.SingleBar({
    format: `${label.padEnd(30)} {bar} {percentage}%  {value} of {total}`,
    barsize: 30,
    barCompleteChar: '█',
    barIncompleteChar: '░',
    hideCursor: true,
    clearOnComplete: true,
  });
  bar.start(total, 0);
  return {
    update: (done) => bar.update(done),
    end: () => {
      bar.update(total);
      bar.stop();
    },
  };
}

const COLUMNS: readonly (readonly [title: string, print: (row: Row) => string])[] = [
  ['pass', ({ name }) => name],
  ['requests', ({ result }) => String(result.requests)],
  ['origin saw', ({ origin }) => (origin === undefined ? 'stopped' : String(origin.requests))],
  ['304s', ({ origin }) => (origin === undefined ? '-' : String(origin.notModified))],
  ['from cache', ({ result }) => String(fromCache(result))],
  ['MB', ({ result }) => (result.bodyBytes / 1e6).toFixed(1)],
  ['seconds', ({ result }) => result.seconds.toFixed(2)],
  ['p50 ms', ({ result }) => result.delayMs.p50.toFixed(1)],
  ['p99 ms', ({ result }) => result.delayMs.p99.toFixed(1)],
  ['max ms', ({ result }) => result.delayMs.max.toFixed(1)],
  ['RSS MB', ({ result }) => (result.peakRssBytes / 1e6).toFixed(0)],
];

/** Responses whose body came out of the cache, validated first or not. */
export function fromCache({ statuses }: PassResult): number {
  return ['hit', 'stale', 'revalidated'].reduce((sum, status) => sum + (statuses[status] ?? 0), 0);
}

/** p50, p99 and max are of the event-loop delay; RSS is its peak; both of the crawling process alone. */
export function printTable(title: string, rows: readonly Row[]): string {
  const cells = [COLUMNS.map(([name]) => name), ...rows.map((row) => COLUMNS.map(([, print]) => print(row)))];
  const widths = COLUMNS.map((_, column) => Math.max(...cells.map((line) => line[column]?.length ?? 0)));
  const lines = cells.map((line) =>
    line
      .map((cell, column) => (column === 0 ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0)))
      .join('  '),
  );
  const rule = '─'.repeat(lines[0]?.length ?? 0);
  return [`\n${title}`, rule, lines[0], rule, ...lines.slice(1), rule].join('\n');
}
