import fc from 'fast-check';
import type { StoredHead } from '../../src/http/message.js';
import type { Exchange } from '../../src/semantics/decisions.js';
import type { Directive, Meaning } from './model.js';
import { dateAt, noon } from './support.js';

const seconds = fc.oneof(fc.constantFrom(0, 1, 2, 9, 10, 60), fc.nat(200));
const responseNames = ['max-age', 's-maxage', 'stale-while-revalidate', 'stale-if-error'];
const responseFlags = [
  'no-store',
  'no-cache',
  'private',
  'public',
  'must-revalidate',
  'proxy-revalidate',
  'must-understand',
  'immutable',
  'x',
];
const requestNames = ['max-age', 'min-fresh', 'max-stale', 'stale-if-error'];
const requestFlags = ['no-cache', 'only-if-cached', 'max-stale', 'x'];

function directives(names: readonly string[], flags: readonly string[]): fc.Arbitrary<Directive[]> {
  const valued = fc.record({
    name: fc.constantFrom(...names),
    value: fc.oneof({ weight: 9, arbitrary: seconds }, { weight: 1, arbitrary: fc.constant<'bad'>('bad') }),
  });
  const flag = fc.record({ name: fc.constantFrom(...flags) });
  return fc.array(fc.oneof({ weight: 2, arbitrary: valued }, flag), { maxLength: 4 });
}

const rarely = fc.oneof({ weight: 4, arbitrary: fc.constant(false) }, fc.constant(true));
const maybe = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary, { nil: undefined });
const bad = { weight: 1, arbitrary: fc.constant<'bad'>('bad') };

/** Responses and requests of every kind. */
export const meanings: fc.Arbitrary<Meaning> = fc.record({
  shared: fc.boolean(),
  status: fc.oneof(fc.constant(200), fc.constantFrom(200, 203, 206, 302, 404, 403, 412, 500, 503, 599)),
  directives: directives(responseNames, responseFlags),
  expires: maybe(fc.oneof({ weight: 4, arbitrary: fc.integer({ min: -50, max: 200 }) }, bad)),
  date: maybe(fc.oneof({ weight: 4, arbitrary: fc.constantFrom(0, 0, -5, -100, 5, 100) }, bad)),
  age: maybe(fc.oneof({ weight: 4, arbitrary: seconds }, bad)),
  lastModified: maybe(fc.integer({ min: -3000, max: 10 })),
  hasEtag: fc.boolean(),
  hasSetCookie: rarely,
  isAuthorized: rarely,
  delayMs: fc.constantFrom(0, 0, 3, 999, 1000, 4500),
  elapsedMs: fc.oneof(fc.constantFrom(0, 1, 999, 1000, 9000, 10_000), fc.nat(300_000)),
  asks: directives(requestNames, requestFlags),
});

/** How a message is written down: what must not matter. */
export interface Hand {
  readonly dice: readonly number[];
}

export const hands: fc.Arbitrary<Hand> = fc.record({ dice: fc.array(fc.nat(1000), { minLength: 12, maxLength: 12 }) });

/** The fields that mean this, in this hand. */
export function printResponse(m: Meaning, hand: Hand): string[] {
  const fields: string[] = [];
  const add = (name: string, value: string | undefined) => {
    if (value !== undefined) fields.push(letters(name, hand, fields.length), value);
  };
  add('X-Before', '1');
  add('Date', m.date === 'bad' ? 'yesterday' : m.date === undefined ? undefined : date(m.date, hand));
  for (const line of linesOf(m.directives, hand)) add('Cache-Control', line);
  add('Expires', m.expires === 'bad' ? '0' : m.expires === undefined ? undefined : date(m.expires, hand));
  add(
    'Age',
    m.age === 'bad' ? '5.5' : m.age === undefined ? undefined : `${m.age}${roll(hand, 3) % 4 === 0 ? ', 7' : ''}`,
  );
  add('Last-Modified', m.lastModified === undefined ? undefined : date(m.lastModified, hand));
  add('ETag', m.hasEtag ? 'W/"a, no-store"' : undefined);
  add('Set-Cookie', m.hasSetCookie ? 'a=b' : undefined);
  return fields;
}

export function printRequest(asks: readonly Directive[], hand: Hand): string[] {
  return linesOf(asks, hand).flatMap((line) => [letters('Cache-Control', hand, 2), line]);
}

export function exchangeFor(m: Meaning, hand: Hand): Exchange {
  const response = { status: m.status, statusText: '', httpVersion: '1.1', fields: printResponse(m, hand) };
  return { response, requestTimeMs: noon - m.delayMs, responseTimeMs: noon };
}

export function headFor(m: Meaning, hand: Hand): StoredHead {
  const { response, requestTimeMs, responseTimeMs } = exchangeFor(m, hand);
  return { ...response, url: 'https://example.com/a', method: 'GET', selecting: [], requestTimeMs, responseTimeMs };
}

function linesOf(list: readonly Directive[], hand: Hand): string[] {
  const printed = list.map((directive, i) => printDirective(directive, hand, i));
  if (printed.length === 0) return [];
  const cut = roll(hand, 4) % 2 === 0 ? printed.length : roll(hand, 5) % (printed.length + 1);
  const comma = [',', ', ', ' ,\t', ',,'][roll(hand, 6) % 4] ?? ',';
  return [printed.slice(0, cut), printed.slice(cut)].filter((part) => part.length > 0).map((part) => part.join(comma));
}

function printDirective({ name, value }: Directive, hand: Hand, i: number): string {
  const written = letters(name, hand, i + 7);
  if (value === undefined) return written;
  if (value === 'bad') return written + (['=', '=-5', '=5x', "='5'", ' =5', '= 5', '="5" 6'][roll(hand, i) % 7] ?? '=');
  const digits = (roll(hand, i + 1) % 3 === 0 ? '00' : '') + value;
  return roll(hand, i + 2) % 3 === 0 ? `${written}="${digits}"` : `${written}=${digits}`;
}

/** One of the three formats (RFC 9110 §5.6.7), in any case (RFC 9111 §4.2). */
function date(offset: number, hand: Hand): string {
  const imf = dateAt(offset);
  const [, day = '', month = '', year = '', time = ''] = imf.split(/,? /);
  switch (roll(hand, 9) % 4) {
    case 0:
      return `${longDay(imf)}, ${day}-${month}-${year.slice(2)} ${time} GMT`;
    case 1:
      return `${imf.slice(0, 3)} ${month} ${day.replace(/^0/, ' ')} ${time} ${year}`;
    case 2:
      return imf.toLowerCase();
    default:
      return imf;
  }
}

function longDay(imf: string): string {
  const days = ['Sunday', 'Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday'];
  return days.find((day) => imf.startsWith(day.slice(0, 3))) ?? '';
}

function letters(name: string, hand: Hand, i: number): string {
  const bits = roll(hand, i);
  return [...name]
    .map((letter, at) => ((bits >> (at % 10)) & 1 ? letter.toUpperCase() : letter.toLowerCase()))
    .join('');
}

function roll(hand: Hand, i: number): number {
  return hand.dice[i % hand.dice.length] ?? 0;
}
