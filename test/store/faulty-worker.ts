import { existsSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { WriterTask } from '../../src/protocol/messages.js';
import handle from '../../workers/writer.js';

/** The writer, but for what files in its directory tell it: `die`, `die-after`, `throw`, `stall`, and `stall-records`: when there are some to be written. */
export default async function faulty(task: WriterTask): ReturnType<typeof handle> {
  if (!('session' in task)) return handle(task);
  const told = (name: string): boolean => existsSync(join(task.session.directory, name));
  const obey = (name: string): boolean => {
    if (!told(name)) return false;
    rmSync(join(task.session.directory, name));
    return true;
  };
  if (obey('die')) process.exit(1);
  if (obey('throw')) throw new Error('told to throw');
  const hasRecords = task.kind === 'batch' && task.logs.some(({ usedBytes }) => usedBytes > 0);
  const isToStall = (): boolean => told('stall') || (hasRecords && told('stall-records'));
  if (isToStall()) {
    writeFileSync(join(task.session.directory, 'stalled'), '');
    const cell = new Int32Array(new SharedArrayBuffer(4));
    while (isToStall()) Atomics.wait(cell, 0, 0, 5);
  }
  const answer = await handle(task);
  if (obey('die-after')) process.exit(1);
  return answer;
}
