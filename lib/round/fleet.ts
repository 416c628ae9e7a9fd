/** A whole fleet on one machine, to try out: every role with keys of its own, under one signed roster. */
import { join } from 'node:path';
import { storeEnrolment } from './enrolment/enrolment-files.js';
import { joinFleet } from './enrolment/join-fleet.js';
import { encodeEnrolment } from './enrolment/requests.js';
import {
  createFleetDirectory,
  createMember,
  FIRST_EPOCH,
  type FleetSettings,
  finishFleet,
  type MadeMember,
  publicKem,
  signFirstRoster,
} from './fleet-directory.js';
import { createRoleState, writePolicy } from './role-state.js';

export interface FleetOptions extends FleetSettings {
  readonly clients: number;
  readonly custodians: number;
  readonly gateways?: number;
}

export interface CreatedFleet {
  readonly rosterFingerprint: Uint8Array;
  readonly ownerKeyId: Uint8Array;
  /** Directories of the roles, by name. */
  readonly directories: readonly string[];
}

/**
 * Creates keys, roster and state of every role below `directory`.
 *
 * @throws RefusedError `fleet.directory-not-empty`
 */
export async function createFleet(options: FleetOptions): Promise<CreatedFleet> {
  const { directory } = options;
  await createFleetDirectory(directory);
  const at = (...parts: string[]): string => join(directory, ...parts);
  const owner = await createMember(at('owner'), 'owner', 'owner', options);
  const coordinator = await createMember(at('coordinator'), 'coordinator', 'coordinator', options);
  const aggregator = await createMember(at('aggregator'), 'aggregator', 'aggregator', options);
  const width = Math.max(2, String(options.clients).length);
  const clients: MadeMember[] = [];
  for (let i = 1; i <= options.clients; i += 1) {
    const id = `client-${String(i).padStart(width, '0')}`;
    clients.push(await createMember(at('clients', id), 'client', id, options));
  }
  const custodians: MadeMember[] = [];
  for (let i = 1; i <= options.custodians; i += 1) {
    const id = `custodian-${i}`;
    custodians.push(await createMember(at('custodians', id), 'custodian', id, options));
  }
  const gateways: MadeMember[] = [];
  for (let i = 1; i <= (options.gateways ?? 0); i += 1) {
    const id = `gateway-${i}`;
    gateways.push(await createMember(at('gateways', id), 'gateway', id, options));
  }
  const roster = await signFirstRoster(
    options,
    {
      owner: { keys: owner.signing.publicKeys, kem: publicKem(owner) },
      coordinator: { keys: coordinator.signing.publicKeys },
      aggregators: [{ id: aggregator.id, keys: aggregator.signing.publicKeys }],
      ...(gateways.length > 0 && {
        gateways: gateways.map(({ id, signing }) => ({ id, keys: signing.publicKeys })),
      }),
      clients: clients.map(({ id, signing }) => ({ id, keys: signing.publicKeys, status: 'active' })),
      custodians: custodians.map((member, i) => ({
        id: member.id,
        index: i + 1,
        keys: member.signing.publicKeys,
        kem: publicKem(member),
        epoch: FIRST_EPOCH,
      })),
    },
    owner.signing,
  );
  const members = [owner, coordinator, aggregator, ...gateways, ...clients, ...custodians];
  for (const { directory: home } of members) await joinFleet({ directory: home, file: roster.bytes });
  for (const member of [owner, coordinator, aggregator, ...gateways, ...clients]) {
    await writePolicy(member.directory, options.policyFile);
  }
  for (const client of clients) await createRoleState('client', client.directory);
  for (const custodian of custodians) await createRoleState('custodian', custodian.directory);
  for (const client of clients) await enrolClient(owner.directory, options.name, client);
  await finishFleet(options, roster);
  return {
    rosterFingerprint: roster.fingerprint,
    ownerKeyId: owner.signing.keyId,
    directories: members.map((member) => member.directory),
  };
}

/** The owner keeps what every client would have sent it: releases take KEM keys from there. */
async function enrolClient(ownerDirectory: string, fleet: string, client: MadeMember): Promise<void> {
  const { id, signing } = client;
  const body = { fleet, role: 'client', id, keys: signing.publicKeys, kem: publicKem(client) } as const;
  await storeEnrolment(ownerDirectory, { body, file: await encodeEnrolment(body, signing) });
}
