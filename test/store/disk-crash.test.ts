import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmdirSync } from 'node:fs';
import { chmod, readdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { StoreEvent } from '../../src/store/contract.js';
import {
  bodyOf,
  bodyOfNumber,
  bytesOf,
  churnBytes,
  headOf,
  inTemporaryDirectory,
  MiB,
  openIn,
} from './disk-fixture.js';

const test = suite('disk store, processes');
const childFile = fileURLToPath(new URL('./disk-child.js', import.meta.url));

interface Child {
  readonly process: ChildProcess;
  readonly lines: AsyncIterableIterator<string>;
  readonly exited: Promise<unknown>;
}

function start(command: string, directory: string, ...more: string[]): Child {
  return watch(
    spawn(process.execPath, [childFile, command, directory, ...more], { stdio: ['pipe', 'pipe', 'inherit'] }),
  );
}

function watch(child: ChildProcess): Child {
  if (child.stdout === null) throw new Error('the child has no output');
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  return { process: child, lines, exited: once(child, 'exit') };
}

async function firstLine(child: Child): Promise<string> {
  return (await child.lines.next()).value ?? '';
}

test('has everything that was acknowledged before kill -9, no wrong byte, and needs no repair', () =>
  inTemporaryDirectory(async (directory) => {
    const stored = new Set<number>();
    const removed = new Set<number>();
    for (let round = 0; round < 4; round += 1) {
      const child = start('write', directory, String(round * 1000));
      let left = 20 + ((round * 53) % 90);
      for await (const line of child.lines) {
        const [what, number] = line.split(' ');
        if (what === 'stored') stored.add(Number(number));
        if (what === 'removed') removed.add(Number(number));
        left -= 1;
        if (left === 0) child.process.kill('SIGKILL');
      }
      await child.exited;
      const events: unknown[] = [];
      const store = await openIn(directory, { onEvent: (event) => events.push(event) });
      for (const number of stored) {
        if (removed.has(number)) continue;
        const found = await store.lookup(`k${number}`);
        // The next removal may have become durable without a word of it.
        if (found.length === 0 && number % 10 < 2) continue;
        assert.is(found.length, 1, `response ${number} after round ${round}`);
        assert.is(found[0]?.head.metadata, number);
      }
      for (const number of removed) assert.equal(await store.lookup(`k${number}`), [], `removed ${number}`);
      for await (const response of store.entries()) {
        const number = Number(response.head.metadata);
        assert.ok(bodyOfNumber(number).equals(await bodyOf(response)), `body ${number}`);
      }
      assert.equal(events, []);
      await store.close();
    }
    assert.ok(stored.size > 100, `${stored.size} were stored`);
    assert.equal(await readdir(join(directory, 'offloop-1', 'tmp')), []);
  }));

test('brings nothing back that was removed, and no wrong byte, when it is killed while it evicts', () =>
  inTemporaryDirectory(async (directory) => {
    const removed = new Set<number>();
    let reinserted = 0;
    for (let round = 0; round < 3; round += 1) {
      const child = start('churn', directory, String(round * 5000));
      let rounds = 25 + 7 * round;
      for await (const line of child.lines) {
        const [what, number] = line.split(' ');
        if (what === 'removed') removed.add(Number(number));
        if (what !== 'reinserted') continue;
        if (Number(number) > 0) rounds -= 1;
        reinserted = Math.max(reinserted, Number(number));
        if (rounds === 0) child.process.kill('SIGKILL');
      }
      await child.exited;
      const events: unknown[] = [];
      const onEvent = (event: StoreEvent) => event.type !== 'evict' && events.push(event);
      const store = await openIn(directory, { maxBytes: churnBytes, onEvent });
      let found = 0;
      for await (const response of store.entries()) {
        const number = Number(response.head.metadata);
        assert.not(removed.has(number), `${number} was removed`);
        assert.ok(bodyOfNumber(number).equals(await bodyOf(response)), `body ${number}`);
        found += 1;
      }
      assert.ok(found > 100, `${found} were found`);
      assert.equal(events, []);
      await store.close();
    }
    assert.ok(reinserted > 0 && removed.size > 10, `${reinserted} written again, ${removed.size} removed`);
  }));

test('lets exactly one of several starters take over from a dead owner', () =>
  inTemporaryDirectory(async (directory) => {
    const dead = start('hold-alone', directory);
    assert.is(await firstLine(dead), 'open');
    dead.process.kill('SIGKILL');
    await dead.exited;
    const children = Array.from({ length: 4 }, () => start('hold-alone', directory));
    const answers = await Promise.all(children.map(firstLine));
    assert.is(answers.filter((line) => line === 'open').length, 1, answers.join('; '));
    const owner = children[answers.indexOf('open')];
    for (const answer of answers) {
      if (answer === 'open') continue;
      assert.match(answer, 'ERR_CACHE_LOCKED');
      assert.match(answer, `process ${owner?.process.pid}`);
    }
    // The others have ended already.
    owner?.process.stdin?.end('\n');
    await Promise.all(children.map(({ exited }) => exited));
    await (await openIn(directory)).close();
  }));

test('declines what does not fit on the device, and keeps what was stored before', () =>
  inTemporaryDirectory(async (directory) => {
    // A limit on the length of files: 512 units of 512 or 1024 bytes, whatever the shell counts in.
    const script = `ulimit -f 512; exec "$0" "$@"`;
    const args = ['-c', script, process.execPath, childFile, 'fill', directory];
    const child = watch(spawn('/bin/sh', args, { stdio: ['ignore', 'pipe', 'inherit'] }));
    const lines: string[] = [];
    for await (const line of child.lines) lines.push(line);
    await child.exited;
    const [what, stored, found, wrong, reasons] = lines.at(-1)?.split(' ') ?? [];
    assert.is(what, 'filled', lines.join('; '));
    assert.ok(lines.includes('event ERR_CACHE_FULL'));
    assert.is(reasons, 'no-space');
    assert.is(wrong, '0');
    assert.ok(Number(stored) > 200 && found === stored, lines.at(-1));
    const store = await openIn(directory);
    assert.is((await store.stats()).entries, Number(found));
    await store.close();
  }));

const smallDevice = mountSmallDevice();
if (smallDevice !== undefined) {
  test('evicts to go on storing when the device is full', async () => {
    try {
      const events: string[] = [];
      const store = await openIn(smallDevice, {
        segmentBytes: MiB,
        onEvent: (event) => events.push(event.type),
      });
      let stored = 0;
      for (let number = 0; number < 240; number += 1) {
        const writer = store.create(`k${number}`, headOf(`https://a.test/${number}`));
        writer.write(bytesOf(60_000, number));
        if ((await writer.commit()).outcome === 'stored') stored += 1;
      }
      assert.is(stored, 240);
      assert.ok(events.includes('evict'));
      for await (const response of store.entries()) {
        assert.ok(bytesOf(60_000, Number(response.ref.key.slice(1))).equals(await bodyOf(response)));
      }
      assert.is((await store.lookup('k239')).length, 1);
      const large = store.create('large', headOf('https://a.test/large'));
      for (let i = 0; i < 10; i += 1) if (!large.write(bytesOf(MiB, i))) await large.ready();
      assert.equal(await large.commit(), { outcome: 'declined', reason: 'no-space' });
      await store.close();
    } finally {
      execFileSync('umount', [smallDevice]);
      rmdirSync(smallDevice);
    }
  });
}

/** A device of 8 MiB, where the process may mount one: elsewhere the test of limited files must do. */
function mountSmallDevice(): string | undefined {
  const directory = mkdtempSync(join(tmpdir(), 'offloop-device-'));
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=8m', 'tmpfs', directory], { stdio: 'ignore' });
    return directory;
  } catch {
    rmdirSync(directory);
    return undefined;
  }
}

