// time limit: 600 s
import { once } from 'node:events';
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { dirname, join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { type Cache, openCache } from '../../src/index.js';
import { makers } from '../engine/clients.js';
import { inDirectory } from '../engine/fixture.js';
import { Origin, reply } from '../engine/origin.js';
import { acquainted, inGroup, Peer, until } from './processes-kit.js';

const test = suite('the sockets of processes that share a directory');

const peerFiles = (directory: string): string[] =>
  readdirSync(join(directory, 'offloop-1')).filter((name) => name.startsWith('peer-'));

const addressesIn = (directory: string): string[] =>
  peerFiles(directory)
    .filter((name) => /^peer-[0-9a-f]{8}$/.test(name))
    .map((name) => readFileSync(join(directory, 'offloop-1', name), 'utf8'));

async function knowing(cache: Cache, others: number): Promise<void> {
  const count = async () => (await cache.stats()).counters.peers;
  await until(count, (peers) => peers === others, `${others} others`);
}

async function addressIn(directory: string): Promise<string> {
  const look = async () => addressesIn(directory);
  const [address = ''] = await until(look, ({ length }) => length === 1, 'an address');
  return address;
}

test('are not there for one who has it alone', () =>
  inDirectory(async (directory) => {
    const cache = await openCache({ directory, lock: 'exclusive' });
    await cache.flush();
    assert.equal(peerFiles(directory), []);
    await cache.close();
  }));

test("are their user's alone, and gone when the cache is closed", () =>
  inDirectory(async (directory) => {
    const cache = await openCache({ directory });
    const address = await addressIn(directory);
    assert.is(dirname(address), join(directory, 'offloop-1'));
    for (const name of peerFiles(directory)) {
      assert.is(statSync(join(directory, 'offloop-1', name)).mode & 0o777, 0o600, name);
    }
    assert.ok(statSync(address).isSocket());
    await cache.close();
    assert.equal(peerFiles(directory), []);
  }));

test('of one that was killed are swept by the next one, and those of the living are not', () =>
  inDirectory(async (directory) => {
    const [living, dying] = [await Peer.open(directory), await Peer.open(directory)];
    await acquainted([living, dying]);
    await dying.kill();
    assert.is(peerFiles(directory).length, 4);
    writeFileSync(join(directory, 'offloop-1', 'peer-0000000a'), '/nowhere');
    const next = await Peer.open(directory);
    await acquainted([living, next]);
    assert.is(peerFiles(directory).length, 4);
    assert.not.ok(existsSync(join(directory, 'offloop-1', 'peer-0000000a')));
    await Promise.all([living.close(), next.close()]);
    assert.equal(peerFiles(directory), []);
  }));

test('have a short path elsewhere when the directory has a long one, and leave nothing there', () =>
  inDirectory(async (parent) => {
    const directory = join(parent, 'a-long-name'.repeat(12));
    mkdirSync(directory);
    const one = await openCache({ directory });
    const address = await addressIn(directory);
    assert.ok(statSync(address).isSocket());
    assert.is(statSync(dirname(address)).mode & 0o777, 0o700);
    const other = await Peer.open(directory);
    await knowing(one, 1);
    const addressOfOther = addressesIn(directory).find((found) => found !== address);
    await other.kill();
    await knowing(one, 0);
    await one.close();
    assert.not.ok(existsSync(dirname(address)));
    const next = await openCache({ directory });
    assert.not.ok(existsSync(dirname(addressOfOther ?? '.')), 'swept for the one that was killed');
    await next.close();
  }));

test('close a connection on which nobody speaks as they do, and go on', () =>
  inDirectory(async (directory) => {
    await using origin = await Origin.open((request, response) =>
      reply(response, request.url ?? '', { 'Cache-Control': 'max-age=1000' }),
    );
    const cache = await openCache({ directory });
    const other = await openCache({ directory });
    await Promise.all([knowing(cache, 1), knowing(other, 1)]);
    const hello = Buffer.alloc(24);
    hello.writeUInt8(1, 0);
    hello.write('OFP1', 4, 'latin1');
    const frame = (type: number, detail = 0, id = 0): Buffer =>
      Buffer.from([type, detail, 0, 0, id, ...Buffer.alloc(19)]);
    const said: Readonly<Record<string, Buffer>> = {
      'random bytes': Buffer.alloc(100_000, 'x'),
      'no hello': frame(4),
      'another protocol': Buffer.concat([frame(1), frame(3)]),
      'an unknown type': Buffer.concat([hello, frame(9)]),
      'a hello again': Buffer.concat([hello, hello]),
      'what only a home says': Buffer.concat([hello, frame(6)]),
      'a lease asked for twice': Buffer.concat([hello, frame(4, 0, 1), frame(4, 0, 1)]),
      'an unknown end': Buffer.concat([hello, frame(4, 0, 1), frame(5, 7, 1)]),
    };
    for (const address of addressesIn(directory)) {
      for (const [name, bytes] of Object.entries(said)) {
        const socket = connect(address);
        // What it has not read when it closes is an error at this end.
        socket.on('error', () => {});
        const closed = new Promise((resolve) => socket.once('close', resolve));
        socket.resume();
        socket.write(bytes);
        await closed;
        assert.ok(socket.destroyed, name);
      }
      // Half a frame, and then nothing.
      const socket = connect(address);
      await once(socket, 'connect');
      socket.write(hello.subarray(0, 10));
      socket.destroy();
    }
    const clients = [makers.got(cache), makers.got(other)];
    for (let i = 0; i < 20; i += 1) {
      const answers = await Promise.all(clients.map((client) => client.ask(`${origin.url}/${i}`)));
      assert.equal(
        answers.map(({ text }) => text),
        [`/${i}`, `/${i}`],
      );
    }
    assert.is(origin.hits.length, 20);
    await Promise.all([cache.close(), other.close()]);
  }));

test('keep no process alive', () =>
  inDirectory(async (directory) => {
    await inGroup(directory, ['got', 'got'], {}, async ([one]) => {
      await one?.ask({ kind: 'leave' });
      await one?.exited;
    });
  }));

test.run();
