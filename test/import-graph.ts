/** A source file as the checks see it: its path from the root of the project, with `/`, and its text. */
export interface SourceFile {
  readonly path: string;
  readonly text: string;
}

/** A floor of the architecture: the folder, and the folders whose files its files may import (its own always). */
interface Floor {
  readonly folder: string;
  readonly mayImport: readonly string[];
}

const GROUND = ['src/http/', 'src/errors.ts', 'src/diagnostics.ts'];

/** The picture in src/README.md, longest folder first. A file belongs to the first floor whose folder it is in. */
const FLOORS: readonly Floor[] = [
  { folder: 'interceptors/', mayImport: ['src/*', ...GROUND] },
  { folder: 'bin/', mayImport: ['src/*', ...GROUND] },
  { folder: 'src/http/', mayImport: ['src/errors.ts'] },
  { folder: 'src/disk/', mayImport: GROUND },
  { folder: 'src/protocol/', mayImport: ['src/disk/', ...GROUND] },
  { folder: 'src/peers/', mayImport: ['src/disk/', ...GROUND] },
  { folder: 'workers/', mayImport: ['src/protocol/', 'src/peers/address.ts', 'src/disk/', ...GROUND] },
  { folder: 'src/store/', mayImport: ['src/protocol/', 'src/peers/', 'src/disk/', ...GROUND] },
  { folder: 'src/semantics/', mayImport: GROUND },
  { folder: 'src/engine/', mayImport: ['src/semantics/', 'src/store/contract.ts', ...GROUND] },
  { folder: 'src/errors.ts', mayImport: [] },
  { folder: 'src/diagnostics.ts', mayImport: ['src/http/'] },
  { folder: 'src/', mayImport: ['src/'] },
];

