// Starts the origin and the measuring processes.
import { fork } from 'node:child_process';
import { once } from 'node:events';

const LIMIT_MS = 10 * 60_000;

export async function startOrigin() {
  const child = fork(new URL('./origin.mjs', import.meta.url));
  const [{ url }] = await once(child, 'message');
  return { url, stop: () => child.disconnect() };
}

/** Runs a job in a process of its own and resolves to what it measured. What it prints is shown only if it fails. */
export async function runCase(job) {
  const child = fork(new URL('./case.mjs', import.meta.url), {
    timeout: LIMIT_MS,
    killSignal: 'SIGKILL',
    execArgv: ['--expose-gc'],
    silent: true,
  });
  let said = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text) => {
      said = (said + text).slice(-4000);
    });
  }
  const answered = once(child, 'message');
  const failed = once(child, 'close').then(([code, signal]) => {
    throw new Error(`${job.case} of '${job.subject}' ended with ${signal ?? code} and no result\n${said}`);
  });
  child.send(job);
  const [result] = await Promise.race([answered, failed]);
  failed.catch(() => {});
  if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
  return result;
}
