import { expect } from 'chai';
import fc from 'fast-check';
import { ParameterError } from '../../lib/errors.js';
import { type ParameterSetName, parameterSet } from '../../lib/lwe/parameters.js';
import {
  PlanDoesNotFitError,
  residualLimit,
  residualSigma,
  type SegmentRequest,
  segmentArithmetic,
} from '../../lib/lwe/plan.js';
import { ringElementCount } from '../support/oracle/folding.js';

const setName = fc.constantFrom<ParameterSetName>('lwe-192', 'lwe-128');
const request: fc.Arbitrary<SegmentRequest> = fc.record({
  parameterSet: setName,
  bits: fc.integer({ min: 2, max: 8 }),
  maxClients: fc.oneof(fc.integer({ min: 1, max: 64 }), fc.integer({ min: 1, max: 3000 })),
  valueCount: fc.oneof(
    fc.integer({ min: 1, max: 100_000 }),
    fc.integer({ min: 1, max: 2 ** 31 - 1 }),
    fc.constant(2 ** 32 - 1),
  ),
  segments: fc.integer({ min: 1, max: 7 }),
  noiseVariance: fc.oneof(
    { weight: 2, arbitrary: fc.constant(0) },
    // As many of each magnitude.
    { weight: 1, arbitrary: fc.double({ min: 0, max: 20, noNaN: true }).map((x) => Math.floor(2 ** x)) },
  ),
});

/** Coefficients whose residuals may fail, those of the other segments counted as if they were as many. */
function failingCoefficients({ ringElements }: { ringElements: number }, asked: SegmentRequest): number {
  return ringElements * parameterSet(asked.parameterSet).n * (asked.segments ?? 1);
}

/** The formula of docs/protocol.md section 3 in floating point: the slack of the decoding condition, >= 1 if it holds. */
function slack(name: ParameterSetName, k: number, p: number, clients: number, coefficients: number): number {
  const { q } = parameterSet(name);
  const ratio = 2 ** k / q;
  const z = Math.sqrt(2 * (Math.log(2) + Math.log(coefficients) + 64 * Math.log(2)));
  const random = z * Math.sqrt(clients * (22 * ratio * ratio + 1 / 12));
  return 2 ** (k - p - 1) / (random + (clients * ratio) / 2 + 1 / 2);
}

function refusal(of: SegmentRequest): PlanDoesNotFitError | undefined {
  try {
    segmentArithmetic(of);
    return undefined;
  } catch (error) {
    if (error instanceof PlanDoesNotFitError) return error;
    throw error;
  }
}

// Floating point against integers: this far from equality, both must say the same.
const MARGIN = 1e-9;

