/**
 * Whether encrypting, summing and opening changed anything. Which way a value was rounded is secret and drawn afresh, so the
 * opened sums cannot be foretold; but each robot's value went down or up to a level next to it. In the rotated
 * coordinates every opened sum must therefore be an integer of levels between the sums of both. For plans that send every
 * coordinate.
 */
import type { TrustedPlan } from '../custody/trusted-plan.js';
import { sampleKey, signKey } from '../lwe/streams.js';
import { rotateAndSample } from '../pipeline/rotation.js';
import { elementCount, type ReadDeltas, type TrainedAdapters, withDeltas } from './deltas.js';

export interface RoundingCheck {
  /** Sums that were opened. */
  readonly values: number;
  /** Sums that are no integer of levels, or none that the robots' values can be rounded to. */
  readonly outOfReach: number;
}

/** The opened adapter is single precision, and was rotated twice; a level is some ten thousand times larger. */
const TOLERANCE_LEVELS = 0.01;

async function clipFactors(plan: TrustedPlan, deltas: ReadDeltas, robots: number): Promise<number[]> {
  const energies = new Array<number>(robots).fill(0);
  for (const { name, shape } of plan.body.tensors) {
    const { trained } = await deltas(name, elementCount(shape));
    for (const [robot, delta] of trained.entries()) {
      energies[robot] = delta.reduce((sum, x) => sum + x * x, energies[robot] as number);
    }
  }
  return energies.map((energy) => Math.min(1, plan.body.clip / Math.sqrt(energy)));
}

/** @param average directory of the adapter that the round opened: the base plus the averaged delta */
export function checkRounding(
  data: TrainedAdapters,
  plan: TrustedPlan,
  average: string,
): Promise<RoundingCheck> {
  const { body, fingerprint } = plan;
  const keys = {
    signKey: signKey(body.seed, body.parameterSet, fingerprint),
    sampleKey: sampleKey(body.seed, body.parameterSet, fingerprint),
  };
  return withDeltas(data, average, async (deltas) => {
    const factors = await clipFactors(plan, deltas, data.trained.length);
    let values = 0;
    let outOfReach = 0;
    for (const [tensorIndex, { name, shape, scale, bits }] of body.tensors.entries()) {
      const { trained, opened } = await deltas(name, elementCount(shape));
      for (const delta of [opened, ...trained]) {
        const rotation = { ...keys, blockLog2: body.rotationBlockLog2, tensorIndex };
        await rotateAndSample({ ...rotation, values: delta, kept: delta });
      }
      const limit = 2 ** (bits - 1) - 1;
      const clamp = (level: number): number => Math.max(-limit, Math.min(limit, level));
      for (const [i, mean] of opened.entries()) {
        const sum = (mean * trained.length) / scale;
        let [least, most] = [0, 0];
        for (const [robot, delta] of trained.entries()) {
          const level = ((delta[i] as number) * (factors[robot] as number)) / scale;
          least += clamp(Math.floor(level - TOLERANCE_LEVELS));
          most += clamp(Math.ceil(level + TOLERANCE_LEVELS));
        }
        const nearest = Math.round(sum);
        const integer = Math.abs(sum - nearest) <= TOLERANCE_LEVELS;
        if (!integer || nearest < least || nearest > most) outOfReach += 1;
      }
      values += opened.length;
    }
    return { values, outOfReach };
  });
}
