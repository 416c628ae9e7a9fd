import { expect } from 'chai';
import fc from 'fast-check';
import { ParameterError } from '../../lib/errors.js';
import { parameterSet } from '../../lib/lwe/parameters.js';
import {
  type PlanArithmetic,
  PlanDoesNotFitError,
  type PlanRequest,
  planArithmetic,
  residualLimit,
  segmentArithmetic,
} from '../../lib/lwe/plan.js';

const anyPlan: fc.Arbitrary<PlanRequest> = fc.record({
  parameterSet: fc.constantFrom<PlanRequest['parameterSet']>('lwe-192', 'lwe-128'),
  maxClients: fc.integer({ min: 1, max: 200 }),
  noiseVariance: fc.oneof(fc.constant(0), fc.integer({ min: 1, max: 5000 })),
  segments: fc.array(
    fc.record({
      bits: fc.integer({ min: 2, max: 8 }),
      valueCount: fc.oneof(
        fc.integer({ min: 1, max: 100_000 }),
        fc.integer({ min: 1, max: Math.floor((2 ** 32 - 1) / 7) }),
      ),
    }),
    { minLength: 1, maxLength: 7 },
  ),
});

function fitting(request: PlanRequest): PlanArithmetic | undefined {
  try {
    return planArithmetic(request);
  } catch (error) {
    if (error instanceof PlanDoesNotFitError) return undefined;
    throw error;
  }
}

/** Runs `check` on plans that fit; fails where hardly any does. */
function forFittingPlans(check: (plan: PlanArithmetic, request: PlanRequest) => void): void {
  let fitted = 0;
  fc.assert(
    fc.property(anyPlan, (request) => {
      const plan = fitting(request);
      if (!plan) return;
      fitted += 1;
      check(plan, request);
    }),
    { numRuns: 200 },
  );
  expect(fitted).to.be.above(50);
}

describe('the arithmetic of an update of several widths', () => {
  it('puts the segments back to back: values, ring elements, bytes', () => {
    forFittingPlans((plan, request) => {
      const { n } = parameterSet(plan.parameterSet);
      let [firstValue, firstElement, offsetBytes] = [0, 0, 0];
      for (const [i, segment] of plan.segments.entries()) {
        expect(segment).to.include({ ...request.segments[i], firstValue, firstElement, offsetBytes });
        firstValue += segment.valueCount;
        firstElement += segment.ringElements;
        offsetBytes += (segment.ringElements * n * segment.wireBits) / 8;
        // Kernels read 32-bit words.
        expect(offsetBytes % 4).to.equal(0);
      }
      expect(plan.segments).to.have.length(request.segments.length);
      expect(plan).to.include({
        valueCount: firstValue,
        ringElements: firstElement,
        ciphertextBytes: offsetBytes,
      });
    });
  });

  it('gives each segment the widths it has alone, with a share of the odds of failure', () => {
    forFittingPlans((plan, request) => {
      const { segments, ...common } = request;
      for (const [i, asked] of segments.entries()) {
        const { firstElement, firstValue, offsetBytes, ...widths } = plan.segments[i] as never as Record<
          string,
          unknown
        >;
        expect([firstElement, firstValue, offsetBytes]).to.satisfy((places: unknown[]) =>
          places.every(Number.isSafeInteger),
        );
        expect(widths).to.deep.equal(segmentArithmetic({ ...common, ...asked, segments: segments.length }));
      }
    });
  });

  it('keeps the odds of a residual that is too large below 2^-64 over all segments together', () => {
    forFittingPlans((plan) => {
      const { n } = parameterSet(plan.parameterSet);
      const odds = plan.segments.reduce(
        (sum, { ringElements, z }) => sum + 2 * ringElements * n * Math.exp(-(z * z) / 2),
        0,
      );
      expect(odds * 2 ** 64).to.be.within(1 - 1e-6, 1 + 1e-9);
      for (const segment of plan.segments) {
        const limit = residualLimit(segment, plan.maxClients, plan.segments.length);
        expect(limit).to.be.at.most(segment.residualBound);
        expect(limit).to.be.at.least(residualLimit(segment, plan.maxClients, 1));
      }
    });
  });

  it('gives the same numbers for the same request', () => {
    forFittingPlans((plan, request) => {
      expect(planArithmetic(structuredClone(request))).to.deep.equal(plan);
    });
  });

  it('takes a fold that it is told, for the one segment', () => {
    const segments = [
      { bits: 4, valueCount: 9000, fold: 1 },
      { bits: 4, valueCount: 9000 },
    ];
    const plan = planArithmetic({ parameterSet: 'lwe-192', maxClients: 16, segments });
    expect(plan.segments.map(({ fold }) => fold)).to.deep.equal([1, 2]);
  });

  it('comes to these numbers for three widths and 16 clients', () => {
    const segments = [
      { bits: 2, valueCount: 100_000 },
      { bits: 4, valueCount: 300_000 },
      { bits: 8, valueCount: 20_000 },
    ];
    const places = (noiseVariance: number) =>
      planArithmetic({ parameterSet: 'lwe-192', maxClients: 16, noiseVariance, segments }).segments.map(
        ({ fieldBits, fold, wireBits, ringElements, firstElement, firstValue, offsetBytes }) => [
          fieldBits,
          fold,
          wireBits,
          ...[ringElements, firstElement, firstValue, offsetBytes],
        ],
      );
    // ringElements = ceil(ceil(values / fold) / 2048), a ring element has 256 k bytes.
    expect(places(0)).to.deep.equal([
      [6, 3, 23, 17, 0, 0, 0],
      [8, 2, 21, 74, 17, 100_000, 17 * 256 * 23],
      [12, 1, 17, 10, 91, 400_000, 17 * 256 * 23 + 74 * 256 * 21],
    ]);
  });
});