describe('the arithmetic of one width', () => {
  const figures: [ParameterSetName, number, number, number, number, number, number][] = [
    // set, bits, clients, wire bits, fold, plaintext bits, bytes a value
    ['lwe-192', 8, 16, 17, 1, 12, 2.125],
    ['lwe-192', 4, 16, 21, 2, 16, 1.3125],
    ['lwe-192', 2, 16, 23, 3, 18, 23 / 24],
    ['lwe-192', 8, 500, 25, 1, 17, 3.125],
    ['lwe-192', 8, 900, 28, 1, 18, 3.5],
    ['lwe-192', 8, 3, 24, 2, 20, 1.5],
    ['lwe-128', 8, 16, 17, 1, 12, 2.125],
    ['lwe-128', 4, 16, 21, 2, 16, 1.3125],
  ];
  for (const [name, bits, maxClients, wireBits, fold, plaintextBits, bytesPerValue] of figures) {
    it(`puts ${bits}-bit values of ${maxClients} clients on ${wireBits} wire bits, ${fold} to a coefficient (${name})`, () => {
      // Whole chunks, so that no padding blurs the bytes a value.
      const valueCount = 30 * 8 * 2048 * fold;
      const plan = segmentArithmetic({ parameterSet: name, bits, maxClients, valueCount });
      expect(plan).to.include({ wireBits, fold, plaintextBits, fieldBits: plaintextBits / fold });
      expect(plan.ciphertextBytes / valueCount).to.be.closeTo(bytesPerValue, 1e-12);
    });
  }

  it('takes the narrowest wire on which the sum decodes', () => {
    fc.assert(
      fc.property(request, (asked) => {
        if (refusal(asked)) return;
        const plan = segmentArithmetic(asked);
        const { maxWireBits } = parameterSet(asked.parameterSet);
        const coefficients = failingCoefficients(plan, asked);
        const at = (k: number): number =>
          slack(asked.parameterSet, k, plan.plaintextBits, asked.maxClients, coefficients);
        expect(at(plan.wireBits)).to.be.at.least(1 - MARGIN);
        expect(at(plan.wireBits - 1)).to.be.at.most(1 + MARGIN);
        expect(plan.wireBits).to.be.at.most(maxWireBits);
      }),
      { numRuns: 500 },
    );
  });

  it('folds as many values into a coefficient as cost the fewest bits a value, the fewer on a tie', () => {
    fc.assert(
      fc.property(request, (asked) => {
        if (refusal(asked)) return;
        const plan = segmentArithmetic(asked);
        for (let fold = 1; fold <= parameterSet(asked.parameterSet).maxWireBits; fold += 1) {
          const forced = { ...asked, fold };
          if (refusal(forced)) continue;
          const other = segmentArithmetic(forced);
          expect(other.fold).to.equal(fold);
          const [cost, otherCost] = [plan.wireBits * fold, other.wireBits * plan.fold];
          expect(cost).to.be.at.most(otherCost);
          if (cost === otherCost) expect(plan.fold).to.be.at.most(fold);
        }
      }),
      { numRuns: 200 },
    );
  });

  it('says what it was asked for', () => {
    fc.assert(
      fc.property(request, (asked) => {
        if (refusal(asked)) return;
        const plan = segmentArithmetic(asked);
        const { bits, maxClients, valueCount, noiseVariance } = asked;
        expect(plan).to.include({
          parameterSet: asked.parameterSet,
          bits,
          maxClients,
          valueCount,
          noiseVariance,
        });
        expect(plan.valueBound).to.equal(2 ** (asked.bits - 1) - 1);
        expect(plan.plaintextBits).to.equal(plan.fold * plan.fieldBits);
      }),
    );
  });

  it('counts ring elements, chunks and bytes as the order of values does', () => {
    fc.assert(
      fc.property(request, (asked) => {
        if (refusal(asked)) return;
        const plan = segmentArithmetic(asked);
        const { n } = parameterSet(asked.parameterSet);
        expect(plan.ringElements).to.equal(ringElementCount({ ...plan, n }, asked.valueCount));
        expect(plan.chunkCount).to.equal(Math.ceil(plan.ringElements / 8));
        expect(plan.ciphertextBytes).to.equal((plan.ringElements * n * plan.wireBits) / 8);
        expect(Number.isSafeInteger(plan.ciphertextBytes)).to.equal(true);
      }),
    );
  });

  it('bounds z from above, and no further than a billionth', () => {
    fc.assert(
      fc.property(request, (asked) => {
        if (refusal(asked)) return;
        const plan = segmentArithmetic(asked);
        const coefficients = failingCoefficients(plan, asked);
        const exact = Math.sqrt(2 * (Math.log(coefficients) + 65 * Math.log(2)));
        expect(plan.z - exact).to.be.within(-1e-14 * exact, 1e-9);
      }),
    );
  });
});

