import { expect } from 'chai';
import fc from 'fast-check';
import { type ParameterSetName, parameterSet } from '../../lib/lwe/parameters.js';
import {
  PlanDoesNotFitError,
  residualLimit,
  residualSigma,
  type SegmentArithmetic,
  type SegmentRequest,
  segmentArithmetic,
} from '../../lib/lwe/plan.js';
import { hedgeOf, roundKeys } from '../support/oracle/cases.js';
import { centred } from '../support/oracle/ring.js';
import { seededValues } from '../support/oracle/seeded.js';
import { testingAddon } from '../support/testing-addon.js';

const ISAS = testingAddon.isas();
const WIDEST = ISAS.at(-1) as string;

interface Opened {
  readonly values: Int32Array;
  readonly expected: Int32Array;
  readonly maxAbsResidual: number;
  /** Root mean square of the residuals. */
  readonly deviation: number;
}

/** Encrypts for `clients` clients, sums, opens with the sum of their secrets (t = 1). */
function runRound(
  plan: SegmentArithmetic,
  clients: number,
  isa: string,
  seed: number,
  valuesOf: (client: number) => Int32Array,
): Opened {
  const { n, q, nativeId: set } = parameterSet(plan.parameterSet);
  const keys = roundKeys(seed);
  const residues = new Uint32Array(n);
  const expected = new Int32Array(plan.valueCount);
  let aggregate: Uint8Array | undefined;
  for (let client = 0; client < clients; client += 1) {
    const values = valuesOf(client);
    const { ciphertext, shares } = testingAddon.encrypt(isa, {
      segments: [{ set, ...plan, firstElement: 0 }],
      ...keys,
      hedge: hedgeOf(seed, client),
      values,
      threshold: 1,
      custodians: 1,
      threads: 1,
    });
    testingAddon.addShare(set, keys.planFingerprint, 1, 1, shares[0] as Uint8Array, residues);
    for (let i = 0; i < values.length; i += 1) expected[i] = (expected[i] as number) + (values[i] as number);
    aggregate = aggregate
      ? testingAddon.sum(isa, set, plan.wireBits, plan.ringElements, [aggregate, ciphertext])
      : ciphertext;
  }
  const opened = testingAddon.open(isa, {
    set,
    ...plan,
    firstElement: 0,
    maskKey: keys.maskKey,
    secretSum: Int32Array.from(residues, (residue) => centred(residue, q)),
    aggregate: aggregate as Uint8Array,
    threads: 1,
  });
  const deviation = Math.sqrt(opened.residualSumOfSquares / (plan.ringElements * n));
  return { values: opened.values, expected, maxAbsResidual: opened.maxAbsResidual, deviation };
}

/** Whole vectors at a bound, alternating signs, and random values: what carries between fields, or wraps, if any does. */
const PATTERNS: Record<string, (plan: SegmentArithmetic, seed: number) => (client: number) => Int32Array> = {
  'all at the upper bound': (plan) => () => new Int32Array(plan.valueCount).fill(plan.valueBound),
  'all at the lower bound': (plan) => () => new Int32Array(plan.valueCount).fill(-plan.valueBound),
  'signs in turn': (plan) => () =>
    new Int32Array(plan.valueCount).map((_, i) => (i % 2 === 0 ? plan.valueBound : -plan.valueBound)),
  'signs by field': (plan) => () => {
    const { n } = parameterSet(plan.parameterSet);
    return new Int32Array(plan.valueCount).map((_, i) =>
      Math.floor(i / n) % 2 === 0 ? plan.valueBound : -plan.valueBound,
    );
  },
  random: (plan, seed) => {
    // Client c takes the pool from place c on: independent values in every coefficient, drawn once.
    const pool = seededValues(seed, 'values', plan.valueCount + plan.maxClients, plan.valueBound);
    return (client) => pool.subarray(client, client + plan.valueCount);
  },
};

const fittingPlan = fc
  .record({
    parameterSet: fc.constantFrom<ParameterSetName>('lwe-192', 'lwe-128'),
    bits: fc.integer({ min: 2, max: 8 }),
    maxClients: fc.oneof(fc.integer({ min: 1, max: 20 }), fc.integer({ min: 21, max: 1000 })),
    valueCount: fc.integer({ min: 1, max: 9000 }),
    fold: fc.option(fc.integer({ min: 1, max: 4 }), { nil: undefined }),
  })
  .map(({ fold, ...asked }): SegmentArithmetic | undefined => {
    const request: SegmentRequest = fold === undefined ? asked : { ...asked, fold };
    try {
      return segmentArithmetic(request);
    } catch (error) {
      if (error instanceof PlanDoesNotFitError) return undefined;
      throw error;
    }
  })
  .filter((plan) => plan !== undefined);

function expectExact(plan: SegmentArithmetic, clients: number, opened: Opened): void {
  expect(Buffer.from(opened.values.buffer).equals(Buffer.from(opened.expected.buffer))).to.equal(true);
  expect(opened.maxAbsResidual).to.be.below(plan.residualBound);
  expect(opened.maxAbsResidual).to.be.at.most(residualLimit(plan, clients));
}

