import { expect } from 'chai';
import { clientDeltas, PERTURBATION, plainAverage } from '../../bench/compression/client-deltas.js';
import {
  FEEDBACK_VARIANTS,
  type FeedbackVariant,
  measureFeedback,
} from '../../bench/compression/feedback.js';
import { LIMIT_BYTES, planLargeAdapter } from '../../bench/compression/large-adapter.js';
import { measuredPlan } from '../../bench/compression/measured-plan.js';
import { measureRound } from '../../bench/compression/one-round.js';
import { openVlaShapes } from '../../bench/compression/openvla-shapes.js';
import { planPrivateRound } from '../../bench/compression/private-rounds.js';
import { measureSizeAndError } from '../../bench/compression/size-and-error.js';
import {
  generatedSubject,
  loadSubjects,
  parameterCount,
  REAL_SUBJECTS,
} from '../../bench/compression/subjects.js';
import { temporaryDirectory } from '../support/temporary-directory.js';

const SEED = 'compression test';
/** 3 ring elements' worth of values. */
const TINY = generatedSubject(
  'tiny',
  [
    { name: 'base_model.model.q_proj.lora_A.weight', shape: [8, 256] },
    { name: 'base_model.model.q_proj.lora_B.weight', shape: [512, 8] },
  ],
  SEED,
);
const PARAMETERS = 6144;

function norm(values: Iterable<number>): number {
  let sum = 0;
  for (const value of values) sum += value * value;
  return Math.sqrt(sum);
}

