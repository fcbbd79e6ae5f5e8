// time limit: 300 s
import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';

const root = fileURLToPath(new URL('../..', import.meta.url));
const fixtures = join(root, 'test/fixtures/consumer');
const temporary = mkdtempSync(join(tmpdir(), 'offloop-packaging-'));
const project = join(temporary, 'project');

/** What a user has to have besides the package, linked to our own copies so that no registry is asked. */
const NEIGHBOURS = ['axios', 'got', 'http-cache-semantics', 'msgpackr', 'piscina', '@types/node', 'undici-types'];

const { files, archive } = pack();
const paths = new Set(files);
const packaging = suite('package');

/** Packs the package and unpacks it as if installed. */
function pack(): { readonly files: readonly string[]; readonly archive: string } {
  const args = ['pack', '--json', '--ignore-scripts', '--pack-destination', temporary];
  const env = { ...process.env, npm_config_loglevel: 'error' };
  const output = execFileSync('npm', args, { cwd: root, encoding: 'utf8', env });
  // npm's own format; what is read of it is checked by the tests.
  const [packed] = JSON.parse(output) as [{ filename: string; files: { path: string }[] }];
  const installed = join(project, 'node_modules/offloop');
  const archive = join(temporary, packed.filename);
  mkdirSync(installed, { recursive: true });
  execFileSync('tar', ['-xzf', archive, '--strip-components=1', '-C', installed]);
  for (const name of NEIGHBOURS) {
    const link = join(project, 'node_modules', name);
    mkdirSync(dirname(link), { recursive: true });
    symlinkSync(join(root, 'node_modules', name), link, 'dir');
  }
  cpSync(fixtures, project, { recursive: true });
  return { files: packed.files.map(({ path }) => path), archive };
}

/** Runs somebody else's program from `node_modules`; what it says is the failure. */
function check(program: string, ...args: string[]): void {
  try {
    execFileSync(process.execPath, [join(root, 'node_modules', program), ...args], { cwd: project, encoding: 'utf8' });
  } catch (error) {
    assert.unreachable(error instanceof Error && 'stdout' in error ? String(error.stdout) : String(error));
  }
}

function run(...args: string[]): unknown {
  const options = { cwd: project, encoding: 'utf8', timeout: 60_000 } as const;
  return JSON.parse(execFileSync(process.execPath, ['--no-warnings', ...args], options));
}

packaging.after(() => rmSync(temporary, { recursive: true, force: true }));

packaging('holds the compiled code, its sources and the documents, and nothing else', () => {
  const expected = [
    /^(?:package\.json|README\.md|CHANGELOG\.md|LICENSE)$/,
    /^dist\/(?:src|interceptors|workers|bin|test\/contract)\/[\w/.-]+\.(?:c?js|d\.c?ts|c?js\.map)$/,
    /^(?:src|interceptors|workers|bin|test\/contract)\/[\w/.-]+\.c?ts$/,
    /^src\/(?:[\w/]+\/)?[A-Z]+\.md$/,
  ];
  assert.equal(
    files.filter((path) => !expected.some((pattern) => pattern.test(path))),
    [],
  );
  for (const path of ['README.md', 'CHANGELOG.md', 'LICENSE']) assert.ok(paths.has(path), `${path} is missing`);
});

packaging('holds what every entry of "exports" names', () => {
  const { exports } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { exports: object };
  const targets = Object.values(exports).flatMap((entry) => (typeof entry === 'string' ? entry : Object.values(entry)));
  assert.ok(targets.length >= 7, 'the entries were not read');
  for (const target of targets) assert.ok(paths.has(String(target).replace('./', '')), `${target} is missing`);
});

packaging('has a source in it for every source map, and compiled code for every source', () => {
  const maps = files.filter((path) => path.endsWith('.map'));
  const named = maps.flatMap((path) => {
    const { sources } = JSON.parse(readFileSync(join(root, path), 'utf8')) as { sources: string[] };
    return sources.map((source) => join(dirname(path), source));
  });
  assert.ok(named.length > 0, 'no source map was found');
  assert.equal(
    named.filter((source) => !paths.has(source)),
    [],
  );
  const sources = files.filter((path) => /\.c?ts$/.test(path) && !path.startsWith('dist/'));
  assert.equal(
    sources.filter((path) => !paths.has(join('dist', path.replace(/ts$/, 'js')))),
    [],
  );
});

packaging('works by require(), with the CommonJS copy of axios', () => {
  assert.equal(run('consumer.cjs', join(temporary, 'cache')), {
    originRequests: 2,
    bodies: ['body', 'body', 'body', 'body'],
  });
});

packaging('works by import, and keeps its inside to itself', () => {
  assert.equal(run('consumer.mjs'), {
    types: ['function', 'function', 'function'],
    inside: 'ERR_PACKAGE_PATH_NOT_EXPORTED',
  });
});

packaging('type-checks for a user with its own declarations, strictly, as a module and as CommonJS', () => {
  for (const kind of ['mts', 'cts'])
    cpSync(join(fixtures, `consumer.${kind === 'mts' ? 'ts' : 'cts'}.txt`), join(project, `consumer.${kind}`));
  const options = ['--noEmit', '--strict', '--target', 'es2023', '--module', 'nodenext', '--types', 'node'];
  check('typescript/bin/tsc', ...options, 'consumer.mts', 'consumer.cts');
});

packaging('has entries whose types are those of what is loaded, by are-the-types-wrong', () => {
  // It takes Node's require() of a module for an error, which it is no longer; that it works is tested above.
  check('@arethetypeswrong/cli/dist/index.js', archive, '--profile', 'esm-only', '--no-color', '--no-emoji');
});

packaging('is packed as tools expect it, by publint', () => {
  check('publint/src/cli.js', join(project, 'node_modules/offloop'), '--strict', '--pack', 'false');
});

packaging.run();
