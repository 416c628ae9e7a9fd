import { expect } from 'chai';
import fc from 'fast-check';
import { type OracleRing, RINGS } from '../support/oracle/ring.js';
import { seededBytes } from '../support/oracle/seeded.js';
import { keystream, smallElement, uniformElement } from '../support/oracle/streams.js';
import { testingAddon } from '../support/testing-addon.js';

function elementsOf<Row extends Uint32Array | Int32Array>(count: number, row: (j: number) => Row): number[] {
  return Array.from({ length: count }, (_, j) => [...row(j)]).flat();
}

/** Words among the first n of the stream that are not below q. */
function rejections(ring: OracleRing, key: Uint8Array, element: number): number {
  return keystream(key, element, ring.n).filter((word) => word % 2 ** ring.modulusBits >= ring.q).length;
}

const firstElement = fc.oneof(fc.constantFrom(0, 1, 3, 8, 16), fc.integer({ min: 0, max: 2 ** 32 - 100 }));
const count = fc.integer({ min: 1, max: 20 });

describe('native sampling', () => {
  for (const isa of testingAddon.isas()) {
    for (const ring of RINGS) {
      it(`takes uniform elements from the stream, skipping what is not below q (${isa}, ${ring.name})`, () => {
        fc.assert(
          fc.property(fc.nat(), firstElement, count, (seed, first, elements) => {
            const key = seededBytes(seed, 'key');
            const sampled = testingAddon.sampleUniform(isa, ring.nativeId, key, first, elements);
            const expected = elementsOf(elements, (j) => uniformElement(ring, key, first + j));
            expect([...sampled]).to.deep.equal(expected);
          }),
          { numRuns: 12 },
        );
      });

      it(`skips a word in several lanes of one call, and twice in one element (${isa}, ${ring.name})`, () => {
        const key = seededBytes(2, 'key');
        const skipped = Array.from({ length: 300 }, (_, element) => rejections(ring, key, element));
        const twice = skipped.findIndex((rejected) => rejected > 1);
        const crowded = skipped.findIndex((_, i) => skipped.slice(i, i + 8).filter((x) => x > 0).length > 2);
        // The seed is chosen so that both occur.
        expect(twice).to.be.at.least(0);
        expect(crowded).to.be.at.least(0);
        for (const first of [Math.max(0, twice - 3), crowded]) {
          const sampled = testingAddon.sampleUniform(isa, ring.nativeId, key, first, 8);
          expect([...sampled]).to.deep.equal(elementsOf(8, (j) => uniformElement(ring, key, first + j)));
        }
      });

      it(`skips a word among the replacements too (${isa}, ${ring.name})`, () => {
        // Under the zero key this element has one word to skip among the first n, and word n is one as well.
        const element = ring.name === 'lwe-192' ? 69885 : 18137;
        const key = new Uint8Array(32);
        expect(rejections(ring, key, element)).to.equal(1);
        const next = keystream(key, element, ring.n + 1)[ring.n] as number;
        expect(next % 2 ** ring.modulusBits).to.be.at.least(ring.q);
        for (const first of [element, element - 5]) {
          const sampled = testingAddon.sampleUniform(isa, ring.nativeId, key, first, 8);
          expect([...sampled]).to.deep.equal(elementsOf(8, (j) => uniformElement(ring, key, first + j)));
        }
      });

      it(`skips a word that equals q and keeps one that equals q - 1 (${isa}, ${ring.name})`, () => {
        // Under the zero key these elements have such a word, at this place of the stream.
        const [ofQ, ofQMinus1] =
          ring.name === 'lwe-192'
            ? ([
                [1103909, 1935],
                [26047, 1519],
              ] as const)
            : ([
                [3295, 175],
                [16357, 887],
              ] as const);
        const key = new Uint8Array(32);
        for (const [[element, place], word] of [
          [ofQ, ring.q],
          [ofQMinus1, ring.q - 1],
        ] as const) {
          const at = keystream(key, element, ring.n)[place] as number;
          expect(at % 2 ** ring.modulusBits).to.equal(word);
          const sampled = testingAddon.sampleUniform(isa, ring.nativeId, key, element, 1);
          expect(sampled).to.deep.equal(uniformElement(ring, key, element));
          expect(sampled.includes(word)).to.equal(word < ring.q);
        }
      });

      it(`takes small elements from the halves of the stream's words (${isa}, ${ring.name})`, () => {
        fc.assert(
          fc.property(fc.nat(), firstElement, count, (seed, first, elements) => {
            const key = seededBytes(seed, 'key');
            const sampled = testingAddon.sampleSmall(isa, ring.nativeId, key, first, elements);
            const expected = elementsOf(elements, (j) => smallElement(ring, key, first + j));
            expect([...sampled]).to.deep.equal(expected);
          }),
          { numRuns: 12 },
        );
      });
    }
  }
});
