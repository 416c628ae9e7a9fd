import { expect } from 'chai';
import fc from 'fast-check';
import { SEAL_OVERHEAD_BYTES } from '../../lib/custody/hpke.js';
import {
  interpolate,
  residueBytes,
  ShareSum,
  sealedShareSlot,
  shareBytes,
  sharesSectionBytes,
  unpackResidues,
} from '../../lib/custody/sharing.js';
import { parameterSet } from '../../lib/lwe/parameters.js';
import { bitStream } from '../support/oracle/packing.js';
import { LWE_128, RINGS } from '../support/oracle/ring.js';
import { seededBytes, seededWords, seededWordsWithEdges } from '../support/oracle/seeded.js';
import { dealShares, expandShare, interpolate as interpolateByTheBook } from '../support/oracle/shamir.js';
import { expectRefusal } from '../support/refusals.js';
import { bytes32 } from './support/bytes.js';

const anyThreshold = fc
  .integer({ min: 1, max: 6 })
  .chain((custodians) =>
    fc.record({ custodians: fc.constant(custodians), threshold: fc.integer({ min: 1, max: custodians }) }),
  );

describe('shares as they travel', () => {
  it('are seeds up to the threshold and residues from there on', () => {
    const plan = { parameterSet: 'lwe-192', threshold: 3, custodians: 5 } as const;
    const sizes = [1, 2, 3, 4, 5].map((index) => shareBytes(plan, index));
    expect(sizes).to.deep.equal([32, 32, 7680, 7680, 7680]);
    expect(residueBytes(parameterSet('lwe-128'))).to.equal(3328);
    const one = { ...plan, threshold: 1 };
    expect([1, 2, 5].map((index) => shareBytes(one, index))).to.deep.equal([32, 32, 32]);
  });

  it('fill their section without gaps, in order of the indices', () => {
    fc.assert(
      fc.property(anyThreshold, fc.constantFrom('lwe-128', 'lwe-192'), ({ threshold, custodians }, name) => {
        const plan = { parameterSet: name, threshold, custodians } as const;
        let end = 0;
        for (let index = 1; index <= custodians; index += 1) {
          expect(sealedShareSlot(plan, index)).to.deep.equal({
            offset: end,
            length: shareBytes(plan, index) + SEAL_OVERHEAD_BYTES,
          });
          end += shareBytes(plan, index) + SEAL_OVERHEAD_BYTES;
        }
        expect(sharesSectionBytes(plan)).to.equal(end);
      }),
    );
  });

  it('sum to the naive sum of what each stands for', () => {
    fc.assert(
      fc.property(anyThreshold, fc.integer({ min: 0, max: 1e6 }), ({ threshold, custodians }, seed) => {
        const plan = { parameterSet: LWE_128.name, threshold, custodians };
        const fingerprint = seededBytes(seed, 'plan');
        const dealt = [0, 1, 2].map((client) =>
          dealShares(LWE_128, seededBytes(seed, `hedge ${client}`, 80), fingerprint, threshold, custodians),
        );
        for (let index = 1; index <= custodians; index += 1) {
          const sum = new ShareSum(plan, fingerprint, index);
          const naive = new Uint32Array(LWE_128.n);
          for (const shares of dealt) {
            const share = shares[index - 1] as Uint8Array;
            expect(sum.add(share)).to.equal(true);
            expandShare(LWE_128, fingerprint, threshold, index, share).forEach((residue, i) => {
              naive[i] = ((naive[i] as number) + residue) % LWE_128.q;
            });
          }
          expect(Buffer.from(sum.packed())).to.deep.equal(Buffer.from(bitStream(naive, LWE_128.modulusBits)));
        }
      }),
      { numRuns: 5 },
    );
  });

  it('change nothing where one is malformed', () => {
    const plan = { parameterSet: 'lwe-128', threshold: 1 + 1, custodians: 3 } as const;
    const sum = new ShareSum(plan, bytes32('plan'), 2);
    const good = bitStream(seededWordsWithEdges(1, 'share', LWE_128.n, LWE_128.q), LWE_128.modulusBits);
    expect(sum.add(good)).to.equal(true);
    const before = Buffer.from(sum.packed());
    const residues = seededWords(2, 'share', LWE_128.n, LWE_128.q);
    residues[LWE_128.n - 1] = LWE_128.q;
    expect(sum.add(bitStream(residues, LWE_128.modulusBits))).to.equal(false);
    expect(Buffer.from(sum.packed())).to.deep.equal(before);
  });

  it('are gone from the sum once it is wiped', () => {
    const sum = new ShareSum({ parameterSet: 'lwe-128', threshold: 1, custodians: 1 }, bytes32('plan'), 1);
    sum.add(bytes32('share'));
    expect(sum.packed().some((byte) => byte !== 0)).to.equal(true);
    sum.wipe();
    expect(sum.packed().every((byte) => byte === 0)).to.equal(true);
  });

  for (const ring of RINGS) {
    it(`come back from their packed form, and nothing else does: ${ring.name}`, async () => {
      const set = parameterSet(ring.name);
      const residues = seededWordsWithEdges(3, 'residues', ring.n, ring.q);
      const packed = bitStream(residues, ring.modulusBits);
      expect(unpackResidues(set, packed)).to.deep.equal(residues);
      residues[7] = ring.q;
      const beyond = bitStream(residues, ring.modulusBits);
      for (const bad of [beyond, packed.subarray(1), new Uint8Array()]) {
        await expectRefusal('share.malformed', () => unpackResidues(set, bad));
      }
    });

    it(`are interpolated as the book says, at any points in any order: ${ring.name}`, () => {
      const set = parameterSet(ring.name);
      fc.assert(
        fc.property(
          fc.shuffledSubarray(
            Array.from({ length: 12 }, (_, i) => i + 1),
            { minLength: 1, maxLength: 6 },
          ),
          fc.integer({ min: 0, max: 13 }),
          (points, at) => {
            const rows = points.map((point) => seededWordsWithEdges(point, 'row', ring.n, ring.q));
            expect(interpolate(set, points, rows, at)).to.deep.equal(
              interpolateByTheBook(ring.q, points, rows, at),
            );
          },
        ),
        { numRuns: 8 },
      );
    });
  }
});
