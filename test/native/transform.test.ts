import { expect } from 'chai';
import fc from 'fast-check';
import {
  fromNttDomain,
  multiplyMod,
  negacyclicProduct,
  type OracleRing,
  RINGS,
  toNttDomain,
} from '../support/oracle/ring.js';
import { seededWords, seededWordsWithEdges } from '../support/oracle/seeded.js';
import { testingAddon, vectorIsas } from '../support/testing-addon.js';

/** Random words, all q - 1 (where lazy reductions are widest), all 0, and a single 1. */
function polynomials(ring: OracleRing): Record<string, Uint32Array> {
  return {
    random: seededWordsWithEdges(1, 'polynomial', ring.n, ring.q),
    'all q - 1': new Uint32Array(ring.n).fill(ring.q - 1),
    'all 0': new Uint32Array(ring.n),
    'one coefficient': new Uint32Array(ring.n).fill(1, 5, 6),
    'q - 1 and 0 in turn': new Uint32Array(ring.n).map((_, i) => (i % 2 === 0 ? ring.q - 1 : 0)),
  };
}

for (const ring of RINGS) {
  const set = ring.nativeId;
  describe(`native transforms (${ring.name})`, () => {
    for (const [name, polynomial] of Object.entries(polynomials(ring))) {
      it(`evaluate at the roots in bit-reversed order (scalar, ${name})`, () => {
        expect(testingAddon.nttForward('scalar', set, polynomial)).to.deep.equal(
          toNttDomain(ring, polynomial),
        );
      });

      it(`interpolate, 1/n included (scalar, ${name})`, () => {
        expect(testingAddon.nttInverse('scalar', set, polynomial)).to.deep.equal(
          fromNttDomain(ring, polynomial),
        );
      });
    }

    it('turn the pointwise product into the schoolbook product mod X^n + 1 (scalar)', () => {
      const [a, b] = [2, 3].map((seed) => seededWords(seed, 'factor', ring.n, ring.q)) as [
        Uint32Array,
        Uint32Array,
      ];
      const product = testingAddon.multiply(
        'scalar',
        set,
        testingAddon.nttForward('scalar', set, a),
        testingAddon.nttForward('scalar', set, b),
      );
      expect(testingAddon.nttInverse('scalar', set, product)).to.deep.equal(negacyclicProduct(ring.q, a, b));
    });

    for (const isa of testingAddon.isas()) {
      it(`multiply pointwise, fully reduced (${isa})`, () => {
        const edges = polynomials(ring);
        for (const [a, b] of [
          [edges['random'], seededWords(4, 'factor', ring.n, ring.q)],
          [edges['all q - 1'], edges['all q - 1']],
          [edges['all q - 1'], edges['random']],
          [edges['all 0'], edges['random']],
        ] as [Uint32Array, Uint32Array][]) {
          const expected = a.map((x, i) => multiplyMod(x, b[i] as number, ring.q));
          expect(testingAddon.multiply(isa, set, a, b)).to.deep.equal(expected);
        }
      });

      it(`leave their input as it is (${isa})`, () => {
        const polynomial = seededWords(5, 'polynomial', ring.n, ring.q);
        const before = polynomial.slice();
        testingAddon.nttForward(isa, set, polynomial);
        testingAddon.nttInverse(isa, set, polynomial);
        testingAddon.multiply(isa, set, polynomial, polynomial);
        expect(polynomial).to.deep.equal(before);
      });
    }

    for (const isa of vectorIsas) {
      it(`agree with scalar (${isa})`, () => {
        const check = (polynomial: Uint32Array): void => {
          for (const transform of [testingAddon.nttForward, testingAddon.nttInverse]) {
            expect(transform(isa, set, polynomial)).to.deep.equal(transform('scalar', set, polynomial));
          }
        };
        Object.values(polynomials(ring)).forEach(check);
        fc.assert(
          fc.property(fc.nat(), (seed) => check(seededWordsWithEdges(seed, 'polynomial', ring.n, ring.q))),
          { numRuns: 30 },
        );
      });
    }
  });
}
