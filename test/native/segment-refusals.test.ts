import { expect } from 'chai';
import { type PlanRequest, planArithmetic } from '../../lib/lwe/plan.js';
import { encryptedSegment } from '../../lib/lwe/wire.js';
import { type NativeEncryption, type NativeSegment, native } from '../../lib/native.js';
import { roundKeys } from '../support/oracle/cases.js';
import { seededBytes } from '../support/oracle/seeded.js';

const request: PlanRequest = {
  parameterSet: 'lwe-192',
  maxClients: 16,
  segments: [
    { bits: 2, valueCount: 9000 },
    { bits: 4, valueCount: 5000 },
    { bits: 8, valueCount: 3000 },
  ],
};
const plan = planArithmetic(request);
const SEGMENTS = plan.segments.map(encryptedSegment);

function jobOf(segments: unknown, valueCount = plan.valueCount): NativeEncryption {
  return {
    segments: segments as readonly NativeSegment[],
    values: new Int32Array(valueCount),
    ciphertext: new Uint8Array(plan.ciphertextBytes).fill(0xa5),
    ...roundKeys(1),
    prfKey: seededBytes(1, 'prf key'),
    messageDigest: seededBytes(1, 'digest', 16),
    threshold: 2,
    custodians: 3,
    threads: 2,
  };
}

/** The segments, one of them changed. */
function changed(index: number, change: Partial<Record<keyof NativeSegment, unknown>>): unknown[] {
  return SEGMENTS.map((segment, i) => (i === index ? { ...segment, ...change } : segment));
}

async function expectRefused(job: NativeEncryption, message: RegExp): Promise<void> {
  let failure: unknown;
  try {
    await native().encrypt(job);
  } catch (error) {
    failure = error;
  }
  expect(failure).to.be.instanceOf(TypeError);
  expect(failure).to.have.property('message').that.matches(message);
  expect(job.ciphertext.every((byte) => byte === 0xa5)).to.equal(true);
}

describe('the shipped addon', () => {
  it('encrypts segments that follow each other, and fills the ciphertext', async () => {
    const job = jobOf(SEGMENTS);
    expect(await native().encrypt(job)).to.have.length(3);
    for (const { offsetBytes, ciphertextBytes } of plan.segments) {
      const part = job.ciphertext.subarray(offsetBytes, offsetBytes + ciphertextBytes);
      expect(new Set(part).size).to.equal(256);
    }
  });

  for (const [index, wrong] of [
    [0, [1, 8]],
    [1, [0, 1, 4, 2 ** 32 - 1]],
    [2, [0, 2, 5, 7]],
  ] as [number, number[]][]) {
    const right = SEGMENTS[index]?.firstElement as number;
    for (const firstElement of wrong.filter((element) => element !== right)) {
      const what = firstElement > right ? 'a gap before' : 'an overlap with what is before';
      it(`refuses ${what} segment ${index}: ring element ${firstElement} in place of ${right}`, async () => {
        await expectRefused(jobOf(changed(index, { firstElement })), /firstElement|too many ring elements/);
      });
    }
  }

  it('refuses a segment that comes twice: one mask for two messages', async () => {
    const [first, second] = SEGMENTS as [NativeSegment, NativeSegment];
    await expectRefused(jobOf([first, second, second], 9000 + 2 * 5000), /firstElement/);
  });

  it('refuses segments in another order than that of their ring elements', async () => {
    await expectRefused(jobOf([...SEGMENTS].reverse()), /firstElement/);
  });

  it('refuses segments of two parameter sets', async () => {
    await expectRefused(jobOf(changed(2, { parameterSet: 1, wireBits: 17 })), /same parameter set/);
  });

  it('refuses segments that hold more or fewer values than there are', async () => {
    await expectRefused(jobOf(SEGMENTS, plan.valueCount - 1), /the segments hold 17000 values, not 16999/);
    await expectRefused(jobOf(SEGMENTS, plan.valueCount + 1), /the segments hold 17000 values, not 17001/);
    await expectRefused(jobOf(SEGMENTS.slice(0, 2)), /the segments hold 14000 values, not 17000/);
  });

  it('refuses a list of segments that is none, is empty or has more than 64', async () => {
    const [first] = SEGMENTS as [NativeSegment];
    const one = { ...first, valueCount: 1 };
    const many = Array.from({ length: 65 }, (_, firstElement) => ({ ...one, firstElement }));
    await expectRefused(jobOf(many, 65), /1 to 64/);
    await expectRefused(jobOf([], 0), /1 to 64/);
    await expectRefused(jobOf(undefined), /segments must be an array/);
    await expectRefused(jobOf({ length: 1, 0: first }), /segments must be an array/);
  });

  it('refuses a segment without its numbers, or with numbers that do not fit together', async () => {
    await expectRefused(jobOf([null]), /expected an object/);
    for (const [name, bad] of [
      ['valueCount', 0],
      ['valueCount', 1.5],
      ['valueBound', -1],
      ['fold', 0],
      ['firstElement', undefined],
      ['firstElement', '0'],
    ] as [keyof NativeSegment, unknown][]) {
      await expectRefused(jobOf(changed(0, { [name]: bad })), new RegExp(name));
    }
    await expectRefused(jobOf(changed(1, { wireBits: 16 })), /./);
    await expectRefused(jobOf(changed(1, { plaintextBits: 17 })), /./);
  });

  it('refuses a ciphertext of another size than all segments together have', async () => {
    const job = jobOf(SEGMENTS);
    const ciphertext = new Uint8Array(plan.ciphertextBytes - 4).fill(0xa5);
    await expectRefused({ ...job, ciphertext }, /ciphertext must have/);
  });

  it('encrypts a value at its own segment’s bound, and wipes everything where one is beyond it', async () => {
    const good = jobOf(SEGMENTS);
    for (const { firstValue, valueCount, valueBound } of plan.segments) {
      good.values.fill(-valueBound, firstValue, firstValue + valueCount);
    }
    await native().encrypt(good);
    for (const { firstValue, valueCount, valueBound } of plan.segments) {
      const bad = jobOf(SEGMENTS);
      bad.values[firstValue + valueCount - 1] = valueBound + 1;
      const failure: unknown = await native()
        .encrypt(bad)
        .then(
          () => undefined,
          (error: unknown) => error,
        );
      expect(failure).to.be.instanceOf(Error).with.property('message').that.includes("plan's bound");
      expect(bad.ciphertext.every((byte) => byte === 0)).to.equal(true);
    }
  });
});
