import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { OpenAnswer, WriterTask } from '../../src/protocol/messages.js';

/** Stands in for file systems that a test cannot have: fails to open with the code that the file `code` in the directory holds. */
export default function handle(task: WriterTask): OpenAnswer {
  if (task.kind !== 'open') throw new Error('nothing was opened');
  const code = readFileSync(join(task.directory, 'code'), 'utf8');
  return { outcome: 'failed', failure: { code, message: `${code}: no luck` } };
}
