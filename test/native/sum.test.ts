import { expect } from 'chai';
import fc from 'fast-check';
import { RINGS } from '../support/oracle/ring.js';
import { sumUpdates } from '../support/oracle/round.js';
import { seededBytes } from '../support/oracle/seeded.js';
import { testingAddon, vectorIsas } from '../support/testing-addon.js';

for (const ring of RINGS) {
  const set = ring.nativeId;
  const wireBits = fc.integer({ min: 4, max: ring.maxWireBits });
  const upTo20 = fc.integer({ min: 1, max: 20 });
  // Any bytes are a ciphertext; all ones is where a carry into the neighbour would show.
  const inputsOf = (seed: number, k: number, elements: number, count: number): Uint8Array[] =>
    Array.from({ length: count }, (_, i) => {
      const bytes = seededBytes(seed, `input ${i}`, (elements * ring.n * k) / 8);
      return (seed + i) % 5 === 0 ? bytes.fill(0xff) : bytes;
    });

  describe(`the native sum (${ring.name})`, () => {
    it('adds mod 2^k, coefficient by coefficient (scalar)', () => {
      fc.assert(
        fc.property(
          fc.nat(),
          wireBits,
          fc.integer({ min: 1, max: 10 }),
          fc.integer({ min: 1, max: 6 }),
          (seed, k, elements, count) => {
            const inputs = inputsOf(seed, k, elements, count);
            const sum = testingAddon.sum('scalar', set, k, elements, inputs);
            expect(Buffer.compare(sum, sumUpdates(ring.n, elements, k, inputs))).to.equal(0);
          },
        ),
        { numRuns: 10 },
      );
    });

    it('adds any number of updates from 1 to 20 (scalar)', () => {
      for (let count = 1; count <= 20; count += 1) {
        const inputs = inputsOf(count, 17, 1, count);
        const sum = testingAddon.sum('scalar', set, 17, 1, inputs);
        expect(Buffer.compare(sum, sumUpdates(ring.n, 1, 17, inputs)), `${count} updates`).to.equal(0);
      }
    });

    for (const isa of vectorIsas) {
      it(`agrees with scalar for every wire width (${isa})`, () => {
        for (let k = 4; k <= ring.maxWireBits; k += 1) {
          for (const elements of [1, 7, 8, 9, 16, 20]) {
            const inputs = inputsOf(k, k, elements, 1 + ((k + elements) % 20));
            const [sum, expected] = [isa, 'scalar'].map((name) =>
              testingAddon.sum(name, set, k, elements, inputs),
            );
            const message = `k = ${k}, ${elements} elements, ${inputs.length} updates`;
            expect(Buffer.compare(sum as Uint8Array, expected as Uint8Array), message).to.equal(0);
          }
        }
      });

      it(`agrees with scalar for any number of elements and updates (${isa})`, () => {
        fc.assert(
          fc.property(fc.nat(), wireBits, upTo20, upTo20, (seed, k, elements, count) => {
            const inputs = inputsOf(seed, k, elements, count);
            const [sum, expected] = [isa, 'scalar'].map((name) =>
              testingAddon.sum(name, set, k, elements, inputs),
            );
            expect(Buffer.compare(sum as Uint8Array, expected as Uint8Array)).to.equal(0);
          }),
          { numRuns: 25 },
        );
      });
    }

    for (const isa of testingAddon.isas()) {
      it(`leaves its inputs as they are, and takes one twice (${isa})`, () => {
        const [first, second] = inputsOf(1, 17, 9, 2) as [Uint8Array, Uint8Array];
        const before = first.slice();
        const sum = testingAddon.sum(isa, set, 17, 9, [first, second, first]);
        expect(Buffer.compare(sum, sumUpdates(ring.n, 9, 17, [before, second, before]))).to.equal(0);
        expect(first).to.deep.equal(before);
      });

      it(`takes inputs that start at an odd byte of their buffer (${isa})`, () => {
        const aligned = inputsOf(2, 17, 9, 3);
        const shifted = aligned.map((input, i) => {
          const buffer = new Uint8Array(input.length + 3);
          buffer.set(input, i + 1);
          return buffer.subarray(i + 1, i + 1 + input.length);
        });
        const [sum, expected] = [shifted, aligned].map((inputs) => testingAddon.sum(isa, set, 17, 9, inputs));
        expect(Buffer.compare(sum as Uint8Array, expected as Uint8Array)).to.equal(0);
      });
    }
  });
}
