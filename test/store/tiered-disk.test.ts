// time limit: 600 s
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import { openDiskStore } from '../../src/store/disk-open.js';
import { createMemoryStore } from '../../src/store/memory-store.js';
import { createTieredStore } from '../../src/store/tiered-store.js';
import { type ContractLimits, storeContract } from '../contract/store-contract.js';

const tiered = suite('tiered store over the disk');

async function createPlace() {
  const directory = await mkdtemp(join(tmpdir(), 'offloop-tiered-'));
  const open = async (limits: ContractLimits) =>
    createTieredStore({
      memory: createMemoryStore({ maxBytes: 8 * 1024 * 1024 }),
      disk: await openDiskStore({ directory, ...limits }),
      admission: 'always',
    });
  return { open, remove: () => rm(directory, { recursive: true }) };
}

// Fewer random sequences than each tier gets alone: every one of them waits for the disk.
storeContract('tiered store over the disk', createPlace, { test: tiered, isDurable: true, seeds: [1, 2, 3, 4] });

tiered.run();
