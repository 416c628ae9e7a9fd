/** Every outlier test on the sealed set of one round. */
import type { RoundEvent } from '../machine/events.js';
import type { RoundState } from '../machine/state.js';
import { outlierCandidates } from './candidates.js';
import type { OutlierTest, OutlierVerdict } from './outlier-test.js';

type Judged = Extract<RoundEvent, { type: 'outliers-judged' }>;

export interface Flagged extends OutlierVerdict {
  readonly test: string;
  readonly reason: string;
}

/** @returns the updates that a test flags, each once, by the first test that does */
export async function judgeRound(state: RoundState, tests: readonly OutlierTest[]): Promise<Flagged[]> {
  const candidates = outlierCandidates(state);
  const flagged = new Map<string, Flagged>();
  for (const test of tests) {
    for (const verdict of await test.judge(candidates)) {
      if (!verdict.flagged || flagged.has(verdict.fingerprint)) continue;
      flagged.set(verdict.fingerprint, { ...verdict, test: test.name, reason: test.reason });
    }
  }
  return [...flagged.values()];
}

export function judgedEvent(flagged: readonly Flagged[], action: Judged['action'], atMs: number): Judged {
  return {
    type: 'outliers-judged',
    atMs,
    action,
    flagged: flagged.map(({ fingerprint, test, reason }) => ({ fingerprint, test, reason })),
  };
}
