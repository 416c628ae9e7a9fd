import { expect } from 'chai';
import fc from 'fast-check';
import { type ParameterSetName, parameterSet } from '../../lib/lwe/parameters.js';
import {
  type PlanArithmetic,
  PlanDoesNotFitError,
  type PlanSegment,
  planArithmetic,
  residualLimit,
} from '../../lib/lwe/plan.js';
import { encryptedSegment } from '../../lib/lwe/wire.js';
import { hedgeOf, roundKeys } from '../support/oracle/cases.js';
import { centred } from '../support/oracle/ring.js';
import { seededValues } from '../support/oracle/seeded.js';
import { testingAddon } from '../support/testing-addon.js';
import { seededSkellam } from './support/skellam.js';

const ISAS = testingAddon.isas();
const WIDEST = ISAS.at(-1) as string;

/** What each client sends: its values with its noise, in the order of the message. */
type Sender = (client: number) => Int32Array;

/** Encrypts for `clients` clients and sums segment by segment; S and the plain sums beside it. */
function summed(plan: PlanArithmetic, clients: number, isa: string, seed: number, valuesOf: Sender) {
  const { n, q, nativeId: set } = parameterSet(plan.parameterSet);
  const keys = roundKeys(seed);
  const segments = plan.segments.map((segment) => ({ set, ...encryptedSegment(segment) }));
  const residues = new Uint32Array(n);
  const sums = new Int32Array(plan.valueCount);
  const ciphertexts: Uint8Array[] = [];
  for (let client = 0; client < clients; client += 1) {
    const values = valuesOf(client);
    const { ciphertext, shares } = testingAddon.encrypt(isa, {
      ...{ segments, values, ...keys, hedge: hedgeOf(seed, client) },
      ...{ threshold: 1, custodians: 1, threads: 1 },
    });
    testingAddon.addShare(set, keys.planFingerprint, 1, 1, shares[0] as Uint8Array, residues);
    for (let i = 0; i < values.length; i += 1) sums[i] = (sums[i] as number) + (values[i] as number);
    ciphertexts.push(ciphertext);
  }
  const aggregates = plan.segments.map(({ wireBits, ringElements: elements, offsetBytes, ciphertextBytes }) =>
    testingAddon.sum(
      isa,
      set,
      wireBits,
      elements,
      ciphertexts.map((ciphertext) => ciphertext.slice(offsetBytes, offsetBytes + ciphertextBytes)),
    ),
  );
  return { sums, aggregates, secretSum: Int32Array.from(residues, (residue) => centred(residue, q)), keys };
}

function expectExact(plan: PlanArithmetic, clients: number, isa: string, seed: number, valuesOf: Sender) {
  const { sums, aggregates, secretSum, keys } = summed(plan, clients, isa, seed, valuesOf);
  const set = parameterSet(plan.parameterSet).nativeId;
  for (const [i, segment] of plan.segments.entries()) {
    const opened = testingAddon.open(isa, {
      ...{ set, ...segment, secretSum, maskKey: keys.maskKey, threads: 1 },
      aggregate: aggregates[i] as Uint8Array,
    });
    const expected = sums.slice(segment.firstValue, segment.firstValue + segment.valueCount);
    expect(Buffer.from(opened.values.buffer).equals(Buffer.from(expected.buffer)), `segment ${i}`).to.equal(
      true,
    );
    expect(opened.maxAbsResidual).to.be.at.most(residualLimit(segment, clients, plan.segments.length));
    expect(opened.maxAbsResidual).to.be.below(segment.residualBound);
  }
  return sums;
}

const fittingPlan = fc
  .record({
    parameterSet: fc.constantFrom<ParameterSetName>('lwe-192', 'lwe-128'),
    maxClients: fc.oneof(fc.integer({ min: 1, max: 20 }), fc.integer({ min: 21, max: 100 })),
    noiseVariance: fc.oneof(
      fc.constant(0),
      fc.double({ min: 0, max: 16, noNaN: true }).map((x) => Math.floor(2 ** x)),
    ),
    segments: fc.array(
      fc.record({ bits: fc.integer({ min: 2, max: 8 }), valueCount: fc.integer({ min: 1, max: 5000 }) }),
      { minLength: 1, maxLength: 4 },
    ),
  })
  .map((request): PlanArithmetic | undefined => {
    try {
      return planArithmetic(request);
    } catch (error) {
      if (error instanceof PlanDoesNotFitError) return undefined;
      throw error;
    }
  })
  .filter((plan) => plan !== undefined);

