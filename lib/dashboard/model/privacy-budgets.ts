/** What each site has left of its privacy budget, as it said last, and how it went down. */
import type { ClientView, RecordOf } from './reported.js';

export interface SiteBudget {
  readonly client: string;
  readonly policy: string;
  readonly epsilonSpent: number;
  readonly epsilonBudget: number;
  readonly epsilonRemaining: number;
  readonly delta: number;
  readonly rounds: number;
  readonly reportedAtMs: number;
  /** Of the budget, from 0 to 1. */
  readonly spentPart: number;
  /** Of the newest record of this site: how often a round's cost still fits. */
  readonly roundsLeft: number | undefined;
  readonly epsilonPerRound: number | undefined;
  readonly standing: 'enough' | 'low' | 'exhausted';
}

/** Of a budget, spent: where the server begins to warn (lib/observability/alerts.ts); a test compares. */
export const LOW_FROM_SPENT_PART = 0.8;

type PrivacyRecord = RecordOf<'privacy'>;

/** Whoever has least left stands first. */
export function siteBudgets(clients: readonly ClientView[], records: readonly PrivacyRecord[]): SiteBudget[] {
  const newest = new Map<string, PrivacyRecord>();
  for (const record of records) {
    const known = newest.get(siteKey(record));
    if (known === undefined || record.atMs > known.atMs) newest.set(siteKey(record), record);
  }
  const budgets = clients.flatMap(({ client, lastReport }) => {
    const { privacy, policy } = lastReport?.report ?? {};
    if (lastReport === undefined || privacy === undefined || policy === undefined) return [];
    return [
      budgetOf(client, policy, lastReport.receivedAtMs, privacy, newest.get(siteKey({ client, policy }))),
    ];
  });
  return budgets.sort(
    (a, b) => b.spentPart - a.spentPart || (a.client < b.client ? -1 : a.client > b.client ? 1 : 0),
  );
}

function budgetOf(
  client: string,
  policy: string,
  reportedAtMs: number,
  privacy: NonNullable<NonNullable<ClientView['lastReport']>['report']['privacy']>,
  record: PrivacyRecord | undefined,
): SiteBudget {
  const { epsilonSpent, epsilonBudget, delta, rounds } = privacy;
  const epsilonRemaining = Math.max(0, epsilonBudget - epsilonSpent);
  const spentPart = epsilonBudget === 0 ? 1 : Math.min(1, epsilonSpent / epsilonBudget);
  // A record of an older report says nothing of this one.
  const current = record?.rounds === rounds ? record : undefined;
  return {
    ...{ client, policy, epsilonSpent, epsilonBudget, epsilonRemaining, delta, rounds, reportedAtMs },
    spentPart,
    roundsLeft: current?.roundsLeft,
    epsilonPerRound: current?.epsilonPerRound,
    standing: spentPart === 1 ? 'exhausted' : spentPart >= LOW_FROM_SPENT_PART ? 'low' : 'enough',
  };
}

function siteKey({ client, policy }: { readonly client: string; readonly policy: string }): string {
  return JSON.stringify([client, policy]);
}

export interface BurnDown {
  /** Rounds that were paid for, ascending. */
  readonly rounds: readonly number[];
  /** What was left after each, as reported. */
  readonly remaining: readonly (number | undefined)[];
  /** From the last report on, at the rate that it gave; nothing where it gave none. */
  readonly atThisRate: readonly (number | undefined)[];
}

/** Of one site, from its records. @returns undefined where it has left none */
export function burnDown(
  records: readonly PrivacyRecord[],
  site: { readonly client: string; readonly policy: string },
): BurnDown | undefined {
  const byRounds = new Map<number, PrivacyRecord>();
  for (const record of [...records].sort((a, b) => a.atMs - b.atMs)) {
    if (siteKey(record) === siteKey(site)) byRounds.set(record.rounds, record);
  }
  const reported = [...byRounds.values()].sort((a, b) => a.rounds - b.rounds);
  const last = reported.at(-1);
  if (last === undefined) return undefined;
  const { roundsLeft = 0, epsilonPerRound = 0 } = last;
  const projected = roundsLeft > 0 ? [last.rounds + roundsLeft] : [];
  return {
    rounds: [...reported.map(({ rounds }) => rounds), ...projected],
    remaining: [
      ...reported.map(({ epsilonRemaining }) => epsilonRemaining),
      ...projected.map(() => undefined),
    ],
    atThisRate: [
      ...reported.slice(0, -1).map(() => undefined),
      projected.length > 0 ? last.epsilonRemaining : undefined,
      ...projected.map(() => Math.max(0, last.epsilonRemaining - roundsLeft * epsilonPerRound)),
    ],
  };
}
