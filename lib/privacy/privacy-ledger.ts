/**
 * What a site has released, on the disk before it leaves, and what that amounts to.
 *
 * The ledger stores releases, not epsilons: epsilon is recomputed from all of them at every question, so that a budget,
 * its delta or a better bound may change at any time. A release is recorded before its update is sealed; a crash in
 * between counts it although nothing was sent, never the reverse. Nothing is refunded, not even when a round is closed
 * without being opened: the sealed update is in other hands, and enough custodians could open it.
 *
 * Entries form a hash chain, which finds damage and careless edits. Whoever may write to the file can rebuild or shorten
 * it: a site that lies to itself about its own budget is not defended against.
 */
import { DurableDatabase } from '../durable/durable-database.js';
import { RefusedError } from '../errors.js';
import { answered, askBudget, type BudgetAnswer, type PrivacyBudget, requireBudget } from './budget.js';
import {
  addExpense,
  type Expense,
  expenseEpsilon,
  expenseOf,
  NOTHING_SPENT,
  roundsWithin,
} from './guarantee.js';
import {
  corrupt,
  description,
  GENESIS,
  groupRow,
  nextHead,
  releaseOf,
  rowOf,
  type SpendRow,
  spendOf,
  spendRow,
} from './privacy-ledger-rows.js';
import type { Release } from './release.js';
import { requireSpend, type Spend, sameSpend } from './spend.js';

export interface SpendRequest extends Spend {
  readonly budget: PrivacyBudget;
}

export interface SpendOutcome extends BudgetAnswer {
  /** Whether this plan was recorded by an earlier call, and so counts once. */
  readonly replayed: boolean;
}

export interface StatusRequest {
  readonly budget: PrivacyBudget;
  /** What `roundsLeft` is counted for. */
  readonly next?: { readonly release: Release; readonly samplerDelta: number };
}

export interface PrivacyStatus {
  /** Of everything recorded, at the budget's delta; Infinity where none can be proved. */
  readonly epsilonSpent: number;
  /** How many releases are recorded. */
  readonly releases: number;
  /** The budget's epsilon less what is spent, never below 0. */
  readonly remaining: number;
  /** How many releases like `next` still fit, by composition; absent without `next`. */
  readonly roundsLeft?: number;
}

/** A recorded release, in the order of recording. */
export interface RecordedSpend extends Spend {
  readonly entry: number;
}

/**
 * Creates the empty ledger of a site that has released nothing, and opens it.
 *
 * @throws RefusedError `storage.exists` if anything is at `path`; what `openPrivacyLedger` throws
 */
export async function createPrivacyLedger(path: string): Promise<PrivacyLedger> {
  return new PrivacyLedger(await DurableDatabase.create(path, description));
}

/**
 * Opens a ledger and verifies its whole chain. Several processes may have it open at once.
 *
 * @throws VerificationError `privacy.ledger-corrupt`
 * @throws EnvironmentError `storage.missing`, `storage.permissions`, `storage.symlink`, `storage.busy`,
 *   `storage.failed`
 */
export async function openPrivacyLedger(path: string): Promise<PrivacyLedger> {
  const ledger = new PrivacyLedger(await DurableDatabase.open(path, description));
  try {
    ledger.verify();
  } catch (error) {
    ledger.close();
    throw error;
  }
  return ledger;
}

export class PrivacyLedger {
  /** Use `createPrivacyLedger` or `openPrivacyLedger`. */
  constructor(private readonly database: DurableDatabase) {}

  /**
   * Records a release unless it exceeds the budget; on the disk when this returns. Call it before sealing, and seal
   * only if it returns. The same plan again, with the same release, counts once and is never refused.
   *
   * @throws RefusedError `privacy.budget-exhausted` (nothing recorded), `privacy.plan-has-another-release`,
   *   `privacy.plan-has-another-client`
   * @throws ParameterError `privacy.bad-budget`, `privacy.bad-release`, `privacy.bad-sampler-delta`,
   *   `privacy.bad-spend`
   * @throws EnvironmentError `storage.busy`, `storage.failed`
   */
  spend(request: SpendRequest): SpendOutcome {
    const budget = requireBudget(request.budget);
    const spend = requireSpend(request);
    return this.database.transaction(() => {
      const outcome = this.answer(spend, budget);
      if (!outcome.replayed) {
        this.record(spend);
      }
      return outcome;
    });
  }

  /** What `spend` would return or throw, with nothing recorded. */
  preview(request: SpendRequest): SpendOutcome {
    const budget = requireBudget(request.budget);
    const spend = requireSpend(request);
    return this.database.snapshot(() => this.answer(spend, budget));
  }

