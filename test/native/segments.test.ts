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
import { anyUpdate, hedgeOf, roundKeys } from '../support/oracle/cases.js';
import { encodeMessage, switchModulus } from '../support/oracle/encoding.js';
import { messagesOf } from '../support/oracle/folding.js';
import { packElements } from '../support/oracle/packing.js';
import { centred, fromNttDomain, mod, type OracleRing, RINGS, smallProduct } from '../support/oracle/ring.js';
import { seededValues } from '../support/oracle/seeded.js';
import { secretFromSeed } from '../support/oracle/shamir.js';
import { deriveKey, smallElement, uniformElement } from '../support/oracle/streams.js';
import {
  type TestingEncryption,
  type TestingSegment,
  testingAddon,
  vectorIsas,
} from '../support/testing-addon.js';
import { seededSkellam } from './support/skellam.js';

const ISAS = testingAddon.isas();
const WIDEST = ISAS.at(-1) as string;

interface SegmentedUpdate {
  readonly job: TestingEncryption;
  /** The values of each segment. */
  readonly parts: readonly Int32Array[];
}

function ringElements(ring: OracleRing, { valueCount, fold }: TestingSegment): number {
  return Math.ceil(Math.ceil(valueCount / fold) / ring.n);
}

function concatenated(parts: readonly Int32Array[]): Int32Array {
  return Int32Array.from(parts.flatMap((part) => [...part]));
}

/** An update of any widths, back to back from any ring element on. */
function anySegments(
  ring: OracleRing,
  maxSegments: number,
  maxElements: number,
): fc.Arbitrary<SegmentedUpdate> {
  return fc
    .record({
      updates: fc.array(anyUpdate(ring, maxElements), { minLength: 1, maxLength: maxSegments }),
      first: fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 2 ** 32 - 2000 })),
      seed: fc.nat(),
    })
    .map(({ updates, first, seed }) => {
      let firstElement = first;
      const segments = updates.map(({ widths, valueCount }): TestingSegment => {
        const valueBound = 2 ** (widths.fieldBits - 1) - 1;
        const segment = { set: ring.nativeId, ...widths, firstElement, valueCount, valueBound };
        firstElement += ringElements(ring, segment);
        return segment;
      });
      const parts = segments.map(({ valueCount, valueBound }, i) =>
        seededValues(seed, `values ${i}`, valueCount, valueBound),
      );
      const job = {
        segments,
        ...roundKeys(seed % 2),
        hedge: hedgeOf(seed),
        values: concatenated(parts),
        threshold: 1 + (seed % 3),
        custodians: 3,
        threads: 1 + (seed % 2),
      };
      return { job, parts };
    });
}

/** Each segment encrypted as an update of its own, under the same hedge. */
function encryptedApart(isa: string, { job, parts }: SegmentedUpdate) {
  return job.segments.map((segment, i) =>
    testingAddon.encrypt(isa, { ...job, segments: [segment], values: parts[i] as Int32Array }),
  );
}

/** docs/protocol.md section 5, each ring element with the mask and the error of its own number. */
function encryptedByProtocol(ring: OracleRing, { job, parts }: SegmentedUpdate): Buffer {
  const { maskKey, planFingerprint, hedge } = job;
  const secret = secretFromSeed(
    ring,
    deriveKey(hedge, 'secret seed', ring, planFingerprint),
    planFingerprint,
  );
  const errorKey = deriveKey(hedge, 'error', ring, planFingerprint);
  const packed = job.segments.map((segment, i) => {
    const { plaintextBits, wireBits, firstElement } = segment;
    const messages = messagesOf({ n: ring.n, ...segment }, parts[i] as Int32Array);
    const elements = messages.map((row, j) => {
      const number = firstElement + j;
      const product = smallProduct(ring, fromNttDomain(ring, uniformElement(ring, maskKey, number)), secret);
      const error = smallElement(ring, errorKey, number);
      return row.map((message, x) => {
        const masked = (product[x] as number) + (error[x] as number);
        return switchModulus(
          ring.q,
          wireBits,
          mod(masked + encodeMessage(ring.q, plaintextBits, message), ring.q),
        );
      });
    });
    return packElements(elements, wireBits);
  });
  return Buffer.concat(packed);
}

function expectSameBytes(found: Uint8Array, expected: Uint8Array): void {
  expect(found.length).to.equal(expected.length);
  expect(Buffer.compare(found, expected)).to.equal(0);
}

