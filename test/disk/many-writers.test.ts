import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { DiskIndex } from '../../src/disk/index-table.js';
import { hashOfKey } from '../../src/disk/key-hash.js';
import { formatFolder, segmentFileOf, segmentsFolder } from '../../src/disk/layout.js';
import {
  bodyPlaces,
  headerWith,
  type RecordHeader,
  recordHeaderBytes,
  recordTypes,
  sealRecord,
  writeHeader,
} from '../../src/disk/record.js';
import { nextSequenceOf } from '../../src/disk/sequences.js';
import { rowBytes } from '../../src/disk/slot-row.js';
import { placeHints } from '../../src/store/disk-hints.js';
import { replaySegments } from '../../workers/replay.js';

const test = suite('disk index, several writers');

const writers = 3;
const segmentsPerWriter = 4;
const keys = 6;

interface Logged {
  readonly header: RecordHeader;
  readonly segment: { readonly writer: number; readonly number: number };
  readonly offset: number;
}

/** A writer as a process is one: it decides by what it has seen, and its own records take a while to be written. */
class Writer {
  readonly index = new DiskIndex();
  readonly log: Logged[] = [];
  /** Numbered, and not written yet. */
  readonly queued: RecordHeader[] = [];
  readonly positions: number[] = Array.from({ length: writers }, () => 0);
  readonly id: number;
  lastSequence = 0;

  constructor(id: number) {
    this.id = id;
    registerSegments(this.index);
  }

  queue(header: Omit<RecordHeader, 'sequence'>, nowMs: number): void {
    this.lastSequence = nextSequenceOf(this.id, this.lastSequence, nowMs);
    this.queued.push({ ...header, sequence: this.lastSequence });
  }

  write(random: (below: number) => number): void {
    for (const header of this.queued.splice(0)) {
      const segment = { writer: this.id + 1, number: 1 + Math.floor((this.log.length * segmentsPerWriter) / 2000) };
      const first = this.log.findIndex((logged) => logged.segment.number === segment.number);
      const offset = (first < 0 ? 0 : this.log.length - first) * recordHeaderBytes;
      const logged = { header, segment, offset };
      this.log.push(logged);
      apply(this.index, logged);
    }
    if (random(4) === 0) this.index.recent.forgetBefore(this.lastSequence - 2 ** 40);
  }

  /** Sees everything that has been written by now. */
  follow(all: readonly Writer[]): void {
    const seen: Logged[] = [];
    for (const other of all) {
      if (other === this) continue;
      seen.push(...other.log.slice(this.positions[other.id]));
      this.positions[other.id] = other.log.length;
    }
    for (const logged of seen.sort((a, b) => a.header.sequence - b.header.sequence)) {
      apply(this.index, logged);
      this.lastSequence = Math.max(this.lastSequence, logged.header.sequence);
    }
  }
}

function registerSegments(index: DiskIndex): void {
  for (let writer = 1; writer <= writers; writer += 1) {
    for (let number = 1; number <= segmentsPerWriter; number += 1) index.ordinalOf({ writer, number });
  }
}

function apply(index: DiskIndex, { header, segment, offset }: Logged): void {
  index.apply(header, index.ordinalOf(segment), offset);
}

