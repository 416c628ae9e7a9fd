/**
 * One entry of an audit trail: what was done, chained to the entry before by its hash, signed by the role's key.
 *
 * hash = SHA-256(previous hash || fields), encoded as in `fields.ts`. The signatures are DSSE with a payload type of their
 * own, so that nothing else which the key signs can pass for an entry.
 */
import { createHash } from 'node:crypto';
import { z } from 'zod';
import { blobColumn } from '../../durable/durable-database.js';
import { encodeCbor } from '../../package/cbor-encoding.js';
import { encodeFields, type Field } from '../fields.js';

export const AUDIT_KINDS = [
  'create',
  'activate',
  'suspend',
  'deactivate',
  'compromise',
  'destroy',
  'rotate',
  'wrap',
  'unwrap',
  'answer',
  'refuse',
  'roster',
  'recovery',
  'break-glass',
  'break-glass-close',
  'export',
  'import',
] as const;
export type AuditKind = (typeof AUDIT_KINDS)[number];

/** Facts of an entry, by name: public ones only, since the trail is shown and shipped. */
export type AuditDetail = Readonly<Record<string, string | number>>;

export interface AuditContent {
  readonly sequence: number;
  /** Milliseconds since 1970, by this machine's clock. */
  readonly timeMs: number;
  readonly kind: AuditKind;
  /** The key that it is about, where it is about one. */
  readonly key: string | undefined;
  readonly detail: AuditDetail;
}

export interface AuditEntry extends AuditContent {
  readonly hash: Uint8Array;
  /** A signature block (`package/signatures.ts`). */
  readonly signatures: Uint8Array;
}

/** Of a detail's text. */
export const MAX_DETAIL_CHARACTERS = 16 * 1024;

const detailSchema = z.record(z.string(), z.union([z.string(), z.int().min(0)]));

export const entryRow = z.object({
  sequence: z.int(),
  time_ms: z.int(),
  kind: z.enum(AUDIT_KINDS),
  key: z.string().nullable(),
  detail: z
    .string()
    .max(MAX_DETAIL_CHARACTERS)
    .transform((text, context) => {
      try {
        return detailSchema.parse(JSON.parse(text));
      } catch {
        context.addIssue({ code: 'custom', message: 'is no detail of an entry' });
        return z.NEVER;
      }
    }),
  hash: blobColumn,
  signatures: blobColumn,
});

/** What a chain begins with: bound to whose it is, so that a role's trail cannot be another's. */
export function genesis(owner: {
  readonly role: string;
  readonly id: string;
  readonly fleet: string;
}): Uint8Array {
  return sha256(
    encodeFields('tensorguard-native v1 audit trail', [
      ['fleet', owner.fleet],
      ['role', owner.role],
      ['id', owner.id],
    ]),
  );
}

/** Names in order, so that equal details have one text. */
export function detailText(detail: AuditDetail): string {
  return JSON.stringify(Object.fromEntries(Object.entries(detail).sort(([a], [b]) => (a < b ? -1 : 1))));
}

export function entryHash(previous: Uint8Array, entry: AuditContent): Uint8Array {
  const fields: Field[] = [
    ['sequence', entry.sequence],
    ['time', entry.timeMs],
    ['kind', entry.kind],
    ['key', new TextEncoder().encode(entry.key ?? '')],
    ['detail', new TextEncoder().encode(detailText(entry.detail))],
  ];
  return sha256(previous, encodeFields('tensorguard-native v1 audit entry', fields));
}

/** What is signed for an entry, as a DSSE payload of the kind "audit-entry". */
export function entryPayload(entry: Pick<AuditEntry, 'sequence' | 'hash'>): Uint8Array {
  return encodeCbor({ sequence: entry.sequence, hash: entry.hash });
}

function sha256(...parts: readonly Uint8Array[]): Uint8Array {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part);
  return new Uint8Array(hash.digest());
}
