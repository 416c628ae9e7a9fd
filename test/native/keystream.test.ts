import { expect } from 'chai';
import fc from 'fast-check';
import { seededBytes } from '../support/oracle/seeded.js';
import { keystream } from '../support/oracle/streams.js';
import { testingAddon } from '../support/testing-addon.js';

describe('the native keystream', () => {
  for (const isa of testingAddon.isas()) {
    it(`is ChaCha20 for any key, element and length (${isa})`, () => {
      const element = fc.oneof(
        fc.constantFrom(0, 1, 7, 8, 9, 15, 16, 2 ** 31 - 1, 2 ** 31, 2 ** 32 - 2, 2 ** 32 - 1),
        fc.integer({ min: 0, max: 2 ** 32 - 1 }),
      );
      const words = fc.oneof(fc.constantFrom(1, 15, 16, 17, 2048, 2049), fc.integer({ min: 1, max: 5000 }));
      fc.assert(
        fc.property(fc.nat(), element, words, (seed, index, count) => {
          const key = seededBytes(seed, 'key');
          expect(testingAddon.keystream(isa, key, index, count)).to.deep.equal(keystream(key, index, count));
        }),
        { numRuns: 50 },
      );
    });
  }
});
