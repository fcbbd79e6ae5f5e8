import { readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { BodyFile } from '../src/disk/index-table.js';
import { bodiesFolder, parseBodyFile, parseSegmentFile, segmentsFolder, temporaryFolder } from '../src/disk/layout.js';

/**
 * Removes what processes that died left behind: bodies that no record refers to, unfinished files, hints of segments that
 * are gone. Whatever a writer that lives has made is its own business. In turn only. Files that are not ours stay.
 */
export function sweep(root: string, bodyFiles: Iterable<BodyFile>, living: ReadonlySet<number>): void {
  const referred = new Set<string>();
  for (const { writer, number } of bodyFiles) referred.add(`${writer}-${number}`);
  for (const folder of readdirSync(join(root, bodiesFolder), { withFileTypes: true })) {
    if (!folder.isDirectory()) continue;
    for (const file of readdirSync(join(root, bodiesFolder, folder.name))) {
      const name = parseBodyFile(file);
      if (name === undefined || living.has(name.writer) || referred.has(`${name.writer}-${name.number}`)) continue;
      rmSync(join(root, bodiesFolder, folder.name, file), { force: true });
    }
  }
  for (const file of readdirSync(join(root, temporaryFolder))) {
    const name = parseBodyFile(file);
    if (name !== undefined && !living.has(name.writer)) rmSync(join(root, temporaryFolder, file), { force: true });
  }
  const files = new Set(readdirSync(join(root, segmentsFolder)));
  for (const file of files) {
    const segment = file.replace(/\.hint(\.tmp)?$/, '.seg');
    const name = segment === file ? undefined : parseSegmentFile(segment);
    if (name === undefined || living.has(name.writer)) continue;
    if (file.endsWith('.tmp') || !files.has(segment)) rmSync(join(root, segmentsFolder, file), { force: true });
  }
}
