import { suite } from 'uvu';
import { createMemoryStore } from '../../src/store/memory-store.js';
import { storeContract } from '../contract/store-contract.js';

const memory = suite('memory store');

storeContract(
  'memory store',
  async () => ({ open: async (limits) => createMemoryStore(limits), remove: async () => {} }),
  {
    test: memory,
    isDurable: false,
  },
);

memory.run();
