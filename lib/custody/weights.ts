/**
 * What clients multiplied their values by, as their signed headers declare it, module by module.
 *
 * An average of one is no average: a module that fewer than the quorum have trained, or one client's weight dominates,
 * would give that client's values away, however many took part in the round.
 */
import { RefusedError } from '../errors.js';
import type { PlanBody, PlanTensor } from '../package/messages/plan.js';
import { type UpdateBody, WEIGHT_ONE } from '../package/messages/update.js';

type WeightedPlan = Pick<PlanBody, 'experts' | 'quorum'>;

/** How many weights a client has: one for each expert, or one for all. */
export function weightGroups(plan: Pick<PlanBody, 'experts'>): number {
  return plan.experts?.length ?? 1;
}

/** Which of the weights a tensor's values were multiplied by. */
export function weightGroup(tensor: Pick<PlanTensor, 'expert'>): number {
  return tensor.expert ?? 0;
}

/**
 * The weights of an update, in units of 2^-16.
 *
 * @throws RefusedError `update.wrong-weights` where their number is not the plan's
 */
export function updateWeights(
  plan: Pick<PlanBody, 'experts'>,
  update: Pick<UpdateBody, 'client' | 'weights'>,
): readonly number[] {
  const groups = weightGroups(plan);
  if (update.weights === undefined) return new Array<number>(groups).fill(WEIGHT_ONE);
  if (update.weights.length !== groups) {
    throw new RefusedError(
      'update.wrong-weights',
      `The update of "${update.client}" declares ${update.weights.length} weights; its plan has ${groups}.`,
    );
  }
  return update.weights;
}

/** The weights of one set of updates: what the owner divides by, and whether anyone has too much of it. */
export class WeightTally {
  readonly #groups: { sum: number; largest: number; largestClient: string; contributors: number }[];

  constructor(private readonly plan: WeightedPlan) {
    this.#groups = Array.from({ length: weightGroups(plan) }, () => ({
      sum: 0,
      largest: 0,
      largestClient: '',
      contributors: 0,
    }));
  }

  add(client: string, weights: readonly number[]): void {
    for (const [i, group] of this.#groups.entries()) {
      const weight = weights[i] as number;
      if (weight === 0) continue;
      group.sum += weight;
      group.contributors += 1;
      if (weight > group.largest) {
        group.largest = weight;
        group.largestClient = client;
      }
    }
  }

  /** The sum of weights of each group, in units of 2^-16. */
  sums(): readonly number[] {
    return this.#groups.map(({ sum }) => sum);
  }

  /**
   * The client whose weight exceeds 2 / quorum of its module's; undefined where nobody's does. Integers: everyone
   * comes to the same answer.
   */
  overweightClient(): string | undefined {
    return this.#groups.find(({ sum, largest }) => largest * this.plan.quorum > 2 * sum)?.largestClient;
  }

  /**
   * A module that nobody has trained is a sum of zeros and tells nothing; one that is trained needs the quorum.
   *
   * @throws RefusedError `weights.below-quorum`, `weights.overweight-client`
   */
  requireBalanced(): void {
    const { quorum, experts } = this.plan;
    for (const [i, { contributors }] of this.#groups.entries()) {
      if (contributors > 0 && contributors < quorum) {
        throw new RefusedError(
          'weights.below-quorum',
          `${contributors} clients have a weight in the modules of "${experts?.[i]?.name ?? 'all'}"; the plan's quorum of ` +
            `${quorum} holds for each. Wait for more updates.`,
        );
      }
    }
    const client = this.overweightClient();
    if (client !== undefined) {
      throw new RefusedError(
        'weights.overweight-client',
        `"${client}" has more than 2/${quorum} of a module's weight: the average would be its own. Leave its update out.`,
      );
    }
  }
}
