/**
 * The enrolment (`.tge`): what a machine asks to be listed with. Signed by the machine itself, with all of the keys that it
 * lists.
 *
 * That signature is the proof of possession of the signing keys, and binds them to the KEM key, the role, the id and the
 * fleet: nobody can enrol keys of another's, nor carry the file into another fleet.
 *
 * A KEM key cannot sign, and nothing challenges its holder to open something. A bearer without its secret gains nothing: what
 * is sealed to the key stays shut to it, a roster refuses a key that another member has, and the one harm, shares or releases
 * that nobody opens, is one that every member can do anyway by staying away. The first round finds it.
 */
import { z } from 'zod';
import { bytesOf, publicKeysSchema } from '../keys.js';
import { bytes32Schema, idSchema, keyEpochSchema } from './common.js';
import type { MessageType } from './message-type.js';
import { KEM_PUBLIC_KEY_BYTES } from './roster.js';

/** Who may ask. The owner is not among them: it signs the roster, and is what a machine is told to trust. */
export const ENROLLED_ROLES = ['client', 'gateway', 'custodian', 'aggregator', 'coordinator'] as const;
export type EnrolledRole = (typeof ENROLLED_ROLES)[number];

const enrolmentShape = z.strictObject({
  fleet: idSchema,
  role: z.enum(ENROLLED_ROLES),
  id: idSchema,
  keys: publicKeysSchema,
  /** Of clients (releases are sealed to it) and custodians (shares are). */
  kem: bytesOf(KEM_PUBLIC_KEY_BYTES).optional(),
  /** Of a custodian's KEM key. */
  epoch: keyEpochSchema.optional(),
  /** Of a custodian's ledger. */
  ledgerHead: bytes32Schema.optional(),
  /** A custodian whose state comes from an archive: it may have forgotten answers of earlier epochs. */
  restored: z.literal(true).optional(),
  /**
   * The owner whose fleet it means: two owners may give a fleet the same name. Absent only where the fleet is founded by it, whose
   * owner is made then; a fleet that has an owner takes no enrolment without.
   */
  ownerKeyId: bytes32Schema.optional(),
});

export type EnrolmentBody = z.infer<typeof enrolmentShape>;

/** Which roles have which of the fields that not all have. */
const FIELDS_OF_ROLES = [
  { field: 'kem', roles: ['client', 'custodian'], required: true },
  { field: 'epoch', roles: ['custodian'], required: true },
  { field: 'ledgerHead', roles: ['custodian'], required: true },
  { field: 'restored', roles: ['custodian'], required: false },
] as const satisfies readonly {
  readonly field: keyof EnrolmentBody;
  readonly roles: readonly EnrolledRole[];
  readonly required: boolean;
}[];

export const enrolmentSchema = enrolmentShape.superRefine((enrolment, context) => {
  for (const { field, roles, required } of FIELDS_OF_ROLES) {
    const has = enrolment[field] !== undefined;
    const may = (roles as readonly EnrolledRole[]).includes(enrolment.role);
    if (has ? may : !(may && required)) continue;
    const message = has ? `is not for the role ${enrolment.role}` : `is required for a ${enrolment.role}`;
    context.addIssue({ code: 'custom', path: [field], message });
  }
});

export const enrolmentMessage: MessageType<EnrolmentBody> = {
  extension: '.tge',
  schema: enrolmentSchema,
  sections: [],
};
