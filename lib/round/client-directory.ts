/** A client's directory, opened for sealing. */
import { join } from 'node:path';
import { openClientState } from '../custody/client-state.js';
import { openRole } from '../custody/role-directory.js';
import type { TrustedRoster } from '../custody/roster.js';
import { openPrivacyLedger } from '../privacy/privacy-ledger.js';
import { openResiduals } from './residuals.js';
import { type RolePolicyOptions, readRolePolicy } from './role-policy.js';
import { budgetOf, PRIVACY_LEDGER_FILE } from './round-privacy.js';
import type { ClientIdentity } from './seal-update.js';

export interface ClientOptions extends RolePolicyOptions {
  /** The privacy ledger of a site that several robots share, in place of the client's own. */
  readonly privacyLedger?: string | undefined;
}

/** The caller calls `close`. */
export async function openClient(
  directory: string,
  options: ClientOptions,
): Promise<{ readonly client: ClientIdentity; readonly roster: TrustedRoster; close(): void }> {
  const { policy } = await readRolePolicy(directory, options);
  const role = await openRole(directory, 'client');
  const closing: (() => void)[] = [() => role.close()];
  const close = (): void => {
    for (const end of closing.reverse()) end();
  };
  try {
    const residuals = policy.training.errorFeedback ? await openResiduals(directory) : undefined;
    const ledger = await openPrivacyLedger(options.privacyLedger ?? join(directory, PRIVACY_LEDGER_FILE));
    closing.push(() => ledger.close());
    const state = await openClientState(directory);
    closing.push(() => state.close());
    const prf = await role.store.prf();
    closing.push(() => prf.wipe());
    return {
      client: {
        id: role.id,
        signing: role.signing,
        prf,
        state,
        policy,
        residuals,
        privacy: { ledger, budget: budgetOf(policy) },
      },
      roster: role.roster,
      close,
    };
  } catch (error) {
    close();
    throw error;
  }
}
