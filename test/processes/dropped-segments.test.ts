import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { bytesOf, inTemporaryDirectory, openIn, store } from '../store/disk-fixture.js';

const test = suite('segments of several writers that are dropped');

test('do not take the news with them that something in a segment that stays is gone', () =>
  inTemporaryDirectory(async (directory) => {
    const limits = { maxBytes: 2 * 1024 * 1024, segmentBytes: 256 * 1024 };
    const idle = await openIn(directory, limits);
    const busy = await openIn(directory, limits);
    const removed = await store(idle, 'removed', 'x');
    const replaced = await store(idle, 'replaced', 'old');
    await store(idle, 'invalidated', 'x');
    const freshened = await store(idle, 'freshened', 'x');
    await store(idle, 'kept', 'x');
    // A listing looks at what others have written.
    let entries = 0;
    for await (const _ of busy.entries()) entries += 1;
    assert.is(entries, 5);
    assert.is(await busy.remove(removed.ref), true);
    await store(busy, 'replaced', 'new', { replaces: [replaced.ref] });
    assert.is(await busy.invalidate({ key: 'invalidated' }), 1);
    assert.ok(await busy.updateHead(freshened.ref, freshened.head));
    for (let i = 0; i < 120; i += 1) await store(busy, `k${i}`, bytesOf(50_000, i));
    const { counters } = await busy.stats();
    assert.ok((counters.evicted ?? 0) > 50);
    assert.is((await busy.lookup('kept')).length, 1, 'what is in a segment that is written to stays');
    await Promise.all([idle.close(), busy.close()]);
    const again = await openIn(directory);
    for (const key of ['removed', 'invalidated']) assert.equal(await again.lookup(key), [], key);
    assert.is((await again.lookup('kept')).length, 1);
    for (const key of ['replaced', 'freshened']) assert.ok((await again.lookup(key)).length <= 1, key);
    for (const { ref } of await again.lookup('replaced')) assert.is.not(ref.sequence, replaced.ref.sequence);
    for (const { ref } of await again.lookup('freshened')) assert.is.not(ref.sequence, freshened.ref.sequence);
    await again.close();
  }));

test.run();
