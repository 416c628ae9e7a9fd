import { expect } from 'chai';
import { sampleKey, signKey } from '../../lib/lwe/streams.js';
import type { PlanBody, PlanTensor } from '../../lib/package/messages/plan.js';
import {
  coordinatesOf,
  type EncodeRequest,
  encodeDelta,
  sentCoordinates,
} from '../../lib/pipeline/delta-encoder.js';
import { inMessageOrder, tensorPlaces } from '../../lib/pipeline/value-layout.js';
import { oraclePositions, oracleRotate } from '../native/support/pipeline-oracle.js';
import { expectRefusal } from '../support/refusals.js';

const FINGERPRINT = new Uint8Array(32).fill(7);
const PRF_KEY = new Uint8Array(32).fill(9);
const ONE = 65_536;

const TENSORS: readonly PlanTensor[] = [
  { name: 'a', shape: [20, 30], dtype: 'F32', bits: 6, kept: 200, scale: 0.01 },
  { name: 'b', shape: [333], dtype: 'F32', bits: 3, kept: 333, scale: 0.2 },
  { name: 'c', shape: [7, 9], dtype: 'F32', bits: 6, kept: 1, scale: 0.03 },
];

/** Of a plan, what encoding reads. */
function planOf(changes: Partial<PlanBody> = {}): PlanBody {
  return {
    seed: new Uint8Array(32).fill(3),
    parameterSet: 'lwe-128',
    rotationBlockLog2: 8,
    clip: 1000,
    tensors: TENSORS,
    ...changes,
  } as PlanBody;
}

function coordinate(tensor: number, i: number): number {
  return 0.1 * Math.sin(1 + tensor + i * i);
}

function request(plan: PlanBody, changes: Partial<EncodeRequest> = {}): EncodeRequest {
  return {
    plan,
    planFingerprint: FINGERPRINT,
    prfKey: PRF_KEY,
    weights: [ONE],
    readDelta: async ({ index }, out) => {
      out.forEach((_, i) => {
        out[i] = coordinate(index, i);
      });
    },
    ...changes,
  };
}

/** The kept coordinates of `values` by the textbook, tensor by tensor in the order of the plan. */
function keptOf(plan: PlanBody, values: (tensor: number, i: number) => number): Float32Array[] {
  const signs = signKey(plan.seed, plan.parameterSet, FINGERPRINT);
  const sample = sampleKey(plan.seed, plan.parameterSet, FINGERPRINT);
  return plan.tensors.map(({ shape, kept }, index) => {
    const count = shape.reduce((a, b) => a * b, 1);
    const all = Float32Array.from({ length: count }, (_, i) => values(index, i));
    const rotated = oracleRotate(all, signs, index, plan.rotationBlockLog2);
    return Float32Array.from(oraclePositions(sample, index, count, kept), (i) => rotated[i] as number);
  });
}

function norm(all: readonly Float32Array[]): number {
  return Math.sqrt(all.reduce((sum, values) => sum + values.reduce((a, x) => a + x * x, 0), 0));
}

/** Every level is less than one from `factor` times what was to be sent, in its place. */
function expectLevels(
  plan: PlanBody,
  levels: Int32Array,
  kept: readonly Float32Array[],
  factor: number,
): void {
  let at = 0;
  for (const { tensor, index } of inMessageOrder(tensorPlaces(plan))) {
    const limit = 2 ** (tensor.bits - 1) - 1;
    for (const value of kept[index] as Float32Array) {
      const exact = (value * factor) / tensor.scale;
      const clamped = Math.max(-limit, Math.min(limit, exact));
      expect(Math.abs((levels[at] as number) - clamped), `value ${at}`).to.be.below(1.001);
      expect(Math.abs(levels[at] as number)).to.be.at.most(limit);
      at += 1;
    }
  }
  expect(at).to.equal(levels.length);
}

