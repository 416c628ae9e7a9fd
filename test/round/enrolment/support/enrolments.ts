/** Enrolments by numbers: keys that nobody holds for the rules of rosters, real ones for files. */
import { createHash } from 'node:crypto';
import { kemPublicKey } from '../../../../lib/custody/hpke.js';
import { SecretBytes } from '../../../../lib/custody/secret-bytes.js';
import type { PublicKeys } from '../../../../lib/package/keys.js';
import type { EnrolmentBody } from '../../../../lib/package/messages/enrolment.js';
import { KEM_PUBLIC_KEY_BYTES, type RosterBody } from '../../../../lib/package/messages/roster.js';
import { importSecret, type LocalSigningKey } from '../../../../lib/package/signing-key.js';
import { encodeEnrolment } from '../../../../lib/round/enrolment/requests.js';

export function numberedKeys(number: number): PublicKeys {
  const ed25519 = new Uint8Array(32).fill(number & 0xff);
  ed25519[0] = number >> 8;
  return { ed25519 };
}

export function numberedKem(number: number): Uint8Array {
  const kem = new Uint8Array(KEM_PUBLIC_KEY_BYTES).fill(number & 0xff);
  kem[0] = number >> 8;
  return kem;
}

export function client(id: string, number: number, changes: Partial<EnrolmentBody> = {}): EnrolmentBody {
  return {
    ...{ fleet: 'acme', role: 'client', id },
    keys: numberedKeys(number),
    kem: numberedKem(number),
    ...changes,
  };
}

/** With the signing keys of `number` and a KEM key of its own for each epoch. */
export function custodian(
  id: string,
  number: number,
  epoch: number,
  changes: Partial<EnrolmentBody> = {},
): EnrolmentBody {
  return {
    ...{ fleet: 'acme', role: 'custodian', id, epoch },
    keys: numberedKeys(number),
    kem: numberedKem(number + 1000 * epoch),
    ledgerHead: new Uint8Array(32),
    ...changes,
  };
}

export function other(
  role: 'aggregator' | 'coordinator' | 'gateway',
  number: number,
  id: string = role,
): EnrolmentBody {
  return { fleet: 'acme', role, id, keys: numberedKeys(number) };
}

/** Custodians c1..c3 (keys 21..23, threshold 2) in epoch 1, clients r1 (31), r2 (32, suspended), r3 (33, revoked). */
export function numberedRoster(changes: Partial<RosterBody> = {}): RosterBody {
  const listed = [1, 2, 3].map((index) => {
    const { id, keys, kem, epoch } = custodian(`c${index}`, 20 + index, 1);
    return { id, index, keys, kem: kem as Uint8Array, epoch: epoch as number };
  });
  return {
    fleet: 'acme',
    version: 7,
    owner: { keys: numberedKeys(10), kem: numberedKem(10) },
    coordinator: { keys: numberedKeys(11) },
    aggregators: [{ id: 'aggregator', keys: numberedKeys(12) }],
    clients: [
      { id: 'r1', keys: numberedKeys(31), status: 'active' },
      { id: 'r2', keys: numberedKeys(32), status: 'suspended' },
      { id: 'r3', keys: numberedKeys(33), status: 'revoked' },
    ],
    custodians: listed,
    threshold: 2,
    quorumFloor: 3,
    maxUpdateBytes: 1 << 24,
    parameterSets: ['lwe-128'],
    noiseFloor: 0,
    signatureAlgorithms: ['ed25519'],
    ...changes,
  };
}

function seed(name: string): Uint8Array {
  return new Uint8Array(createHash('sha256').update(`enrolment test ${name}`).digest());
}

export function signingKey(name: string): LocalSigningKey {
  return importSecret({ ed25519: seed(`${name} ed25519`) });
}

export function realKem(name: string): Promise<Uint8Array> {
  return new SecretBytes(seed(`${name} kem`)).use(kemPublicKey);
}

/** The file of a client whose keys are made from `name`. */
export async function clientFile(
  name: string,
  changes: Partial<EnrolmentBody> = {},
  signer: LocalSigningKey = signingKey(name),
): Promise<Uint8Array> {
  const kem = await realKem(name);
  return encodeEnrolment(
    { fleet: 'acme', role: 'client', id: name, keys: signer.publicKeys, kem, ...changes },
    signer,
  );
}
