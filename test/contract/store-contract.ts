import { testCommits } from './contract-commit.js';
import { testInvalidation } from './contract-invalidate.js';
import type { ContractLimits, ContractOptions, ContractPlace, ContractRun } from './contract-kit.js';
import { testLifecycle } from './contract-lifecycle.js';
import { testLiveBodies } from './contract-live-body.js';
import { testRandomSequences } from './contract-model.js';
import { testReading } from './contract-read.js';
import { testRefs } from './contract-refs.js';

export type { ContractLimits, ContractOptions, ContractPlace } from './contract-kit.js';

const mebibyte = 1024 * 1024;
const amplyLimits: ContractLimits = { maxBytes: 128 * mebibyte, maxEntryBytes: 16 * mebibyte };

/**
 * Registers tests of everything that `ResponseStore` promises. Each gets a place of its own from `createPlace`; nothing
 * runs until the test runner says so.
 */
export function storeContract(name: string, createPlace: () => Promise<ContractPlace>, options: ContractOptions): void {
  const run: ContractRun = {
    isDurable: options.isDurable,
    seeds: options.seeds ?? Array.from({ length: 20 }, (_, index) => 1000 + index),
    test: (claim, body) => run.testWithin(amplyLimits, claim, body),
    testWithin: (limits, claim, body) =>
      options.test(`${name}: ${claim}`, async () => {
        const place = await createPlace();
        try {
          let store = await place.open(limits);
          const reopen = async () => {
            await store.close();
            store = await place.open(limits);
            return store;
          };
          try {
            await body(store, reopen);
          } finally {
            await store.close();
          }
        } finally {
          await place.remove();
        }
      }),
  };
  testCommits(run);
  testReading(run);
  testRefs(run);
  testLiveBodies(run);
  testInvalidation(run);
  testLifecycle(run);
  testRandomSequences(run);
}
