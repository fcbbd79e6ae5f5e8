import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { breachesOf, importsOf, type SourceFile } from './import-graph.js';

const root = fileURLToPath(new URL('../..', import.meta.url));
const sources = ['src', 'workers', 'interceptors', 'bin'].flatMap(readFolder);

function readFolder(folder: string): SourceFile[] {
  if (!existsSync(join(root, folder))) return [];
  return readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts'))
    .map((name) => `${folder}/${name.replaceAll('\\', '/')}`)
    .map((path) => ({ path, text: readFileSync(join(root, path), 'utf8') }));
}

const imports = suite('import graph');

/** Breaches that stand for now, by how they begin. The list only gets shorter: one that is mended must be taken out. */
const standing: readonly (readonly [breach: string, why: string])[] = [
  ['node:fs is imported by more than one file: workers/', 'everything there is file work; to be drawn together'],
  ['src/engine/engine.ts imports src/options.ts', 'the type of the completed options, nothing at run time'],
  ['src/engine/inquiry.ts imports src/options.ts', 'the completed options, and those that say to do nothing'],
];

imports('keeps the floors, the purity and one file per dependency', () => {
  assert.ok(sources.length > 0, 'no source was found: the test looks in the wrong place');
  const breaches = breachesOf(sources);
  const isStanding = (breach: string) => standing.some(([begin]) => breach.startsWith(begin));
  assert.equal(
    breaches.filter((breach) => !isStanding(breach)),
    [],
  );
});

for (const [begin] of standing) {
  imports(`still finds the standing breach: ${begin}`, () => {
    assert.ok(
      breachesOf(sources).some((breach) => breach.startsWith(begin)),
      'it is mended: take it off the list',
    );
  });
}

imports('finds every way to import, and nothing in comments', () => {
  const text = `
    import a from 'a';
    import type { B } from "b";
    import { type C,
      D } from 'c';
    import * as e from 'e';
    import 'f';
    export { g } from 'g';
    export * from 'h';
    const i = await import('i');
    // import j from 'j';
    /* import k from 'k'; */
    const url = 'http://x/'; import l from 'l';
    import m, { n } from 'm';
    export type { O } from 'o';
    import type from 'p';
  `;
  const found = importsOf(text).map(({ name, isTypeOnly }) => (isTypeOnly ? `type ${name}` : name));
  assert.equal(found.sort(), ['a', 'c', 'e', 'f', 'g', 'h', 'i', 'l', 'm', 'p', 'type b', 'type o']);
});

const planted: readonly (readonly [name: string, path: string, text: string, breach: RegExp])[] = [
  ['semantics importing the store', 'src/semantics/x.ts', `import type { A } from '../store/contract.js';`, /floor/],
  ['the store importing semantics', 'src/store/x.ts', `import { a } from '../semantics/decisions.js';`, /floor/],
  ['a worker importing the store', 'workers/x.ts', `export { a } from '../src/store/disk-store.js';`, /floor/],
  ['the engine importing a store', 'src/engine/x.ts', `await import('../store/disk-store.js');`, /floor/],
  ['an interceptor reaching inside', 'interceptors/x.ts', `import { a } from '../src/engine/y.js';`, /floor/],
  ['the ground importing a floor', 'src/http/x.ts', `import '../disk/format.js';`, /floor/],
  ['a file on no floor', 'lib/x.ts', '', /on no floor/],
  ['a clock in semantics', 'src/semantics/x.ts', 'const now = Date.now();', /pure and uses Date\.now/],
  ['a bare new Date() in http', 'src/http/x.ts', 'const now = new Date();', /pure and uses new Date/],
  ['a timer in disk', 'src/disk/x.ts', 'setTimeout(() => {}, 1);', /pure and uses setTimeout/],
  ['performance.now in semantics', 'src/semantics/x.ts', 'performance.now()', /pure and uses performance/],
  ['the file system in disk', 'src/disk/x.ts', `import { open } from 'node:fs/promises';`, /pure and imports node:fs/],
  ['the file system in the engine', 'src/engine/x.ts', `import { open } from 'fs';`, /imports node:fs, which belongs/],
  [
    'the library outside policy.ts',
    'src/semantics/x.ts',
    `import P from 'http-cache-semantics';`,
    /belongs to src\/sem/,
  ],
  ['a dependency that has no home', 'src/engine/x.ts', `import x from '@some/thing/deep';`, /@some\/thing.*no file/],
  [
    'axios in the wrong interceptor',
    'interceptors/got.ts',
    `import axios from 'axios';`,
    /belongs to interceptors\/axios/,
  ],
];
for (const [name, path, text, breach] of planted) {
  imports(`catches ${name}`, () => {
    const breaches = breachesOf([{ path, text }]);
    assert.ok(breaches.length > 0, 'no breach was found');
    assert.match(breaches.join('\n'), breach);
  });
}

imports('catches a dependency that two files of one folder import', () => {
  const text = `import { Piscina } from 'piscina';`;
  const breaches = breachesOf([
    { path: 'src/protocol/pool.ts', text },
    { path: 'src/protocol/other.ts', text },
  ]);
  assert.equal(breaches, ['piscina is imported by more than one file: src/protocol/pool.ts, src/protocol/other.ts']);
});

imports('lets a file beside the one that uses a dependency name its types', () => {
  const text = `import type { AxiosInstance } from 'axios';`;
  assert.equal(breachesOf([{ path: 'interceptors/axios-x.ts', text }]), []);
  assert.is(breachesOf([{ path: 'src/x.ts', text }]).length, 1);
});

imports('takes a date made from given time, and words in comments and strings, as pure', () => {
  const text = `// Date.now() and setTimeout\nexport const at = (ms: number) => new Date(ms).toUTCString() + 'process';`;
  assert.equal(breachesOf([{ path: 'src/http/x.ts', text }]), []);
});

imports.run();