describe('a plan of several widths', () => {
  const good: PlanRequest = {
    parameterSet: 'lwe-192',
    maxClients: 16,
    segments: [
      { bits: 2, valueCount: 1000 },
      { bits: 8, valueCount: 1000 },
    ],
  };

  const refused: Record<string, Partial<PlanRequest>> = {
    'no segment': { segments: [] },
    'more segments than there are widths': {
      segments: Array.from({ length: 8 }, () => ({ bits: 4, valueCount: 10 })),
    },
    'a segment of no values': {
      segments: [
        { bits: 2, valueCount: 10 },
        { bits: 8, valueCount: 0 },
      ],
    },
    'a width that there is not': {
      segments: [
        { bits: 2, valueCount: 10 },
        { bits: 9, valueCount: 10 },
      ],
    },
    'more values than an array holds': {
      segments: [
        { bits: 2, valueCount: 2 ** 31 },
        { bits: 4, valueCount: 2 ** 31 },
      ],
    },
    'a negative variance': { noiseVariance: -1 },
    'a variance that is no integer': { noiseVariance: 1.5 },
    'no client': { maxClients: 0 },
  };
  for (const [what, change] of Object.entries(refused)) {
    it(`is refused with ${what}`, () => {
      expect(() => planArithmetic(good)).to.not.throw();
      expect(() => planArithmetic({ ...good, ...change }))
        .to.throw(ParameterError)
        .with.property('code', 'plan.argument-out-of-range');
    });
  }

  it('does not fit where one of its segments does not, and says which', () => {
    const attempt = (): unknown => planArithmetic({ ...good, maxClients: 2000 });
    expect(attempt).to.throw(PlanDoesNotFitError, /8-bit values of 2000 clients/);
    expect(() =>
      planArithmetic({ ...good, maxClients: 2000, segments: good.segments.slice(0, 1) }),
    ).to.not.throw();
  });

  it('does not fit where the noise leaves no room for the values', () => {
    expect(() => planArithmetic({ ...good, noiseVariance: 2 ** 32 })).to.throw(PlanDoesNotFitError);
  });
});
