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
type DiscountingPlan = Pick<PlanBody, 'staleness'>;

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

/** What the weights of a delta that is so many rounds late are multiplied by, in (0, 1]. */
export function stalenessDiscount({ staleness }: DiscountingPlan, roundsLate: number): number {
  return staleness?.tau === undefined ? 1 : Math.exp(-roundsLate / staleness.tau);
}

/** Whether a plan takes deltas that are so many rounds late. */
export function isTooStale({ staleness }: DiscountingPlan, roundsLate: number): boolean {
  return staleness?.maxRounds !== undefined && roundsLate > staleness.maxRounds;
}

/**
 * Holds the weights of an update against the staleness that it declares. Nobody but the client knows which of its deltas
 * this is: a lie about the staleness itself goes unseen, and wins no more weight than every new delta has.
 *
 * @throws RefusedError `update.wrong-staleness`, `update.too-stale`, `update.wrong-weights`
 */
export function requireDiscounted(
  plan: DiscountingPlan & Pick<PlanBody, 'experts' | 'round'>,
  update: Pick<UpdateBody, 'client' | 'weights' | 'staleness'>,
): void {
  const { client, staleness } = update;
  if ((plan.staleness === undefined) !== (staleness === undefined)) {
    throw new RefusedError(
      'update.wrong-staleness',
      plan.staleness === undefined
        ? `The update of "${client}" declares a staleness, and its plan has none.`
        : `The update of "${client}" does not declare its staleness, which its plan asks for.`,
    );
  }
  if (staleness === undefined) return;
  if (staleness > plan.round) {
    throw new RefusedError(
      'update.wrong-staleness',
      `The update of "${client}" says that it is ${staleness} rounds late in round ${plan.round}.`,
    );
  }
  if (isTooStale(plan, staleness)) {
    throw new RefusedError(
      'update.too-stale',
      `The update of "${client}" is ${staleness} rounds late; its plan takes at most ${plan.staleness?.maxRounds}.`,
    );
  }
  const most = Math.round(WEIGHT_ONE * stalenessDiscount(plan, staleness));
  const heavy = updateWeights(plan, update).find((weight) => weight > most);
  if (heavy === undefined) return;
  throw new RefusedError(
    'update.wrong-weights',
    `The update of "${client}" declares a weight of ${heavy}; at ${staleness} rounds late its plan allows ${most}.`,
  );
}

/** Who has to be left out of a set so that its averages are averages, and why. */
export interface Unbalanced {
  readonly code: 'weights.below-quorum' | 'weights.overweight-client';
  readonly clients: readonly string[];
  readonly message: string;
}

interface Group {
  sum: number;
  largest: number;
  largestClient: string;
  readonly clients: string[];
}

/** The weights of one set of updates: what the owner divides by, and whether anyone has too much of it. */
export class WeightTally {
  readonly #groups: readonly Group[];

  constructor(private readonly plan: WeightedPlan) {
    this.#groups = Array.from({ length: weightGroups(plan) }, () => ({
      sum: 0,
      largest: 0,
      largestClient: '',
      clients: [],
    }));
  }

  add(client: string, weights: readonly number[]): void {
    for (const [i, group] of this.#groups.entries()) {
      const weight = weights[i] as number;
      if (weight === 0) continue;
      group.sum += weight;
      group.clients.push(client);
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
   * What is wrong with the set, if anything: a module that some have trained and fewer than the quorum (one that nobody has
   * trained is a sum of zeros and tells nothing), or a client with more than 2 / quorum of a module's weight. In integers:
   * everyone comes to the same answer.
   */
  unbalanced(): Unbalanced | undefined {
    const { quorum, experts } = this.plan;
    for (const [i, { clients }] of this.#groups.entries()) {
      if (clients.length === 0 || clients.length >= quorum) continue;
      return {
        code: 'weights.below-quorum',
        clients,
        message:
          `${clients.length} clients have a weight in the modules of "${experts?.[i]?.name ?? 'all'}", and the plan's quorum of ` +
          `${quorum} holds for each module. They can take part once more have trained it.`,
      };
    }
    const heavy = this.#groups.find(({ sum, largest }) => largest * quorum > 2 * sum);
    return (
      heavy && {
        code: 'weights.overweight-client',
        clients: [heavy.largestClient],
        message: `"${heavy.largestClient}" has more than 2/${quorum} of a module's weight: the average would be its own. Leave its update out.`,
      }
    );
  }

  /** @throws RefusedError `weights.below-quorum`, `weights.overweight-client` */
  requireBalanced(): void {
    const unbalanced = this.unbalanced();
    if (unbalanced === undefined) return;
    throw refusalOf(unbalanced);
  }
}

export function refusalOf({ code, message }: Unbalanced): RefusedError {
  return code === 'weights.below-quorum'
    ? new RefusedError('weights.below-quorum', message)
    : new RefusedError('weights.overweight-client', message);
}