describe('a round on the native kernels', () => {
  for (const [name, pattern] of Object.entries(PATTERNS)) {
    it(`gives back the exact sum for any plan that fits, with as many clients as it admits: ${name}`, () => {
      fc.assert(
        fc.property(fittingPlan, fc.nat(), (plan, seed) => {
          const opened = runRound(plan, plan.maxClients, WIDEST, seed, pattern(plan, seed));
          expectExact(plan, plan.maxClients, opened);
        }),
        { numRuns: 15 },
      );
    });
  }

  for (const isa of ISAS) {
    it(`gives back the exact sum of fewer clients than the plan admits (${isa})`, () => {
      fc.assert(
        fc.property(fittingPlan, fc.nat(), fc.integer({ min: 1, max: 5 }), (plan, seed, asked) => {
          const clients = Math.min(asked, plan.maxClients);
          const opened = runRound(plan, clients, isa, seed, PATTERNS['random']?.(plan, seed) as never);
          expectExact(plan, clients, opened);
        }),
        { numRuns: 10 },
      );
    });
  }
});

describe('the noise of a round', () => {
  const requests: Omit<SegmentRequest, 'valueCount'>[] = [
    { parameterSet: 'lwe-192', bits: 8, maxClients: 16 },
    { parameterSet: 'lwe-192', bits: 4, maxClients: 16 },
    { parameterSet: 'lwe-192', bits: 2, maxClients: 16 },
    { parameterSet: 'lwe-192', bits: 8, maxClients: 3 },
    { parameterSet: 'lwe-192', bits: 8, maxClients: 900 },
    { parameterSet: 'lwe-128', bits: 8, maxClients: 16 },
    { parameterSet: 'lwe-128', bits: 4, maxClients: 50 },
  ];
  for (const [seed, request] of requests.entries()) {
    it(`has the predicted standard deviation within 3 %, its maximum under the bound: ${JSON.stringify(request)}`, () => {
      const { n } = parameterSet(request.parameterSet);
      const fold = segmentArithmetic({ ...request, valueCount: 1 }).fold;
      // 16 elements: the relative error of a standard deviation from 16 n samples is below 0.6 %.
      const plan = segmentArithmetic({ ...request, valueCount: 16 * n * fold });
      const clients = plan.maxClients;
      const opened = runRound(plan, clients, WIDEST, seed, PATTERNS['random']?.(plan, seed) as never);
      expectExact(plan, clients, opened);
      const predicted = residualSigma(plan.parameterSet, plan.wireBits, clients);
      expect(predicted).to.equal(plan.residualSigma);
      expect(opened.deviation / predicted).to.be.within(0.97, 1.03);
      // A maximum far below what a Gaussian shows would mean that errors are missing.
      expect(opened.maxAbsResidual).to.be.above(3 * predicted);
    });
  }

  it('stays under the bound where all clients of a large fleet send what rounds worst, the same way', () => {
    const { q } = parameterSet('lwe-192');
    const asked = { parameterSet: 'lwe-192', bits: 8, maxClients: 900 } as const;
    const plan = segmentArithmetic({ ...asked, valueCount: 4096 });
    const step = 2 ** plan.plaintextBits;
    const roundingError = (value: number): number => {
      const exact = (q * value) / step;
      return Math.abs(exact - Math.floor(exact + 0.5));
    };
    const values = Array.from({ length: plan.valueBound }, (_, i) => i + 1);
    const worst = values.reduce((a, b) => (roundingError(b) > roundingError(a) ? b : a));
    const opened = runRound(plan, plan.maxClients, WIDEST, 77, () =>
      new Int32Array(plan.valueCount).fill(worst),
    );
    expectExact(plan, plan.maxClients, opened);
    // The common error is really there: noise alone would not come near it.
    expect(opened.deviation).to.be.above(
      2 * residualSigma(plan.parameterSet, plan.wireBits, plan.maxClients),
    );
  });

  it('shows at once that a sum of secrets is wrong', () => {
    const plan = segmentArithmetic({ parameterSet: 'lwe-192', bits: 8, maxClients: 4, valueCount: 2048 });
    const keys = roundKeys(1);
    const { ciphertext, shares } = testingAddon.encrypt(WIDEST, {
      segments: [{ set: 0, ...plan, firstElement: 0 }],
      ...keys,
      hedge: hedgeOf(1),
      values: new Int32Array(plan.valueCount),
      threshold: 1,
      custodians: 1,
      threads: 1,
    });
    const residues = new Uint32Array(2048);
    testingAddon.addShare(0, keys.planFingerprint, 1, 1, shares[0] as Uint8Array, residues);
    const secretSum = Int32Array.from(residues, (residue) => centred(residue, 1073692673));
    const open = (): number =>
      testingAddon.open(WIDEST, {
        set: 0,
        ...plan,
        firstElement: 0,
        maskKey: keys.maskKey,
        secretSum,
        aggregate: ciphertext,
        threads: 1,
      }).maxAbsResidual;
    expect(open()).to.be.at.most(residualLimit(plan, 1));
    secretSum[1000] = (secretSum[1000] as number) + 1;
    expect(open()).to.be.above(residualLimit(plan, 4));
  });
});
