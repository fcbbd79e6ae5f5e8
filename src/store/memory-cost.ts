import { serialize } from 'node:v8';
import type { FieldLines, StoredHead } from '../http/message.js';

/**
 * What one stored response occupies besides its strings and its body: the objects and lists that refer to it, and the
 * `Buffer`. Measured as heap and resident set, see `docs/eviction.md`.
 */
const responseOverheadBytes = 1024;
/** Header of a string on V8's heap, rounded, and the slot that refers to it. */
const stringOverheadBytes = 28;

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