function randomOf(seed: number): (below: number) => number {
  let state = seed >>> 0;
  return (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

function newRecord(writer: Writer, random: (below: number) => number): Omit<RecordHeader, 'sequence'> {
  const { index } = writer;
  const hash = hashOfKey(`k${random(keys)}`);
  const slots: number[] = [];
  for (let slot = index.find(hash); slot >= 0; slot = index.nextOf(slot)) slots.push(slot);
  const slot = slots[random(slots.length)];
  const dice = random(100);
  const base = { hash, sequence: 0 };
  if (slot === undefined || dice < 30) {
    const isFile = random(3) === 0;
    return headerWith({
      ...base,
      type: recordTypes.stored,
      replaces: slot === undefined || dice < 10 ? 0 : index.sequenceOf(slot),
      place: isFile ? bodyPlaces.file : bodyPlaces.inline,
      bodyWriter: isFile ? writer.id + 1 : 0,
      bodyNumber: isFile ? writer.log.length + writer.queued.length + 1 : 0,
    });
  }
  const replaces = index.sequenceOf(slot);
  if (dice < 75) {
    const file = index.bodyFileOf(slot);
    const { segment } = index.placeOf(slot);
    return headerWith({
      ...base,
      type: recordTypes.freshened,
      replaces,
      place: file === undefined ? bodyPlaces.log : bodyPlaces.file,
      bodyWriter: file?.writer ?? segment.writer,
      bodyNumber: file?.number ?? segment.number,
    });
  }
  if (dice < 93) return headerWith({ ...base, type: recordTypes.removed, replaces });
  if (dice < 99) return headerWith({ ...base, type: recordTypes.keyInvalidated });
  return headerWith({ ...base, type: recordTypes.cleared });
}

/** All that can be found, and where. */
function contentOf(index: DiskIndex): string[] {
  const content: string[] = [];
  for (let slot = 0; slot < index.slotEnd; slot += 1) {
    if (index.sequenceOf(slot) === 0) continue;
    const { segment, offset, sequence } = index.placeOf(slot);
    const file = index.bodyFileOf(slot);
    const { a } = index.hashOf(slot);
    content.push([a, sequence, segment.writer, segment.number, offset, file?.writer, file?.number].join(' '));
  }
  assert.is(content.length, index.count);
  return content.sort();
}

function writeLogs(folder: string, all: readonly Writer[]): void {
  for (const { id, log } of all) {
    for (let number = 1; number <= segmentsPerWriter; number += 1) {
      const records = log.filter(({ segment }) => segment.number === number);
      const bytes = new Uint8Array(records.length * recordHeaderBytes);
      const view = new DataView(bytes.buffer);
      for (const { header, offset } of records) {
        writeHeader(view, offset, header);
        sealRecord(bytes, view, offset, header);
      }
      writeFileSync(join(folder, segmentFileOf({ writer: id + 1, number })), bytes);
    }
  }
}

/** Opening by hints, whether they were read before or are read then, are good or not, and of segments that are gone or not, finds what a replay of the log does. */
async function checkHints(
  directory: string,
  hints: ReturnType<typeof replaySegments>['hints'],
  random: (below: number) => number,
): Promise<void> {
  const folder = join(directory, formatFolder, segmentsFolder);
  const scan = (): string[] => {
    for (const { path } of hints) rmSync(path, { force: true });
    return contentOf(replaySegments(folder).index);
  };
  for (const isOneGone of [false, true]) {
    const gone = isOneGone ? readdirSync(folder).sort()[0] : undefined;
    const kept = gone === undefined ? undefined : readFileSync(join(folder, gone));
    if (gone !== undefined) rmSync(join(folder, gone));
    const expected = scan();
    for (const { path, bytes } of hints) if (random(5) > 0) writeFileSync(path, bytes);
    assert.equal(contentOf(replaySegments(folder).index), expected, 'by hints');
    const placed = await placeHints(directory);
    if (placed === undefined) return assert.unreachable('no hint was read');
    const rows = new Uint8Array(placed.rows);
    const withRows = placed.hints.filter(({ rowCount }) => rowCount > 0);
    const damaged = withRows[random(withRows.length)];
    const checked = placed.hints.map((hint) => (hint === damaged ? { ...hint, crc: hint.crc ^ 1 } : hint));
    if (damaged !== undefined) rows.fill(random(256), damaged.firstSlot * rowBytes, (damaged.firstSlot + 1) * rowBytes);
    const replayed = replaySegments(folder, new Map(), { ...placed, hints: checked });
    assert.equal(contentOf(replayed.index), expected, 'by hints that were read before');
    const again = await placeHints(directory);
    const ends = new Map([[1, { writer: 1, segment: 2, usedBytes: 100 * recordHeaderBytes }]]);
    const upTo = contentOf(replaySegments(folder, ends, again).index);
    scan();
    assert.equal(upTo, contentOf(replaySegments(folder, ends).index), 'up to where a log counts');
    if (gone !== undefined && kept !== undefined) writeFileSync(join(folder, gone), kept);
  }
}

let seen = 0;
for (let seed = 1; seed <= 60; seed += 1) {
  test(`has the same in every process and after a restart, whoever wrote what at once (seed ${seed})`, async () => {
    const random = randomOf(seed);
    const all = Array.from({ length: writers }, (_, id) => new Writer(id));
    let nowMs = 1_790_000_000_000;
    let overtaken = 0;
    for (let step = 0; step < 4000; step += 1) {
      nowMs += random(3) === 0 ? random(5) : 0;
      const writer = all[random(writers)];
      if (writer === undefined || writer.log.length + writer.queued.length >= 2000) continue;
      const dice = random(10);
      if (dice < 5) writer.queue(newRecord(writer, random), nowMs);
      else if (dice < 8) writer.write(random);
      else writer.follow(all);
    }
    for (const writer of all) writer.write(random);
    for (const writer of all) writer.follow(all);
    const [first, ...others] = all.map(({ index }) => contentOf(index));
    seen += first?.length ?? 0;
    for (const other of others) assert.equal(other, first);
    const directory = mkdtempSync(join(tmpdir(), 'offloop-logs-'));
    try {
      const folder = join(directory, formatFolder, segmentsFolder);
      mkdirSync(folder, { recursive: true });
      writeLogs(folder, all);
      const scanned = replaySegments(folder);
      assert.equal(contentOf(scanned.index), first);
      await checkHints(directory, scanned.hints, random);
    } finally {
      rmSync(directory, { recursive: true });
    }
    for (const { log } of all) {
      overtaken += log.filter(({ header }, i) => header.sequence < (log[i - 1]?.header.sequence ?? 0)).length;
    }
    assert.is(overtaken, 0, 'the numbers of a log grow');
    const numbers = all.flatMap(({ log }) => log.map(({ header }) => header.sequence));
    assert.is(new Set(numbers).size, numbers.length, 'no two records have the same number');
  });
}

test('is not empty most of the time', () => assert.ok(seen > 100, `${seen} responses`));

test.run();
