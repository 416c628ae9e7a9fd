/** What a role keeps beside its keys and its roster, made once. */
import { join } from 'node:path';
import { createClientState } from '../custody/client-state.js';
import type { Role } from '../custody/keys/key-rows.js';
import { createLedger } from '../custody/ledger.js';
import { createReleaseState } from '../custody/release/release-state.js';
import { LEDGER_FILE } from '../custody/role-directory.js';
import { replaceFile } from '../files.js';
import { createPrivacyLedger } from '../privacy/privacy-ledger.js';
import { openResiduals } from './residuals.js';
import { PRIVACY_LEDGER_FILE } from './round-privacy.js';

/** @throws RefusedError `storage.exists`: state is never begun anew, since it says what must not be done again */
export async function createRoleState(role: Role, directory: string): Promise<void> {
  if (role === 'client') {
    (await createClientState(directory)).close();
    (await createReleaseState(directory)).close();
    // Made now: opening a client for a dry run must write nothing.
    await openResiduals(directory);
    (await createPrivacyLedger(join(directory, PRIVACY_LEDGER_FILE))).close();
  }
  if (role === 'custodian') (await createLedger(join(directory, LEDGER_FILE))).close();
}

/** A policy file of a role's directory. */
export interface PolicyText {
  /** `policy.json`, `policy.yaml` or `policy.yml`: what `readRolePolicy` looks for. */
  readonly name: string;
  readonly text: string;
}

export async function writePolicy(directory: string, { name, text }: PolicyText): Promise<void> {
  await replaceFile(join(directory, name), text);
}
