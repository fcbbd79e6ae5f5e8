import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { hashOfKey } from '../../src/disk/key-hash.js';
import { LeaseBook, type Word } from '../../src/peers/lease-book.js';

const test = suite('the leases of the keys that are at home here');
const limitMs = 100;

interface Asker {
  readonly hash: ReturnType<typeof hashOfKey>;
  readonly heard: Word[];
  told(word: Word): void;
}

function askerFor(key: string): Asker {
  const heard: Word[] = [];
  return { hash: hashOfKey(key), heard, told: (word) => void heard.push(word) };
}

function bookWith(count: number, key = 'k') {
  const clock = { ms: 0 };
  const book = new LeaseBook(limitMs, () => clock.ms);
  const askers = Array.from({ length: count }, () => askerFor(key));
  const [first = askerFor(key), second = askerFor(key), third = askerFor(key)] = askers;
  return { book, clock, askers, first, second, third };
}

test('go to the first who asks; the others are told when it is over', () => {
  const { book, askers, first } = bookWith(3);
  for (const asker of askers) book.ask(asker);
  assert.equal(
    askers.map(({ heard }) => heard),
    [['granted'], ['held'], ['held']],
  );
  book.release(first, 'look');
  assert.equal(
    askers.map(({ heard }) => heard),
    [['granted'], ['held', 'over'], ['held', 'over']],
  );
  assert.is(book.size, 0);
});

test('of different keys have nothing to do with each other', () => {
  const { book } = bookWith(0);
  const [one, other] = [askerFor('one'), askerFor('other')];
  book.ask(one);
  book.ask(other);
  assert.equal([one.heard, other.heard], [['granted'], ['granted']]);
  book.release(one, 'apart');
  assert.equal(other.heard, ['granted']);
});

test('are granted with a look to who comes after: it may have looked before that was stored', () => {
  const { book, clock, first, second } = bookWith(2);
  book.ask(first);
  book.release(first, 'look');
  clock.ms = limitMs - 1;
  book.ask(second);
  assert.equal(second.heard, ['look']);
});

test('are waited for by nobody once an answer was of no use to others, for as long as a lease lasts', () => {
  const { book, clock, first, second, third } = bookWith(3);
  for (const asker of [first, second]) book.ask(asker);
  book.release(first, 'apart');
  assert.equal(second.heard, ['held', 'apart']);
  book.ask(third);
  const more = askerFor('k');
  book.ask(more);
  assert.equal([third.heard, more.heard], [['apart'], ['apart']]);
  assert.is(book.size, 0);
  clock.ms = limitMs;
  const [later, last] = [askerFor('k'), askerFor('k')];
  book.ask(later);
  book.ask(last);
  assert.equal([later.heard, last.heard], [['granted'], ['held']]);
});

test('lapse: then whoever asks next has it, and those who wait are told by them', () => {
  const { book, clock, first, second, third } = bookWith(3);
  for (const asker of [first, second]) book.ask(asker);
  clock.ms = limitMs;
  book.ask(third);
  assert.equal(third.heard, ['look']);
  book.release(first, 'look');
  assert.equal(second.heard, ['held'], 'who had it has no say any more');
  book.release(third, 'look');
  assert.equal(second.heard, ['held', 'over']);
});

test('are not given to who does not want them any more, and given back twice they are given back once', () => {
  const { book, first, second, third } = bookWith(3);
  for (const asker of [first, second]) book.ask(asker);
  book.release(second, 'look');
  book.release(first, 'look');
  book.release(first, 'apart');
  assert.equal(second.heard, ['held']);
  book.ask(third);
  assert.equal(third.heard, ['look'], 'the first word counts');
});

test('are over when what they are for is invalidated: who asked before has no answer for who asks after', () => {
  for (const hash of [hashOfKey('k'), undefined]) {
    const { book, first, second, third } = bookWith(3);
    const other = askerFor('other');
    for (const asker of [first, second, other]) book.ask(asker);
    book.break(hash);
    book.ask(third);
    assert.equal([second.heard, third.heard], [['held', 'over'], ['look']]);
    book.release(first, 'apart');
    assert.is(book.size, hash === undefined ? 1 : 2, 'the new one stays');
  }
});

test('are forgotten, how many there may have been', () => {
  const { book } = bookWith(0);
  for (let i = 0; i < 10_000; i += 1) {
    const asker = askerFor(`${i}`);
    book.ask(asker);
    book.release(asker, 'look');
  }
  const [early, late] = [askerFor('0'), askerFor('9999')];
  book.ask(early);
  book.ask(late);
  assert.equal([early.heard, late.heard], [['granted'], ['look']]);
});

test.run();
