/** The release (`.tgr`): an adapter that the owner gives to its fleet, encrypted to each client. Signed by the owner. */
import { z } from 'zod';
import { sha256 } from '../digests.js';
import { compareBytes } from '../fingerprint.js';
import { CHUNK_BYTES } from '../layout.js';
import {
  bytes32Schema,
  bytesOf,
  fingerprintListSchema,
  idSchema,
  integerSchema,
  MAX_CLIENTS,
  roundSchema,
  textSchema,
  versionSchema,
} from './common.js';
import type { MessageType } from './message-type.js';

/** An HPKE seal (1120 bytes of encapsulated key, 16 of tag) of the 32-byte content key. */
export const RELEASE_WRAP_BYTES = 1120 + 32 + 16;

/** An encrypted segment, tag included, is a chunk of the section: what has one digest has one tag. */
export const RELEASE_SEGMENT_BYTES = CHUNK_BYTES;
export const RELEASE_TAG_BYTES = 16;
/** Beside a 4-byte counter and a flag, what is left of a 12-byte nonce. */
export const RELEASE_NONCE_PREFIX_BYTES = 7;

/** What is read of an `adapter_config.json` at most. */
const MAX_CONFIG_BYTES = 1 << 20;
/** No container is longer. */
const MAX_TENSORS_BYTES = 2 ** 36;
/** More releases than anyone goes back over; it bounds what a client remembers for one rollback. */
export const MAX_WITHDRAWN = 4096;

const ADAPTER_LABEL = Buffer.from('tensorguard-native v1 adapter\0', 'latin1');

function fileSchema(maxBytes: number) {
  return z.strictObject({ sizeBytes: integerSchema(1, maxBytes), digest: bytes32Schema });
}

const payloadSchema = z.strictObject({
  config: fileSchema(MAX_CONFIG_BYTES),
  tensors: fileSchema(MAX_TENSORS_BYTES),
  noncePrefix: bytesOf(RELEASE_NONCE_PREFIX_BYTES),
});

/** The two files of the adapter as they are before encryption, and the beginning of every segment's nonce. */
export type ReleasePayload = z.infer<typeof payloadSchema>;

const releaseShape = z.strictObject({
  fleet: idSchema,
  policy: idSchema,
  counter: versionSchema,
  rosterVersion: versionSchema,
  round: z.strictObject({ cohort: idSchema, round: roundSchema, plan: bytes32Schema }).optional(),
  adapterSchema: bytes32Schema,
  adapterFingerprint: bytes32Schema,
  baseModel: textSchema(256).optional(),
  loraMode: z.enum(['average', 'frozen-a']).optional(),
  payload: payloadSchema,
  recipients: z
    .array(z.strictObject({ client: idSchema, kem: bytes32Schema }))
    .min(1)
    .max(MAX_CLIENTS),
  rollback: z
    .strictObject({
      to: versionSchema,
      withdrawn: fingerprintListSchema(MAX_WITHDRAWN).refine((list) => list.length > 0, {
        error: 'must list what is withdrawn',
      }),
    })
    .optional(),
  note: textSchema(2048).optional(),
});

export type ReleaseBody = z.infer<typeof releaseShape>;
export type ReleaseRecipient = ReleaseBody['recipients'][number];

/**
 * What names an adapter whatever release it comes in, 32 bytes: SHA-256(label || 0x00 || u64 LE size of
 * `adapter_config.json` || its SHA-256 || u64 LE size of `adapter_model.safetensors` || its SHA-256).
 */
export function adapterFingerprint(files: Pick<ReleasePayload, 'config' | 'tensors'>): Uint8Array {
  const parts = [files.config, files.tensors].flatMap(({ sizeBytes, digest }) => {
    const size = Buffer.alloc(8);
    size.writeBigUInt64LE(BigInt(sizeBytes));
    return [size, digest];
  });
  return sha256(ADAPTER_LABEL, ...parts);
}

/** The plaintext of a release: its two files, back to back. */
export function plaintextBytes(payload: Pick<ReleasePayload, 'config' | 'tensors'>): number {
  return payload.config.sizeBytes + payload.tensors.sizeBytes;
}

/** How many segments `plaintextSizeBytes` bytes are encrypted in. */
export function segmentCount(plaintextSizeBytes: number): number {
  return Math.ceil(plaintextSizeBytes / (RELEASE_SEGMENT_BYTES - RELEASE_TAG_BYTES));
}

/** The length of the section `payload`. */
export function encryptedBytes(plaintextSizeBytes: number): number {
  return plaintextSizeBytes + segmentCount(plaintextSizeBytes) * RELEASE_TAG_BYTES;
}

export const releaseSchema = releaseShape.superRefine((release, context) => {
  const refuse = (path: string[], message: string): void => {
    context.addIssue({ code: 'custom', path, message });
  };
  const { recipients, rollback } = release;
  // ASCII, so that the order of UTF-16 units is that of the bytes.
  if (recipients.some(({ client }, i) => i > 0 && (recipients[i - 1]?.client as string) >= client)) {
    refuse(['recipients'], 'must be in the order of their clients and without repetition');
  }
  // A size out of its range is refused already, and has no encoding that could be hashed.
  const { success: measured } = payloadSchema.safeParse(release.payload);
  if (measured && compareBytes(release.adapterFingerprint, adapterFingerprint(release.payload)) !== 0) {
    refuse(['adapterFingerprint'], "is not that of the payload's files");
  }
  if (rollback === undefined) return;
  if (rollback.to >= release.counter) {
    refuse(['rollback', 'to'], `is ${rollback.to}, no release before ${release.counter}`);
  }
  if (rollback.withdrawn.some((adapter) => compareBytes(adapter, release.adapterFingerprint) === 0)) {
    refuse(['rollback', 'withdrawn'], 'lists the adapter that this release brings back');
  }
});

export const releaseMessage: MessageType<ReleaseBody> = {
  extension: '.tgr',
  schema: releaseSchema,
  sections: ['wraps', 'payload'],
  sectionLengths: ({ recipients, payload }) => ({
    wraps: recipients.length * RELEASE_WRAP_BYTES,
    payload: encryptedBytes(plaintextBytes(payload)),
  }),
};
