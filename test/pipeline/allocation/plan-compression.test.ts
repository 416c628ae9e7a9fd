import { expect } from 'chai';
import fc from 'fast-check';
import { PlanTargetError } from '../../../lib/pipeline/allocation/bit-targets.js';
import type { SizeBytes } from '../../../lib/pipeline/allocation/bits.js';
import { recommendedClip } from '../../../lib/pipeline/allocation/clip.js';
import type {
  CompressionPlan,
  CompressionRequest,
  CompressionTensor,
} from '../../../lib/pipeline/allocation/compression-request.js';
import { planCompression } from '../../../lib/pipeline/allocation/plan-compression.js';
import { refusal } from './refusals.js';
import { norm, normal, seededUniform, type Uniform } from './sampling.js';
import { choose, measuredError, rotated, sendUpdate, settle } from './simulated-rounds.js';

/** Ring elements of 64 values, a byte and bits/8 a value. */
const sizeBytes: SizeBytes = (values) => {
  let bytes = 0;
  for (const [bits, count] of values) bytes += Math.ceil(count / 64) * 8 * (bits + 8);
  return bytes;
};

const TENSORS: readonly CompressionTensor[] = [
  { name: 'a', values: 400, energy: 4 },
  { name: 'b', values: 900, energy: 1 },
  { name: 'c', values: 250, energy: 30 },
];

function request(changes: Partial<CompressionRequest> = {}): CompressionRequest {
  return {
    tensors: TENSORS,
    keepRatio: 1,
    bits: 8,
    clients: 4,
    rotation: true,
    maxBytes: 1_000_000,
    sizeBytes,
    ...changes,
  };
}

