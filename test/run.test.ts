import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';

const root = fileURLToPath(new URL('../..', import.meta.url));
const runner = suite('test runner');

/** Runs the runner on one fixture. The limit is long for a fixture that ends, short for one that never does. */
function runFixture(name: string, limitMs = 60_000) {
  const fixture = `test/fixtures/runner/${name}.mjs`;
  const result = spawnSync(process.execPath, ['test/run.mjs', '--limit-ms', String(limitMs), fixture], {
    cwd: root,
    encoding: 'utf8',
  });
  return { code: result.status, output: result.stdout, lastLine: result.stdout.trimEnd().split('\n').at(-1) };
}

runner('passes a file whose tests pass, and counts them', () => {
  const { code, lastLine } = runFixture('passes');
  assert.is(code, 0);
  assert.is(lastLine, '2 passed, 0 failed');
});

runner('fails on a failed test and prints it in full', () => {
  const { code, lastLine, output } = runFixture('fails');
  assert.is(code, 1);
  assert.is(lastLine, '1 passed, 1 failed');
  assert.match(output, 'one is not two');
  assert.match(output, 'says what is wrong');
});

const guards: readonly (readonly [fixture: string, lastLine: string, says: string])[] = [
  ['forgets-run', '0 passed, 1 failed', 'never calls forgotten.run()'],
  ['forgets-one-run', '1 passed, 1 failed', 'never calls second.run()'],
  ['empty-suite', '0 passed, 1 failed', 'ran no test'],
  ['before-throws', '0 passed, 1 failed', 'hooked'],
  ['never-settles', '0 passed, 1 failed', 'printed no summary'],
  ['only', '1 passed, 1 failed, 1 skipped', 'forgotten .only()'],
  ['dies-after', '1 passed, 1 failed', 'exited with 7'],
];
for (const [fixture, lastLine, says] of guards) {
  runner(`fails a file that uvu lets through: ${fixture}`, () => {
    const result = runFixture(fixture);
    assert.is(result.code, 1);
    assert.is(result.lastLine, lastLine);
    assert.match(result.output, says);
  });
}

runner('kills a file that does not end', () => {
  const { code, lastLine, output } = runFixture('hangs', 1500);
  assert.is(code, 1);
  assert.match(output, 'did not end within 1500 ms');
  assert.match(lastLine ?? '', / 1 failed$/);
});

runner('ends with a file even if the file left a process behind, and ends that too', () => {
  const { code, output } = runFixture('leaves-a-child');
  assert.is(code, 0);
  assert.match(output, '1 passed, 0 failed');
});

runner('fails when no file matches', () => {
  const result = spawnSync(process.execPath, ['test/run.mjs', 'no-such-test'], { cwd: root, encoding: 'utf8' });
  assert.is(result.status, 1);
  assert.match(result.stderr, 'no test file matches no-such-test');
});

runner.run();
