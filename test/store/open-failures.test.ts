import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmdirSync } from 'node:fs';
import { mkdir, readdir, rm, rmdir, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { type CacheError, isCacheError, openCache } from '../../src/index.js';
import { bytesOf, inTemporaryDirectory, openIn, store, textAt } from './disk-fixture.js';

const test = suite('disk store, opening');

async function refusalOf(opening: Promise<unknown>): Promise<CacheError> {
  const error = await opening.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (!isCacheError(error)) throw new Error(`not refused with a CacheError: ${String(error)}`);
  return error;
}

async function fill(directory: string): Promise<void> {
  const target = await openIn(directory);
  await store(target, 'before', 'before');
  await target.close();
}

async function assertIntact(directory: string): Promise<void> {
  const target = await openIn(directory);
  assert.is(await textAt(target, 'before'), 'before');
  await target.close();
}

for (const [code, as, advice] of [
  ['ENOSPC', 'ERR_CACHE_FULL', /free some or use another directory/],
  ['EDQUOT', 'ERR_CACHE_FULL', /free some or use another directory/],
  ['EROFS', 'ERR_CACHE_ACCESS', /read-only; use another directory/],
  ['EPERM', 'ERR_CACHE_ACCESS', /change its permissions/],
  ['ENOTDIR', 'ERR_CACHE_ACCESS', /is a file and not a directory; use another/],
  ['EMFILE', 'ERR_CACHE_ACCESS', /raise the limit/],
  ['EIO', 'ERR_CACHE_ACCESS', /use another directory/],
] as const) {
  test(`${code} at the opening is ${as}, says what to do, and keeps the system's own words`, () =>
    inTemporaryDirectory(async (directory) => {
      await writeFile(join(directory, 'code'), code);
      const workerUrl = new URL('./refusing-worker.js', import.meta.url);
      const error = await refusalOf(openIn(directory, { workerUrl }));
      assert.is(error.code, as);
      assert.match(error.message, advice);
      assert.match(error.message, `${code}: no luck`);
    }));
}

test('an opening that failed half-way does not stand in the way of the next', () =>
  inTemporaryDirectory(async (directory) => {
    await fill(directory);
    const odd = join(directory, 'offloop-1', 'segments', '00000001-00000001.seg');
    await mkdir(odd);
    const error = await refusalOf(openCache({ directory }));
    assert.is(error.code, 'ERR_CACHE_ACCESS');
    assert.match(error.message, directory);
    await rmdir(odd);
    await assertIntact(directory);
  }));

test('another version of the format is left alone', () =>
  inTemporaryDirectory(async (directory) => {
    await mkdir(join(directory, 'offloop-2'));
    await writeFile(join(directory, 'offloop-2', 'theirs'), 'x');
    await fill(directory);
    await (await openCache({ directory })).clear();
    assert.equal(await readdir(join(directory, 'offloop-2')), ['theirs']);
  }));

/** A device of its own, where the process may mount one (root); elsewhere the table above must do. */
function onDevice(name: string, work: (directory: string) => Promise<void>): void {
  const directory = mkdtempSync(join(tmpdir(), 'offloop-device-'));
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', directory], { stdio: 'ignore' });
  } catch {
    rmdirSync(directory);
    return;
  }
  test(name, async () => {
    try {
      await work(directory);
    } finally {
      execFileSync('umount', [directory]);
      rmdirSync(directory);
    }
  });
}

onDevice('a device that is mounted read-only is refused, and what it holds is untouched', async (directory) => {
  await fill(directory);
  execFileSync('mount', ['-o', 'remount,ro', directory]);
  const error = await refusalOf(openCache({ directory }));
  assert.is(error.code, 'ERR_CACHE_ACCESS');
  assert.match(error.message, /mounted read-only/);
  execFileSync('mount', ['-o', 'remount,rw', directory]);
  await assertIntact(directory);
});

onDevice('a device that is full is refused, and what it holds is untouched', async (directory) => {
  await fill(directory);
  const filler = join(directory, 'filler');
  await writeFile(filler, bytesOf(1_200_000, 1)).catch(() => {});
  const before = await readdir(directory, { recursive: true });
  const error = await refusalOf(openCache({ directory }));
  assert.is(error.code, 'ERR_CACHE_FULL');
  assert.match(error.message, /free some/);
  assert.equal((await readdir(directory, { recursive: true })).sort(), before.sort());
  await rm(filler);
  await assertIntact(directory);
});

test.run();