describe('a plan that does not fit', () => {
  it('is refused with the largest number of clients at these bits and the largest bits for these clients', () => {
    let refusals = 0;
    fc.assert(
      fc.property(request, fc.option(fc.integer({ min: 1, max: 8 }), { nil: undefined }), (asked, fold) => {
        const full = fold === undefined ? asked : { ...asked, fold };
        const error = refusal(full);
        if (!error) return;
        refusals += 1;
        const { largestMaxClients, largestBits } = error;
        expect(largestMaxClients).to.be.below(asked.maxClients);
        expect(largestBits).to.be.below(asked.bits);
        if (largestMaxClients > 0) {
          expect(refusal({ ...full, maxClients: largestMaxClients })).to.equal(undefined);
          expect(error.message).to.include(`at most ${largestMaxClients} clients`);
        }
        expect(refusal({ ...full, maxClients: largestMaxClients + 1 })).to.be.an('error');
        if (largestBits > 0) {
          expect(refusal({ ...full, bits: largestBits })).to.equal(undefined);
          expect(error.message).to.include(`at most ${largestBits} bits`);
        }
        if (largestBits < 8) {
          expect(refusal({ ...full, bits: Math.max(2, largestBits + 1) })).to.be.an('error');
        }
      }),
      { numRuns: 500 },
    );
    expect(refusals).to.be.above(50);
  });

  it('carries a stable code and names what was asked', () => {
    const error = refusal({ parameterSet: 'lwe-192', bits: 8, maxClients: 5000, valueCount: 740_000 });
    expect(error).to.be.instanceOf(ParameterError);
    expect(error).to.include({ code: 'plan.does-not-fit', largestMaxClients: 920, largestBits: 3 });
    expect(error?.message).to.match(/lwe-192.*8-bit values of 5000 clients.*cohorts/);
  });

  it('says so when no number of clients and no bits would do', () => {
    const error = refusal({ parameterSet: 'lwe-128', bits: 8, maxClients: 5000, valueCount: 10, fold: 4 });
    expect(error).to.include({ largestMaxClients: 0, largestBits: 0 });
    expect(error?.message).to.match(/folded 4 to a coefficient/);
    expect(error?.message).to.match(/no number of clients fits.*no number of bits fits/);
  });
});

describe('plan arguments out of range', () => {
  const good: SegmentRequest = { parameterSet: 'lwe-192', bits: 8, maxClients: 16, valueCount: 1000 };
  const bad: Partial<SegmentRequest>[] = [
    { bits: 1 },
    { bits: 9 },
    { bits: 4.5 },
    { maxClients: 0 },
    { maxClients: Number.NaN },
    { maxClients: 2 ** 31 + 1 },
    { valueCount: 0 },
    { valueCount: 2 ** 32 },
    { valueCount: 1.5 },
    { fold: 0 },
    { fold: 29 },
    { noiseVariance: -1 },
    { noiseVariance: 0.5 },
    { noiseVariance: 2 ** 32 + 1 },
    { segments: 0 },
    { segments: 8 },
  ];
  for (const change of bad) {
    it(`are refused: ${JSON.stringify(change)}`, () => {
      expect(() => segmentArithmetic({ ...good, ...change }))
        .to.throw(ParameterError)
        .with.property('code', 'plan.argument-out-of-range');
    });
  }
});

describe('the residual limit', () => {
  it('is z standard deviations of the random errors and the whole of the others, rounded up', () => {
    fc.assert(
      fc.property(request, fc.double({ min: 0, max: 1, noNaN: true }), (asked, fraction) => {
        if (refusal(asked)) return;
        const plan = segmentArithmetic(asked);
        const clients = Math.max(1, Math.round(fraction * asked.maxClients));
        const limit = residualLimit(plan, clients, asked.segments);
        const rho = 2 ** plan.wireBits / parameterSet(asked.parameterSet).q;
        const random = plan.z * Math.sqrt(clients * (22 * rho * rho + 1 / 12));
        const bound = random + (clients * rho) / 2 + 1 / 2;
        expect(limit).to.be.at.least(bound - 1e-6);
        expect(limit).to.be.below(bound + 1 + 1e-6);
        expect(limit).to.be.at.most(plan.residualBound);
        expect(residualLimit(plan, asked.maxClients, asked.segments)).to.be.at.least(limit);
      }),
    );
  });

  it('grows with the square root of the clients', () => {
    expect(residualSigma('lwe-192', 17, 64) / residualSigma('lwe-192', 17, 16)).to.be.closeTo(2, 0.06);
  });

  it('refuses more clients than the plan admits', () => {
    const plan = segmentArithmetic({ parameterSet: 'lwe-192', bits: 8, maxClients: 16, valueCount: 1000 });
    for (const clients of [0, 17, 2.5]) {
      expect(() => residualLimit(plan, clients))
        .to.throw(ParameterError)
        .with.property('code', 'plan.argument-out-of-range');
    }
  });
});