describe("a plan's compression", () => {
  it('makes the error that it predicts, sending all or a part, on fine grids and coarse ones', () => {
    for (const [bits, keepRatio, clients] of [
      // Not 8 bits: a tenth of their small error comes from one saturated value in 20,000, too rare to be measured here.
      [6, 1, 4],
      [3, 1, 16],
      [2, 1, 3],
      [4, 0.3, 4],
      [2, 0.1, 8],
    ] as const) {
      const asked = request({ bits, keepRatio, clients });
      const plan = planCompression(asked);
      const label = `${bits} bits, keep ${keepRatio}, ${clients} clients`;
      expect(measuredError(asked, plan, 30, 77) / plan.expected.relativeError, label).to.be.closeTo(1, 0.04);
    }
  });

  it('predicts the error of a clip that is too small for the delta, too', () => {
    const asked = request({ clip: 3, bits: 6 });
    const plan = planCompression(asked);
    expect(plan.expected.clipStarves).to.equal(true);
    expect(measuredError(asked, plan, 20, 5) / plan.expected.relativeError).to.be.closeTo(1, 0.04);
  });

  it('meets an error target, as measured, with fewer bytes than the widest bits', () => {
    for (const maxRelativeError of [0.02, 0.1, 0.3]) {
      const asked = request({ bits: { min: 2, max: 8 }, clients: 6, maxRelativeError });
      const plan = planCompression(asked);
      expect(plan.expected.relativeError).to.be.at.most(maxRelativeError);
      expect(measuredError(asked, plan, 40, 12)).to.be.below(maxRelativeError * 1.03);
      expect(plan.bytes).to.be.below(planCompression(request({ bits: 8 })).bytes);
    }
  });

  it('meets an error target without rotation, for coordinates of any shape', () => {
    const shapes: ((uniform: Uniform) => number)[] = [
      (uniform) => (uniform() < 0.5 ? -1 : 1),
      (uniform) => normal(uniform) ** 3,
      (uniform) => (uniform() < 0.02 ? normal(uniform) : 0.01),
    ];
    const uniform = seededUniform(31);
    for (const shape of shapes) {
      const delta = TENSORS.map(({ values }) => Array.from({ length: values }, () => shape(uniform)));
      const tensors = TENSORS.map((tensor, m) => ({
        ...tensor,
        energy: norm(delta[m] as number[]) ** 2,
        largest: Math.max(...(delta[m] as number[]).map(Math.abs)),
      }));
      const asked = request({ tensors, bits: { min: 2, max: 8 }, maxRelativeError: 0.15, rotation: false });
      const plan = planCompression(asked);
      const chosen = choose(plan, tensors, uniform);
      let squared = 0;
      for (let i = 0; i < 60; i += 1) {
        const { sent, saturated } = sendUpdate(
          delta.map((tensor) => [...tensor]),
          plan,
          chosen,
          uniform,
        );
        expect(saturated).to.equal(0);
        const difference = sent.flatMap((tensor, m) =>
          tensor.map((x, j) => x - ((delta[m] as number[])[j] as number)),
        );
        // One client's rounding is unbiased: an average of N has 1/N of its energy.
        squared += norm(difference) ** 2 / 60 / asked.clients;
      }
      const energy = norm(delta.flat()) ** 2;
      expect(Math.sqrt(squared / energy)).to.be.below(0.15);
      expect(Math.sqrt(squared / energy)).to.be.at.most(plan.expected.relativeError * 1.02);
    }
  });

  it('settles to the predicted residual and saturation when the same delta comes every round, rotated afresh', () => {
    const tensors = [512, 1024, 256].map((values, m) => ({ ...(TENSORS[m] as CompressionTensor), values }));
    for (const bits of [3, 4, 8]) {
      const { measured, predicted } = settle(
        request({ tensors, bits, keepRatio: 0.2, clients: 1 }),
        300,
        true,
      );
      expect(measured.residualNormRatio / predicted.steadyState.residualNormRatio).to.be.closeTo(1, 0.03);
      // At 3 bits the fed back rounding takes up the clip's headroom: every client fills the clip.
      expect(measured.saturatedFraction).to.be.below(bits === 3 ? 1e-3 : 3 * predicted.saturatedFraction);
    }
  });

  it('saturates far more under one rotation for all rounds, whose coordinates differ in age', () => {
    const tensors = [512, 1024, 256].map((values, m) => ({ ...(TENSORS[m] as CompressionTensor), values }));
    const { measured, predicted } = settle(
      request({ tensors, bits: 4, keepRatio: 0.2, clients: 1 }),
      300,
      false,
    );
    expect(measured.saturatedFraction).to.be.above(10 * predicted.saturatedFraction);
  });

  it('saturates as rarely as it predicts in a client whose coordinates have the steady size', () => {
    const asked = request({ tensors: [{ name: 'a', values: 20_000, energy: 7 }], bits: 3, clients: 1 });
    const plan = planCompression(asked);
    const uniform = seededUniform(55);
    let saturated = 0;
    for (let i = 0; i < 20; i += 1) {
      const delta = asked.tensors.map((tensor) => rotated(tensor, uniform));
      saturated += sendUpdate(delta, plan, choose(plan, asked.tensors, uniform), uniform).saturated;
    }
    expect(plan.expected.saturatedFraction).to.be.within(1e-5, 1e-3);
    expect(saturated / 400_000 / plan.expected.saturatedFraction).to.be.closeTo(1, 0.4);
  });

  it('recommends the clip of the steady state, for the norm of the data or the median of the clients', () => {
    const plan = planCompression(request({ keepRatio: 0.1 }));
    const keep = TENSORS.map(({ energy, values }, m) => ({
      energy,
      keepRatio: (plan.keeps[m] as number) / values,
    }));
    expect(plan.clip).to.be.closeTo(recommendedClip(Math.sqrt(35), keep), 1e-9);
    const larger = planCompression(request({ keepRatio: 0.1, medianNorm: 10 * Math.sqrt(35) }));
    expect(larger.clip).to.be.closeTo(10 * plan.clip, 1e-6);
    expect(larger.expected.relativeError).to.be.closeTo(plan.expected.relativeError, 1e-9);
    expect(planCompression(request({ clip: 2.5 })).clip).to.equal(2.5);
  });

  it('calls a clip starving that is one, and no other', () => {
    expect(planCompression(request({ keepRatio: 0.1, clip: Math.sqrt(35) })).expected.clipStarves).to.equal(
      true,
    );
    expect(planCompression(request({ keepRatio: 0.1 })).expected.clipStarves).to.equal(false);
    expect(planCompression(request({ keepRatio: 1, clip: Math.sqrt(35) })).expected.clipStarves).to.equal(
      false,
    );
  });

  it('has scales in proportion to the unit of the data, and everything else without it', () => {
    for (const bits of [8, { min: 2, max: 6 }]) {
      for (const maxBytes of [1_000_000, 2500]) {
        const asked = request({ bits, keepRatio: 0.9, maxBytes });
        if (bits === 8 && maxBytes === 2500) continue;
        const plan = planCompression(asked);
        const tensors = TENSORS.map((tensor) => ({ ...tensor, energy: tensor.energy * 2 ** 20 }));
        const scaled = planCompression({ ...asked, tensors });
        expect(scaled.keeps).to.deep.equal(plan.keeps);
        expect(scaled.bits).to.deep.equal(plan.bits);
        expect(scaled.clip / plan.clip).to.be.closeTo(1024, 1e-6);
        for (const [m, scale] of scaled.scales.entries()) {
          expect(scale / (plan.scales[m] as number)).to.be.closeTo(1024, 1e-6);
        }
        expect(scaled.expected.relativeError).to.be.closeTo(plan.expected.relativeError, 1e-9);
      }
    }
  });

  it('moves with the tensors when they are permuted', () => {
    const asked = request({ bits: { min: 2, max: 8 }, maxBytes: 2200 });
    const plan = planCompression(asked);
    const mirrored = planCompression({ ...asked, tensors: [...TENSORS].reverse() });
    expect([...mirrored.keeps].reverse()).to.deep.equal(plan.keeps);
    expect([...mirrored.bits].reverse()).to.deep.equal(plan.bits);
    expect(new Set(plan.bits).size).to.be.above(1);
    for (const [m, scale] of [...mirrored.scales].reverse().entries()) {
      expect(scale).to.be.closeTo(plan.scales[m] as number, 1e-12);
    }
  });

  it('keeps what fits at the widths whose residual settles lowest, not at the narrowest', () => {
    const residual = (plan: CompressionPlan): number => plan.expected.steadyState.residualNormRatio;
    const all = { min: 2, max: 8 };
    const chosen = new Set<number>();
    for (const maxBytes of [300, 700, 1500, 2300, 3500]) {
      const asked = request({ bits: all, keepRatio: 'auto', maxBytes });
      const plan = planCompression(asked);
      chosen.add(Math.min(...plan.bits));
      for (let bits = 2; bits <= 8; bits += 1) {
        for (const range of [bits, { min: bits, max: 8 }]) {
          const other = planCompression({ ...asked, bits: range });
          expect(residual(plan), `${maxBytes} bytes, ${bits} bits`).to.be.at.most(residual(other));
        }
      }
    }
    // It is no constant: the more room there is, the finer.
    expect(chosen).to.have.property('size').that.is.above(2);
  });

  it('keeps with the widths that it chooses less of a residual than with the narrowest, round by round', () => {
    const tensors = [512, 1024, 256].map((values, m) => ({ ...(TENSORS[m] as CompressionTensor), values }));
    const asked = request({ tensors, keepRatio: 'auto', maxBytes: 700, clients: 1 });
    const wide = settle({ ...asked, bits: { min: 2, max: 8 } }, 300, true);
    const narrow = settle({ ...asked, bits: 2 }, 300, true);
    expect(wide.measured.residualNormRatio).to.be.below(0.9 * narrow.measured.residualNormRatio);
  });

  it('skips widths at which nothing fits, and refuses for what the narrowest would need', () => {
    // At 4 bits the fixed tensor alone is too large.
    const tensors = [{ name: 'head', values: 640, energy: 1, keepRatio: 1 }, ...TENSORS];
    const asked = request({ tensors, keepRatio: 'auto', bits: { min: 2, max: 8 }, maxBytes: 900 });
    expect(planCompression(asked).bytes).to.be.at.most(900);
    const narrow = refusal(() => planCompression({ ...asked, bits: 2, maxBytes: 500 }));
    expect(refusal(() => planCompression({ ...asked, maxBytes: 500 })).message).to.equal(narrow.message);
  });

  it('gives the same answer twice', () => {
    const asked = request({ bits: { min: 2, max: 8 }, keepRatio: 'auto', maxBytes: 1500 });
    expect(planCompression(asked)).to.deep.equal(planCompression(asked));
  });
});

