/** A client's directory, opened for sealing. */
import { join } from 'node:path';
import { openClientState } from '../custody/client-state.js';
import { openRole } from '../custody/role-directory.js';
import type { TrustedRoster } from '../custody/roster.js';
import { FormatError } from '../errors.js';
import { openPrivacyLedger } from '../privacy/privacy-ledger.js';
import { openResiduals } from '../round/residuals.js';
import { type RolePolicyOptions, readRolePolicy } from '../round/role-policy.js';
import { budgetOf, PRIVACY_LEDGER_FILE } from '../round/round-privacy.js';
import type { ClientIdentity } from '../round/seal-update.js';

export interface ClientOptions extends RolePolicyOptions {
  /** The privacy ledger of a site that several robots share, in place of the client's own. */
  readonly privacyLedger?: string | undefined;
}

/** The caller calls `close`. */
export async function openClient(
  directory: string,
  options: ClientOptions,
): Promise<{ readonly client: ClientIdentity; readonly roster: TrustedRoster; close(): void }> {
  const { keys, signing, roster } = await openRole(directory, 'client');
  if (keys.prf === undefined) {
    throw new FormatError('key.malformed', `The key file in ${directory} has no PRF key.`);
  }
  const { policy } = await readRolePolicy(directory, options);
  const residuals = policy.training.errorFeedback ? await openResiduals(directory) : undefined;
  const ledger = await openPrivacyLedger(options.privacyLedger ?? join(directory, PRIVACY_LEDGER_FILE));
  try {
    const state = await openClientState(directory);
    return {
      client: {
        id: keys.id,
        signing,
        prf: keys.prf,
        state,
        policy,
        residuals,
        privacy: { ledger, budget: budgetOf(policy) },
      },
      roster,
      close() {
        state.close();
        ledger.close();
      },
    };
  } catch (error) {
    ledger.close();
    throw error;
  }
}
