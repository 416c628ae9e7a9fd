import { expect } from 'chai';
import {
  CLIP_HEADROOM,
  clipStarves,
  type Keep,
  recommendedClip,
  starvingClip,
  steadyState,
} from '../../../lib/pipeline/allocation/clip.js';
import { refusal } from './refusals.js';
import { norm, normal, seededUniform, subset } from './sampling.js';

interface Block {
  readonly size: number;
  readonly count: number;
  readonly deviation: number;
}

interface Run {
  readonly sent: number;
  readonly pending: number;
  readonly residual: number;
  /** Root mean square of the residual over the second half, over that of the first half. */
  readonly growth: number;
  /** ||sum of what was sent|| / (rounds * ||delta||), along the delta. */
  readonly arrived: number;
  readonly delta: number;
}

/** Error feedback with random sparsification and clipping of the same delta, round after round. */
function simulate(blocks: readonly Block[], clip: number, rounds: number, seed: number): Run {
  const uniform = seededUniform(seed);
  const delta = blocks.flatMap(({ size, deviation }) =>
    Array.from({ length: size }, () => deviation * normal(uniform)),
  );
  const residual = new Float64Array(delta.length);
  const means = { sent: 0, pending: 0, early: 0, late: 0 };
  let along = 0;
  // The chain forgets in 1 / kappa rounds; the first fifth is left out.
  const start = Math.floor(rounds / 5);
  for (let round = 0; round < rounds; round += 1) {
    for (let i = 0; i < delta.length; i += 1) residual[i] = (residual[i] as number) + (delta[i] as number);
    const pending = norm(residual);
    const chosen: number[] = [];
    let offset = 0;
    for (const { size, count } of blocks) {
      for (const i of subset(uniform, size, count)) chosen.push(offset + i);
      offset += size;
    }
    const sent = norm(chosen.map((i) => residual[i] as number));
    const factor = Math.min(1, clip / sent);
    for (const i of chosen) {
      along += factor * (residual[i] as number) * (delta[i] as number);
      residual[i] = (residual[i] as number) * (1 - factor);
    }
    if (round < start) continue;
    means.sent += (factor * sent) ** 2;
    means.pending += pending ** 2;
    if (round < (start + rounds) / 2) means.early += norm(residual) ** 2;
    else means.late += norm(residual) ** 2;
  }
  const counted = rounds - start;
  return {
    sent: Math.sqrt(means.sent / counted),
    pending: Math.sqrt(means.pending / counted),
    residual: Math.sqrt((means.early + means.late) / counted),
    growth: Math.sqrt(means.late / means.early),
    arrived: along / rounds / norm(delta) ** 2,
    delta: norm(delta),
  };
}

const ONE: readonly Block[] = [{ size: 500, count: 50, deviation: 1 }];
const TWO: readonly Block[] = [
  { size: 300, count: 30, deviation: 1 },
  { size: 200, count: 100, deviation: 3 },
];

/** The delta that a seed gives: its norm, and its blocks' energies and ratios. */
function deltaOf(blocks: readonly Block[], seed: number): { delta: number; keep: Keep } {
  const uniform = seededUniform(seed);
  const keep = blocks.map(({ size, count, deviation }) => ({
    energy: norm(Array.from({ length: size }, () => deviation * normal(uniform))) ** 2,
    keepRatio: count / size,
  }));
  return { delta: Math.sqrt(keep.reduce((sum, { energy }) => sum + energy, 0)), keep };
}

