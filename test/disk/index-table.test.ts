import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { DiskIndex } from '../../src/disk/index-table.js';
import { hashOfKey, type KeyHash } from '../../src/disk/key-hash.js';
import {
  bodyPlaces,
  headerWith,
  logBlockShift,
  type RecordHeader,
  recordBytesOf,
  recordTypes,
} from '../../src/disk/record.js';
import { isRow, rowBytes, writeRow } from '../../src/disk/slot-row.js';

const test = suite('disk index');

interface Modelled {
  readonly key: number;
  readonly sequence: number;
  readonly segment: number;
  readonly bodySegment: number;
  readonly offset: number;
  readonly file: number;
}

/** Numbers that are always the same. */
function randomOf(seed: number): (below: number) => number {
  let state = seed >>> 0;
  return (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

/** Few different first words, so that keys collide in the table. */
function crowdedHashOf(key: number): KeyHash {
  return { ...hashOfKey(String(key)), a: key % 7 };
}

const namespaces = [0, 1, 2];

function namespaceOf(key: number): number {
  return key % namespaces.length;
}

function check(index: DiskIndex, model: readonly Modelled[], keys: number): void {
  assert.is(index.count, model.length);
  for (let key = 0; key < keys; key += 1) {
    const found: number[] = [];
    for (let slot = index.find(crowdedHashOf(key)); slot >= 0; slot = index.nextOf(slot)) {
      found.push(index.sequenceOf(slot));
    }
    const expected = model.filter((each) => each.key === key).map(({ sequence }) => sequence);
    assert.equal(found.sort(), expected.sort(), `key ${key}`);
  }
  for (const namespace of namespaces) {
    const count = model.filter(({ key }) => namespaceOf(key) === namespace).length;
    assert.is(index.namespaces.countOf(namespace), count, `namespace ${namespace}`);
  }
  for (const { key, sequence, segment, offset } of model) {
    const slot = index.slotOf(crowdedHashOf(key), sequence);
    assert.is(index.namespaceOf(slot), namespaceOf(key));
    const place = index.placeOf(slot);
    assert.equal([place.ordinal, place.offset], [segment, offset]);
  }
  // What was flushed takes room until it is swept.
  for (let slot = 0; slot >= 0; ) slot = index.sweep(slot, 7);
  assert.is(index.count, model.length);
  for (let segment = 0; segment < 6; segment += 1) {
    const isLive = model.some((each) => each.segment === segment || each.bodySegment === segment);
    assert.is(index.isLive(segment), isLive, `segment ${segment}`);
  }
  const files = model.filter(({ file }) => file > 0).map(({ file }) => file);
  assert.equal([...index.bodyFiles()].map(({ number }) => number).sort(), files.sort());
}

for (const seed of [1, 2, 3, 4, 5]) {
  test(`holds what a list would hold after any records (seed ${seed})`, () => {
    const random = randomOf(seed);
    const keys = 60;
    let index = new DiskIndex();
    for (let number = 0; number < 6; number += 1) index.ordinalOf({ writer: 1, number });
    let model: Modelled[] = [];
    for (let sequence = 1; sequence <= 6000; sequence += 1) {
      const key = random(keys);
      const segment = random(6);
      const offset = random(1e9);
      const old = model[random(model.length + 1)];
      const dice = random(100);
      const common = { sequence, hash: crowdedHashOf(old !== undefined && dice < 70 ? old.key : key) };
      let header: RecordHeader;
      if (dice < 40 || old === undefined) {
        const file = random(4) === 0 ? sequence : 0;
        const place = file > 0 ? bodyPlaces.file : bodyPlaces.inline;
        header = headerWith({
          ...common,
          type: recordTypes.stored,
          place,
          bodyNumber: file,
          replaces: dice < 20 ? (old?.sequence ?? 0) : 0,
        });
        if (dice < 20) model = model.filter((each) => each !== old);
        const stored = {
          key: dice < 40 && old !== undefined ? old.key : key,
          sequence,
          segment,
          bodySegment: segment,
          offset,
          file,
        };
        if (old === undefined) header = { ...header, hash: crowdedHashOf(key) };
        header = { ...header, namespaceHash: namespaceOf(stored.key) };
        model.push(stored);
      } else if (dice < 55) {
        const isFile = old.file > 0;
        header = headerWith({
          ...common,
          type: recordTypes.freshened,
          replaces: old.sequence,
          place: isFile ? bodyPlaces.file : bodyPlaces.log,
          bodyWriter: 1,
          bodyNumber: isFile ? old.file : old.bodySegment,
          namespaceHash: namespaceOf(old.key),
        });
        model = model.filter((each) => each !== old);
        model.push({ ...old, sequence, segment, offset, bodySegment: isFile ? segment : old.bodySegment });
      } else if (dice < 70) {
        header = headerWith({ ...common, type: recordTypes.removed, replaces: old.sequence });
        model = model.filter((each) => each !== old);
      } else if (dice < 72) {
        const namespaceHash = namespaceOf(key);
        header = headerWith({ type: recordTypes.namespaceFlushed, sequence, namespaceHash });
        const left = model.filter((each) => namespaceOf(each.key) !== namespaceHash);
        // Flushed at once, and noted when it is on the disk.
        if (dice < 71) assert.is(index.flushNamespace(namespaceHash, sequence), model.length - left.length);
        model = left;
      } else if (dice < 99) {
        header = headerWith({ ...common, type: recordTypes.keyInvalidated });
        model = model.filter((each) => each.key !== key);
      } else {
        header = headerWith({ ...common, type: recordTypes.cleared });
        if (random(5) === 0) model = [];
        else continue;
      }
      index.apply(header, segment, offset);
      if (sequence % 97 === 0) check(index, model, keys);
      if (sequence % 1500 === 0) index = new DiskIndex(index.toParts());
    }
    check(index, model, keys);
    for (const dropped of [3, 1]) {
      index.dropSegment(dropped);
      model = model.filter(({ segment, bodySegment }) => segment !== dropped && bodySegment !== dropped);
      check(index, model, keys);
    }
  });
}

test('keeps what was stored after a flush and came before it, and takes nothing that came too late', () => {
  const index = new DiskIndex();
  const storedAs = (sequence: number) =>
    headerWith({ type: recordTypes.stored, sequence, hash: hashOfKey(`k${sequence}`), namespaceHash: 9 });
  for (const sequence of [1, 2, 8]) index.apply(storedAs(sequence), 0, 0);
  assert.is(
    index.apply(headerWith({ type: recordTypes.namespaceFlushed, sequence: 5, namespaceHash: 9 }), 0, 0).place,
    undefined,
  );
  assert.is(index.apply(storedAs(3), 0, 0).place, undefined);
  assert.is(index.find(hashOfKey('k1')), -1);
  assert.ok(index.find(hashOfKey('k8')) >= 0);
  index.apply(storedAs(9), 0, 0);
  for (let slot = 0; slot >= 0; ) slot = index.sweep(slot, 1);
  const found = [1, 2, 3, 8, 9].filter((sequence) => index.find(hashOfKey(`k${sequence}`)) >= 0);
  assert.equal(found, [8, 9]);
  assert.equal([index.count, index.namespaces.countOf(9), index.namespaces.usedCount], [2, 2, 1]);
  assert.is(
    index.apply(headerWith({ type: recordTypes.namespaceFlushed, sequence: 5, namespaceHash: 9 }), 0, 0).removed,
    0,
  );
  assert.is(index.flushNamespace(9, 10), 2);
  assert.equal([index.count, index.namespaces.usedCount], [0, 0]);
});

test('frees every body file once, and none that a new head took over', () => {
  const index = new DiskIndex();
  const hash = hashOfKey('k');
  const stored = headerWith({ type: recordTypes.stored, sequence: 1, hash, place: bodyPlaces.file, bodyNumber: 7 });
  index.apply(stored, 0, 0);
  const fresh = { ...stored, type: recordTypes.freshened, sequence: 2, replaces: 1 };
  index.apply(fresh, 0, 0);
  assert.equal(index.takeFreedFiles(), []);
  index.apply(headerWith({ type: recordTypes.keyInvalidated, sequence: 3, hash }), 0, 0);
  assert.equal(
    index.takeFreedFiles().map(({ number }) => number),
    [7],
  );
  assert.equal(index.takeFreedFiles(), []);
});

/** All that can be found, and what is known of it. */
function contentOf(index: DiskIndex): string[] {
  const content: string[] = [];
  for (let slot = 0; slot < index.slotEnd; slot += 1) {
    if (index.sequenceOf(slot) === 0) continue;
    const { segment, offset, recordBytes, sequence } = index.placeOf(slot);
    assert.is(index.slotOf(index.hashOf(slot), sequence), slot);
    const filters = [index.hostHashOf(slot), index.tagBitsOf(slot), index.namespaceOf(slot)];
    const fate = [index.priorityOf(slot), index.isExpired(slot, 5_000_000), index.bodyFileOf(slot)?.number];
    const place = [segment.writer, segment.number, offset, recordBytes, sequence];
    content.push(JSON.stringify([index.hashOf(slot), place, filters, fate]));
  }
  return content.sort();
}

for (const cleared of [false, true]) {
  test(`takes rows of hints in as it takes in their records${cleared ? ', when all was cleared between them' : ''}`, () => {
    const random = randomOf(7);
    const [slowly, quickly] = [new DiskIndex(), new DiskIndex()];
    const segments = 6;
    for (const index of [slowly, quickly])
      for (let number = 0; number < segments; number += 1) index.ordinalOf({ writer: 1, number });
    const records: RecordHeader[] = [];
    const rows = new Uint8Array(6000 * rowBytes);
    let rowCount = 0;
    for (let sequence = 1; sequence <= 6000; sequence += 1) {
      const dice = random(20);
      const type = dice === 0 ? recordTypes.keyInvalidated : dice === 1 ? recordTypes.moved : recordTypes.stored;
      const isFile = random(10) === 0;
      const header = headerWith({
        type: cleared && sequence % 1700 === 0 ? recordTypes.cleared : type,
        // What was moved was stored before, and may be there still.
        sequence: type === recordTypes.moved ? 1 + random(sequence) : sequence,
        hash: cleared ? crowdedHashOf(random(2000)) : hashOfKey(String(random(4000))),
        hostHash: random(2 ** 32),
        tagBits: random(3) === 0 ? random(2 ** 32) : 0,
        priority: random(256) - 128,
        expiresMs: random(10_000_000),
        replaces: type === recordTypes.stored && random(3) === 0 ? 1 + random(sequence) : 0,
        namespaceHash: random(10) === 0 ? 1 : 0,
        ...(isFile && { place: bodyPlaces.file, bodyWriter: 1, bodyNumber: sequence }),
        recordBytes: recordBytesOf(0, 0, logBlockShift, isFile ? bodyPlaces.file : bodyPlaces.inline),
      });
      if (isRow(header)) {
        writeRow(new DataView(rows.buffer), rowCount * rowBytes, header, sequence);
        rowCount += 1;
      }
      records.push(header);
    }
    assert.ok(rowCount > 2000, `${rowCount} rows`);
    let slot = quickly.placeRows(rows.subarray(0, rowCount * rowBytes));
    for (const [i, header] of records.entries()) {
      slowly.apply(header, i % segments, i + 1);
      if (isRow(header)) {
        quickly.applyRows(slot, slot + 1, i % segments);
        slot += 1;
      } else quickly.apply(header, i % segments, i + 1);
      if (i % 500 === 0) for (const index of [slowly, quickly]) index.recent.forgetBefore(i);
    }
    assert.equal(contentOf(quickly), contentOf(slowly));
    assert.is(quickly.count, slowly.count);
    for (let segment = 0; segment < segments; segment += 1) {
      assert.is(quickly.isLive(segment), slowly.isLive(segment));
      const left = new Set(slowly.dropSegment(segment));
      assert.equal(new Set(quickly.dropSegment(segment)), left);
    }
    assert.equal([quickly.count, slowly.count], [0, 0]);
  });
}

test.run();