describe('the size of an update', () => {
  const tensor = fc.record({
    name: fc.constant('t'),
    values: fc.integer({ min: 1, max: 400 }),
    energy: fc.oneof(fc.constant(0), fc.double({ min: 1e-6, max: 1e6, noNaN: true })),
  });

  it('is what the callback says, and never above the limit', () => {
    fc.assert(
      fc.property(
        fc.array(tensor, { minLength: 1, maxLength: 6 }),
        fc.constantFrom<CompressionRequest['keepRatio']>('auto', 0.05, 0.5, 1),
        fc.constantFrom<CompressionRequest['bits']>(2, 8, { min: 2, max: 8 }, { min: 3, max: 5 }),
        fc.integer({ min: 50, max: 3000 }),
        fc.boolean(),
        (tensors, keepRatio, bits, maxBytes, isPrivate) => {
          let plan: CompressionPlan;
          try {
            const privacy = isPrivate ? { privacy: {} } : {};
            plan = planCompression(
              request({ tensors, keepRatio, bits, maxBytes, medianNorm: 1, ...privacy }),
            );
          } catch (error) {
            const codes = ['plan.size-target', 'plan.private-range'];
            expect(codes).to.include((error as { code?: string }).code);
            return;
          }
          const values = new Map<number, number>();
          for (const [m, width] of plan.bits.entries()) {
            values.set(width, (values.get(width) ?? 0) + (plan.keeps[m] as number));
          }
          expect(plan.bytes).to.equal(sizeBytes(values)).and.to.be.at.most(maxBytes);
          for (const [m, count] of plan.keeps.entries()) {
            expect(count).to.be.within(1, (tensors[m] as CompressionTensor).values);
            expect(plan.scales[m]).to.be.above(0);
          }
        },
      ),
      { numRuns: 300 },
    );
  });

  it('is filled by the largest keep ratio that fits, where that is asked for', () => {
    const maxBytes = 1600;
    const plan = planCompression(request({ keepRatio: 'auto', maxBytes }));
    const kept = plan.keeps.reduce((a, b) => a + b, 0);
    expect(kept).to.equal(64 * Math.floor(maxBytes / 128));
    const all = planCompression(request({ keepRatio: 'auto', maxBytes: 1_000_000 }));
    expect(all.keeps).to.deep.equal(TENSORS.map(({ values }) => values));
    expect(all.expected.unsentFraction).to.equal(0);
  });

  it('leaves ratios that are fixed as they are', () => {
    const tensors = [{ name: 'head', values: 100, energy: 1, keepRatio: 1 }, ...TENSORS];
    const plan = planCompression(request({ tensors, keepRatio: 'auto', maxBytes: 1000 }));
    expect(plan.keeps[0]).to.equal(100);
    expect(plan.bytes).to.be.at.most(1000);
  });

  it('aims at the target where it is below the limit', () => {
    const plan = planCompression(request({ bits: { min: 2, max: 8 }, targetBytes: 2300, maxBytes: 5000 }));
    expect(plan.bytes).to.be.within(2000, 2300);
  });

  it('is refused when fixed choices exceed it', () => {
    const error = refusal(() => planCompression(request({ maxBytes: 3000 })));
    expect(error.code).to.equal('plan.size-target');
    expect(error.message)
      .to.contain('3000')
      .and.to.contain(String(128 * Math.ceil(1550 / 64)));
    expect(refusal(() => planCompression(request({ keepRatio: 'auto', maxBytes: 100 }))).code).to.equal(
      'plan.size-target',
    );
  });

  it('is refused when an error target needs more of it, with both figures', () => {
    const asked = request({ bits: { min: 2, max: 8 }, maxBytes: 2100, maxRelativeError: 0.02 });
    const error = refusal(() => planCompression(asked)) as PlanTargetError;
    expect(error).to.be.instanceOf(PlanTargetError);
    expect(error.errorAtSizeTarget).to.be.above(0.02);
    const sizeForErrorBytes = error.sizeForErrorBytes as number;
    const plan = planCompression({ ...asked, maxBytes: sizeForErrorBytes });
    expect(plan.expected.relativeError).to.be.at.most(0.02);
    expect(plan.bytes).to.equal(sizeForErrorBytes);
  });
});

