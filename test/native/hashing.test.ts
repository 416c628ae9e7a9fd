import { createHash, hkdfSync } from 'node:crypto';
import { expect } from 'chai';
import fc from 'fast-check';
import { seededBytes } from '../support/oracle/seeded.js';
import { testingAddon } from '../support/testing-addon.js';

describe('native hashing', () => {
  it('is SHA-256 for every length up to four blocks, and for a long input', () => {
    for (const length of [...Array(257).keys(), 1_000_003]) {
      const bytes = seededBytes(length, 'hashed', length);
      const expected = createHash('sha256').update(bytes).digest();
      expect(Buffer.compare(testingAddon.sha256(bytes), expected), `${length} bytes`).to.equal(0);
    }
  });

  it('is HKDF-SHA256 with an empty salt, for any key material, label and length', () => {
    fc.assert(
      fc.property(
        // HMAC hashes a key of more than one block, 64 bytes.
        fc.oneof(fc.constantFrom(0, 32, 63, 64, 65, 80), fc.integer({ min: 0, max: 300 })),
        fc.integer({ min: 0, max: 300 }),
        fc.oneof(fc.constantFrom(1, 31, 32, 33, 255 * 32), fc.integer({ min: 1, max: 500 })),
        fc.nat(),
        (ikmLength, infoLength, length, seed) => {
          const ikm = seededBytes(seed, 'ikm', ikmLength);
          const info = seededBytes(seed, 'info', infoLength);
          const expected = Buffer.from(hkdfSync('sha256', ikm, '', info, length));
          expect(Buffer.compare(testingAddon.hkdf(ikm, info, length), expected)).to.equal(0);
        },
      ),
      { numRuns: 200 },
    );
  });
});
