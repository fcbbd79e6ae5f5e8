import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { packRow, rowOf, unpackHead } from '../../src/disk/head-codec.js';
import { draftOf, type HeadDraft, readDraft, writeDraft } from '../../src/disk/head-draft.js';
import type { StoredHead } from '../../src/http/message.js';
import { plainCopyOf } from '../../src/http/plain-value.js';

const test = suite('heads on their way to the worker');
const maxBytes = 512 * 1024;

/** One byte per character, as fields come off the wire, line feeds and all. */
const latin1 = fc.string({ unit: fc.integer({ min: 0, max: 255 }).map((code) => String.fromCharCode(code)) });
const lines = fc.array(latin1, { maxLength: 6 });
/** Any text that UTF-8 can carry. */
const text = fc.string({ unit: 'binary' });
const times = fc.integer({ min: 0, max: 2 ** 45 });
const ownTimes = fc.oneof(
  fc.constant({}),
  times.map((ttlMs) => ({ ttlMs })),
  times.map((at) => ({ invalidatedMs: at })),
);

const heads: fc.Arbitrary<StoredHead> = fc
  .record({
    url: text,
    method: fc.constantFrom('GET', 'POST'),
    status: fc.integer({ min: 100, max: 599 }),
    statusText: latin1,
    httpVersion: fc.constantFrom('1.0', '1.1', '2.0'),
    fields: lines,
    selecting: lines,
    requestTimeMs: times,
    responseTimeMs: fc.double({ noNaN: true, noDefaultInfinity: true }),
  })
  .chain((head) => ownTimes.map((own) => ({ ...head, ...own })));

const plain = fc.anything({ withDate: true, withBigInt: true, withTypedArray: false, maxDepth: 4 });

function drafted(key: string, head: StoredHead, tags: readonly string[]): HeadDraft {
  const draft = draftOf(key, head, tags, maxBytes);
  if (typeof draft === 'string') throw new Error(draft);
  return draft;
}

/** What the worker makes of a draft. */
function packed(draft: HeadDraft): Uint8Array {
  if (draft.kind === 'row') return packRow(structuredClone(draft.row));
  const start = 8;
  const bytes = new Uint8Array(start + draft.reservedBytes + 8).fill(0xaa);
  const view = new DataView(bytes.buffer);
  writeDraft(bytes, view, start, draft);
  assert.equal([...bytes.subarray(start + draft.reservedBytes)], new Array(8).fill(0xaa), 'it stays in its place');
  return packRow(readDraft(bytes, view, start));
}

test('come out as they went in, whatever text they hold, within the room that was left for them', () => {
  fc.assert(
    fc.property(text, heads, fc.array(text, { maxLength: 4 }), (key, head, tags) => {
      const draft = drafted(key, head, tags);
      const bytes = packed(draft);
      assert.ok(bytes.byteLength <= draft.reservedBytes, `${bytes.byteLength} in ${draft.reservedBytes}`);
      assert.equal(unpackHead(bytes), { key, head, tags });
    }),
  );
});

test('carry trailers', () => {
  const [sample] = fc.sample(heads, { numRuns: 1, seed: 1 });
  if (sample === undefined) throw new Error('no head');
  const head = { ...sample, trailers: ['Digest', 'ü', 'Odd', 'a\nb'] };
  assert.equal(unpackHead(packed(drafted('k', head, [])))?.head, head);
});

test('carry half a character as the sign for an unknown one, and shift nothing by it', () => {
  const [sample] = fc.sample(heads, { numRuns: 1, seed: 2 });
  if (sample === undefined) throw new Error('no head');
  const found = unpackHead(packed(drafted('k\ud83d', { ...sample, url: '\ude00u', statusText: 'OK' }, ['t'])));
  assert.is(found?.head.statusText, 'OK');
  assert.equal(found?.tags, ['t']);
});

test('have room for metadata of any kind, or say that it cannot be stored', () => {
  const [head] = fc.sample(heads, { numRuns: 1, seed: 3 });
  if (head === undefined) throw new Error('no head');
  let stored = 0;
  fc.assert(
    fc.property(plain, (metadata) => {
      const draft = draftOf('k', { ...head, metadata }, [], maxBytes);
      if (typeof draft === 'string') return;
      stored += 1;
      const bytes = packed(draft);
      assert.ok(bytes.byteLength <= draft.reservedBytes, `${bytes.byteLength} in ${draft.reservedBytes}`);
      assert.ok(unpackHead(bytes) !== undefined);
    }),
    { numRuns: 500 },
  );
  assert.ok(stored > 100, `${stored} were`);
});

const cyclic: Record<string, unknown> = {};
cyclic.self = cyclic;
const growing: unknown[] = [];
growing.push(growing, growing);
class Instance {
  readonly a = 1;
}
const refused: Readonly<Record<string, unknown>> = {
  'a function': () => 1,
  'a symbol': Symbol('s'),
  'an instance of a class': new Instance(),
  'a map': new Map(),
  'a cycle': cyclic,
  'a list that holds itself twice': growing,
  'a getter that throws': {
    get a() {
      throw new Error('no');
    },
  },
  'a bigint of more than 64 bits': 2n ** 64n,
  'a list that claims to be long': new Array(1e9),
  'text that is too long': 'x'.repeat(maxBytes),
};

for (const [name, value] of Object.entries(refused)) {
  test(`${name} is refused as metadata, at any depth, without throwing`, () => {
    assert.is.not(plainCopyOf(value, maxBytes).kind, 'plain');
    assert.is.not(plainCopyOf({ deep: [value] }, maxBytes).kind, 'plain');
  });
}

test('hold copies: what the owner of metadata does later, or a getter says the next time, is not in them', () => {
  let calls = 0;
  const owned = {
    list: [1],
    bytes: Buffer.from('a'),
    constructor: 'x',
    toJSON: 'y',
    hole: Object.assign(new Array(3), { 0: 1, 2: 3 }),
  } as Record<string, unknown>;
  Object.defineProperty(owned, 'counted', { enumerable: true, get: () => 'x'.repeat(10 ** calls++) });
  const [head] = fc.sample(heads, { numRuns: 1, seed: 4 });
  if (head === undefined) throw new Error('no head');
  const draft = drafted('k', { ...head, metadata: owned }, []);
  (owned.list as number[]).push(...new Array(1000).fill(1));
  const bytes = packed(draft);
  assert.ok(bytes.byteLength <= draft.reservedBytes);
  const metadata = unpackHead(bytes)?.head.metadata as Record<string, unknown>;
  assert.equal(metadata.list, [1]);
  assert.equal(metadata.hole, [1, undefined, 3]);
  assert.is(metadata.counted, 'x');
  assert.is(metadata.constructor, 'x');
  assert.is(metadata.toJSON, 'y');
});

test('rows keep metadata in the last place, and none when there is none', () => {
  const [head] = fc.sample(heads, { numRuns: 1, seed: 5 });
  if (head === undefined) throw new Error('no head');
  assert.is(rowOf('k', head, []).length, 14);
  assert.is(rowOf('k', { ...head, metadata: null }, []).length, 15);
});

test.run();
