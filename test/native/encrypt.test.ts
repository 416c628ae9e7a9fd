import { expect } from 'chai';
import fc from 'fast-check';
import { anyUpdate, hedgeOf, roundKeys, type UpdateCase } from '../support/oracle/cases.js';
import { type OracleRing, RINGS } from '../support/oracle/ring.js';
import { encryptUpdate } from '../support/oracle/round.js';
import { seededValues } from '../support/oracle/seeded.js';
import {
  type TestingEncryption,
  type TestingSegment,
  testingAddon,
  vectorIsas,
} from '../support/testing-addon.js';

/** An update of random values with both extremes in it. */
function encryptionOf(ring: OracleRing, update: UpdateCase): TestingEncryption {
  const valueBound = 2 ** (update.widths.fieldBits - 1) - 1;
  const values = seededValues(update.seed, 'values', update.valueCount, valueBound);
  values[0] = valueBound;
  values[values.length - 1] = -valueBound;
  return {
    segments: [
      {
        set: ring.nativeId,
        ...update.widths,
        firstElement: 0,
        valueCount: update.valueCount,
        valueBound,
      },
    ],
    // Few mask keys: the oracle's masks are dear, and kept.
    ...roundKeys(update.seed % 2),
    hedge: hedgeOf(update.seed),
    values,
    threshold: 1 + (Math.floor(update.seed / 2) % 4),
    custodians: 4 + (update.seed % 3),
    threads: 1 + (update.seed % 2),
  };
}

function expectSame(ring: OracleRing, job: TestingEncryption): void {
  const expected = encryptUpdate(ring, job.segments[0] as TestingSegment, job);
  const { ciphertext, shares } = testingAddon.encrypt('scalar', job);
  expect(Buffer.compare(ciphertext, expected.ciphertext)).to.equal(0);
  expect(shares.map((share) => [...share])).to.deep.equal(expected.shares.map((share) => [...share]));
}

for (const ring of RINGS) {
  describe(`native encryption (${ring.name})`, () => {
    it('gives the bytes and the shares of the protocol, computed from the same seeds (scalar)', () => {
      fc.assert(
        fc.property(anyUpdate(ring, 3), (update) => expectSame(ring, encryptionOf(ring, update))),
        { numRuns: 12 },
      );
    });

    it('gives them across chunks, the last one ragged, with every threshold (scalar)', () => {
      const widths = { fold: 3, fieldBits: 6, plaintextBits: 18, wireBits: 23 };
      for (const [round, ringElements] of [9, 8, 17, 16].entries()) {
        const seed = 2 * round;
        const valueCount = ringElements * ring.n * 3 - 1001;
        expectSame(ring, encryptionOf(ring, { widths, ringElements, valueCount, seed }));
      }
    });

    it('gives them on the narrowest and the widest wire (scalar)', () => {
      for (const [fieldBits, wireBits] of [
        [2, 4],
        [3, 4],
        [2, ring.maxWireBits],
        [ring.maxWireBits - 1, ring.maxWireBits],
      ] as [number, number][]) {
        const widths = { fold: 1, fieldBits, plaintextBits: fieldBits, wireBits };
        expectSame(ring, encryptionOf(ring, { widths, ringElements: 2, valueCount: ring.n + 77, seed: 1 }));
      }
    });

    for (const isa of vectorIsas) {
      it(`agrees with scalar for any update, over any number of threads (${isa})`, () => {
        fc.assert(
          fc.property(anyUpdate(ring, 20), fc.integer({ min: 1, max: 5 }), (update, threads) => {
            const job = encryptionOf(ring, update);
            const expected = testingAddon.encrypt('scalar', job);
            const { ciphertext, shares } = testingAddon.encrypt(isa, { ...job, threads });
            expect(Buffer.compare(ciphertext, expected.ciphertext)).to.equal(0);
            expect(Buffer.compare(Buffer.concat(shares), Buffer.concat(expected.shares))).to.equal(0);
          }),
          { numRuns: 40 },
        );
      });

      it(`agrees with scalar for every number of ring elements from 1 to 40 (${isa})`, () => {
        const widths = { fold: 2, fieldBits: 8, plaintextBits: 16, wireBits: 21 };
        for (let ringElements = 1; ringElements <= 40; ringElements += 1) {
          const valueCount = 2 * ring.n * ringElements - (ringElements % 3 === 0 ? 0 : 37 * ringElements);
          const job = encryptionOf(ring, { widths, ringElements, valueCount, seed: ringElements });
          const [scalar, vector] = ['scalar', isa].map((name) => testingAddon.encrypt(name, job).ciphertext);
          expect(Buffer.compare(vector as Uint8Array, scalar as Uint8Array), `${ringElements}`).to.equal(0);
        }
      });
    }

    for (const isa of testingAddon.isas()) {
      it(`refuses a value beyond the bound wherever it stands (${isa})`, () => {
        // One whole chunk, which is read in place, one more, and a ragged third, which is staged.
        const widths = { fold: 2, fieldBits: 8, plaintextBits: 16, wireBits: 21 };
        const valueCount = 2 * ring.n * 17 - 100;
        const good = encryptionOf(ring, { widths, ringElements: 17, valueCount, seed: 3 });
        expect(() => testingAddon.encrypt(isa, good)).to.not.throw();
        for (const at of [0, 8 * ring.n + 3, 16 * ring.n + 5, 33 * ring.n, valueCount - 1]) {
          for (const beyond of [128, -128, 2 ** 31 - 1, -(2 ** 31)]) {
            const values = good.values.slice();
            values[at] = beyond;
            expect(() => testingAddon.encrypt(isa, { ...good, values }), `${beyond} at ${at}`).to.throw();
          }
        }
      });
    }

    it('draws another secret for another message digest, and the same bytes for the same hedge', () => {
      const widths = { fold: 1, fieldBits: 12, plaintextBits: 12, wireBits: 17 };
      const job = encryptionOf(ring, { widths, ringElements: 1, valueCount: 100, seed: 4 });
      const again = testingAddon.encrypt('scalar', job);
      const hedge = job.hedge.slice();
      hedge[79] = (hedge[79] as number) ^ 1;
      const other = testingAddon.encrypt('scalar', { ...job, hedge });
      expect(testingAddon.encrypt('scalar', job)).to.deep.equal(again);
      expect(other.ciphertext).to.not.deep.equal(again.ciphertext);
      expect(other.shares).to.not.deep.equal(again.shares);
    });
  });
}