test('keeps a process alive for what is under way, and no longer', () =>
  inTemporaryDirectory(async (directory) => {
    const child = start('leave', directory);
    child.process.stdin?.end();
    const lines: string[] = [];
    for await (const line of child.lines) lines.push(line);
    const [code] = (await child.exited) as readonly unknown[];
    assert.is(code, 0);
    assert.equal(lines, ['open', 'stored']);
    const store = await openIn(directory);
    assert.ok(bodyOfNumber(5).equals(await bodyOf((await store.lookup('k'))[0])));
    await store.close();
  }));

test('says so when the directory cannot be written', () =>
  inTemporaryDirectory(async (directory) => {
    await chmod(directory, 0o555);
    const nobody = process.getuid?.() === 0 ? { uid: 65_534, gid: 65_534 } : {};
    const options = { stdio: ['pipe', 'pipe', 'inherit'] as const, ...nobody };
    const child = watch(
      spawn(process.execPath, [childFile, 'hold', join(directory, 'cache')], { ...options, stdio: [...options.stdio] }),
    );
    assert.match(await firstLine(child), /^failed ERR_CACHE_ACCESS .* cannot be written by this user/);
    await child.exited;
    await chmod(directory, 0o700);
    assert.equal(await readdir(directory), []);
  }));

test.run();
