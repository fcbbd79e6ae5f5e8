// What one stretch of work costs the process that does it.
import { readFileSync } from 'node:fs';
import { performance } from 'node:perf_hooks';

/**
 * Runs `work` and says what it took. `loopMs`: how long the event loop was active. `threadMs`: processor time of the main thread
 * alone (Linux; elsewhere NaN), which other programs on the machine disturb less. `cpuMs`: of all threads of the process.
 */
export async function measured(work) {
  const loop = performance.eventLoopUtilization();
  const cpu = process.cpuUsage();
  const thread = threadMs();
  const started = performance.now();
  await work();
  const ms = performance.now() - started;
  const loopMs = performance.eventLoopUtilization(loop).active;
  const { user, system } = process.cpuUsage(cpu);
  return { ms, loopMs, threadMs: threadMs() - thread, cpuMs: (user + system) / 1000 };
}

function threadMs() {
  if (process.platform !== 'linux') return Number.NaN;
  return Number(readFileSync(`/proc/self/task/${process.pid}/schedstat`, 'utf8').split(' ')[0]) / 1e6;
}

/** Calls `act(number)` for every number below `count`, at most `inFlight` at once. */
export async function forEachNumber(from, count, inFlight, act) {
  let next = from;
  const worker = async () => {
    while (next < from + count) await act(next++);
  };
  await Promise.all(Array.from({ length: inFlight }, worker));
}

export function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}