describe('what is measured of compression', () => {
  it('has the parameters of the adapters that are told', async () => {
    expect(parameterCount(TINY)).to.equal(PARAMETERS);
    const absent = await loadSubjects(await temporaryDirectory(), SEED);
    expect(absent.map(parameterCount)).to.deep.equal([299_520, 739_586, 742_656]);
    for (const { origin } of absent.slice(0, REAL_SUBJECTS.length)) expect(origin).to.match(/absent/);
    const counts = openVlaShapes().map(({ shape }) => shape.reduce((product, size) => product * size, 1));
    expect(counts.reduce((a, b) => a + b)).to.equal(110_828_288);
    expect(new Set(openVlaShapes().map(({ name }) => name)).size).to.equal(878);
  });

  it('perturbs each client by a tenth, independently, and the same way for one seed', () => {
    const deltas = clientDeltas(TINY.tensors, 3, SEED);
    expect(clientDeltas(TINY.tensors, 3, SEED)).to.deep.equal(deltas);
    const differences = deltas.map((delta) =>
      delta.map((values, m) => values.map((value, i) => value - (TINY.tensors[m]?.values[i] as number))),
    );
    for (const [m, { values }] of TINY.tensors.entries()) {
      const parts = differences.map((difference) => difference[m] as Float32Array);
      for (const part of parts) expect(norm(part) / norm(values)).to.be.closeTo(PERTURBATION, 0.01);
      const [a, b] = parts as [Float32Array, Float32Array];
      const product = a.reduce((sum, value, i) => sum + value * (b[i] as number), 0);
      expect(Math.abs(product) / (norm(a) * norm(b))).to.be.below(0.1);
    }
  });

  it('counts the bytes of whole ring elements at the wire width, and of the sealed shares', () => {
    const choice = { bits: 8, rotation: true, clients: 16 };
    // 3 of 4: two seeds of 32 bytes and two shares of 2048 residues of 30 bits, each with a KEM of 1120 and a tag of 16.
    const shares = 2 * 32 + 2 * ((2048 * 30) / 8) + 4 * (1120 + 16);
    const whole = measuredPlan(TINY.tensors, { ...choice, keepRatio: 1 }, SEED);
    expect(whole.sealedBytes).to.equal(3 * ((2048 * 17) / 8) + shares);
    const tenth = measuredPlan(TINY.tensors, { ...choice, keepRatio: 0.1 }, SEED);
    expect(tenth.arithmetic.valueCount).to.equal(614);
    expect(tenth.sealedBytes).to.equal((2048 * 17) / 8 + shares);
  });

  it('finds no error beyond one step of the grid where everything is sent', async () => {
    const clients = 4;
    const deltas = clientDeltas(TINY.tensors, clients, SEED);
    const average = plainAverage(deltas);
    for (const rotation of [true, false]) {
      const choice = { keepRatio: 1, bits: 8, rotation, clients };
      const plan = measuredPlan(TINY.tensors, choice, SEED);
      const error = await measureRound(plan, deltas, average, SEED);
      const energies = plan.body.tensors.map(({ kept, scale }) => kept * scale ** 2);
      const oneStep =
        Math.sqrt(energies.reduce((a, b) => a + b)) / norm(average.flatMap((values) => [...values]));
      expect(error.saturatedFraction).to.be.below(1e-3);
      expect(error.relativeError).to.be.within(0.05 * oneStep, oneStep);
      // A rotation keeps the norm: both ways of measuring agree.
      expect(error.sentError).to.be.closeTo(error.relativeError, 1e-4);
    }
  });

  it('finds the error that theory gives for what is not sent, and more of it at fewer bits', async () => {
    const rows = await measureSizeAndError(TINY, {
      seed: SEED,
      repetitions: 2,
      clients: 8,
      bits: [8, 4, 2],
      keepRatios: [1, 0.25],
    });
    expect(rows).to.have.length(2 * 3 * 2);
    for (const rotation of [true, false]) {
      const [all8, all4, all2, some8] = rows.filter((row) => row.rotation === rotation);
      expect(some8?.keepRatio).to.equal(0.25);
      expect(some8?.mean.relativeError).to.be.closeTo(Math.sqrt(0.75), 0.03);
      expect(some8?.mean.sentError).to.be.below(0.05);
      expect(all4?.mean.relativeError).to.be.above(5 * (all8?.mean.relativeError as number));
      expect(all2?.mean.relativeError).to.be.above(3 * (all4?.mean.relativeError as number));
      expect(all2?.bytesPerParameter).to.be.below(all8?.bytesPerParameter as number);
    }
    for (const { rotation, mean, predicted } of rows) {
      if (rotation) expect(mean.relativeError / predicted).to.be.within(0.85, 1.15);
    }
  });

  describe('error feedback', () => {
    const keepRatio = 0.25;
    const rounds = 40;
    let runs: Map<FeedbackVariant, { clip: number; residual: number[]; distance: number[] }>;

    before(async function () {
      this.timeout(60_000);
      const measured = await measureFeedback({
        tensors: TINY.tensors,
        keepRatio,
        bits: 8,
        clients: 2,
        rounds,
        seed: SEED,
      });
      runs = new Map(
        measured.map(({ variant, clip, points }) => [
          variant,
          {
            clip,
            residual: points.map(({ residualNorm }) => residualNorm),
            distance: points.map(({ distance }) => distance),
          },
        ]),
      );
      expect([...runs.keys()]).to.have.members([...FEEDBACK_VARIANTS]);
    });

    const run = (variant: FeedbackVariant) =>
      runs.get(variant) as { clip: number; residual: number[]; distance: number[] };

    it('settles where theory says with the recommended clip, and the averages catch up', () => {
      const { clip, residual, distance } = run('recommended clip');
      expect(clip).to.be.closeTo(1.15 * Math.sqrt((2 - keepRatio) / keepRatio), 0.01);
      const settled = Math.sqrt((2 - keepRatio) * (1 - keepRatio)) / keepRatio;
      for (const norm of residual.slice(20)) expect(norm / settled).to.be.within(0.9, 1.1);
      // What has not arrived is what waits: the residual over the rounds.
      expect(distance.at(-1)).to.be.closeTo((residual.at(-1) as number) / rounds, 0.02);
    });

    it("grows in a straight line with a clip at the delta's norm", () => {
      const { clip, residual, distance } = run("clip at the delta's norm");
      expect(clip).to.be.closeTo(1, 1e-6);
      // 1 - sqrt(keep) of each delta never arrives.
      const growth = ((residual[39] as number) - (residual[19] as number)) / 20;
      expect(growth).to.be.closeTo(1 - Math.sqrt(keepRatio), 0.05);
      expect(distance.at(-1)).to.be.within(0.45, 0.6);
    });

    it('delivers the kept share for ever without feedback', () => {
      expect(run('no feedback').distance.at(-1)).to.be.closeTo(1 - keepRatio, 0.05);
      expect(run('no feedback').residual.every((norm) => norm === 0)).to.equal(true);
    });
  });

  it('plans the large adapter within its limit, and to within a hundredth of it', () => {
    const [two, four] = [2, 4].map((min) => planLargeAdapter(0, 'auto', { min, max: 8 }, SEED));
    for (const row of [two, four]) {
      expect(row?.updateBytes).to.be.within(0.99 * LIMIT_BYTES, LIMIT_BYTES);
      expect(row?.expected.clipStarves).to.equal(false);
    }
    expect(four?.keepRatio).to.be.below(two?.keepRatio as number);
  });

  it('sizes noise by the number of values and of clients', () => {
    const small = { clients: 16, quorum: 12, colluders: 1 };
    const few = planPrivateRound(small, 0.01);
    const many = planPrivateRound(small, 1);
    expect(many.noiseNorm / few.noiseNorm).to.be.closeTo(10, 0.3);
    // Noise multiplier 1 over 11 honest of 16: sqrt(values * 16 / 11) / 16 clips, and the rounding's share.
    const expected = Math.sqrt((many.values * 16) / 11) / 16;
    expect(many.noiseNorm / expected).to.be.within(1, 1.05);
  });
});
