import { expect } from 'chai';
import { encrypt } from '../../lib/lwe/encrypt.js';
import { openAggregate } from '../../lib/lwe/open.js';
import { parameterSet } from '../../lib/lwe/parameters.js';
import { type PlanArithmetic, type PlanSegment, planArithmetic } from '../../lib/lwe/plan.js';
import { addCiphertexts } from '../../lib/lwe/sum.js';
import { native } from '../../lib/native.js';
import { centred } from '../support/oracle/ring.js';
import { seededBytes, seededValues } from '../support/oracle/seeded.js';
import { expectRefusal } from '../support/refusals.js';

const CLIENTS = 3;
const seed = seededBytes(1, 'plan seed');
const planFingerprint = seededBytes(1, 'plan fingerprint');
const plan = planArithmetic({
  parameterSet: 'lwe-192',
  maxClients: 5,
  segments: [
    { bits: 2, valueCount: 7000 },
    { bits: 5, valueCount: 3000 },
    { bits: 8, valueCount: 2100 },
  ],
});
const { n, q, nativeId } = parameterSet(plan.parameterSet);

function valuesOf(client: number): Int32Array {
  return Int32Array.from(
    plan.segments.flatMap(({ valueCount, valueBound }, i) => [
      ...seededValues(client, `values ${i}`, valueCount, valueBound),
    ]),
  );
}

async function encryptFor(
  client: number,
  values: Int32Array,
  ciphertext = new Uint8Array(plan.ciphertextBytes),
  of: PlanArithmetic = plan,
) {
  const shares = await encrypt({
    ...{ plan: of, seed, planFingerprint, values, ciphertext },
    ...{ prfKey: seededBytes(client, 'prf key'), threshold: 1, custodians: 1 },
  });
  return { ciphertext, share: shares[0] as Uint8Array };
}

interface Sum {
  readonly aggregate: Uint8Array;
  readonly secretSum: Int32Array;
  readonly expected: Int32Array;
}

async function sumOfClients(): Promise<Sum> {
  const residues = new Uint32Array(n);
  const expected = new Int32Array(plan.valueCount);
  const ciphertexts: Uint8Array[] = [];
  for (let client = 0; client < CLIENTS; client += 1) {
    const values = valuesOf(client);
    const { ciphertext, share } = await encryptFor(client, values);
    native().addShare({
      ...{ parameterSet: nativeId, planFingerprint, threshold: 1, index: 1 },
      ...{ share, accumulator: residues },
    });
    for (let i = 0; i < values.length; i += 1) expected[i] = (expected[i] as number) + (values[i] as number);
    ciphertexts.push(ciphertext);
  }
  const aggregate = new Uint8Array(plan.ciphertextBytes);
  await addCiphertexts(plan, ciphertexts, aggregate);
  return { aggregate, secretSum: Int32Array.from(residues, (residue) => centred(residue, q)), expected };
}

