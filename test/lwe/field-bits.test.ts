import { expect } from 'chai';
import fc from 'fast-check';
import {
  PlanDoesNotFitError,
  type SegmentArithmetic,
  type SegmentRequest,
  segmentArithmetic,
} from '../../lib/lwe/plan.js';

const LN2 = Math.log(2);

const clear = fc.record({
  parameterSet: fc.constantFrom<SegmentRequest['parameterSet']>('lwe-192', 'lwe-128'),
  bits: fc.integer({ min: 2, max: 8 }),
  maxClients: fc.oneof(fc.integer({ min: 1, max: 40 }), fc.integer({ min: 1, max: 2000 })),
  valueCount: fc.oneof(fc.integer({ min: 1, max: 100_000 }), fc.integer({ min: 1, max: 2 ** 32 - 1 })),
  segments: fc.integer({ min: 1, max: 7 }),
});

const noisy = fc.record({
  asked: clear,
  // As many of each magnitude, up to what no plan holds.
  noiseVariance: fc.double({ min: 0, max: 32, noNaN: true }).map((x) => Math.floor(2 ** x)),
});

function fitting(request: SegmentRequest): SegmentArithmetic | undefined {
  try {
    return segmentArithmetic(request);
  } catch (error) {
    if (error instanceof PlanDoesNotFitError) return undefined;
    throw error;
  }
}

/** The largest sum without noise. */
function largestSum({ bits, maxClients }: SegmentRequest): number {
  return maxClients * (2 ** (bits - 1) - 1);
}

/** ln of the odds that each value of an update may have: 2^-64 over all of them. */
function logOddsAllowed({ valueCount, segments = 1 }: SegmentRequest): number {
  return -(64 * LN2 + Math.log(valueCount) + Math.log(segments));
}

/** The t at which Bernstein's bound on P(|X| > t) meets the allowed odds, found by bisection. */
function bernsteinTail(variance: number, logOdds: number): number {
  const logBound = (t: number): number => LN2 - (t * t) / (2 * (variance + t / 3));
  let low = 0;
  let high = 1;
  while (logBound(high) > logOdds) high *= 2;
  for (let step = 0; step < 100; step += 1) {
    const middle = (low + high) / 2;
    if (logBound(middle) > logOdds) low = middle;
    else high = middle;
  }
  return high;
}

/** Weights of Poisson(lambda) from its mode outwards, as far as they exceed 2^-300 of the largest. */
function poisson(lambda: number): { readonly first: number; readonly odds: Float64Array } {
  const mode = Math.floor(lambda);
  const below: number[] = [];
  const above: number[] = [1];
  for (let k = mode, weight = 1; k > 0 && weight > 2 ** -300; k -= 1) {
    weight *= k / lambda;
    below.push(weight);
  }
  for (let k = mode + 1, weight = 1; weight > 2 ** -300; k += 1) {
    weight *= lambda / k;
    above.push(weight);
  }
  const weights = Float64Array.from([...below.reverse(), ...above]);
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  return { first: mode - below.length, odds: weights.map((weight) => weight / total) };
}

/** P(|X - Y| > t) for independent Poisson variables of mean variance / 2: a Skellam tail by its definition. */
function skellamTail(variance: number, t: number): number {
  const { odds } = poisson(variance / 2);
  const beyond = new Float64Array(odds.length + 1);
  for (let i = odds.length - 1; i >= 0; i -= 1) beyond[i] = (beyond[i + 1] as number) + (odds[i] as number);
  let oneSided = 0;
  for (let y = 0; y < odds.length; y += 1) {
    const at = y + Math.floor(t) + 1;
    if (at < beyond.length) oneSided += (odds[y] as number) * (beyond[at] as number);
  }
  return 2 * oneSided;
}

describe('the bits of a field', () => {
  it('are as many as the largest sum and a sign need, and not one more', () => {
    fc.assert(
      fc.property(clear, (asked) => {
        const plan = fitting(asked);
        if (!plan) return;
        expect(largestSum(asked)).to.be.at.most(2 ** (plan.fieldBits - 1) - 1);
        expect(largestSum(asked)).to.be.above(2 ** (plan.fieldBits - 2) - 1);
      }),
      { numRuns: 500 },
    );
  });

  it('are fewer than bits of a value and bits of the number of clients, where the largest sum is', () => {
    const at = (bits: number, maxClients: number): number | undefined =>
      fitting({ parameterSet: 'lwe-192', bits, maxClients, valueCount: 1000 })?.fieldBits;
    // 9 * 1 = 9 needs 4 bits and a sign; 2 + ceil(log2 9) are 6. 17 * 7 = 119 needs 7 and a sign, where 4 + 5 are 9.
    expect(at(2, 9)).to.equal(5);
    expect(at(4, 17)).to.equal(8);
    // One client more, and the sum is 126 still; at 19 it is 133.
    expect([at(4, 18), at(4, 19)]).to.deep.equal([8, 9]);
    expect([at(2, 1), at(8, 1)]).to.deep.equal([2, 8]);
  });

  it('hold the tail of the noise as well, by Bernstein, and are not wider', () => {
    let widened = 0;
    fc.assert(
      fc.property(noisy, ({ asked, noiseVariance }) => {
        const plan = fitting({ ...asked, noiseVariance });
        if (!plan) return;
        const variance = noiseVariance * asked.maxClients;
        const largest = largestSum(asked) + bernsteinTail(variance, logOddsAllowed(asked));
        expect(2 ** (plan.fieldBits - 1) - 1).to.be.at.least(largest - 1e-6 * largest);
        // Rounding upwards may cost three.
        expect(2 ** (plan.fieldBits - 2) - 1).to.be.below(largest + 3 + 1e-6 * largest);
        if (plan.fieldBits > (fitting(asked)?.fieldBits ?? 0)) widened += 1;
      }),
      { numRuns: 500 },
    );
    expect(widened).to.be.above(50);
  });

  it('hold a Skellam sum but for odds below 2^-64 an update, tails added up term by term', () => {
    const checked = new Set<number>();
    for (const noiseVariance of [1, 3, 10, 100, 1000, 20_000]) {
      for (const [maxClients, valueCount] of [
        [1, 1],
        [3, 5000],
        [16, 740_000],
      ] as [number, number][]) {
        const asked: SegmentRequest = {
          parameterSet: 'lwe-192',
          bits: 4,
          maxClients,
          valueCount,
          noiseVariance,
        };
        const plan = segmentArithmetic(asked);
        const room = 2 ** (plan.fieldBits - 1) - 1 - largestSum(asked);
        const odds = skellamTail(noiseVariance * maxClients, room);
        expect(Math.log(Math.max(odds, Number.MIN_VALUE))).to.be.below(logOddsAllowed(asked));
        checked.add(plan.fieldBits);
      }
    }
    expect(checked.size).to.be.above(5);
  });

  it('would not hold it where the variance were counted once instead of once a client', () => {
    // What the tests above rest on: the oracle tells a tail that is too short.
    const one = bernsteinTail(1000, -64 * LN2);
    expect(Math.log(skellamTail(16_000, one))).to.be.above(-64 * LN2);
    expect(Math.log(skellamTail(1000, one))).to.be.below(-64 * LN2);
  });

  it('grow with the segments that share the odds of failure, never shrink', () => {
    fc.assert(
      fc.property(noisy, ({ asked, noiseVariance }) => {
        const [alone, shared] = [1, 7].map((segments) => fitting({ ...asked, noiseVariance, segments }));
        if (!alone || !shared) return;
        expect(shared.fieldBits).to.be.within(alone.fieldBits, alone.fieldBits + 1);
      }),
    );
  });
});
