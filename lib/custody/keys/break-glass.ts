/**
 * Break-glass: a quorum of officers unlocks one named key for one named round.
 *
 * It never replaces the threshold of custodians: what it unlocks is one custodian's key, for one more answer. It is on the
 * trail before it works, leaves the key compromised, and stays open until an officer closes it.
 */
import { RefusedError, TensorGuardError, VerificationError } from '../../errors.js';
import {
  combineShares,
  createRecovery,
  type OfficerShare,
  proveOfficer,
} from '../break-glass/officer-shares.js';
import { openRecoveryCopy } from '../break-glass/recovery-copy.js';
import { encodeRecoveryDescription, recoveryDescriptionDigest } from '../break-glass/recovery-description.js';
import { hex, requireBytes32, sameBytes } from '../fields.js';
import { kemPublicKey } from '../hpke.js';
import { describeRound, type RoundKey, requireRoundKey } from '../round-key.js';
import type { SecretBytes } from '../secret-bytes.js';
import type { KeyRow } from './key-rows.js';
import { type KeyStore, moveKey, secretFileName } from './key-store.js';
import type { WrappedSecret } from './key-vault.js';
import { recoveryBinding, recoveryDescription, recoveryEntry, sealRecovery } from './recovery-files.js';

export interface RecoverySetup {
  readonly officers: readonly string[];
  readonly threshold: number;
  /** Of the officers that there are, as many as it takes: they agree to be replaced. */
  readonly present?: readonly OfficerShare[] | undefined;
  /**
   * Keeps the shares, before they count: officers whose shares are lost could not even be replaced. Where what follows fails, the
   * officers of before remain, and these shares open nothing.
   */
  readonly keep?: (shares: readonly OfficerShare[]) => Promise<void>;
}

export interface BreakGlassRequest {
  readonly key: string;
  readonly round: RoundKey;
  /** Fingerprint of the round's plan. */
  readonly plan: Uint8Array;
  readonly reason: string;
  readonly shares: readonly OfficerShare[];
}

/** A use of break-glass that no officer has closed yet. */
export interface OpenBreakGlass {
  /** Its entry in the audit trail, which names it. */
  readonly entry: number;
  readonly key: string;
  readonly round: string;
  readonly reason: string;
}

async function requireRecovery(store: KeyStore) {
  const description = await recoveryDescription(store.vault);
  if (description !== undefined) return description;
  throw new RefusedError(
    'break-glass.not-set-up',
    `Nobody holds shares of a recovery key of ${store.directory}. "keys break-glass init" gives them out, before they are needed.`,
  );
}

/** Whoever could replace the officers by himself would need none of them. */
async function requireConsent(store: KeyStore, present: readonly OfficerShare[] | undefined): Promise<void> {
  const officers = await recoveryDescription(store.vault);
  if (officers === undefined) return;
  if (present === undefined) {
    throw new RefusedError(
      'break-glass.consent-needed',
      `There are officers, and ${officers.threshold} of ${officers.officers.map(({ name }) => name).join(', ')} have to agree to ` +
        'others: "keys break-glass init --present-shares". If so many are not left, set the custodian up anew.',
    );
  }
  try {
    (await combineShares(officers, present)).wipe();
  } catch (error) {
    if (error instanceof TensorGuardError) await store.refuse({ code: error.code, what: 'other officers' });
    throw error;
  }
}

/**
 * Makes a recovery key and splits it among officers; every KEM key that has its secret gets a copy that they can open. The
 * shares exist nowhere else: the caller hands each to its officer.
 *
 * @throws RefusedError `break-glass.consent-needed`, and what `combineShares` throws, where there are officers;
 *   `break-glass.compromised-key` where a key's only copy belongs to the officers of before
 */
export async function setUpRecovery(
  store: KeyStore,
  { present, keep, ...setup }: RecoverySetup,
): Promise<readonly OfficerShare[]> {
  const { vault } = store;
  const before = recoveryEntry(vault);
  const rows = vault.rows().filter(({ purpose, state }) => purpose === 'kem' && state !== 'destroyed');
  const locked = rows.find(({ secret_file }) => secret_file === null);
  if (locked !== undefined) {
    throw new RefusedError(
      'break-glass.compromised-key',
      `Key "${locked.name}" is ${locked.state}, and only the present officers can open it. Destroy it first, once its rounds are closed.`,
    );
  }
  const { fleet, role, id } = vault.identity;
  await requireConsent(store, present);
  const { recovery, shares } = await createRecovery({ fleet, role, id, ...setup });
  const copies: { readonly row: KeyRow; readonly copy: WrappedSecret }[] = [];
  for (const row of rows) {
    await vault.recordUnwrap(row, 'recovery copy');
    const secret = await vault.unwrap(row);
    try {
      copies.push({ row, copy: (await sealRecovery(vault, row, secret, recovery)) as WrappedSecret });
    } finally {
      secret.wipe();
    }
  }
  const detail = {
    set: recovery.setId,
    officers: setup.officers.join(', '),
    threshold: setup.threshold,
    description: hex(recoveryDescriptionDigest(recovery)),
  };
  await keep?.(shares);
  await vault.commit([{ kind: 'recovery', detail }], (entry) => {
    // Those who agreed are not the officers any more.
    if (recoveryEntry(vault) !== before) throw keysChanged();
    vault.database.run('INSERT OR REPLACE INTO recovery (only_row, description, entry) VALUES (1, ?, ?)', [
      encodeRecoveryDescription(recovery),
      entry,
    ]);
    for (const { row, copy } of copies) {
      const file = secretFileName(`${row.name}.recovery`);
      vault.files.create(file, copy);
      const changed = vault.database.run(
        `UPDATE key SET recovery_file = ?, secret_file = CASE WHEN state != 'compromised' THEN secret_file END
         WHERE name = ? AND secret_file IS NOT NULL`,
        [file, row.name],
      );
      // Compromised meanwhile, it has only the copy that is sealed to the officers of before.
      if (changed === 0 && vault.row(row.name).state !== 'destroyed') throw keysChanged();
    }
    const others = vault
      .rows()
      .filter(({ purpose, secret_file }) => purpose === 'kem' && secret_file !== null)
      .filter(({ name }) => !copies.some(({ row }) => row.name === name));
    if (others.length > 0) throw keysChanged();
  });
  return shares;
}

