import type { SegmentName } from './index-table.js';

/** The folder of this format version within the user's directory; another version is left alone. */
export const formatFolder = 'offloop-1';
export const segmentsFolder = 'segments';
export const bodiesFolder = 'bodies';
export const temporaryFolder = 'tmp';
export const boardFile = 'board';

/** Says where a writer listens to others. */
export function addressFileOf(writer: number): string {
  return `peer-${hex(writer)}`;
}

/** Where it listens, if the path is short enough. */
export function socketFileOf(writer: number): string {
  return `${addressFileOf(writer)}.sock`;
}

/** Whose address or socket this is; `undefined` for any other file. */
export function parsePeerFile(fileName: string): number | undefined {
  const match = /^peer-([0-9a-f]{8})(?:\.sock|\.tmp)?$/.exec(fileName);
  return match === null ? undefined : Number.parseInt(match[1] ?? '', 16);
}

export function segmentFileOf(name: SegmentName): string {
  return `${hex(name.writer)}-${hex(name.number)}.seg`;
}

export function hintFileOf(name: SegmentName): string {
  return `${hex(name.writer)}-${hex(name.number)}.hint`;
}

/** The segment whose file has this name; `undefined` for any other file. */
export function parseSegmentFile(fileName: string): SegmentName | undefined {
  return parse(fileName, /^([0-9a-f]{8})-([0-9a-f]{8})\.seg$/);
}

/** The segment whose hint has this name; `undefined` for any other file. */
export function parseHintFile(fileName: string): SegmentName | undefined {
  return parse(fileName, /^([0-9a-f]{8})-([0-9a-f]{8})\.hint$/);
}

/** Body files are spread over 256 folders by the low byte of their number: `[folder, file]`. */
export function bodyFileNameOf(name: SegmentName): readonly [string, string] {
  return [(name.number & 0xff).toString(16).padStart(2, '0'), `${hex(name.writer)}-${hex(name.number)}`];
}

/** The number and writer of the body file that has this name; `undefined` for any other file. */
export function parseBodyFile(fileName: string): SegmentName | undefined {
  return parse(fileName, /^([0-9a-f]{8})-([0-9a-f]{8})$/);
}

function parse(fileName: string, pattern: RegExp): SegmentName | undefined {
  const match = pattern.exec(fileName);
  if (match === null) return undefined;
  return { writer: Number.parseInt(match[1] ?? '', 16), number: Number.parseInt(match[2] ?? '', 16) };
}

function hex(value: number): string {
  return value.toString(16).padStart(8, '0');
}
