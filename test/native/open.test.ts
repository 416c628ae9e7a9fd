import { expect } from 'chai';
import fc from 'fast-check';
import { anyUpdate, roundKeys, type UpdateCase } from '../support/oracle/cases.js';
import { type OracleRing, RINGS } from '../support/oracle/ring.js';
import { openAggregate } from '../support/oracle/round.js';
import { seededBytes, seededValues } from '../support/oracle/seeded.js';
import { type TestingOpening, testingAddon, vectorIsas } from '../support/testing-addon.js';

/** Random bytes as the aggregate, and a random sum of up to 200 secrets: every residual occurs. */
function openingOf(ring: OracleRing, update: UpdateCase): TestingOpening {
  const clients = 1 + (update.seed % 200);
  return {
    set: ring.nativeId,
    ...update.widths,
    firstElement: 0,
    maskKey: roundKeys(update.seed % 2).maskKey,
    secretSum: seededValues(update.seed, 'secret sum', ring.n, 16 * clients),
    aggregate: seededBytes(
      update.seed,
      'aggregate',
      (update.ringElements * ring.n * update.widths.wireBits) / 8,
    ),
    valueCount: update.valueCount,
    threads: 1 + (update.seed % 3),
  };
}

for (const ring of RINGS) {
  describe(`native opening (${ring.name})`, () => {
    it('decodes values and residuals as the protocol does (scalar)', () => {
      fc.assert(
        fc.property(
          // A wider gap than 16 bits overflows the oracle's sum of squares, a double.
          anyUpdate(ring, 3).filter(({ widths }) => widths.wireBits - widths.plaintextBits <= 16),
          (update) => {
            const job = openingOf(ring, update);
            expect(testingAddon.open('scalar', job)).to.deep.equal(openAggregate(ring, job, job));
          },
        ),
        { numRuns: 12 },
      );
    });

    it('decodes them across chunks, the last one ragged (scalar)', () => {
      for (const [round, ringElements] of [8, 9, 17].entries()) {
        const seed = 2 * round;
        const widths = { fold: 1 + round, fieldBits: 6, plaintextBits: 6 + 6 * round, wireBits: 22 };
        const valueCount = ringElements * ring.n * widths.fold - 1001;
        const job = openingOf(ring, { widths, ringElements, valueCount, seed });
        expect(testingAddon.open('scalar', job)).to.deep.equal(openAggregate(ring, job, job));
      }
    });

    for (const isa of testingAddon.isas()) {
      it(`shows the greatest residual wherever it stands, and none of a lane that is not there (${isa})`, () => {
        // With a zero sum of secrets the wire values are the messages times the step, plus the residual.
        const widths = { fold: 1, fieldBits: 12, plaintextBits: 12, wireBits: 20 };
        const elements = 3;
        for (const [lane, coefficient] of [
          [0, 0],
          [1, ring.n / 2 + 3],
          [2, ring.n - 1],
        ] as [number, number][]) {
          for (const residual of [100, -101, -128]) {
            const coefficients = new Uint32Array(ring.n * elements).fill(5 * 256);
            coefficients[coefficient * elements + lane] = 5 * 256 + residual;
            const opened = testingAddon.open(isa, {
              set: ring.nativeId,
              ...widths,
              firstElement: 0,
              maskKey: roundKeys(1).maskKey,
              secretSum: new Int32Array(ring.n),
              aggregate: testingAddon.pack('scalar', ring.nativeId, widths.wireBits, elements, coefficients),
              valueCount: ring.n * elements,
              threads: 1,
            });
            // Exactly half a step, -128, still decodes to the value above; its size tells that it is a failure.
            expect(opened.maxAbsResidual).to.equal(Math.abs(residual));
            expect(opened.residualSumOfSquares).to.equal(residual ** 2);
            expect(opened.values.every((value) => value === 5)).to.equal(true);
          }
        }
      });
    }

    for (const isa of vectorIsas) {
      it(`agrees with scalar for any aggregate, over any number of threads (${isa})`, () => {
        fc.assert(
          fc.property(anyUpdate(ring, 20), fc.integer({ min: 1, max: 5 }), (update, threads) => {
            const job = openingOf(ring, update);
            const [opened, expected] = [
              testingAddon.open(isa, { ...job, threads }),
              testingAddon.open('scalar', job),
            ];
            expect(Buffer.from(opened.values.buffer).equals(Buffer.from(expected.values.buffer))).to.equal(
              true,
            );
            expect(opened.maxAbsResidual).to.equal(expected.maxAbsResidual);
            expect(opened.residualSumOfSquares).to.equal(expected.residualSumOfSquares);
          }),
          { numRuns: 40 },
        );
      });
    }

    for (const isa of testingAddon.isas()) {
      it(`takes an aggregate that starts at an odd byte of its buffer (${isa})`, () => {
        const widths = { fold: 1, fieldBits: 12, plaintextBits: 12, wireBits: 17 };
        const job = openingOf(ring, { widths, ringElements: 17, valueCount: 17 * ring.n - 5, seed: 5 });
        const buffer = new Uint8Array(job.aggregate.length + 3);
        buffer.set(job.aggregate, 3);
        expect(testingAddon.open(isa, { ...job, aggregate: buffer.subarray(3) })).to.deep.equal(
          testingAddon.open('scalar', job),
        );
      });
    }
  });
}