/** Values within each segment's bound, and noise of the plan's variance on top. */
function senderOf(plan: PlanArithmetic, seed: number, value: (bound: number, i: number) => number): Sender {
  return (client) => {
    const values = seededSkellam(seed, `noise of client ${client}`, plan.valueCount, plan.noiseVariance);
    for (const { firstValue, valueCount, valueBound } of plan.segments) {
      for (let i = firstValue; i < firstValue + valueCount; i += 1) {
        values[i] = (values[i] as number) + value(valueBound, i + client);
      }
    }
    return values;
  };
}

/** One bound or the other, or anything between, by the place. */
const PATTERNS: Record<string, (bound: number, i: number) => number> = {
  'all at the upper bound': (bound) => bound,
  'all at the lower bound': (bound) => -bound,
  'signs in turn': (bound, i) => (i % 2 === 0 ? bound : -bound),
  mixed: (bound, i) => ((i * 48_271) % (2 * bound + 1)) - bound,
};

describe('opening an update of several segments', () => {
  for (const [name, pattern] of Object.entries(PATTERNS)) {
    it(`gives the exact sums, noise included, of as many clients as the plan admits: ${name}`, () => {
      fc.assert(
        fc.property(fittingPlan, fc.nat(), (plan, seed) => {
          expectExact(plan, plan.maxClients, WIDEST, seed, senderOf(plan, seed, pattern));
        }),
        { numRuns: 8 },
      );
    });
  }

  for (const isa of ISAS) {
    it(`gives the exact sums of 1, 2, 5 and 16 of 16 clients, with noise and without (${isa})`, () => {
      for (const noiseVariance of [0, 1, 250]) {
        const plan = planArithmetic({
          ...{ parameterSet: 'lwe-192', maxClients: 16, noiseVariance },
          segments: [
            { bits: 2, valueCount: 12_289 },
            { bits: 4, valueCount: 5000 },
            { bits: 8, valueCount: 2048 },
          ],
        });
        for (const clients of [1, 2, 5, 16]) {
          expectExact(plan, clients, isa, clients, senderOf(plan, clients, PATTERNS['mixed'] as never));
        }
      }
    });
  }

  it('has room for noise that takes sums beyond what values alone come to', () => {
    const segments = [{ bits: 2, valueCount: 9000 }];
    const request = { parameterSet: 'lwe-192', maxClients: 16, noiseVariance: 100, segments } as const;
    const plan = planArithmetic(request);
    const sums = expectExact(
      plan,
      16,
      WIDEST,
      1,
      senderOf(plan, 1, (bound) => bound),
    );
    const { fieldBits } = planArithmetic({ ...request, noiseVariance: 0 }).segments[0] as PlanSegment;
    // Without the room, these would wrap.
    expect(Math.max(...sums)).to.be.above(2 ** (fieldBits - 1));
  });

  it('decodes a sum that fits, whatever one update alone would exceed', () => {
    const plan = planArithmetic({
      ...{ parameterSet: 'lwe-192', maxClients: 3, noiseVariance: 4 },
      segments: [
        { bits: 2, valueCount: 8000 },
        { bits: 4, valueCount: 3000 },
      ],
    });
    expect(plan.segments[0]?.fold).to.be.above(1);
    const far = seededValues(7, 'far', plan.valueCount, 2 ** 30 - 1);
    const senders: Sender = (client) =>
      client === 2 ? new Int32Array(plan.valueCount).fill(1) : far.map((x) => (client === 0 ? x : -x));
    const sums = expectExact(plan, 3, WIDEST, 2, senders);
    expect(sums.every((sum) => sum === 1)).to.equal(true);
  });

  it('shows at once that a segment is opened from another ring element on', () => {
    const segments = [
      { bits: 8, valueCount: 2048 },
      { bits: 8, valueCount: 2048 },
    ];
    const plan = planArithmetic({ parameterSet: 'lwe-192', maxClients: 4, segments });
    const { aggregates, secretSum, keys } = summed(plan, 1, WIDEST, 3, () => new Int32Array(plan.valueCount));
    const [, second] = plan.segments as [PlanSegment, PlanSegment];
    const largest = (firstElement: number): number =>
      testingAddon.open(WIDEST, {
        ...{ set: 0, ...second, firstElement, secretSum, maskKey: keys.maskKey, threads: 1 },
        aggregate: aggregates[1] as Uint8Array,
      }).maxAbsResidual;
    expect(largest(1)).to.be.at.most(residualLimit(second, 1, 2));
    expect(largest(0)).to.be.above(residualLimit(second, 4, 2));
  });
});
