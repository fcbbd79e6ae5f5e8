import { suite } from 'uvu';
import type { Admission } from '../../src/store/contract.js';
import { createMemoryStore } from '../../src/store/memory-store.js';
import { createTieredStore } from '../../src/store/tiered-store.js';
import { type ContractLimits, storeContract } from '../contract/store-contract.js';

const tiered = suite('tiered store');

/** Another memory store stands in for the disk: what is tested here is what lies between the two. */
const open = (admission: Admission, maxMemoryBytes: number) => async (limits: ContractLimits) =>
  createTieredStore({
    memory: createMemoryStore({ maxBytes: maxMemoryBytes }),
    disk: createMemoryStore(limits),
    admission,
  });

for (const [admission, maxMemoryBytes] of [
  ['always', 32 * 1024 * 1024],
  ['always', 50_000],
  ['auto', 4 * 1024 * 1024],
  ['never', 4 * 1024 * 1024],
] as const) {
  storeContract(
    `tiered store that admits ${admission}, ${maxMemoryBytes} bytes of memory`,
    async () => ({ open: open(admission, maxMemoryBytes), remove: async () => {} }),
    { test: tiered, isDurable: false, seeds: [1, 2, 3, 4, 5, 6, 7, 8] },
  );
}

tiered.run();