describe('the plan of a private round', () => {
  it('has one grid, and bits that reach three standard deviations of every tensor on it', () => {
    const plan = planCompression(request({ bits: { min: 2, max: 8 }, privacy: {} }));
    const [scale] = plan.scales;
    expect(new Set(plan.scales)).to.deep.equal(new Set([scale]));
    expect(scale).to.be.closeTo((0.4 * plan.clip) / Math.sqrt(1550), 1e-12);
    for (const [m, { energy, values }] of TENSORS.entries()) {
      const rms = plan.clip * Math.sqrt(energy / 35 / values);
      const level = 2 ** ((plan.bits[m] as number) - 1) - 1;
      expect(level * (scale as number)).to.be.above(3.29 * rms);
      expect(((level - 1) / 2) * (scale as number)).to.be.below(3.3 * rms);
    }
    expect(plan.expected.saturatedFraction).to.be.below(1e-3);
  });

  it('is refused when the bits admitted do not reach, with the bits that do', () => {
    const asked = request({ bits: 4, privacy: {} });
    const error = refusal(() => planCompression(asked));
    expect(error.code).to.equal('plan.private-range');
    const needed = Number(/need (\d) bits/.exec(error.message)?.[1]);
    expect(Math.max(...planCompression({ ...asked, bits: { min: 2, max: needed } }).bits)).to.equal(needed);
  });

  it('is refused when its grid misses an error target', () => {
    const asked = request({ bits: { min: 2, max: 8 }, privacy: {}, clients: 3, maxRelativeError: 0.01 });
    expect(refusal(() => planCompression(asked)).code).to.equal('plan.error-target');
  });
});