describe('encoding a delta', () => {
  for (const rotationBlockLog2 of [0, 8]) {
    it(`rounds what was chosen to levels, widths ascending, in blocks of 2^${rotationBlockLog2}`, async () => {
      const plan = planOf({ rotationBlockLog2 });
      const { values, keptNorm, clipFactor, redrawn } = await encodeDelta(request(plan));
      const kept = keptOf(plan, coordinate);
      expectLevels(plan, values, kept, 1);
      expect(keptNorm).to.be.closeTo(norm(kept), 1e-5);
      expect({ clipFactor, redrawn }).to.deep.equal({ clipFactor: 1, redrawn: 0 });
    });
  }

  it('is right on average: rounding has no bias', async () => {
    const plan = planOf();
    const [kept] = keptOf(plan, coordinate) as [Float32Array];
    const first = inMessageOrder(tensorPlaces(plan)).find(({ index }) => index === 0)?.firstValue as number;
    const means = new Float64Array(kept.length);
    const times = 400;
    for (let time = 0; time < times; time += 1) {
      const { values } = await encodeDelta(request(plan));
      means.forEach((_, i) => {
        means[i] = (means[i] as number) + (values[first + i] as number) / times;
      });
    }
    for (const [i, mean] of means.entries()) {
      const exact = (kept[i] as number) / 0.01;
      // The largest standard deviation of a rounding is a half; five errors, 200 coordinates.
      if (Math.abs(exact) < 30) expect(Math.abs(mean - exact)).to.be.below((5 * 0.5) / Math.sqrt(times));
    }
  });

  it('adds what earlier rounds left over before it rotates', async () => {
    const plan = planOf();
    const left = (tensor: number, i: number): number => 0.05 * Math.cos(tensor * 3 + i);
    const readResidual: EncodeRequest['readResidual'] = async ({ index }, out) => {
      out.forEach((_, i) => {
        out[i] = left(index, i);
      });
    };
    const { values, keptNorm } = await encodeDelta(request(plan, { readResidual }));
    const kept = keptOf(plan, (tensor, i) => coordinate(tensor, i) + left(tensor, i));
    expectLevels(plan, values, kept, 1);
    expect(keptNorm).to.be.closeTo(norm(kept), 1e-5);
  });

  it('scales the whole down to the clip, and then by its weight', async () => {
    const kept = keptOf(planOf(), coordinate);
    const clip = norm(kept) / 4;
    const plan = planOf({ clip });
    const clipped = await encodeDelta(request(plan));
    expect(clipped.clipFactor).to.be.closeTo(0.25, 1e-6);
    expectLevels(plan, clipped.values, kept, 0.25);
    const weighted = await encodeDelta(request(plan, { weights: [ONE / 2] }));
    expect(weighted.clipFactor).to.be.closeTo(0.25, 1e-6);
    expectLevels(plan, weighted.values, kept, 0.125);
  });

  it('sends zeros of a tensor that weighs nothing, which does not count against the clip', async () => {
    const tensors = TENSORS.map((tensor, i) => ({ ...tensor, expert: i === 1 ? 1 : 0 }));
    const experts = [
      { name: 'x', weight: 1 },
      { name: 'y', weight: 1 },
    ];
    const plan = planOf({ tensors, experts });
    const kept = keptOf(plan, coordinate);
    const { values, keptNorm } = await encodeDelta(request(plan, { weights: [ONE, 0] }));
    const silent = kept.map((all, i) => (i === 1 ? all.map(() => 0) : all));
    expectLevels(plan, values, silent, 1);
    expect(keptNorm).to.be.closeTo(norm(silent), 1e-5);
    expect([...values.subarray(0, 333)].every((level) => level === 0)).to.equal(true);
  });

  it('counts what it clamps', async () => {
    const plan = planOf({ rotationBlockLog2: 0 });
    const huge = 3;
    const { values, saturatedValues } = await encodeDelta(
      request(plan, {
        readDelta: async ({ index }, out) => {
          out.fill(0);
          if (index === 1) out.fill(5, 10, 10 + huge);
        },
      }),
    );
    expect(saturatedValues).to.equal(huge);
    expect([...values.subarray(9, 15)]).to.deep.equal([0, 3, 3, 3, 0, 0]);
  });

  it('draws again until the sensitivity holds, and gives up where it cannot', async () => {
    const tensors: PlanTensor[] = [{ name: 'a', shape: [400], dtype: 'F32', bits: 8, kept: 400, scale: 1 }];
    const body = planOf({ tensors, rotationBlockLog2: 0 });
    const privacy = { mechanism: 'skellam', clientVariance: 100, colluders: 1, delta: 1e-5 } as const;
    const half: Partial<EncodeRequest> = { readDelta: async (_, out) => void out.fill(0.5) };
    // Levels are 0 or 1 with equal chance: the mean of the squared norm is 200, its standard deviation 10.
    const within = { ...body, privacy: { ...privacy, l2Squared: 200 } };
    let drawn = 0;
    for (let i = 0; i < 50; i += 1) {
      const { values, redrawn } = await encodeDelta(request(within, half));
      expect(values.reduce((sum, level) => sum + level * level, 0)).to.be.at.most(200);
      drawn += redrawn;
    }
    // One of two fails: 50 expected, and 25 are four standard deviations away.
    expect(drawn).to.be.within(10, 100);
    const never = { ...body, privacy: { ...privacy, l2Squared: 100 } };
    await expectRefusal('pipeline.sensitivity', () => encodeDelta(request(never, half)));
  });

  it('names the tensor and the coordinate of what is no finite number', async () => {
    const bad = request(planOf(), {
      readDelta: async ({ index }, out) => {
        out.fill(0);
        if (index === 2) out[40] = Number.NaN;
      },
    });
    const error = await expectRefusal('pipeline.non-finite', () => encodeDelta(bad));
    expect(error.message).to.include('Coordinate 40 of "c" is NaN');
    const overflowing = request(planOf(), { readDelta: async (_, out) => void out.fill(3e38) });
    await expectRefusal('pipeline.non-finite', () => encodeDelta(overflowing));
  });
});

