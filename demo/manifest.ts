import { webcrypto } from 'node:crypto';
import { readdir, readFile, stat } from 'node:fs/promises';
import { join, relative, sep } from 'node:path';

/** A file that is served, and what a correct body of it is. */
export interface ManifestFile {
  readonly path: string;
  readonly bytes: number;
  readonly sha256: string;
}

/** Regular files under a folder, in the order of their paths; at most `maxFiles`, of all sizes, the largest among them. */
export async function readManifest(folder: string, maxFiles: number): Promise<ManifestFile[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const paths = entries
    .filter((entry) => entry.isFile())
    .map((entry) => relative(folder, join(entry.parentPath, entry.name)).split(sep).join('/'))
    .filter((path) => !path.split('/').some((part) => part.startsWith('.')));
  const sized = await Promise.all(paths.map(async (path) => ({ path, bytes: (await stat(join(folder, path))).size })));
  sized.sort((a, b) => b.bytes - a.bytes);
  const step = Math.max(1, sized.length / maxFiles);
  const isChosen = (position: number) => Math.floor(position / step) !== Math.floor((position - 1) / step);
  const chosen = sized.filter((_, position) => isChosen(position)).sort((a, b) => (a.path < b.path ? -1 : 1));
  const files: ManifestFile[] = [];
  for (const { path } of chosen) {
    const body = await readFile(join(folder, path));
    files.push({ path, bytes: body.length, sha256: await hashOf(body) });
  }
  return files;
}

/** Hashes off the event loop, so that checking the bodies does not count as work of the crawl. */
export async function hashOf(body: Uint8Array): Promise<string> {
  return Buffer.from(await webcrypto.subtle.digest('SHA-256', body)).toString('hex');
}
