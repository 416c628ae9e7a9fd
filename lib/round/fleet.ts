/** A whole fleet on one machine, to try out: every role with keys of its own, under one signed roster. */
import { mkdir, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { createClientState } from '../custody/client-state.js';
import { generateKemKey, type KemKey } from '../custody/hpke.js';
import { createKeyFile, type Role } from '../custody/key-files.js';
import { createLedger } from '../custody/ledger.js';
import { KEY_FILE, LEDGER_FILE, ROSTER_FILE, signingKeyOf } from '../custody/role-directory.js';
import { readTrustedRoster } from '../custody/roster.js';
import { openRosterPin } from '../custody/roster-pin.js';
import { SecretBytes } from '../custody/secret-bytes.js';
import { RefusedError } from '../errors.js';
import { replaceFile } from '../files.js';
import type { ParameterSetName } from '../lwe/parameters.js';
import type { SignatureAlgorithm } from '../package/keys.js';
import type { RosterBody } from '../package/messages/roster.js';
import type { LocalSigningKey } from '../package/signing-key.js';
import { containerBytes, encodeContainer } from '../package/writer.js';
import { createPrivacyLedger } from '../privacy/privacy-ledger.js';
import { openResiduals } from './residuals.js';
import { PRIVACY_LEDGER_FILE } from './round-privacy.js';

export interface FleetOptions {
  readonly directory: string;
  readonly name: string;
  readonly clients: number;
  readonly custodians: number;
  readonly threshold: number;
  readonly parameterSet: ParameterSetName;
  readonly quorumFloor: number;
  readonly maxUpdateBytes: number;
  readonly signatureAlgorithms: readonly SignatureAlgorithm[];
  /** The policy that every role starts with: a file of its directory. */
  readonly policyFile: { readonly name: string; readonly text: string };
  /** What `fleet.json` says beside the fleet's name: defaults for later commands. */
  readonly defaults: Readonly<Record<string, unknown>>;
}

export interface CreatedFleet {
  readonly rosterFingerprint: Uint8Array;
  readonly ownerKeyId: Uint8Array;
  /** Directories of the roles, by name. */
  readonly directories: readonly string[];
}

interface Member {
  readonly directory: string;
  readonly id: string;
  readonly signing: LocalSigningKey;
  readonly kem: KemKey | undefined;
}

const FIRST_EPOCH = 1;

async function createMember(
  directory: string,
  role: Role,
  id: string,
  options: FleetOptions,
): Promise<Member> {
  const kem =
    role === 'custodian' || role === 'owner' || role === 'client' ? await generateKemKey() : undefined;
  const signingSecret = {
    ed25519: SecretBytes.random(32),
    ...(options.signatureAlgorithms.includes('ml-dsa-65') && { 'ml-dsa-65': SecretBytes.random(32) }),
  };
  await createKeyFile(join(directory, KEY_FILE), {
    role,
    id,
    created: new Date().toISOString(),
    signing: signingSecret,
    kem: kem === undefined ? [] : [{ epoch: FIRST_EPOCH, seed: kem.seed }],
    ...(role === 'client' && { prf: SecretBytes.random(32) }),
  });
  return { directory, id, signing: signingKeyOf({ signing: signingSecret }), kem };
}

function publicKem(member: Member): Uint8Array {
  if (member.kem === undefined) throw new TypeError(`${member.id} has no KEM key`);
  return member.kem.publicKey;
}

/**
 * Creates keys, roster and state of every role below `directory`.
 *
 * @throws RefusedError `fleet.directory-not-empty`
 */
export async function createFleet(options: FleetOptions): Promise<CreatedFleet> {
  const { directory } = options;
  await mkdir(directory, { recursive: true, mode: 0o700 });
  if ((await readdir(directory)).length > 0) {
    throw new RefusedError(
      'fleet.directory-not-empty',
      `${directory} is not empty. Name a new directory: keys are never overwritten.`,
    );
  }
  const at = (...parts: string[]): string => join(directory, ...parts);
  const owner = await createMember(at('owner'), 'owner', 'owner', options);
  const coordinator = await createMember(at('coordinator'), 'coordinator', 'coordinator', options);
  const aggregator = await createMember(at('aggregator'), 'aggregator', 'aggregator', options);
  const width = Math.max(2, String(options.clients).length);
  const clients: Member[] = [];
  for (let i = 1; i <= options.clients; i += 1) {
    const id = `client-${String(i).padStart(width, '0')}`;
    clients.push(await createMember(at('clients', id), 'client', id, options));
  }
  const custodians: Member[] = [];
  for (let i = 1; i <= options.custodians; i += 1) {
    const id = `custodian-${i}`;
    custodians.push(await createMember(at('custodians', id), 'custodian', id, options));
  }
  const body: RosterBody = {
    fleet: options.name,
    version: 1,
    owner: { keys: owner.signing.publicKeys, kem: publicKem(owner) },
    coordinator: { keys: coordinator.signing.publicKeys },
    aggregators: [{ id: aggregator.id, keys: aggregator.signing.publicKeys }],
    clients: clients.map(({ id, signing }) => ({ id, keys: signing.publicKeys, status: 'active' })),
    custodians: custodians.map((member, i) => ({
      id: member.id,
      index: i + 1,
      keys: member.signing.publicKeys,
      kem: publicKem(member),
      epoch: FIRST_EPOCH,
    })),
    threshold: options.threshold,
    quorumFloor: options.quorumFloor,
    maxUpdateBytes: options.maxUpdateBytes,
    parameterSets: [options.parameterSet],
    noiseFloor: 0,
    signatureAlgorithms: [...options.signatureAlgorithms],
  };
  const container = await encodeContainer({ kind: 'roster', body, sections: [], signer: owner.signing });
  const roster = containerBytes(container);
  const members = [owner, coordinator, aggregator, ...clients, ...custodians];
  for (const member of members) await placeRoster(member.directory, roster);
  for (const member of [owner, coordinator, aggregator, ...clients]) {
    await replaceFile(join(member.directory, options.policyFile.name), options.policyFile.text);
  }
  for (const client of clients) {
    (await createClientState(client.directory)).close();
    // Made now: opening a client for a dry run must write nothing.
    await openResiduals(client.directory);
    (await createPrivacyLedger(join(client.directory, PRIVACY_LEDGER_FILE))).close();
  }
  for (const custodian of custodians) (await createLedger(join(custodian.directory, LEDGER_FILE))).close();
  await replaceFile(at(ROSTER_FILE), roster);
  // Last: a directory without it was not finished.
  await replaceFile(
    at('fleet.json'),
    `${JSON.stringify({ format: 'tensorguard-native fleet', version: 1, fleet: options.name, ...options.defaults }, null, 2)}\n`,
  );
  for (const { kem } of members) kem?.seed.wipe();
  return {
    rosterFingerprint: container.envelope.fingerprint,
    ownerKeyId: owner.signing.keyId,
    directories: members.map((member) => member.directory),
  };
}

/** Puts a roster into a role's directory and pins it: that is what enrolment on one machine comes to. */
async function placeRoster(directory: string, roster: Uint8Array): Promise<void> {
  await replaceFile(join(directory, ROSTER_FILE), roster);
  const pin = await openRosterPin(directory);
  try {
    await readTrustedRoster(roster, pin);
  } finally {
    pin.close();
  }
}
