/** A whole fleet on one machine, to try out: every role with keys of its own, under one signed roster. */
import { mkdir, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Role } from '../custody/keys/key-rows.js';
import { KeyStore } from '../custody/keys/key-store.js';
import { ROSTER_FILE } from '../custody/role-directory.js';
import { RefusedError } from '../errors.js';
import { replaceFile } from '../files.js';
import type { ParameterSetName } from '../lwe/parameters.js';
import type { SignatureAlgorithm } from '../package/keys.js';
import type { RosterBody } from '../package/messages/roster.js';
import type { LocalSigningKey } from '../package/signing-key.js';
import { containerBytes, encodeContainer } from '../package/writer.js';
import { storeEnrolment } from './enrolment/enrolment-files.js';
import { joinFleet } from './enrolment/join-fleet.js';
import { encodeEnrolment } from './enrolment/requests.js';
import { createRoleState } from './role-state.js';

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
  readonly kem: Uint8Array | undefined;
}

const FIRST_EPOCH = 1;
const RECEIVING: readonly Role[] = ['custodian', 'owner', 'client'];

async function createMember(
  directory: string,
  role: Role,
  id: string,
  options: FleetOptions,
): Promise<Member> {
  const store = await KeyStore.create(directory, {
    role,
    id,
    fleet: options.name,
    algorithms: options.signatureAlgorithms,
    wrapper: { kind: 'none' },
    ...(RECEIVING.includes(role) && { kem: { epoch: FIRST_EPOCH, state: 'active' } }),
    prf: role === 'client',
  });
  try {
    return { directory, id, signing: await store.signing(), kem: store.newestKem()?.publicKey };
  } finally {
    store.close();
  }
}

function publicKem({ id, kem }: Member): Uint8Array {
  if (kem === undefined) throw new TypeError(`${id} has no KEM key`);
  return kem;
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
  for (const { directory: home } of members) await joinFleet({ directory: home, file: roster });
  for (const member of [owner, coordinator, aggregator, ...clients]) {
    await replaceFile(join(member.directory, options.policyFile.name), options.policyFile.text);
  }
  for (const client of clients) await createRoleState('client', client.directory);
  for (const custodian of custodians) await createRoleState('custodian', custodian.directory);
  for (const client of clients) await enrolClient(owner.directory, options.name, client);
  await replaceFile(at(ROSTER_FILE), roster);
  // Last: a directory without it was not finished.
  await replaceFile(
    at('fleet.json'),
    `${JSON.stringify({ format: 'tensorguard-native fleet', version: 1, fleet: options.name, ...options.defaults }, null, 2)}\n`,
  );
  return {
    rosterFingerprint: container.envelope.fingerprint,
    ownerKeyId: owner.signing.keyId,
    directories: members.map((member) => member.directory),
  };
}

/** The owner keeps what every client would have sent it: releases take KEM keys from there. */
async function enrolClient(ownerDirectory: string, fleet: string, client: Member): Promise<void> {
  const { id, signing } = client;
  const body = { fleet, role: 'client', id, keys: signing.publicKeys, kem: publicKem(client) } as const;
  await storeEnrolment(ownerDirectory, { body, file: await encodeEnrolment(body, signing) });
}
