/**
 * What a key store keeps about its recovery key: who holds shares, how many it takes, the public key that recovery copies
 * are sealed to, and what each share is checked against. All of it is public, and none of it may change: whoever replaces
 * the public key opens every later copy. So its digest goes into the audit trail, and is compared before every sealing.
 *
 * Canonical JSON: one text for one description, which the parser enforces, so the digest of the text is its identity.
 */
import { createHash } from 'node:crypto';
import { z } from 'zod';
import { FormatError } from '../../errors.js';
import { idSchema } from '../../package/messages/common.js';
import { encodeFields, type Field, hex } from '../fields.js';
import { KEM_PUBLIC_KEY_BYTES } from '../hpke.js';
import { ROLES, type Role } from '../keys/key-rows.js';

/** With one officer enough, or all shares in one hand, there would be nobody to ask. */
export const MIN_THRESHOLD = 2;
export const MAX_OFFICERS = 20;
const SET_ID_BYTES = 16;
const DIGEST_BYTES = 32;
/** 20 officers with ids of 64 bytes take 7 KiB. */
const MAX_TEXT_CHARACTERS = 16 * 1024;

/** Whose keys the officers can recover. */
export interface RecoveryOwner {
  readonly fleet: string;
  readonly role: Role;
  /** The role's id in the fleet. */
  readonly id: string;
}

export interface RecoveryOfficer {
  readonly name: string;
  /** SHA-256 over the terms, the name and the share: 32 bytes. */
  readonly commitment: Uint8Array;
  /** HMAC-SHA256 over the same, under a key derived from the recovery seed: 32 bytes. */
  readonly tag: Uint8Array;
}

/** What the officers agree to: everything in a description but the checks of the shares themselves. */
export interface RecoveryTerms extends RecoveryOwner {
  /** Names this recovery key and its shares: 16 random bytes, 32 lower-case hexadecimal digits. */
  readonly setId: string;
  /** How many officers it takes: 2 to their number. */
  readonly threshold: number;
  /** X-Wing, 1216 bytes. */
  readonly kemPublicKey: Uint8Array;
}

export interface RecoveryDescription extends RecoveryTerms {
  /** 2 to 20, each name once. */
  readonly officers: readonly RecoveryOfficer[];
}

export const setIdSchema = z.string().regex(/^[0-9a-f]{32}$/, 'must be 32 lower-case hexadecimal digits');

export const ownerShape = { fleet: idSchema, role: z.enum(ROLES), id: idSchema };

/** A set id from 16 bytes. */
export function setIdOf(bytes: Uint8Array): string {
  return hex(bytes.subarray(0, SET_ID_BYTES));
}

function bytesIn(encoding: 'base64' | 'hex', sizeBytes: number) {
  return z
    .string()
    .max(2 * sizeBytes)
    .transform((text) => new Uint8Array(Buffer.from(text, encoding)))
    .refine((bytes) => bytes.length === sizeBytes, `must be ${sizeBytes} bytes in ${encoding}`);
}

const descriptionSchema = z
  .strictObject({
    format: z.literal('tensorguard-native recovery description'),
    version: z.literal(1),
    ...ownerShape,
    setId: setIdSchema,
    threshold: z.int().min(MIN_THRESHOLD).max(MAX_OFFICERS),
    kemPublicKey: bytesIn('base64', KEM_PUBLIC_KEY_BYTES),
    officers: z
      .array(
        z.strictObject({
          name: idSchema,
          commitment: bytesIn('hex', DIGEST_BYTES),
          tag: bytesIn('hex', DIGEST_BYTES),
        }),
      )
      .max(MAX_OFFICERS)
      .refine((officers) => areDistinct(officers.map(({ name }) => name)), 'must name each officer once'),
  })
  .refine(({ officers, threshold }) => threshold <= officers.length, {
    path: ['threshold'],
    error: 'must not exceed the number of officers',
  });

/** The canonical JSON of a description. */
export function encodeRecoveryDescription(description: RecoveryDescription): string {
  const { fleet, role, id, setId, threshold, kemPublicKey, officers } = description;
  return JSON.stringify({
    format: 'tensorguard-native recovery description',
    version: 1,
    fleet,
    role,
    id,
    setId,
    threshold,
    kemPublicKey: Buffer.from(kemPublicKey).toString('base64'),
    officers: officers.map(({ name, commitment, tag }) => ({
      name,
      commitment: hex(commitment),
      tag: hex(tag),
    })),
  });
}

/**
 * Reads a description from its canonical JSON.
 *
 * @throws FormatError `break-glass.malformed-description`
 */
export function decodeRecoveryDescription(text: string): RecoveryDescription {
  if (text.length > MAX_TEXT_CHARACTERS) throw malformed('is too long');
  const result = descriptionSchema.safeParse(parseJson(text));
  if (!result.success) {
    const fields = result.error.issues.map((issue) => issue.path.join('.') || 'the document');
    throw malformed(`breaks the format in: ${[...new Set(fields)].join(', ')}`);
  }
  const { format, version, ...description } = result.data;
  // Duplicate members, spaces and other spellings of the same bytes would give one description several digests.
  if (encodeRecoveryDescription(description) !== text) throw malformed('is not in its canonical form');
  return description;
}

/** SHA-256 of the canonical JSON under a label: 32 bytes. */
export function recoveryDescriptionDigest(description: RecoveryDescription): Uint8Array {
  const text = new TextEncoder().encode(encodeRecoveryDescription(description));
  return sha256(encodeFields('tensorguard-native v1 recovery description', [['description', text]]));
}

/**
 * SHA-256 of the terms: 32 bytes. Every share is checked together with it, so a share that fits also vouches for the
 * public key, the threshold and the list of officers.
 *
 * @param officers their names, in the description's order
 */
export function recoveryTermsDigest(terms: RecoveryTerms, officers: readonly string[]): Uint8Array {
  const names = officers.map((name): Field => ['officer', name]);
  return sha256(
    encodeFields('tensorguard-native v1 recovery terms', [
      ['fleet', terms.fleet],
      ['role', terms.role],
      ['id', terms.id],
      ['recovery set', terms.setId],
      ['threshold', terms.threshold],
      ['KEM public key', terms.kemPublicKey],
      ...names,
    ]),
  );
}

/** Whether no name is there twice. */
export function areDistinct(names: readonly string[]): boolean {
  return new Set(names).size === names.length;
}

function sha256(bytes: Uint8Array): Uint8Array {
  return new Uint8Array(createHash('sha256').update(bytes).digest());
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw malformed('is not JSON');
  }
}

function malformed(what: string): FormatError {
  return new FormatError(
    'break-glass.malformed-description',
    `The description of the recovery key ${what}: the key store was changed or damaged. Restore it from an export.`,
  );
}
