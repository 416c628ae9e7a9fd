/**
 * Mixture of Intelligence: the parts of a policy that learn different things (to see, to understand an
 * instruction, to move), told apart by the names of their modules, so that an average can weight each by
 * how much of a client's training touched it.
 */
import { ParameterError } from '../../errors.js';
import { compilePatterns } from '../patterns.js';

export interface Expert {
  readonly name: string;
  /** Patterns over module names in the base model's own naming, without PEFT's `base_model.model.`. */
  readonly modules: readonly string[];
  /**
   * In (0, 1]. The client multiplies with it after clipping: a weight above 1 would lift its contribution
   * over the clip norm, and with it over the sensitivity that the noise was sized for.
   */
  readonly weight: number;
}

export interface ExpertSet {
  readonly policyFamily: string;
  /** Whose module names these are: the same policy is called differently by each code base. */
  readonly naming: string;
  /** The repository and files that the names were read in. */
  readonly source: string;
  /** In order: a module belongs to the first expert that has a pattern for it. */
  readonly experts: readonly Expert[];
}

export interface ExpertAssignment {
  /** The experts given, and {@link OTHER_EXPERT} after them where a module needs it. */
  readonly experts: readonly Expert[];
  /** For each module in the order given, the index of its expert in `experts`. */
  readonly expertOf: readonly number[];
  /** The modules that no pattern describes; they are with {@link OTHER_EXPERT}. */
  readonly unmatched: readonly string[];
}

/** The expert of whatever no pattern describes. */
export const OTHER_EXPERT = 'other';

/**
 * What users of TensorGuard 1.1 know as visual 1.0, language 0.8 and auxiliary 1.2, divided by the largest
 * so that none exceeds 1. The proportions are what acts: the owner divides by the sum of weights.
 */
export const DEFAULT_EXPERT_WEIGHTS = { vision: 1 / 1.2, language: 0.8 / 1.2, action: 1 } as const;

/** The number of experts is a number of sums to keep, and no policy has many kinds of parts. */
const MAX_EXPERTS = 64;
const EXPERT_NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;

/**
 * Gives each module to the first expert that has a pattern for it. Modules without one go to an expert
 * `other`, with the default weight of `action`: in the original, too, the rest is what acts. An expert of
 * that name among those given takes them in, with its own weight.
 *
 * @throws ParameterError `policy.bad-expert` for no expert or more than 64, a name twice or not an id, or a
 *   weight outside (0, 1]; `policy.bad-pattern`
 */
export function assignExperts(experts: readonly Expert[], moduleNames: readonly string[]): ExpertAssignment {
  checkExperts(experts);
  const matchers = experts.map(({ modules }) => compilePatterns(modules));
  const namedOther = experts.findIndex(({ name }) => name === OTHER_EXPERT);
  const other = namedOther < 0 ? experts.length : namedOther;
  const unmatched: string[] = [];
  const expertOf = moduleNames.map((module) => {
    const index = matchers.findIndex((matches) => matches(module));
    if (index >= 0) return index;
    unmatched.push(module);
    return other;
  });
  const added =
    unmatched.length > 0 && namedOther < 0
      ? [{ name: OTHER_EXPERT, modules: [], weight: DEFAULT_EXPERT_WEIGHTS.action }]
      : [];
  return { experts: [...experts, ...added], expertOf, unmatched };
}

function checkExperts(experts: readonly Expert[]): void {
  if (experts.length === 0 || experts.length > MAX_EXPERTS) {
    throw badExpert(`There are ${experts.length} experts; a policy has 1 to ${MAX_EXPERTS}.`);
  }
  const names = new Set<string>();
  for (const { name, weight } of experts) {
    const shown = JSON.stringify(name.slice(0, 64));
    if (!EXPERT_NAME.test(name)) {
      throw badExpert(
        `${shown} is no name for an expert: use 1 to 64 of A-Z a-z 0-9 . _ -, beginning with a letter or digit.`,
      );
    }
    if (names.has(name)) throw badExpert(`Two experts are called ${shown}; put their patterns into one.`);
    names.add(name);
    if (!(weight > 0 && weight <= 1)) {
      throw badExpert(
        `Expert ${shown} has the weight ${weight}; weights are in (0, 1]. Divide all of them by the largest.`,
      );
    }
  }
}

function badExpert(message: string): ParameterError {
  return new ParameterError('policy.bad-expert', message);
}