describe('the data that a plan starts from', () => {
  it('may have tensors that are all zero, which are taken for median ones', () => {
    const tensors = [...TENSORS, { name: 'B', values: 100, energy: 0 }];
    const plan = planCompression(request({ tensors, keepRatio: 0.1 }));
    expect(plan.scales[3]).to.be.above(0);
    // Densities 0.01, 0.0011 and 0.12: the median is a's.
    expect((plan.keeps[3] as number) / 100).to.be.closeTo((plan.keeps[0] as number) / 400, 0.01);
    const peaked = tensors.map((tensor) => ({
      ...tensor,
      largest: 6 * Math.sqrt(tensor.energy / tensor.values),
    }));
    const plain = planCompression(request({ tensors: peaked, rotation: false }));
    expect(plain.scales[3]).to.be.closeTo(plain.scales[0] as number, 1e-12);
  });

  it('may be all zero when a norm or a clip is known', () => {
    const tensors = TENSORS.map((tensor) => ({ ...tensor, energy: 0 }));
    const plan = planCompression(request({ tensors, medianNorm: 2 }));
    expect(plan.clip).to.be.closeTo(2.3, 1e-12);
    const clipped = planCompression(request({ tensors, clip: 2.3 }));
    expect(clipped.expected.relativeError).to.be.closeTo(plan.expected.relativeError, 1e-9);
    expect(refusal(() => planCompression(request({ tensors }))).code).to.equal('plan.no-energy');
  });

  it('is refused where it makes no sense', () => {
    const bad: Partial<CompressionRequest>[] = [
      { tensors: [] },
      { tensors: [{ name: 'a', values: 1, energy: Number.NaN }] },
      { keepRatio: 0 },
      { keepRatio: 1.5 },
      { bits: 1 },
      { bits: 9 },
      { bits: { min: 5, max: 4 } },
      { clients: 0 },
      { clip: -1 },
      { medianNorm: Number.POSITIVE_INFINITY },
      { maxBytes: 0 },
      { targetBytes: 0.5 },
      { maxRelativeError: 0 },
      { privacy: { fraction: 0 } },
      { rotation: false, tensors: [{ name: 'a', values: 4, energy: 1, largest: 2 }] },
      { rotation: false, tensors: [{ name: 'a', values: 4, energy: 1, largest: 0.4 }] },
    ];
    for (const changes of bad) {
      const error = refusal(() => planCompression(request(changes)));
      expect(error.code, JSON.stringify(changes)).to.equal('plan.argument-out-of-range');
    }
    expect(refusal(() => planCompression(request({ rotation: false }))).code).to.equal('plan.largest-needed');
  });

  it('may have a thousand tensors and a hundred million values', () => {
    const tensors = Array.from({ length: 1000 }, (_, m) => ({
      name: `t${m}`,
      values: 50_000 + 101 * m,
      energy: m % 9 === 0 ? 0 : (1 + (m % 17)) ** 2,
    }));
    const started = performance.now();
    const plan = planCompression(
      request({ tensors, keepRatio: 'auto', bits: { min: 4, max: 8 }, maxBytes: 20_000_000 }),
    );
    expect(plan.bytes).to.be.within(19_990_000, 20_000_000);
    // A quarter of a second when the machine is idle.
    expect(performance.now() - started).to.be.below(3000);
  });
});
