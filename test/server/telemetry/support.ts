/** What tests of records start from. */
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
