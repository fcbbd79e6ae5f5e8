import { rmSync } from 'node:fs';
import { join } from 'node:path';
import type { SegmentName } from '../src/disk/index-table.js';
import { formatFolder, hintFileOf, segmentFileOf, segmentsFolder } from '../src/disk/layout.js';
import { failureOf } from '../src/protocol/failure.js';
import type {
  BatchAnswer,
  BatchTask,
  CheckAnswer,
  CloseAnswer,
  OpenTask,
  OrphanAnswer,
  WriterFailure,
  WriterSession,
  WriterTask,
  WrittenAnswer,
} from '../src/protocol/messages.js';
import { moving } from '../src/protocol/pool.js';
import { BodyFiles } from './body-files.js';
import { BodyTwins } from './body-twins.js';
import { CarryOver } from './carry-over.js';
import { checkRecords, findOrphans } from './check-records.js';
import { freeBytesOf, syncFolder } from './files.js';
import { Membership } from './membership.js';
import { SegmentLog } from './segment-log.js';

interface Writer {
  readonly id: number;
  readonly log: SegmentLog;
  readonly bodies: BodyFiles;
  readonly carryOver: CarryOver;
}

/** What an opened directory needs while it is open. */
export interface Opened {
  readonly membership: Membership;
  readonly twins: BodyTwins | undefined;
}

let writer: Writer | undefined;
let membership: Membership | undefined;
/** Filled at the opening: what earlier sessions and other processes stored can be linked to as well. */
let twins: BodyTwins | undefined;

/** What the opening has left for the tasks that follow. */
export function begin(opened: Opened): void {
  membership = opened.membership;
  twins = opened.twins;
}

/** Everything but to open a directory. Does nothing that outlives the task it was asked in. */
export function runTask(task: Exclude<WriterTask, OpenTask>): BatchAnswer | CheckAnswer | OrphanAnswer | CloseAnswer {
  switch (task.kind) {
    case 'batch': {
      const answer = runBatch(task);
      return moving(answer, answer.buffers);
    }
    case 'check':
      return checkRecords(task);
    case 'orphans':
      return findOrphans(task);
    case 'close':
      return close(task.session);
  }
}

/** What was acknowledged is durable already: whatever goes wrong here costs the next opening some time, and no response. */
function close(session: WriterSession): CloseAnswer {
  const problems: WriterFailure[] = [];
  attemptTo(() => writerFor(session).log.seal(), problems);
  attemptTo(() => membershipFor(session).end(), problems);
  writer = undefined;
  return { problems };
}

function attemptTo(step: () => void, problems: WriterFailure[]): void {
  try {
    step();
  } catch (error) {
    problems.push(failureOf(error));
  }
}

function runBatch(task: BatchTask): BatchAnswer {
  const { log, bodies, carryOver } = writerFor(task.session);
  const problems: WriterFailure[] = [];
  const attempt = (step: () => void): void => attemptTo(step, problems);
  const folder = join(task.session.directory, formatFolder, segmentsFolder);
  const carried: WrittenAnswer[] = [];
  for (const name of task.dropSegments) {
    attempt(() => {
      // First: after a crash between the two it is said twice, and not never.
      const answer = log.appendWhole(carryOver.recordsOf(name));
      if (answer !== undefined) carried.push(answer);
      dropSegment(folder, name);
      carryOver.forget(name);
    });
  }
  for (const name of task.removeFiles) attempt(() => bodies.remove(name));
  const written = bodies.write(task.bodies);
  const finished = task.finish.map((file) => bodies.finish(file));
  for (const file of task.abandon) attempt(() => bodies.abandon(file));
  if (task.seal) attempt(() => log.seal());
  const { logs, moved } =
    task.logs.length === 0 && task.moves === undefined
      ? { logs: [], moved: undefined }
      : log.append(task.logs, task.moves);
  return {
    buffers: [...task.logs, ...task.bodies].map(({ buffer }) => buffer),
    logs,
    bodies: [...written, ...finished],
    moved,
    carried,
    freeBytes: task.measureFree ? freeBytesOf(folder) : undefined,
    problems,
  };
}

function dropSegment(folder: string, name: SegmentName): void {
  rmSync(join(folder, segmentFileOf(name)), { force: true });
  rmSync(join(folder, hintFileOf(name)), { force: true });
  syncFolder(folder);
}

function writerFor(session: WriterSession): Writer {
  if (writer?.id !== session.writer) {
    const log = new SegmentLog(session, (end) => membershipFor(session).publish(end));
    const carryOver = new CarryOver(join(session.directory, formatFolder, segmentsFolder));
    if (session.deduplicate) twins ??= new BodyTwins(join(session.directory, formatFolder));
    writer = { id: session.writer, log, bodies: new BodyFiles(session, twins), carryOver };
  }
  return writer;
}

/** A worker that was restarted begins anew. */
function membershipFor(session: WriterSession): Membership {
  membership ??= new Membership(join(session.directory, formatFolder), session);
  return membership;
}
