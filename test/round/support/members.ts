/** A fleet's members with keys from seeds, and the roster that lists them. */
import { createHash } from 'node:crypto';
import { kemPublicKey } from '../../../lib/custody/hpke.js';
import { readTrustedRoster, type TrustedRoster } from '../../../lib/custody/roster.js';
import { openRosterPin } from '../../../lib/custody/roster-pin.js';
import { SecretBytes } from '../../../lib/custody/secret-bytes.js';
import type { SignatureAlgorithm } from '../../../lib/package/keys.js';
import type { RosterBody } from '../../../lib/package/messages/roster.js';
import { importSecret, type LocalSigningKey } from '../../../lib/package/signing-key.js';
import { containerBytes, encodeContainer } from '../../../lib/package/writer.js';

export const EPOCH = 1;

export interface Member {
  readonly id: string;
  readonly signing: LocalSigningKey;
}

export interface ReceivingMember extends Member {
  readonly kem: SecretBytes;
  readonly kemPublicKey: Uint8Array;
}

export interface ClientMember extends Member {
  readonly prf: SecretBytes;
}

export interface Members {
  readonly owner: ReceivingMember;
  readonly coordinator: Member;
  readonly aggregator: Member;
  /** Listed only where the rules of a roster list it. */
  readonly gateway: Member;
  readonly clients: readonly ClientMember[];
  readonly custodians: readonly ReceivingMember[];
}

export interface MembersOptions {
  readonly clients: number;
  readonly custodians: number;
  readonly algorithms?: readonly SignatureAlgorithm[];
  /** 32 bytes for a name such as "client-1 ed25519"; derived from the name unless told. */
  readonly seedOf?: (name: string) => Uint8Array;
}

export function derivedSeed(name: string): Uint8Array {
  return new Uint8Array(createHash('sha256').update(`tensorguard-native test seed ${name}`).digest());
}

const made = new Map<string, Promise<Members>>();

/** The same names and seeds give the same members, in every process. */
export function createMembers(options: MembersOptions): Promise<Members> {
  if (options.seedOf !== undefined) return makeMembers(options);
  const { clients, custodians, algorithms } = options;
  const key = JSON.stringify({ clients, custodians, algorithms });
  const members = made.get(key) ?? makeMembers(options);
  made.set(key, members);
  return members;
}

async function makeMembers(options: MembersOptions): Promise<Members> {
  const { seedOf = derivedSeed, algorithms = ['ed25519'] } = options;
  const member = (id: string, seed = seedOf): Member => ({
    id,
    signing: importSecret({
      ed25519: seed(`${id} ed25519`),
      ...(algorithms.includes('ml-dsa-65') && { 'ml-dsa-65': seed(`${id} ml-dsa-65`) }),
    }),
  });
  const receiving = async (id: string): Promise<ReceivingMember> => {
    const kem = new SecretBytes(Uint8Array.from(seedOf(`${id} kem`)));
    return { ...member(id), kem, kemPublicKey: await kem.use(kemPublicKey) };
  };
  const numbered = (role: string, count: number): string[] =>
    Array.from({ length: count }, (_, i) => `${role}-${i + 1}`);
  return {
    owner: await receiving('owner'),
    coordinator: member('coordinator'),
    aggregator: member('aggregator'),
    // The committed files are from before there were gateways, and so are their keys.
    gateway: member('gateway', derivedSeed),
    clients: numbered('client', options.clients).map((id) => ({
      ...member(id),
      prf: new SecretBytes(Uint8Array.from(seedOf(`${id} prf`))),
    })),
    custodians: await Promise.all(numbered('custodian', options.custodians).map(receiving)),
  };
}

export type RosterRules = Partial<Omit<RosterBody, 'owner' | 'coordinator'>>;

export function rosterBody(members: Members, rules: RosterRules = {}): RosterBody {
  const { owner, coordinator, aggregator, clients, custodians } = members;
  return {
    fleet: 'acme',
    version: 1,
    owner: { keys: owner.signing.publicKeys, kem: owner.kemPublicKey },
    coordinator: { keys: coordinator.signing.publicKeys },
    aggregators: [{ id: aggregator.id, keys: aggregator.signing.publicKeys }],
    clients: clients.map(({ id, signing }) => ({ id, keys: signing.publicKeys, status: 'active' })),
    custodians: custodians.map(({ id, signing, kemPublicKey: kem }, i) => ({
      id,
      index: i + 1,
      keys: signing.publicKeys,
      kem,
      epoch: EPOCH,
    })),
    threshold: 2,
    quorumFloor: 3,
    maxUpdateBytes: 1 << 24,
    parameterSets: ['lwe-128'],
    noiseFloor: 0,
    signatureAlgorithms: [...owner.signing.algorithms],
    ...rules,
  };
}

/** A roster's file, signed by the owner. */
export async function signRoster(members: Members, body: RosterBody, created?: number): Promise<Uint8Array> {
  return containerBytes(
    await encodeContainer({
      kind: 'roster',
      body,
      sections: [],
      signer: members.owner.signing,
      ...(created !== undefined && { created }),
    }),
  );
}

/** Reads rosters one after the other against one new pin in `directory`; the last is what is trusted. */
export async function trustRosters(
  directory: string,
  ...rosters: readonly Uint8Array[]
): Promise<TrustedRoster> {
  const pin = await openRosterPin(directory);
  try {
    let trusted: TrustedRoster | undefined;
    for (const roster of rosters) trusted = await readTrustedRoster(roster, pin);
    if (trusted === undefined) throw new Error('no roster was given');
    return trusted;
  } finally {
    pin.close();
  }
}
