import { createInterface } from 'node:readline';
import { isCacheError } from '../../src/errors.js';
import { openDiskStore } from '../../src/store/disk-open.js';
import type { DiskStore } from '../../src/store/disk-store.js';
import { bodyOfNumber, churnBytes, headOf } from './disk-fixture.js';

// A process that uses a directory until it is killed: `node disk-child.js <command> <directory> [<first number>]`.
const [command = '', directory = '', first = '0'] = process.argv.slice(2);

function say(...words: readonly (string | number)[]): void {
  process.stdout.write(`${words.join(' ')}\n`);
}

/** Stores, replaces and removes without end, and says what is durable. */
async function write(store: DiskStore): Promise<never> {
  for (let number = Number(first); ; number += 10) {
    const numbers = Array.from({ length: 10 }, (_, i) => number + i);
    const results = await Promise.all(
      numbers.map(async (each) => {
        const writer = store.create(`k${each}`, headOf(`https://a.test/${each}`, { metadata: each }));
        const body = bodyOfNumber(each);
        for (let at = 0; at < body.length; at += 65_536) {
          if (!writer.write(body.subarray(at, at + 65_536))) await writer.ready();
        }
        return writer.commit();
      }),
    );
    await store.flush();
    for (const [i, result] of results.entries()) say(result.outcome, number + i);
    const oldest = results[0];
    if (oldest?.outcome === 'stored' && (await store.remove(oldest.response.ref))) say('removed', number);
    if ((await store.invalidate({ key: `k${number + 1}` })) === 1) say('removed', number + 1);
  }
}

/** Stores much more than there is room for, uses some of it again and again, removes some of that, and says what is gone for good. */
async function churn(store: DiskStore): Promise<never> {
  for (let number = Number(first); ; number += 10) {
    await Promise.all(
      Array.from({ length: 10 }, async (_, i) => {
        const writer = store.create(`k${number + i}`, headOf(`https://a.test/${number + i}`, { metadata: number + i }));
        writer.write(bodyOfNumber(number + i));
        await writer.commit();
      }),
    );
    for (let hot = number; hot > number - 300 && hot >= 0; hot -= 30) await store.lookup(`k${hot}`);
    const going = number - 120;
    const [response] = await store.lookup(`k${going}`);
    if (response !== undefined && (await store.remove(response.ref))) say('removed', going);
    if (number % 40 === 0) {
      await store.invalidate({ key: `k${number - 60}` });
      say('removed', number - 60);
    }
    say('reinserted', (await store.stats()).counters.reinserted ?? 0);
  }
}

/** Stores more than there is room for, then says how much of it is there and right. */
async function fill(store: DiskStore): Promise<void> {
  const reasons = new Set<string>();
  let stored = 0;
  for (let number = 0; number < 240; number += 1) {
    const writer = store.create(`k${number}`, headOf(`https://a.test/${number}`));
    writer.write(bodyOfNumber(number));
    const result = await writer.commit();
    if (result.outcome === 'stored') stored += 1;
    else reasons.add(result.reason);
  }
  let wrong = 0;
  let found = 0;
  for (let number = 0; number < 240; number += 1) {
    const [response] = await store.lookup(`k${number}`);
    if (response === undefined) continue;
    found += 1;
    const chunks: Buffer[] = await response.openBody().toArray();
    if (!Buffer.concat(chunks).equals(bodyOfNumber(number))) wrong += 1;
  }
  await store.close();
  say('filled', stored, found, wrong, [...reasons].join(',') || 'none');
}

try {
  const store = await openDiskStore({
    directory,
    maxBytes: command === 'churn' ? churnBytes : 512 * 1024 * 1024,
    lock: command === 'hold-alone' ? 'exclusive' : 'shared',
    onEvent: (event) => {
      if (event.type === 'error') say('event', isCacheError(event.error) ? event.error.code : event.error.name);
    },
  });
  say('open');
  if (command === 'write') await write(store);
  if (command === 'churn') await churn(store);
  if (command === 'fill') await fill(store);
  if (command === 'leave') {
    // Neither waits nor closes: what is under way holds the process, an idle store does not.
    const writer = store.create('k', headOf('https://a.test/'));
    writer.write(bodyOfNumber(5));
    void writer.commit().then(({ outcome }) => say(outcome));
  }
  if (command.startsWith('hold')) {
    for await (const _ of createInterface({ input: process.stdin })) break;
    await store.close();
  }
} catch (error) {
  say('failed', isCacheError(error) ? error.code : String(error), String(error));
}