describe('updates of several widths', () => {
  let sum: Sum;
  before(async () => {
    sum = await sumOfClients();
  });

  const open = (change: Partial<Sum>, values = new Int32Array(plan.valueCount), contributors = CLIENTS) => {
    const { aggregate, secretSum } = { ...sum, ...change };
    return openAggregate({ plan, seed, planFingerprint, aggregate, secretSum, contributors, values });
  };

  it('are encrypted, summed and opened to the sums of their values', async () => {
    const values = new Int32Array(plan.valueCount);
    const report = await open({}, values);
    expect(Buffer.from(values.buffer).equals(Buffer.from(sum.expected.buffer))).to.equal(true);
    const bound = Math.max(...plan.segments.map(({ residualBound }) => residualBound));
    expect(report.maxAbsResidual).to.be.within(1, bound - 1);
    expect(report.residualStandardDeviation).to.be.within(0.1, report.maxAbsResidual);
  });

  it('are summed in place', async () => {
    const first = await encryptFor(1, valuesOf(1));
    const second = await encryptFor(2, valuesOf(2));
    const apart = new Uint8Array(plan.ciphertextBytes);
    await addCiphertexts(plan, [first.ciphertext, second.ciphertext], apart);
    await addCiphertexts(plan, [first.ciphertext, second.ciphertext], first.ciphertext);
    expect(Buffer.compare(first.ciphertext, apart)).to.equal(0);
  });

  for (const [i, { bits, offsetBytes, ciphertextBytes }] of plan.segments.entries()) {
    it(`decode to nothing at all where the ${bits}-bit values were tampered with`, async () => {
      const aggregate = sum.aggregate.slice();
      aggregate.fill(0x5a, offsetBytes, offsetBytes + ciphertextBytes);
      const values = new Int32Array(plan.valueCount).fill(99);
      await expectRefusal('open.residual-too-large', () => open({ aggregate }, values));
      expect(
        values.every((value) => value === 0),
        `segment ${i}`,
      ).to.equal(true);
    });
  }

  it('decode to nothing with a sum of secrets that is wrong in one coefficient', async () => {
    const secretSum = sum.secretSum.slice();
    secretSum[1000] = (secretSum[1000] as number) + 1;
    await expectRefusal('open.residual-too-large', () => open({ secretSum }));
  });

  it('are not opened with a sum of secrets of the wrong length, or beyond what the contributors have', async () => {
    await expectRefusal('open.secret-sum-length', () => open({ secretSum: sum.secretSum.slice(1) }));
    const secretSum = sum.secretSum.slice();
    secretSum[n - 1] = -(16 * CLIENTS + 1);
    await expectRefusal('open.secret-sum-out-of-range', () => open({ secretSum }));
  });

  it('are not opened for more contributors than the plan admits', async () => {
    await expectRefusal('plan.argument-out-of-range', () => open({}, undefined, 6));
  });

  it('are refused with more or fewer values than the plan has', async () => {
    for (const length of [plan.valueCount - 1, plan.valueCount + 1, 0]) {
      await expectRefusal('encrypt.values', () => encryptFor(1, new Int32Array(length)));
    }
  });

  it('are refused with a value beyond the bound of its own width, which the message names, and wiped', async () => {
    const [narrow] = plan.segments as [PlanSegment];
    const values = valuesOf(1);
    values[narrow.valueCount - 1] = narrow.valueBound + 1;
    const ciphertext = new Uint8Array(plan.ciphertextBytes).fill(1);
    const refusal = await expectRefusal('encrypt.value-out-of-bound', () =>
      encryptFor(1, values, ciphertext),
    );
    expect(refusal.message).to.include('1 at 2 bits, 15 at 5 bits, 127 at 8 bits');
    expect(ciphertext.every((byte) => byte === 0)).to.equal(true);
  });

  it('take values beyond the bound where the plan adds noise, which is never clamped', async () => {
    const { parameterSet: name, maxClients } = plan;
    const segments = [{ bits: 2, valueCount: 100 }];
    const noisy = planArithmetic({ parameterSet: name, maxClients, noiseVariance: 9, segments });
    const values = new Int32Array(100).fill(2 ** 30);
    const ciphertext = new Uint8Array(noisy.ciphertextBytes);
    expect((await encryptFor(1, values, ciphertext, noisy)).share).to.have.length(32);
    values[99] = 2 ** 30 + 1;
    await expectRefusal('encrypt.value-out-of-bound', () => encryptFor(1, values, ciphertext, noisy));
  });

  it('are two different ciphertexts for the same values', async () => {
    const [first, second] = [await encryptFor(1, valuesOf(1)), await encryptFor(1, valuesOf(1))];
    expect(Buffer.compare(first.ciphertext, second.ciphertext)).to.not.equal(0);
    expect(Buffer.compare(first.share, second.share)).to.not.equal(0);
  });
});
