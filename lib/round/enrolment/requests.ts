/** Enrolments: how a machine makes its own, and how the owner reads one. */
import { hex, sameBytes } from '../../custody/fields.js';
import { sealTo } from '../../custody/hpke.js';
import { requireWhole } from '../../custody/keys/audit-verification.js';
import type { KeyStore } from '../../custody/keys/key-store.js';
import { FormatError, RefusedError } from '../../errors.js';

import { type PublicKeys, SIGNATURE_ALGORITHMS, type SignatureAlgorithm } from '../../package/keys.js';
import { ENROLLED_ROLES, type EnrolledRole, type EnrolmentBody } from '../../package/messages/enrolment.js';
import { openContainer } from '../../package/reader.js';
import type { SigningKey } from '../../package/signing-key.js';
import { containerBytes, encodeContainer } from '../../package/writer.js';

/** A machine's enrolment lies beside its keys. */
export const ENROLMENT_FILE = 'enrolment.tge';

/** Keys, with a KEM key and some names around them. */
const MAX_FILE_BYTES = 1 << 16;

/** A well-formed one has been signed with every key that it lists. */
export interface Enrolment {
  readonly body: EnrolmentBody;
  /** The file. */
  readonly file: Uint8Array;
}

/**
 * Signs an enrolment with the keys that it lists.
 *
 * @param signer whose public keys are `body.keys`
 * @throws FormatError `container.invalid-body`; VerificationError `container.wrong-signer`
 */
export async function encodeEnrolment(body: EnrolmentBody, signer: SigningKey): Promise<Uint8Array> {
  const container = await encodeContainer({ kind: 'enrolment', body, sections: [], signer });
  await container.envelope.verify(body.keys, algorithmsOf(body.keys));
  return containerBytes(container);
}

export interface RequestOptions {
  /** The owner that this machine was told of. */
  readonly ownerKeyId?: Uint8Array | undefined;
  /** Of a custodian. */
  readonly ledgerHead?: Uint8Array | undefined;
  /** For a custodian whose state comes from an archive. */
  readonly restored?: boolean;
}

/**
 * The enrolment of a key store's role, with its newest KEM key. The trail is verified first: a public key that somebody put
 * into the database in the place of ours would be signed here, and everything sealed to it.
 *
 * @throws RefusedError `enrolment.no-kem-key`, `enrolment.wrong-role`, `key.not-active`; `wrapper.*`; VerificationError
 *   `audit.bad-entry`
 */
export async function requestEnrolment(store: KeyStore, options: RequestOptions = {}): Promise<Uint8Array> {
  const { ownerKeyId, ledgerHead, restored } = options;
  const { fleet, id } = store;
  const role = enrolledRole(store.role);
  requireWhole(await store.verifyAudit());
  const signing = await store.signing();
  const kem = role === 'client' || role === 'custodian' ? newestKem(store) : undefined;
  const body: EnrolmentBody = {
    fleet,
    role,
    id,
    keys: signing.publicKeys,
    ...(kem !== undefined && { kem: kem.publicKey }),
    ...(role === 'custodian' && kem !== undefined && { epoch: kem.epoch }),
    ...(ledgerHead !== undefined && { ledgerHead }),
    ...(restored === true && { restored }),
    ...(ownerKeyId !== undefined && { ownerKeyId }),
  };
  return encodeEnrolment(body, signing);
}

function enrolledRole(role: string): EnrolledRole {
  const found = ENROLLED_ROLES.find((name) => name === role);
  if (found !== undefined) return found;
  throw new RefusedError(
    'enrolment.wrong-role',
    `An ${role} is not enrolled: it signs the roster. Enrol ${ENROLLED_ROLES.join('s, ')}s.`,
  );
}

function newestKem(store: KeyStore): { readonly publicKey: Uint8Array; readonly epoch: number } {
  const newest = store.newestKem();
  if (
    newest?.publicKey === undefined ||
    newest.epoch === undefined ||
    (newest.state !== 'active' && newest.state !== 'pre-activation')
  ) {
    throw new RefusedError(
      'enrolment.no-kem-key',
      `The newest KEM key in ${store.directory} is ${newest?.state ?? 'not there'}, and nobody should seal to it. Make ` +
        'the next one: "keys rotate".',
    );
  }
  return { publicKey: newest.publicKey, epoch: newest.epoch };
}

/**
 * Reads an enrolment that means this fleet, and verifies that whoever made it holds every signing key that it lists.
 *
 * Who that is, it cannot say: compare the key id with what the machine printed, by a channel that you trust.
 *
 * @param ownerKeyId of the fleet's owner; an enrolment that names another one, or none, is refused. Without it, for founding a
 *   fleet, whose owner is only made then
 * @throws FormatError `container.*`, `roster.other-fleet`; VerificationError `container.*`
 * @throws RefusedError `enrolment.other-owner`, `enrolment.no-owner`; ParameterError `hpke.bad-public-key`
 */
export async function readEnrolment(
  from: string | Uint8Array,
  fleet: string,
  ownerKeyId?: Uint8Array,
): Promise<Enrolment> {
  const container = await openContainer(from, 'enrolment', { maxFileBytes: MAX_FILE_BYTES });
  try {
    const { body, envelopeBytes } = container;
    await container.verify(body.keys, algorithmsOf(body.keys));
    requireFleet(body, fleet, ownerKeyId);
    // A key to which nothing can be sealed would stop every client's next update, or the next release.
    if (body.kem !== undefined) await sealTo(body.kem, new Uint8Array(), new Uint8Array());
    return { body, file: Uint8Array.from(envelopeBytes) };
  } finally {
    await container.close();
  }
}

function requireFleet(body: EnrolmentBody, fleet: string, ownerKeyId: Uint8Array | undefined): void {
  if (body.fleet !== fleet) {
    throw new FormatError(
      'roster.other-fleet',
      `The enrolment of ${body.role} "${body.id}" is for fleet "${body.fleet}"; this is fleet "${fleet}". Set the machine ` +
        'up for this one.',
    );
  }
  if (ownerKeyId === undefined) return;
  if (body.ownerKeyId === undefined) {
    throw new RefusedError(
      'enrolment.no-owner',
      `The enrolment of ${body.role} "${body.id}" names no owner: it would do for any fleet of this name, and is only for ` +
        `founding one ("fleet init --members"). Set the machine up with --owner-key-id ${hex(ownerKeyId)}; one that is set ` +
        'up already: "fleet join --owner-key-id", then "keys rotate".',
    );
  }
  if (!sameBytes(body.ownerKeyId, ownerKeyId)) {
    throw new RefusedError(
      'enrolment.other-owner',
      `${body.role} "${body.id}" was set up for owner ${hex(body.ownerKeyId)}; this is ${hex(ownerKeyId)}. Set it up with ` +
        "this owner's key id.",
    );
  }
}

function algorithmsOf(keys: PublicKeys): SignatureAlgorithm[] {
  return SIGNATURE_ALGORITHMS.filter((algorithm) => keys[algorithm] !== undefined);
}
