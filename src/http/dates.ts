import { remembering } from './remember.js';

const months = ['jan', 'feb', 'mar', 'apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec'];
const dayNames: ReadonlySet<string> = new Set(['mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun']);
const shortDay = '(?:mon|tue|wed|thu|fri|sat|sun)';
const longDay = '(?:monday|tuesday|wednesday|thursday|friday|saturday|sunday)';
const month = `(${months.join('|')})`;
const time = '(\\d\\d):(\\d\\d):(\\d\\d)';
// RFC 9110 §5.6.7; letters of any case and only GMT, as RFC 9111 §4.2 has it for caches.
const rfc850Date = new RegExp(`^${longDay}, (\\d\\d)-${month}-(\\d\\d) ${time} gmt$`, 'i');
const asctimeDate = new RegExp(`^${shortDay} ${month} (\\d\\d| \\d) ${time} (\\d{4})$`, 'i');
const longestDate = 'Wednesday, 06-Nov-94 08:49:37 GMT'.length;

/**
 * An HTTP-date (RFC 9110 §5.6.7) as ms since the epoch; `undefined` if it is anything but one of the three formats.
 * `nowMs` tells the century of a two-digit year: at most 50 years ahead.
 */
export function parseHttpDate(text: string, nowMs: number): number | undefined {
  const date = text.trim();
  if (date.length > longestDate) return undefined;
  const ms = date.length === 29 ? parseImfFixdate(date) : Number.NaN;
  return Number.isNaN(ms) ? parseObsolete(date, nowMs) : ms;
}

/** `Sun, 06 Nov 1994 08:49:37 GMT`, by position: every decision reads one or two of these. NaN: it is none. */
const parseImfFixdate = remembering((date: string): number => {
  const lower = date.toLowerCase();
  const isLaidOut =
    dayNames.has(lower.slice(0, 3)) &&
    lower.startsWith(', ', 3) &&
    date.charCodeAt(7) === 0x20 &&
    date.charCodeAt(11) === 0x20 &&
    date.charCodeAt(16) === 0x20 &&
    date.charCodeAt(19) === 0x3a &&
    date.charCodeAt(22) === 0x3a &&
    lower.endsWith(' gmt');
  if (!isLaidOut) return Number.NaN;
  const year = twoDigits(date, 12) * 100 + twoDigits(date, 14);
  const monthIndex = months.indexOf(lower.slice(8, 11));
  return (
    utc(year, monthIndex, twoDigits(date, 5), twoDigits(date, 17), twoDigits(date, 20), twoDigits(date, 23)) ??
    Number.NaN
  );
});

function twoDigits(text: string, at: number): number {
  const tens = text.charCodeAt(at) - 48;
  const ones = text.charCodeAt(at + 1) - 48;
  return tens >= 0 && tens <= 9 && ones >= 0 && ones <= 9 ? tens * 10 + ones : Number.NaN;
}

function parseObsolete(date: string, nowMs: number): number | undefined {
  const rfc850 = rfc850Date.exec(date);
  if (rfc850 !== null) {
    const [, day, monthName, year, ...clock] = rfc850;
    return utc(fullYear(Number(year), nowMs), monthOf(monthName), Number(day), ...timeOf(clock));
  }
  const asctime = asctimeDate.exec(date);
  if (asctime === null) return undefined;
  const [, monthName, day, hour, minute, second, year] = asctime;
  return utc(Number(year), monthOf(monthName), Number(day), ...timeOf([hour, minute, second]));
}

function monthOf(name: string | undefined): number {
  return months.indexOf((name ?? '').toLowerCase());
}

function timeOf([hour, minute, second]: readonly (string | undefined)[]): [number, number, number] {
  return [Number(hour), Number(minute), Number(second)];
}

/** An IMF-fixdate. */
export function printHttpDate(ms: number): string {
  return new Date(ms).toUTCString();
}

function fullYear(twoDigits: number, nowMs: number): number {
  const thisYear = new Date(nowMs).getUTCFullYear();
  const year = thisYear - (thisYear % 100) + twoDigits;
  return year > thisYear + 50 ? year - 100 : year;
}

function utc(
  year: number,
  monthIndex: number,
  day: number,
  hour: number,
  minute: number,
  second: number,
): number | undefined {
  // 60 is a leap second (RFC 5322 §3.3). NaN fails every comparison.
  const isTime = hour <= 23 && minute <= 59 && second <= 60;
  if (!isTime || !(year >= 0) || monthIndex < 0 || !(day >= 1 && day <= daysIn(year, monthIndex))) return undefined;
  // Date.UTC takes the years 0 to 99 for 1900 to 1999.
  const isEarly = year < 100;
  const ms = Date.UTC(isEarly ? year + 400 : year, monthIndex, day, hour, minute, second);
  return isEarly ? ms - millisecondsIn400Years : ms;
}

function daysIn(year: number, monthIndex: number): number {
  if (monthIndex === 1) return (year % 4 === 0 && year % 100 !== 0) || year % 400 === 0 ? 29 : 28;
  return monthIndex === 3 || monthIndex === 5 || monthIndex === 8 || monthIndex === 10 ? 30 : 31;
}

const millisecondsIn400Years = 146_097 * 24 * 3600 * 1000;