const PURE_FOLDERS = ['src/http/', 'src/semantics/', 'src/disk/'];
const PURE_NODE_MODULES = ['node:assert', 'node:buffer', 'node:crypto', 'node:net', 'node:util', 'node:zlib'];
const IMPURE =
  /\b(?:setTimeout|setInterval|setImmediate|queueMicrotask|performance|process)\b|\bDate\s*\.\s*now\b|\bnew\s+Date\s*(?:\(\s*\)|(?![\s(]))|\bDate\s*\(\s*\)/;

/** One dependency, one file. Each place may hold one file that imports it; a place ending in `/` is a folder. */
const ONLY_IN: Readonly<Record<string, readonly string[]>> = {
  'http-cache-semantics': ['src/semantics/policy.ts'],
  piscina: ['src/protocol/'],
  msgpackr: ['src/disk/'],
  'node:fs': ['src/store/', 'src/peers/', 'workers/'],
  axios: ['interceptors/axios.ts'],
  got: ['interceptors/got.ts'],
};

/** Every breach of the architecture in these files, as sentences. Empty when it holds. */
export function breachesOf(files: readonly SourceFile[]): string[] {
  return [...floorBreaches(files), ...purityBreaches(files), ...dependencyBreaches(files)];
}

/** A module that a source names, and whether nothing but types comes from it (then it is not there at run time). */
export interface Import {
  readonly name: string;
  readonly isTypeOnly: boolean;
}

/** What a TypeScript source imports or re-exports, statically or not. */
export function importsOf(text: string): Import[] {
  const code = withoutComments(text);
  const patterns = [
    /\b(?:import|export)\s+(?<type>type\s+(?!from\b))?[\w$*{}\s,]*?\bfrom\s*(['"])(?<name>.*?)\2/g,
    /\bimport\s*(['"])(?<name>.*?)\1/g,
    /\b(?:import|require)\s*\(\s*(['"`])(?<name>.*?)\1/g,
  ];
  return patterns.flatMap((pattern) =>
    [...code.matchAll(pattern)].map(({ groups }) => ({
      name: groups?.name ?? '',
      isTypeOnly: groups?.type !== undefined,
    })),
  );
}

function floorBreaches(files: readonly SourceFile[]): string[] {
  return files.flatMap(({ path, text }) => {
    const floor = FLOORS.find(({ folder }) => path.startsWith(folder));
    if (floor === undefined) return [`${path} is on no floor: add its folder to test/import-graph.ts`];
    return importsOf(text)
      .filter(({ name }) => name.startsWith('.'))
      .map(({ name }) => resolvePath(path, name))
      .filter((target) => ![floor.folder, ...floor.mayImport].some((place) => covers(place, target)))
      .map((target) => `${path} imports ${target}, which is not below its floor`);
  });
}

function purityBreaches(files: readonly SourceFile[]): string[] {
  const pure = files.filter(({ path }) => PURE_FOLDERS.some((folder) => path.startsWith(folder)));
  return pure.flatMap(({ path, text }) => {
    const used = IMPURE.exec(withoutStrings(withoutComments(text)));
    const clock = used === null ? [] : [`${path} is pure and uses ${used[0]}`];
    const modules = importsOf(text)
      .filter(({ name }) => name.startsWith('node:') && !PURE_NODE_MODULES.includes(name))
      .map(({ name }) => `${path} is pure and imports ${name}`);
    return [...clock, ...modules];
  });
}

function dependencyBreaches(files: readonly SourceFile[]): string[] {
  const packages = new Set(files.flatMap(({ text }) => importsOf(text).map(({ name }) => packageOf(name))));
  return [...packages].flatMap((name) => {
    if (name === '' || (name.startsWith('node:') && name !== 'node:fs')) return [];
    const places = ONLY_IN[name] ?? [];
    const users = files.filter(({ path, text }) =>
      importsOf(text).some(
        (used) => packageOf(used.name) === name && !(used.isTypeOnly && places.some((place) => isBeside(place, path))),
      ),
    );
    const strays = users
      .filter(({ path }) => !places.some((place) => covers(place, path)))
      .map(({ path }) => `${path} imports ${name}, which belongs to ${places.join(' and ') || 'no file'}`);
    const crowded = places
      .map((place) => users.filter(({ path }) => covers(place, path)))
      .filter((inPlace) => inPlace.length > 1)
      .map((inPlace) => `${name} is imported by more than one file: ${inPlace.map(({ path }) => path).join(', ')}`);
    return [...strays, ...crowded];
  });
}

/** In the same folder: a helper of the one file may name the dependency's types. */
function isBeside(place: string, path: string): boolean {
  return path.slice(0, path.lastIndexOf('/')) === place.slice(0, place.lastIndexOf('/'));
}

/** `src/*` covers the files directly in a folder, `src/` all below it, anything else itself. */
function covers(place: string, path: string): boolean {
  if (place.endsWith('/*')) return path.startsWith(place.slice(0, -1)) && !path.slice(place.length - 1).includes('/');
  return place.endsWith('/') ? path.startsWith(place) : path === place;
}

function packageOf(name: string): string {
  if (name.startsWith('.')) return '';
  const parts = name.split('/');
  if (name.startsWith('@')) return parts.slice(0, 2).join('/');
  if (name === 'fs' || name.startsWith('fs/')) return 'node:fs';
  return parts[0] ?? '';
}

function resolvePath(from: string, name: string): string {
  return new URL(name, `file:///${from}`).pathname.slice(1).replace(/\.(m?)js$/, '.$1ts');
}

// Quoted strings end with their line at the latest, so that a quote in a regular expression does little harm.
const STRING = /'(?:\\.|[^'\\\n])*'|"(?:\\.|[^"\\\n])*"|`(?:\\[\s\S]|[^`\\])*`/;
const COMMENT_OR_STRING = new RegExp(`//[^\\n]*|/\\*[\\s\\S]*?\\*/|${STRING.source}`, 'g');

/** Strings are kept, so that `'http://…'` does not count as a comment. */
function withoutComments(text: string): string {
  return text.replace(COMMENT_OR_STRING, (found) => (found.startsWith('/') ? ' ' : found));
}

function withoutStrings(code: string): string {
  return code.replace(new RegExp(STRING.source, 'g'), "''");
}
