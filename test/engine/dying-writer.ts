// The worker of the disk store, which dies in the middle of a batch when there is a file `die` beside the cache's folder.
import { existsSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { WriterTask } from '../../src/protocol/messages.js';
import write from '../../workers/writer.js';

export default function writeOrDie(task: WriterTask): unknown {
  if (task.kind === 'batch') {
    const mark = join(task.session.directory, 'die');
    if (existsSync(mark)) {
      rmSync(mark);
      process.exit(1);
    }
  }
  return write(task);
}
