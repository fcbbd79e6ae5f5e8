// How much of a tree of files lies in bodies that are there twice, by length: node benchmarks/space/duplicates.mjs [directory] (node_modules).
// What sharing them would save at the most, and what it would cost to find them.
import { hash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import { printTable } from '../lib/table.mjs';

const KiB = 1024;
const limits = [1, 4, 16, 64, 256, 1024, Infinity].map((limit) => limit * KiB);
const root = process.argv[2] ?? new URL('../../node_modules', import.meta.url).pathname;

const classes = limits.map((limit) => ({ limit, files: 0, bytes: 0, twice: 0, twiceBytes: 0, hashMs: 0, crcMs: 0 }));
const seen = new Set();
for (const file of readdirSync(root, { recursive: true, withFileTypes: true })) {
  if (!file.isFile()) continue;
  const body = readFileSync(join(file.parentPath ?? file.path, file.name));
  const row = classes.find(({ limit }) => body.length <= limit);
  const [content, hashMs] = timed(() => hash('sha256', body, 'base64'));
  const [, crcMs] = timed(() => crc32(body));
  row.files += 1;
  row.bytes += body.length;
  row.hashMs += hashMs;
  row.crcMs += crcMs;
  if (seen.has(content)) {
    row.twice += 1;
    row.twiceBytes += body.length;
  }
  seen.add(content);
}

const allBytes = classes.reduce((sum, { bytes }) => sum + bytes, 0);
const inMiB = (bytes) => (bytes / KiB / KiB).toFixed(1);
const rows = classes
  .filter(({ files }) => files > 0)
  .map(({ limit, files, bytes, twice, twiceBytes, hashMs, crcMs }) => [
    limit === Infinity ? 'more' : `to ${limit / KiB} KiB`,
    ...[String(files), inMiB(bytes), String(twice), inMiB(twiceBytes)],
    `${((100 * twiceBytes) / allBytes).toFixed(1)} %`,
    ((1000 * hashMs) / files).toFixed(1),
    ((1000 * crcMs) / files).toFixed(1),
  ]);
const head = ['length', 'bodies', 'MiB', 'seen before', 'MiB of those', 'of all bytes', 'SHA-256 µs', 'CRC-32 µs'];
printTable(`bodies that are the same in ${root}`, head, rows);

function timed(work) {
  const started = performance.now();
  const result = work();
  return [result, performance.now() - started];
}
