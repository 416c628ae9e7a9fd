import { expect } from 'chai';
import { encodeMessage, switchModulus } from '../support/oracle/encoding.js';
import { type OracleRing, RINGS } from '../support/oracle/ring.js';
import { seededWords, seededWordsWithEdges } from '../support/oracle/seeded.js';
import { testingAddon, vectorIsas } from '../support/testing-addon.js';

function range(from: number, to: number): number[] {
  return Array.from({ length: to - from + 1 }, (_, i) => from + i);
}

/** Messages of p bits: all of them where they are few, else the edges and random ones. */
function messages(ring: OracleRing, plaintextBits: number, seed: number): Uint32Array {
  if (plaintextBits <= 10) return Uint32Array.from({ length: 2 ** plaintextBits }, (_, m) => m);
  return seededWordsWithEdges(seed, `messages ${plaintextBits}`, ring.n, 2 ** plaintextBits);
}

/**
 * Words on both sides of rounding steps of the switch to k bits: those nearest to (j + 1/2) q / 2^k for random
 * steps j, for the first, and for the last, above which the result wraps to 0; and the ends of [0, q).
 */
function nearSteps(ring: OracleRing, wireBits: number, seed: number): Uint32Array {
  const steps = [
    0,
    1,
    2 ** wireBits - 1,
    2 ** (wireBits - 1),
    ...seededWords(seed, 'steps', 400, 2 ** wireBits),
  ];
  const words = steps.flatMap((j) => {
    const below = Number((BigInt(2 * j + 1) * BigInt(ring.q)) >> BigInt(wireBits + 1));
    return [below - 1, below, below + 1, below + 2].filter((c) => c >= 0 && c < ring.q);
  });
  return Uint32Array.from([0, 1, ring.q - 1, ring.q - 2, ...words]);
}

for (const ring of RINGS) {
  const set = ring.nativeId;
  describe(`native rounding (${ring.name})`, () => {
    it('encodes round(q m / 2^p), half up, for every p (scalar)', () => {
      for (const plaintextBits of range(1, ring.maxWireBits - 1)) {
        const input = messages(ring, plaintextBits, 1);
        const expected = input.map((m) => encodeMessage(ring.q, plaintextBits, m));
        const encoded = testingAddon.encode('scalar', set, plaintextBits, input);
        expect(encoded, `p = ${plaintextBits}`).to.deep.equal(expected);
      }
    });

    it('switches the modulus to every wire width, to the nearest on both sides of a step (scalar)', () => {
      for (const wireBits of range(4, ring.maxWireBits)) {
        const input = Uint32Array.from([
          ...nearSteps(ring, wireBits, 2),
          ...seededWordsWithEdges(3, `c ${wireBits}`, ring.n, ring.q),
        ]);
        const expected = input.map((c) => switchModulus(ring.q, wireBits, c));
        const switched = testingAddon.switchModulus('scalar', set, wireBits, input);
        // The packing takes the upper end, 2^k, mod 2^k.
        expect(
          switched.map((b) => b % 2 ** wireBits),
          `k = ${wireBits}`,
        ).to.deep.equal(expected);
        expect(switched.reduce((a, b) => Math.max(a, b), 0)).to.be.at.most(2 ** wireBits);
      }
    });

    for (const isa of vectorIsas) {
      it(`agrees with scalar for every p (${isa})`, () => {
        for (const plaintextBits of range(1, ring.maxWireBits - 1)) {
          const input = messages(ring, plaintextBits, 4);
          const [scalar, vector] = ['scalar', isa].map((name) =>
            testingAddon.encode(name, set, plaintextBits, input),
          );
          expect(vector, `p = ${plaintextBits}`).to.deep.equal(scalar);
        }
      });

      it(`agrees with scalar for every wire width (${isa})`, () => {
        for (const wireBits of range(4, ring.maxWireBits)) {
          const input = Uint32Array.from([
            ...nearSteps(ring, wireBits, 5),
            ...seededWordsWithEdges(6, `c ${wireBits}`, ring.n, ring.q),
          ]);
          const [scalar, vector] = ['scalar', isa].map((name) =>
            testingAddon.switchModulus(name, set, wireBits, input),
          );
          expect(vector, `k = ${wireBits}`).to.deep.equal(scalar);
        }
      });
    }
  });
}