  /**
   * Where the site stands.
   *
   * @throws ParameterError `privacy.bad-budget`, `privacy.bad-release`, `privacy.bad-sampler-delta`
   */
  status(request: StatusRequest): PrivacyStatus {
    const budget = requireBudget(request.budget);
    const next = request.next && expenseOf(request.next.release, request.next.samplerDelta);
    return this.database.snapshot(() => {
      const spent = this.spent();
      const epsilonSpent = expenseEpsilon(spent, budget.delta);
      return {
        epsilonSpent,
        releases: this.last()?.entry ?? 0,
        remaining: Math.max(0, budget.epsilon - epsilonSpent),
        // Of a budget of zero nothing may be spent, not even what costs nothing.
        ...(next && { roundsLeft: budget.epsilon === 0 ? 0 : roundsWithin(spent, next, budget) }),
      };
    });
  }

  /** Everything recorded, oldest first. */
  entries(): RecordedSpend[] {
    return this.rows().map((row) => ({ entry: row.entry, ...spendOf(row) }));
  }

  /** Recomputes the chain. @throws VerificationError `privacy.ledger-corrupt` */
  verify(): void {
    let head: Uint8Array = GENESIS;
    for (const [index, row] of this.rows().entries()) {
      if (row.entry !== index + 1) {
        throw corrupt(`entry ${index + 1} is missing`);
      }
      head = nextHead(head, row);
      if (Buffer.compare(head, row.head) !== 0) {
        throw corrupt(`entry ${row.entry} was changed`);
      }
    }
  }

  close(): void {
    this.database.close();
  }

  private answer(spend: Spend, budget: PrivacyBudget): SpendOutcome {
    const next = expenseOf(spend.release, spend.samplerDelta);
    const recorded = this.database.get(spendRow, 'SELECT * FROM spend WHERE plan = ?', [spend.plan]);
    if (recorded === undefined) {
      return { ...askBudget(budget, this.spent(), next), replayed: false };
    }
    // Two robots of one site in one sum shift it by twice the sensitivity, which costs four times as much, not twice.
    if (recorded.client !== spend.client) throw anotherClient(recorded, spend);
    if (!sameSpend(spendOf(recorded), spend)) {
      throw anotherRelease(recorded);
    }
    const before = expenseEpsilon(this.spent('WHERE entry < ?', [recorded.entry]), budget.delta);
    return { ...answered(budget, before, this.spent(), next), replayed: true };
  }

  /** Everything recorded, equal releases composed at once. */
  private spent(where = '', values: readonly number[] = []): Expense {
    const columns = 'mechanism, client_variance, honest, l2_squared, dimension, draws, sampler_delta';
    const groups = this.database.all(
      groupRow,
      `SELECT ${columns}, COUNT(*) AS count FROM spend ${where} GROUP BY ${columns} ORDER BY ${columns}`,
      values,
    );
    return groups.reduce<Expense>(
      (sum, group) => addExpense(sum, expenseOf(releaseOf(group), group.sampler_delta), group.count),
      NOTHING_SPENT,
    );
  }

  private record(spend: Spend): void {
    const last = this.last();
    const row = rowOf((last?.entry ?? 0) + 1, spend, last?.head ?? GENESIS);
    this.database.run(
      `INSERT INTO spend (${Object.keys(row).join(', ')})
       VALUES (${Object.keys(row)
         .map(() => '?')
         .join(', ')})`,
      Object.values(row),
    );
  }

  private last(): SpendRow | undefined {
    return this.database.get(spendRow, 'SELECT * FROM spend ORDER BY entry DESC LIMIT 1');
  }

  private rows(): SpendRow[] {
    return this.database.all(spendRow, 'SELECT * FROM spend ORDER BY entry');
  }
}

function anotherClient(row: SpendRow, spend: Spend): RefusedError {
  return new RefusedError(
    'privacy.plan-has-another-client',
    `"${row.client}" has taken part in round ${row.round} with this site's budget, so "${spend.client}" cannot: what two of its ` +
      'robots release in one sum protects the site less than the budget says. Let one robot a round take part, or give ' +
      'each a ledger of its own.',
  );
}

function anotherRelease(row: SpendRow): RefusedError {
  return new RefusedError(
    'privacy.plan-has-another-release',
    `Plan ${Buffer.from(row.plan).toString('hex')} is recorded for round ${row.round} of ${row.policy} in ${row.fleet} ` +
      'with another release, and a plan has one. Use the recorded one, or plan a new round.',
  );
}
