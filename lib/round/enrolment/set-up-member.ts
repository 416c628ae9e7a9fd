/** A member of a fleet, set up on the machine where it will live: its keys never leave, its enrolment does. */
import { join } from 'node:path';
import { KeyStore } from '../../custody/keys/key-store.js';
import { openLedger } from '../../custody/ledger.js';
import { LEDGER_FILE } from '../../custody/role-directory.js';
import { pinOwner } from '../../custody/roster-pin.js';
import type { WrapperConfig } from '../../custody/wrappers/wrapper-config.js';
import { replaceFile } from '../../files.js';
import { keyIdOf, type SignatureAlgorithm } from '../../package/keys.js';
import type { EnrolledRole } from '../../package/messages/enrolment.js';
import { createRoleState, type PolicyText, writePolicy } from '../role-state.js';
import { ENROLMENT_FILE, requestEnrolment } from './requests.js';

export interface NewMember {
  /** Its directory: new, or without keys in it. */
  readonly directory: string;
  readonly role: EnrolledRole;
  readonly id: string;
  readonly fleet: string;
  readonly algorithms: readonly SignatureAlgorithm[];
  readonly wrapper: WrapperConfig;
  /** Of its first KEM key, where it has one; 1 unless told. For a custodian, the fleet's epoch or the next one. */
  readonly epoch?: number | undefined;
  /** From the owner by a channel that you trust; without it, the first roster that the machine is shown decides. */
  readonly ownerKeyId?: Uint8Array | undefined;
  /** What it allows; without one, the preset "balanced". */
  readonly policyFile?: PolicyText | undefined;
}

export interface SetUpMember {
  /** Hash of its signing keys, 32 bytes: what the owner compares. */
  readonly keyId: Uint8Array;
  /** Path of its enrolment (`.tge`). */
  readonly enrolment: string;
}

/**
 * Makes keys and state, and writes `enrolment.tge`, last: a directory without it was not finished, and nobody has seen
 * anything of it. Remove it then and begin anew.
 *
 * @throws RefusedError `key.exists`, `storage.exists`; `wrapper.*`
 */
export async function setUpMember(member: NewMember): Promise<SetUpMember> {
  const { directory, role, id, fleet, algorithms, wrapper, epoch = 1, ownerKeyId, policyFile } = member;
  const store = await KeyStore.create(directory, {
    ...{ role, id, fleet, algorithms, wrapper },
    // Nobody seals to a custodian's key before a roster lists it.
    ...(role === 'custodian' && { kem: { epoch, state: 'pre-activation' } }),
    ...(role === 'client' && { kem: { epoch, state: 'active' } }),
    prf: role === 'client',
  });
  try {
    await createRoleState(role, directory);
    if (policyFile !== undefined) await writePolicy(directory, policyFile);
    if (ownerKeyId !== undefined) await pinOwner(directory, ownerKeyId);
    await writeEnrolment(store, { ownerKeyId });
    return { keyId: keyIdOf(store.publicKeys), enrolment: join(directory, ENROLMENT_FILE) };
  } finally {
    store.close();
  }
}

/**
 * Writes `enrolment.tge` of a role that is set up, with its newest KEM key and, for a custodian, the head of its ledger.
 *
 * @returns the file's bytes
 * @throws as `requestEnrolment` and `openLedger` do
 */
export async function writeEnrolment(
  store: KeyStore,
  options: { readonly ownerKeyId?: Uint8Array | undefined } = {},
): Promise<Uint8Array> {
  const head = store.role === 'custodian' ? await ledgerHead(store.directory) : undefined;
  const restored = awaitsRestoredEnrolment(store);
  const file = await requestEnrolment(store, { ...options, ledgerHead: head, restored });
  await replaceFile(join(store.directory, ENROLMENT_FILE), file, { mode: 0o600 });
  return file;
}

/**
 * Whether the store was restored, and no key that it made since was ever in a roster: a rotation before that must not take
 * from the owner the word that the ledger goes on from another head. Later ones must not repeat it.
 */
function awaitsRestoredEnrolment(store: KeyStore): boolean {
  const floor = store.epochFloor;
  const listed = ({ purpose, epoch, state }: ReturnType<KeyStore['keys']>[number]) =>
    purpose === 'kem' && (epoch ?? 0) >= floor && state !== 'pre-activation' && state !== 'destroyed';
  return floor > 0 && !store.keys().some(listed);
}

async function ledgerHead(directory: string): Promise<Uint8Array> {
  const ledger = await openLedger(join(directory, LEDGER_FILE));
  try {
    return ledger.head();
  } finally {
    ledger.close();
  }
}
