// time limit: 600 s
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import { openDiskStore } from '../../src/store/disk-open.js';
import { storeContract } from '../contract/store-contract.js';

const test = suite('disk store, contract');

storeContract(
  'disk store',
  async () => {
    const directory = await mkdtemp(join(tmpdir(), 'offloop-contract-'));
    return {
      open: (limits) => openDiskStore({ directory, ...limits }),
      remove: () => rm(directory, { recursive: true, force: true }),
    };
  },
  { test, isDurable: true },
);

test.run();
