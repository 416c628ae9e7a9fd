/** Records and statuses that tests start from. */
import type { CustodyStatus } from '../../../lib/observability/custody-status.js';
import type { RecordOf } from '../../../lib/observability/records.js';

export function custodyStatus(changes: Partial<CustodyStatus> = {}): CustodyStatus {
  return {
    schema: '1.0.0',
    atMs: 1_790_000_000_000,
    keys: [
      { name: 'signing', state: 'active', createdMs: 1_780_000_000_000, recoverable: false },
      { name: 'kem-1', epoch: 1, state: 'active', createdMs: 1_780_000_000_000, recoverable: true },
    ],
    rotation: { dueAtMs: 1_790_000_100_000, pending: false },
    audit: { entries: 4, head: 'ab'.repeat(32), whole: true },
    openBreakGlass: [],
    ...changes,
  };
}

export function privacyRecord(changes: Partial<RecordOf<'privacy'>> = {}): RecordOf<'privacy'> {
  return {
    kind: 'privacy',
    schema: '1.0.0',
    id: 'privacy.pick.robot-1.4',
    atMs: 1_790_000_000_000,
    policy: 'pick',
    client: 'robot-1',
    epsilonSpent: 2,
    epsilonBudget: 10,
    epsilonRemaining: 8,
    delta: 1e-5,
    rounds: 4,
    epsilonPerRound: 0.5,
    roundsLeft: 16,
    ...changes,
  };
}
