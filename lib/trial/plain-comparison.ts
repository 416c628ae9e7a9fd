/** The opened average beside the plain one, of the same adapters, computed in the clear and without the pipeline. */
import type { TrustedPlan } from '../custody/trusted-plan.js';
import { elementCount, type TrainedAdapters, withDeltas } from './deltas.js';

export interface PlainComparison {
  readonly values: number;
  /** |opened - plain| / |plain|, L2 norms over the averaged delta (not over the adapter, which would flatter it). */
  readonly relativeError: number;
  /**
   * What stochastic rounding alone comes to: on a grid of steps much finer than the values its variance is step^2 / 6, a
   * robot's own, so that an average of N has 1 / N of it; a rotation changes no norm.
   */
  readonly expectedRelativeError: number;
  /** Between the opened and the plain averaged delta. */
  readonly cosine: number;
}

/** @param average directory of the adapter that the round opened: the base plus the averaged delta */
export async function compareWithPlainAverage(
  data: TrainedAdapters,
  plan: TrustedPlan,
  average: string,
): Promise<PlainComparison> {
  let values = 0;
  let plainEnergy = 0;
  let openedEnergy = 0;
  let product = 0;
  let errorEnergy = 0;
  let expectedEnergy = 0;
  await withDeltas(data, average, async (deltas) => {
    for (const { name, shape, scale, kept } of plan.body.tensors) {
      const count = elementCount(shape);
      const { trained, opened } = await deltas(name, count);
      for (let i = 0; i < count; i += 1) {
        const plain = trained.reduce((sum, delta) => sum + (delta[i] as number), 0) / trained.length;
        const found = opened[i] as number;
        plainEnergy += plain ** 2;
        openedEnergy += found ** 2;
        product += plain * found;
        errorEnergy += (found - plain) ** 2;
      }
      values += count;
      expectedEnergy += (kept * scale ** 2) / 6 / trained.length;
    }
  });
  return {
    values,
    relativeError: Math.sqrt(errorEnergy / plainEnergy),
    expectedRelativeError: Math.sqrt(expectedEnergy / plainEnergy),
    cosine: product / Math.sqrt(plainEnergy * openedEnergy),
  };
}
