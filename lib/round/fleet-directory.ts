/** What every way of making a fleet does: roles with keys in a new directory, a first roster, `fleet.json` when all is there. */
import { mkdir, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Role } from '../custody/keys/key-rows.js';
import { KeyStore } from '../custody/keys/key-store.js';
import { ROSTER_FILE } from '../custody/role-directory.js';
import type { WrapperConfig } from '../custody/wrappers/wrapper-config.js';
import { RefusedError } from '../errors.js';
import { replaceFile } from '../files.js';
import type { ParameterSetName } from '../lwe/parameters.js';
import type { SignatureAlgorithm } from '../package/keys.js';
import type { RosterBody } from '../package/messages/roster.js';
import type { LocalSigningKey } from '../package/signing-key.js';
import { containerBytes, encodeContainer } from '../package/writer.js';
import type { PolicyText } from './role-state.js';

export interface FleetSettings {
  /** New, or empty. */
  readonly directory: string;
  readonly name: string;
  /** Custodians that must agree to open a round. */
  readonly threshold: number;
  readonly parameterSet: ParameterSetName;
  readonly quorumFloor: number;
  readonly maxUpdateBytes: number;
  readonly signatureAlgorithms: readonly SignatureAlgorithm[];
  /** The policy that every role which is made here starts with. */
  readonly policyFile: PolicyText;
  /** What `fleet.json` says beside the fleet's name: defaults for later commands. */
  readonly defaults: Readonly<Record<string, unknown>>;
}

/** A role that was made here. */
export interface MadeMember {
  readonly directory: string;
  readonly id: string;
  readonly signing: LocalSigningKey;
  readonly kem: Uint8Array | undefined;
}

export const FIRST_EPOCH = 1;
const RECEIVING: readonly Role[] = ['custodian', 'owner', 'client'];

/** @throws RefusedError `fleet.directory-not-empty` */
export async function createFleetDirectory(directory: string): Promise<void> {
  await mkdir(directory, { recursive: true, mode: 0o700 });
  if ((await readdir(directory)).length === 0) return;
  throw new RefusedError(
    'fleet.directory-not-empty',
    `${directory} is not empty. Name a new directory: keys are never overwritten.`,
  );
}

/** Makes the keys of one role. */
export async function createMember(
  directory: string,
  role: Role,
  id: string,
  { name: fleet, signatureAlgorithms: algorithms }: Pick<FleetSettings, 'name' | 'signatureAlgorithms'>,
  wrapper: WrapperConfig = { kind: 'none' },
): Promise<MadeMember> {
  const store = await KeyStore.create(directory, {
    ...{ role, id, fleet, algorithms, wrapper },
    ...(RECEIVING.includes(role) && { kem: { epoch: FIRST_EPOCH, state: 'active' } }),
    prf: role === 'client',
  });
  try {
    return { directory, id, signing: await store.signing(), kem: store.newestKem()?.publicKey };
  } finally {
    store.close();
  }
}

export function publicKem({ id, kem }: MadeMember): Uint8Array {
  if (kem === undefined) throw new TypeError(`${id} has no KEM key`);
  return kem;
}

export interface SignedRoster {
  /** The file. */
  readonly bytes: Uint8Array;
  readonly fingerprint: Uint8Array;
}

/** Roster version 1 of these members, in the order given. */
export async function signFirstRoster(
  settings: FleetSettings,
  members: Pick<RosterBody, 'owner' | 'coordinator' | 'aggregators' | 'gateways' | 'clients' | 'custodians'>,
  signer: LocalSigningKey,
): Promise<SignedRoster> {
  const body: RosterBody = {
    ...members,
    fleet: settings.name,
    version: 1,
    threshold: settings.threshold,
    quorumFloor: settings.quorumFloor,
    maxUpdateBytes: settings.maxUpdateBytes,
    parameterSets: [settings.parameterSet],
    noiseFloor: 0,
    signatureAlgorithms: [...settings.signatureAlgorithms],
  };
  const container = await encodeContainer({ kind: 'roster', body, sections: [], signer });
  return { bytes: containerBytes(container), fingerprint: container.envelope.fingerprint };
}

/** Writes what belongs to the whole fleet. `fleet.json` comes last: a directory without it was not finished. */
export async function finishFleet(settings: FleetSettings, roster: SignedRoster): Promise<void> {
  const { directory, name: fleet, defaults } = settings;
  await replaceFile(join(directory, ROSTER_FILE), roster.bytes);
  const document = { format: 'tensorguard-native fleet', version: 1, fleet, ...defaults };
  await replaceFile(join(directory, 'fleet.json'), `${JSON.stringify(document, null, 2)}\n`);
}
