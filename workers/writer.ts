import { join } from 'node:path';
import { formatFolder } from '../src/disk/layout.js';
import type {
  BatchAnswer,
  CheckAnswer,
  CloseAnswer,
  OpenAnswer,
  OpenTask,
  OrphanAnswer,
  WriterTask,
} from '../src/protocol/messages.js';
import { BodyTwins } from './body-twins.js';
import { Membership } from './membership.js';
import { openDirectory } from './open-directory.js';
import type { Opened } from './writer-tasks.js';

/** What writing needs takes as long to load as opening does: it comes after that. */
const loadTasks = (): Promise<typeof import('./writer-tasks.js')> => import('./writer-tasks.js');

let opened: Opened | undefined;

/** The one thread that writes to a directory. */
export default async function handle(
  task: WriterTask,
): Promise<OpenAnswer | BatchAnswer | CheckAnswer | OrphanAnswer | CloseAnswer> {
  if (task.kind === 'open') return open(task);
  const tasks = await loadTasks();
  if (opened !== undefined) tasks.begin(opened);
  opened = undefined;
  return tasks.runTask(task);
}

function open(task: OpenTask): OpenAnswer {
  const answer = openDirectory(task);
  if (answer.outcome === 'failed') return answer;
  const root = join(task.directory, formatFolder);
  const twins = task.deduplicate ? new BodyTwins(root) : undefined;
  for (const file of answer.index.entries.bodyFiles.values()) twins?.remember(file);
  opened = { membership: new Membership(root, { ...answer, lock: task.lock }), twins };
  // After the answer is on its way.
  setImmediate(() => void loadTasks());
  return answer;
}