for (const ring of RINGS) {
  describe(`an update of several segments (${ring.name})`, () => {
    it('has the bytes of the protocol, every ring element with a mask and an error of its own number (scalar)', () => {
      fc.assert(
        fc.property(anySegments(ring, 4, 1), (update) => {
          expectSameBytes(
            testingAddon.encrypt('scalar', update.job).ciphertext,
            encryptedByProtocol(ring, update),
          );
        }),
        { numRuns: 4 },
      );
    });

    for (const isa of ISAS) {
      it(`is its segments encrypted one by one, under the same secret (${isa})`, () => {
        fc.assert(
          fc.property(anySegments(ring, 7, 10), (update) => {
            const whole = testingAddon.encrypt(isa, update.job);
            const apart = encryptedApart(isa, update);
            expectSameBytes(whole.ciphertext, Buffer.concat(apart.map(({ ciphertext }) => ciphertext)));
            for (const { shares } of apart) expect(shares).to.deep.equal(whole.shares);
          }),
          { numRuns: 15 },
        );
      });
    }

    for (const isa of vectorIsas) {
      it(`agrees with scalar, over any number of threads (${isa})`, () => {
        fc.assert(
          fc.property(anySegments(ring, 7, 10), fc.integer({ min: 1, max: 5 }), ({ job }, threads) => {
            const scalar = testingAddon.encrypt('scalar', job);
            const vector = testingAddon.encrypt(isa, { ...job, threads });
            expectSameBytes(vector.ciphertext, scalar.ciphertext);
          }),
          { numRuns: 15 },
        );
      });
    }

    for (const isa of ISAS) {
      it(`numbers ring elements up to the last number that there is (${isa})`, () => {
        const widths = { fold: 1, fieldBits: 12, plaintextBits: 12, wireBits: 17 };
        const elements = 9;
        for (const firstElement of [1, 7, 8, 2 ** 31 - 4, 2 ** 32 - 1 - 8 - elements]) {
          const segment = {
            ...{ set: ring.nativeId, ...widths, firstElement },
            ...{ valueCount: elements * ring.n, valueBound: 2047 },
          };
          const encryptAt = (segments: TestingSegment[], values: Int32Array) =>
            testingAddon.encrypt(isa, {
              ...{ segments, values, ...roundKeys(1), hedge: hedgeOf(1) },
              ...{ threshold: 1, custodians: 1, threads: 1 },
            }).ciphertext;
          const values = seededValues(3, 'values', segment.valueCount, 2047);
          const apart = Array.from({ length: elements }, (_, j) => {
            // One lane a chunk: element j has the values at every ninth place, or every eighth in the full chunk.
            const own = Int32Array.from({ length: ring.n }, (_unused, x) =>
              j < 8 ? (values[8 * x + j] as number) : (values[8 * ring.n + x] as number),
            );
            const alone = { ...segment, firstElement: firstElement + j, valueCount: ring.n };
            return testingAddon.unpack('scalar', ring.nativeId, 17, 1, encryptAt([alone], own));
          });
          const whole = encryptAt([segment], values);
          const chunkBytes = (8 * ring.n * 17) / 8;
          const full = testingAddon.unpack(
            'scalar',
            ring.nativeId,
            17,
            8,
            whole.subarray(0, chunkBytes).slice(),
          );
          const rest = testingAddon.unpack(
            'scalar',
            ring.nativeId,
            17,
            1,
            whole.subarray(chunkBytes).slice(),
          );
          for (let j = 0; j < 8; j += 1) {
            const lane = Uint32Array.from({ length: ring.n }, (_, x) => full[8 * x + j] as number);
            expect(lane, `element ${j} from ${firstElement} on`).to.deep.equal(apart[j]);
          }
          expect(rest).to.deep.equal(apart[8]);
        }
      });

      it(`is refused whole where one value is beyond the bound of its own segment (${isa})`, () => {
        const widths = { fold: 1, fieldBits: 12, plaintextBits: 12, wireBits: 17 };
        const segmentOf = (firstElement: number, valueBound: number): TestingSegment => ({
          ...{ set: ring.nativeId, ...widths, firstElement, valueBound },
          valueCount: ring.n,
        });
        const attempt = (values: Int32Array) => () =>
          testingAddon.encrypt(isa, {
            segments: [segmentOf(0, 7), segmentOf(1, 127), segmentOf(2, 1)],
            ...{ values, ...roundKeys(1), hedge: hedgeOf(1) },
            ...{ threshold: 1, custodians: 1, threads: 1 },
          });
        const good = new Int32Array(3 * ring.n).fill(1);
        good.fill(7, 0, ring.n);
        good.fill(-127, ring.n, 2 * ring.n);
        expect(attempt(good)).to.not.throw();
        for (const [at, beyond] of [
          [ring.n - 1, 8],
          [ring.n, 128],
          [2 * ring.n - 1, -128],
          [2 * ring.n, 2],
          [3 * ring.n - 1, -2],
        ] as [number, number][]) {
          const bad = good.slice();
          bad[at] = beyond;
          expect(attempt(bad), `${beyond} at ${at}`).to.throw();
        }
      });
    }
  });
}

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
