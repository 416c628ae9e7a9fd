/** The two documents that an archive holds beside a role's own files. */
import { z } from 'zod';
import type { ClientMemory } from '../../custody/client-state.js';
import { ROLES } from '../../custody/keys/key-rows.js';
import { FormatError } from '../../errors.js';
import { decodeCbor } from '../../package/cbor-decoding.js';
import { encodeCbor } from '../../package/cbor-encoding.js';
import { bytes32Schema, idSchema, roundFields, unixMsSchema } from '../../package/messages/common.js';

const descriptionSchema = z.strictObject({
  format: z.literal('tensorguard-native archive'),
  version: z.literal(1),
  /** Random; the trails of both machines name it. */
  archive: z.string().regex(/^[0-9a-f]{32}$/),
  fleet: idSchema,
  role: z.enum(ROLES),
  id: idSchema,
  exportedAtMs: unixMsSchema,
});

const memorySchema = z.strictObject({
  deltas: z.array(bytes32Schema),
  rounds: z.array(z.strictObject(roundFields)),
});

export type ArchiveDescription = z.infer<typeof descriptionSchema>;

export function encodeDescription(description: Omit<ArchiveDescription, 'format' | 'version'>): Uint8Array {
  return encodeCbor({ format: 'tensorguard-native archive', version: 1, ...description });
}

/** @throws FormatError `archive.malformed`, `container.not-canonical` */
export function decodeDescription(bytes: Uint8Array): ArchiveDescription {
  return parsed(descriptionSchema, bytes, "the archive's description");
}

export function encodeClientMemory({ deltas, rounds }: ClientMemory): Uint8Array {
  return encodeCbor({
    deltas,
    rounds: rounds.map(({ fleet, policy, cohort, round }) => ({ fleet, policy, cohort, round })),
  });
}

/** @throws FormatError `archive.malformed`, `container.not-canonical` */
export function decodeClientMemory(bytes: Uint8Array): ClientMemory {
  return parsed(memorySchema, bytes, "the client's memory in the archive");
}

function parsed<T>(schema: z.ZodType<T>, bytes: Uint8Array, what: string): T {
  const result = schema.safeParse(decodeCbor(bytes, what));
  if (result.success) return result.data;
  throw new FormatError(
    'archive.malformed',
    `This is no archive that "keys export" wrote: ${what} is malformed. Use another archive.`,
  );
}