describe('the steady state of error feedback', () => {
  for (const [label, blocks] of [
    ['one ratio', ONE],
    ['two tensors with their own ratios', TWO],
  ] as const) {
    it(`has the norms that a simulation shows, with ${label}`, () => {
      const run = simulate(blocks, Number.POSITIVE_INFINITY, 4000, 7);
      const predicted = steadyState(deltaOf(blocks, 7).keep);
      expect(run.sent / run.delta / predicted.sentNormRatio).to.be.closeTo(1, 0.04);
      expect(run.pending / run.delta / predicted.pendingNormRatio).to.be.closeTo(1, 0.04);
      expect(run.residual / run.delta / predicted.residualNormRatio).to.be.closeTo(1, 0.04);
      expect(run.arrived).to.be.closeTo(1, 0.01);
    });
  }

  it('waits as many rounds as a simulation of single coordinates', () => {
    const uniform = seededUniform(3);
    let rounds = 0;
    for (let i = 0; i < 20_000; i += 1) {
      do rounds += 1;
      while (uniform() >= 0.2);
    }
    expect(rounds / 20_000 / steadyState(0.2).roundsToArrive).to.be.closeTo(1, 0.03);
    const mixed = steadyState([
      { energy: 3, keepRatio: 0.1 },
      { energy: 1, keepRatio: 1 },
    ]);
    expect(mixed.roundsToArrive).to.be.closeTo(7.75, 1e-12);
  });

  it('holds nothing back when everything is sent', () => {
    expect(steadyState(1)).to.deep.equal({
      sentNormRatio: 1,
      pendingNormRatio: 1,
      residualNormRatio: 0,
      roundsToArrive: 1,
    });
  });
});

describe('the clip norm', () => {
  it('is recommended such that hardly a round is clipped and everything arrives', () => {
    for (const blocks of [ONE, TWO]) {
      const { delta, keep } = deltaOf(blocks, 11);
      const clip = recommendedClip(delta, keep);
      const run = simulate(blocks, clip, 3000, 11);
      const free = simulate(blocks, Number.POSITIVE_INFINITY, 3000, 11);
      expect(run.sent / clip).to.be.closeTo(1 / CLIP_HEADROOM, 0.05);
      expect(run.residual / free.residual).to.be.below(1.05);
      expect(run.arrived).to.be.closeTo(1, 0.01);
      expect(run.growth).to.be.closeTo(1, 0.05);
    }
  });

  it('of the delta itself starves the residual: it grows for as long as one looks', () => {
    for (const blocks of [ONE, TWO]) {
      const { delta, keep } = deltaOf(blocks, 5);
      expect(clipStarves(delta, delta, keep)).to.equal(true);
      const run = simulate(blocks, delta, 4000, 5);
      expect(run.growth).to.be.above(1.8);
      expect(run.arrived).to.be.below(0.9);
    }
    // With one ratio, what arrives is sqrt(kappa) of what was learned.
    expect(simulate(ONE, deltaOf(ONE, 5).delta, 4000, 5).arrived).to.be.closeTo(Math.sqrt(0.1), 0.02);
  });

  it('starves just below the predicted boundary, and not just above it', () => {
    for (const blocks of [ONE, TWO]) {
      const { delta, keep } = deltaOf(blocks, 9);
      const boundary = starvingClip(delta, keep);
      expect(clipStarves(boundary * 0.9, delta, keep)).to.equal(true);
      expect(clipStarves(boundary * 1.1, delta, keep)).to.equal(false);
      expect(simulate(blocks, boundary * 0.9, 6000, 9).growth).to.be.above(1.5);
      expect(simulate(blocks, boundary * 1.1, 6000, 9).growth).to.be.below(1.1);
    }
  });

  it('is about 1.6 / sqrt(kappa) for a small share, and the headroom for all', () => {
    expect(recommendedClip(2, 1)).to.be.closeTo(2.3, 1e-12);
    expect(recommendedClip(1, 0.0001) * Math.sqrt(0.0001)).to.be.closeTo(1.626, 0.001);
  });

  it('is refused where norm or ratio make no sense', () => {
    for (const run of [
      () => recommendedClip(0, 0.5),
      () => recommendedClip(Number.NaN, 0.5),
      () => recommendedClip(1, 0),
      () => recommendedClip(1, 1.01),
      () => recommendedClip(1, []),
      () => steadyState([{ energy: 0, keepRatio: 1 }]),
      () => clipStarves(0, 1, 0.5),
    ]) {
      expect(refusal(run).code).to.equal('plan.argument-out-of-range');
    }
  });
});
