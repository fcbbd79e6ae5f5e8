import { serialize } from 'node:v8';
import type { FieldLines, StoredHead } from '../http/message.js';

// Measured by `benchmarks/eviction/memory-cost.mjs`.

/** The objects and lists that hold one stored response together. */
const responseOverheadBytes = 900;
/** Header and padding of a string, and the slots that refer to it. */
const stringOverheadBytes = 36;

/** Memory that a head and its key occupy, in bytes. */
export function headCostBytes(key: string, head: StoredHead, tags: readonly string[]): number {
  return (
    responseOverheadBytes +
    stringBytes(key) +
    stringBytes(head.url) +
    stringBytes(head.statusText) +
    linesBytes(head.fields) +
    linesBytes(head.selecting) +
    linesBytes(head.trailers ?? []) +
    linesBytes(tags) +
    (head.metadata === undefined ? 0 : 4 * serialize(head.metadata).length)
  );
}

function linesBytes(lines: FieldLines): number {
  let bytes = 0;
  for (const line of lines) bytes += stringBytes(line);
  return bytes;
}

/** Fields are latin1, one byte per character; a key or a tag of the user's may take two. */
function stringBytes(text: string): number {
  return stringOverheadBytes + text.length;
}
