const months = ['jan', 'feb', 'mar', 'apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec'];
const shortDay = '(?:mon|tue|wed|thu|fri|sat|sun)';
const longDay = '(?:monday|tuesday|wednesday|thursday|friday|saturday|sunday)';
const month = `(${months.join('|')})`;
const time = '(\\d\\d):(\\d\\d):(\\d\\d)';
// RFC 9110 §5.6.7; letters of any case and only GMT, as RFC 9111 §4.2 has it for caches.
const imfFixdate = new RegExp(`^${shortDay}, (\\d\\d) ${month} (\\d{4}) ${time} gmt$`, 'i');
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
  if (date.length === 29) {
    const imf = imfFixdate.exec(date);
    if (imf !== null) return utc(imf[3], imf[2], imf[1], imf[4], imf[5], imf[6]);
  }
  const old = rfc850Date.exec(date);
  if (old !== null) return utc(String(fullYear(Number(old[3]), nowMs)), old[2], old[1], old[4], old[5], old[6]);
  const asctime = asctimeDate.exec(date);
  if (asctime !== null) return utc(asctime[6], asctime[1], asctime[2], asctime[3], asctime[4], asctime[5]);
  return undefined;
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

type Part = string | undefined;

function utc(year: Part, monthName: Part, day: Part, hour: Part, minute: Part, second: Part): number | undefined {
  const monthIndex = months.indexOf((monthName ?? '').toLowerCase());
  const dayOfMonth = Number(day);
  // 60 is a leap second (RFC 5322 §3.3).
  if (Number(hour) > 23 || Number(minute) > 59 || Number(second) > 60) return undefined;
  const date = new Date(0);
  // Date.UTC would take the years 0 to 99 for 1900 to 1999.
  date.setUTCFullYear(Number(year), monthIndex, dayOfMonth);
  if (date.getUTCDate() !== dayOfMonth) return undefined;
  return date.setUTCHours(Number(hour), Number(minute), Number(second), 0);
}
