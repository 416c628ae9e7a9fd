import { plannedRound, type RoundState } from '../../../lib/round/machine/state.js';
import { stepThrough } from '../../../lib/round/machine/step.js';

/** A round that waits for its time to open. */
export function newRound(
  plan: string,
  cohort: string,
  round: number,
  eligible: string[],
  opensAtMs: number,
): RoundState {
  return plannedRound(
    {
      key: { fleet: 'acme', policy: 'balanced', cohort, round },
      ...{ plan, eligible, opensAtMs, deadlineMs: opensAtMs + 1000 },
      ...{ quorum: 2, maxClients: 4, threshold: 2, custodians: ['a', 'b', 'c'], secondUpdate: 'replace' },
      ...{ roundIntervalSeconds: 3600, sumLeaseMs: 60_000, maxSumAttempts: 5 },
    },
    opensAtMs,
  );
}

/** One that was aborted, and has its close record. */
export function closedRound(
  plan: string,
  cohort: string,
  round: number,
  eligible: string[],
  opensAtMs: number,
): RoundState {
  const state = newRound(plan, cohort, round, eligible, opensAtMs);
  return stepThrough(state, [
    { type: 'abort', reason: 'a test', atMs: opensAtMs },
    { type: 'closed', record: plan, opened: [], reason: 'a test', atMs: opensAtMs },
  ]).state;
}
