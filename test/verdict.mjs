// What one test file's output and source say about it. uvu alone is too kind: a forgotten `.run()`, a `before` hook
// that throws and an endless `await` all exit with 0.

const ANSI = new RegExp(`${String.fromCharCode(27)}\\[[0-9;]*m`, 'g');
const SUMMARY = /^ {2}Total: +(\d+)\n {2}Passed: +(\d+)\n {2}Skipped: +(\d+)$/gm;

/** The last summary in uvu's output; `found` is false when there is none. */
export function parseSummary(output) {
  const last = [...output.replace(ANSI, '').matchAll(SUMMARY)].at(-1);
  if (last === undefined) return { found: false, total: 0, passed: 0, skipped: 0 };
  return { found: true, total: Number(last[1]), passed: Number(last[2]), skipped: Number(last[3]) };
}

/** The file's own time limit, from a line `// time limit: 300 s`. */
export function limitMsOf(source) {
  const found = /^\/\/ time limit: (\d+) s\b/m.exec(source);
  return found === null ? undefined : Number(found[1]) * 1000;
}

/** Everything wrong with a run besides the tests that failed in it, as sentences. */
export function faultsOf(source, summary, { code, signal, timedOut, limitMs }) {
  const faults = [];
  if (timedOut) faults.push(`did not end within ${limitMs} ms and was killed`);
  else if (signal !== null) faults.push(`was ended by ${signal}`);
  if (!timedOut && !summary.found) faults.push('printed no summary: it ran no test, or stopped before the end');
  if (summary.found && summary.total === 0) faults.push('ran no test');
  for (const name of suitesWithoutRun(source))
    faults.push(`registers the suite '${name}' but never calls ${name}.run()`);
  if (/\b\w+\.only\(/.test(source) && summary.skipped > 0) faults.push('leaves tests out by a forgotten .only()');
  if (code !== 0 && !timedOut && signal === null && summary.found && summary.passed === summary.total) {
    faults.push(`all its tests passed, but it exited with ${code}`);
  }
  return faults;
}

function suitesWithoutRun(source) {
  const names = [...source.matchAll(/\b(?:const|let|var)\s+([\w$]+)\s*=\s*(?:uvu\.)?suite\(/g)].map(
    (found) => found[1],
  );
  return names.filter((name) => !source.includes(`${name}.run()`));
}
