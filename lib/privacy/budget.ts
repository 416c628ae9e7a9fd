/** A privacy budget, and whether a release fits into it. */
import { z } from 'zod';
import { ParameterError, RefusedError } from '../errors.js';
import { addExpense, type Expense, expenseEpsilon, NOTHING_SPENT, roundsWithin } from './guarantee.js';

const budgetSchema = z.strictObject({
  epsilon: z.number().min(0),
  delta: z.number().gt(0).lt(1),
  hardStop: z.boolean(),
});

export interface PrivacyBudget {
  /** Finite, 0 or more; 0 allows nothing. */
  readonly epsilon: number;
  /** In (0, 1). */
  readonly delta: number;
  /** Refuse what exceeds the budget, rather than record and report it. */
  readonly hardStop: boolean;
}

export interface BudgetAnswer {
  /** Epsilon before the release. */
  readonly epsilonBefore: number;
  /** Epsilon with it; Infinity where none can be proved at this delta. */
  readonly epsilonSpent: number;
  /** The budget's epsilon less what is spent, never below 0. Not additive: see `roundsLeft`. */
  readonly remaining: number;
  readonly overBudget: boolean;
  /** How many more releases like this one fit after it, by composition. */
  readonly roundsLeft: number;
}

/** @throws ParameterError `privacy.bad-budget` */
export function requireBudget(budget: PrivacyBudget): PrivacyBudget {
  const parsed = budgetSchema.safeParse(budget);
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    throw new ParameterError(
      'privacy.bad-budget',
      `The privacy budget is no budget: ${issue?.path.join('.') || 'budget'}: ${issue?.message}. Set epsilon ` +
        'finite and 0 or more, delta between 0 and 1, and hardStop.',
    );
  }
  return parsed.data;
}

/**
 * What a release costs on top of what was spent.
 *
 * @throws RefusedError `privacy.budget-exhausted` if it does not fit and the budget is a hard stop, or is zero
 */
export function askBudget(budget: PrivacyBudget, spent: Expense, next: Expense): BudgetAnswer {
  const { epsilon, delta, hardStop } = budget;
  const total = addExpense(spent, next);
  const epsilonBefore = expenseEpsilon(spent, delta);
  const epsilonSpent = expenseEpsilon(total, delta);
  const overBudget = epsilonSpent > epsilon || epsilon === 0;
  if (epsilon === 0) {
    throw new RefusedError(
      'privacy.budget-exhausted',
      'The privacy budget is zero, which allows no release at all, hard stop or not. Set a budget above 0, or ' +
        'leave this site out of the round.',
    );
  }
  if (overBudget && hardStop) {
    const fresh = roundsWithin(NOTHING_SPENT, next, budget);
    throw new RefusedError(
      'privacy.budget-exhausted',
      `Privacy budget exhausted at delta ${delta}: epsilon ${shown(epsilonBefore)} of ${epsilon} is spent, and ` +
        `this round would bring it to ${shown(epsilonSpent)} (alone it costs ` +
        `${shown(expenseEpsilon(next, delta))}). 0 more such rounds fit; an unspent budget would hold ${fresh}. ` +
        'Nothing was recorded. Plan a round with more noise, or raise the budget.',
    );
  }
  return answered(budget, epsilonBefore, total, next);
}

/** The answer for a release that is recorded already, whatever the budget has become. */
export function answered(
  budget: PrivacyBudget,
  epsilonBefore: number,
  total: Expense,
  next: Expense,
): BudgetAnswer {
  const epsilonSpent = expenseEpsilon(total, budget.delta);
  return {
    epsilonBefore,
    epsilonSpent,
    remaining: Math.max(0, budget.epsilon - epsilonSpent),
    overBudget: epsilonSpent > budget.epsilon,
    roundsLeft: roundsWithin(total, next, budget),
  };
}

/** Rounded up: a figure that is read must not be below what is spent. */
function shown(epsilon: number): string {
  return Number.isFinite(epsilon) ? String(Math.ceil(epsilon * 1e4) / 1e4) : 'without bound';
}