describe('what of a delta was sent', () => {
  it('is, in the original coordinates, the delta but for what was not chosen and rounding', async () => {
    const plan = planOf();
    const weights = [ONE / 2];
    const { values } = await encodeDelta(request(plan, { weights }));
    const signs = signKey(plan.seed, plan.parameterSet, FINGERPRINT);
    const sample = sampleKey(plan.seed, plan.parameterSet, FINGERPRINT);
    for (const place of tensorPlaces(plan)) {
      const { tensor, index, elementCount } = place;
      const sent = new Float32Array(elementCount);
      await sentCoordinates({ plan, planFingerprint: FINGERPRINT, weights }, place, values, sent);
      const rotated = oracleRotate(sent, signs, index, plan.rotationBlockLog2);
      const positions = oraclePositions(sample, index, elementCount, tensor.kept);
      const exact = keptOf(plan, coordinate)[index] as Float32Array;
      const limit = (2 ** (tensor.bits - 1) - 1) * 2 * tensor.scale;
      for (const [i, position] of positions.entries()) {
        const value = Math.max(-limit, Math.min(limit, exact[i] as number));
        expect(Math.abs((rotated[position] as number) - value)).to.be.below(2.01 * tensor.scale);
        rotated[position] = 0;
      }
      for (const rest of rotated) expect(Math.abs(rest)).to.be.below(1e-5);
    }
  });

  it('is nothing of a tensor that weighs nothing', async () => {
    const plan = planOf();
    const [place] = tensorPlaces(plan) as [ReturnType<typeof tensorPlaces>[0]];
    const sent = new Float32Array(place.elementCount).fill(1);
    const levels = new Int32Array(534).fill(1);
    await sentCoordinates({ plan, planFingerprint: FINGERPRINT, weights: [0] }, place, levels, sent);
    expect([...sent].every((value) => value === 0)).to.equal(true);
  });

  it('scales sums of levels as the owner does', async () => {
    const plan = planOf({ rotationBlockLog2: 0 });
    const place = tensorPlaces(plan)[1] as ReturnType<typeof tensorPlaces>[0];
    const sums = Int32Array.from({ length: 534 }, (_, i) => i - 100);
    const out = new Float32Array(place.elementCount);
    await coordinatesOf({ plan, planFingerprint: FINGERPRINT }, place, sums, 0.125, out);
    expect([...out]).to.deep.equal(Array.from({ length: 333 }, (_, i) => (i - 100) * 0.125));
  });
});
