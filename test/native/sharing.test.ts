import { expect } from 'chai';
import fc from 'fast-check';
import { hedgeOf, roundKeys } from '../support/oracle/cases.js';
import { bitStream } from '../support/oracle/packing.js';
import { mod, type OracleRing, RINGS } from '../support/oracle/ring.js';
import { seededWordsWithEdges } from '../support/oracle/seeded.js';
import { dealShares, expandShare, interpolate, secretFromSeed } from '../support/oracle/shamir.js';
import { deriveKey } from '../support/oracle/streams.js';
import { testingAddon } from '../support/testing-addon.js';

const { planFingerprint } = roundKeys(1);

/** The shares that native encryption deals, and the residues of the secret that it drew. */
function dealt(
  ring: OracleRing,
  threshold: number,
  custodians: number,
): { shares: Uint8Array[]; secret: Uint32Array } {
  const hedge = hedgeOf(threshold, custodians);
  const { shares } = testingAddon.encrypt('scalar', {
    segments: [
      {
        set: ring.nativeId,
        wireBits: 17,
        plaintextBits: 12,
        fieldBits: 12,
        fold: 1,
        firstElement: 0,
        valueCount: 1,
        valueBound: 127,
      },
    ],
    ...roundKeys(1),
    hedge,
    threshold,
    custodians,
    values: new Int32Array(1),
    threads: 1,
  });
  const seed = deriveKey(hedge, 'secret seed', ring, planFingerprint);
  const secret = Uint32Array.from(secretFromSeed(ring, seed, planFingerprint), (x) => mod(x, ring.q));
  return { shares, secret };
}

function expanded(ring: OracleRing, threshold: number, index: number, share: Uint8Array): Uint32Array {
  const residues = new Uint32Array(ring.n);
  const added = testingAddon.addShare(ring.nativeId, planFingerprint, threshold, index, share, residues);
  expect(added).to.equal(true);
  return residues;
}

function subsets(of: number[], size: number): number[][] {
  if (size === 0) return [[]];
  return of.flatMap((first, i) => subsets(of.slice(i + 1), size - 1).map((rest) => [first, ...rest]));
}

for (const ring of RINGS) {
  describe(`native secret sharing (${ring.name})`, () => {
    for (const [threshold, custodians] of [
      [1, 1],
      [1, 3],
      [2, 3],
      [3, 4],
      [5, 7],
    ] as [number, number][]) {
      it(`deals the shares of the protocol, ${threshold} of ${custodians}`, () => {
        const { shares } = dealt(ring, threshold, custodians);
        const expected = dealShares(
          ring,
          hedgeOf(threshold, custodians),
          planFingerprint,
          threshold,
          custodians,
        );
        expect(shares.map((share) => Buffer.from(share))).to.deep.equal(
          expected.map((share) => Buffer.from(share)),
        );
      });

      it(`expands a share to the residues it stands for, ${threshold} of ${custodians}`, () => {
        dealt(ring, threshold, custodians).shares.forEach((share, i) => {
          expect(expanded(ring, threshold, i + 1, share)).to.deep.equal(
            expandShare(ring, planFingerprint, threshold, i + 1, share),
          );
        });
      });

      it(`gives the secret back from every ${threshold} of ${custodians} shares`, () => {
        const { shares, secret } = dealt(ring, threshold, custodians);
        const rows = shares.map((share, i) => expanded(ring, threshold, i + 1, share));
        if (threshold === 1) {
          for (const row of rows) expect(row).to.deep.equal(secret);
          return;
        }
        const all = rows.map((_, i) => i + 1);
        for (const indices of subsets(all, threshold)) {
          const chosen = indices.map((index) => rows[index - 1] as Uint32Array);
          expect(testingAddon.interpolate(ring.nativeId, indices, chosen, 0)).to.deep.equal(secret);
        }
        // One fewer interpolates to something else.
        for (const indices of subsets(all, threshold - 1)) {
          const chosen = indices.map((index) => rows[index - 1] as Uint32Array);
          expect(testingAddon.interpolate(ring.nativeId, indices, chosen, 0)).to.not.deep.equal(secret);
        }
      });
    }

    it('adds shares mod q', () => {
      const { shares } = dealt(ring, 2, 3);
      const share = shares[2] as Uint8Array;
      const start = seededWordsWithEdges(1, 'accumulator', ring.n, ring.q);
      const accumulator = start.slice();
      for (let times = 0; times < 3; times += 1) {
        testingAddon.addShare(ring.nativeId, planFingerprint, 2, 3, share, accumulator);
      }
      const row = expandShare(ring, planFingerprint, 2, 3, share);
      const expected = start.map((x, i) => (x + 3 * (row[i] as number)) % ring.q);
      expect(accumulator).to.deep.equal(expected);
    });

    it('refuses a share of the wrong length or with a residue that is not below q, and adds nothing', () => {
      const residues = seededWordsWithEdges(2, 'residues', ring.n, ring.q);
      const tooLarge = residues.slice();
      tooLarge[ring.n - 1] = ring.q;
      const malformed: [number, Uint8Array][] = [
        [2, bitStream(tooLarge, ring.modulusBits)],
        [2, bitStream(residues, ring.modulusBits).subarray(1)],
        [1, new Uint8Array(31)],
        [1, new Uint8Array(33)],
        [2, new Uint8Array(32)],
      ];
      for (const [index, share] of malformed) {
        const accumulator = residues.slice();
        expect(testingAddon.addShare(ring.nativeId, planFingerprint, 2, index, share, accumulator)).to.equal(
          false,
        );
        expect(accumulator).to.deep.equal(residues);
      }
      const accumulator = new Uint32Array(ring.n);
      const share = bitStream(residues, ring.modulusBits);
      expect(testingAddon.addShare(ring.nativeId, planFingerprint, 2, 2, share, accumulator)).to.equal(true);
      expect(accumulator).to.deep.equal(residues);
    });

    it('interpolates at any point as the oracle does', () => {
      fc.assert(
        fc.property(
          fc.uniqueArray(fc.integer({ min: 1, max: 255 }), { minLength: 1, maxLength: 6 }),
          fc.integer({ min: 0, max: 255 }),
          fc.nat(),
          (indices, at, seed) => {
            const rows = indices.map((index) => seededWordsWithEdges(seed, `row ${index}`, ring.n, ring.q));
            expect(testingAddon.interpolate(ring.nativeId, indices, rows, at)).to.deep.equal(
              interpolate(ring.q, indices, rows, at),
            );
          },
        ),
        { numRuns: 15 },
      );
    });
  });
}