function keysChanged(): RefusedError {
  return new RefusedError(
    'break-glass.keys-changed',
    'Another process made or compromised a key meanwhile, which the new officers could not open, or named others. Run it again.',
  );
}

/**
 * Unlocks a key for one round. The secret is in memory only; the caller uses it for that round and wipes it. Asking again for
 * the same round is another use, with its own entry.
 *
 * @throws RefusedError `break-glass.*`, `key.unknown`; VerificationError `break-glass.*`
 */
export async function breakGlass(store: KeyStore, request: BreakGlassRequest): Promise<SecretBytes> {
  const { vault } = store;
  const { key, round, plan, reason } = request;
  requireRoundKey(round);
  requireBytes32('plan', plan);
  const facts = { round: describeRound(round), plan: hex(plan), reason };
  const description = await requireRecovery(store);
  const row = vault.row(key);
  if (row.recovery_file === null || row.epoch === null) {
    throw new RefusedError(
      'break-glass.no-copy',
      `There is no copy of key "${key}" that officers could open: it is ${row.state}.`,
    );
  }
  if (row.epoch < vault.epochFloor()) {
    throw new RefusedError(
      'key.epoch-refused',
      `This key store was restored: it opens nothing of an epoch below ${vault.epochFloor()}.`,
    );
  }
  const copy = vault.files.read(row.recovery_file);
  const recoverySeed = await combineShares(description, request.shares).catch(async (error: unknown) => {
    if (error instanceof TensorGuardError) await store.refuse({ ...facts, code: error.code }, key);
    throw error;
  });
  try {
    const officers = request.shares.map(({ officer }) => officer).join(', ');
    // From here on the key counts as compromised, whatever becomes of this process.
    await vault.commit([{ kind: 'break-glass', key, detail: { ...facts, officers } }], (entry) => {
      const { state } = vault.row(key);
      if (state === 'destroyed') {
        throw new RefusedError('break-glass.no-copy', `Key "${key}" was destroyed meanwhile.`);
      }
      moveKey(vault, key, 'compromised', entry);
      vault.database.run('INSERT INTO break_glass (entry, key, plan, round, reason) VALUES (?, ?, ?, ?, ?)', [
        entry,
        key,
        plan,
        facts.round,
        reason,
      ]);
    });
    const secret = await openRecoveryCopy(description, recoverySeed, recoveryBinding(vault, row), copy.blob);
    await requireSecretOf(row, secret);
    return secret;
  } finally {
    recoverySeed.wipe();
  }
}

/** Anybody can seal to a public key: a copy that opens may be one that somebody put there. */
async function requireSecretOf(row: KeyRow, secret: SecretBytes): Promise<void> {
  const publicKey = await secret.use(kemPublicKey);
  if (row.public_key !== null && sameBytes(publicKey, row.public_key)) return;
  secret.wipe();
  throw new VerificationError(
    'key.wrong-secret',
    `The recovery copy of key "${row.name}" holds another key: files were exchanged or changed. Restore them.`,
  );
}

/** The uses that no officer has closed: every status shows them. */
export function openBreakGlasses(store: KeyStore): readonly OpenBreakGlass[] {
  return store.vault.openUses().map(({ entry, key, round, reason }) => ({ entry, key, round, reason }));
}

/**
 * An officer closes a use, which his share proves him to be.
 *
 * @throws RefusedError `break-glass.unknown-use`; VerificationError `break-glass.corrupt-share`
 */
export async function closeBreakGlass(
  store: KeyStore,
  use: number,
  share: OfficerShare,
  note: string,
): Promise<void> {
  const officer = proveOfficer(await requireRecovery(store), share);
  const open = openBreakGlasses(store).find(({ entry }) => entry === use);
  if (open === undefined) {
    throw new RefusedError('break-glass.unknown-use', `No use of break-glass with entry ${use} is open.`);
  }
  await store.vault.commit([{ kind: 'break-glass-close', detail: { use, officer, note } }], (entry) => {
    store.vault.database.run('UPDATE break_glass SET closed_entry = ? WHERE entry = ?', [entry, use]);
  });
}
