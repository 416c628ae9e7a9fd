/** What tests of records start from. */
import type { CustodyStatus } from '../../../lib/observability/custody-status.js';
import type { RecordOf } from '../../../lib/observability/records.js';
import type { PersonRole } from '../../../lib/server/auth/actor.js';
import { StoredTokens } from '../../../lib/server/auth/stored-tokens.js';
import { BearerTokens } from '../../../lib/server/auth/tokens.js';
import type { ServedTestFleet } from '../support/served-fleet.js';

export async function personToken(fleet: ServedTestFleet, role: PersonRole = 'viewer'): Promise<string> {
  const tokens = new BearerTokens(new StoredTokens(fleet.service.context.store.state));
  return (await tokens.create(`a ${role}`, role, 1)).token;
}

/** A route of the service as a person reads it. */
export async function readAs(fleet: ServedTestFleet, token: string, path: string): Promise<Response> {
  return fetch(new URL(path, fleet.service.address), { headers: { authorization: `Bearer ${token}` } });
}

/** Asks again until what comes is right, for what is written in the background. */
export async function eventually<T>(ask: () => Promise<T | undefined>): Promise<T> {
  for (const end = Date.now() + 20_000; Date.now() < end; ) {
    const found = await ask();
    if (found !== undefined) return found;
    await new Promise((resolve) => setTimeout(resolve, 30));
  }
  throw new Error('it did not come');
}

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
