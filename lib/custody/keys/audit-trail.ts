/**
 * The audit trail of a key store: append-only, hash-chained, every entry signed and on the disk before the act that it
 * records takes effect. A change of a key's state and its entry are one transaction.
 */
import { z } from 'zod';
import type { DurableDatabase } from '../../durable/durable-database.js';
import { ParameterError } from '../../errors.js';
import { encodeCbor } from '../../package/cbor-encoding.js';
import { signHeader } from '../../package/signatures.js';
import type { SigningKey } from '../../package/signing-key.js';
import { hex, sameBytes } from '../fields.js';
import {
  type AuditContent,
  type AuditDetail,
  type AuditEntry,
  type AuditKind,
  detailText,
  entryHash,
  entryPayload,
  entryRow,
  genesis,
  MAX_DETAIL_CHARACTERS,
} from './audit-entry.js';

/** Whose trail it is. */
export interface AuditOwner {
  readonly fleet: string;
  readonly role: string;
  readonly id: string;
}

export interface NewEntry {
  readonly kind: AuditKind;
  readonly key?: string | undefined;
  readonly detail?: AuditDetail;
}

/** Where a trail stands. */
export interface AuditHead {
  /** Number of entries. */
  readonly sequence: number;
  readonly hash: Uint8Array;
}

const headRow = z.object({ sequence: entryRow.shape.sequence, hash: entryRow.shape.hash });

export const HEAD_FORMAT = 'tensorguard-native audit head';

/** A head as it is exported: kept elsewhere, it proves later that nothing before it was cut off. */
export const signedHeadSchema = z.strictObject({
  format: z.literal(HEAD_FORMAT),
  version: z.literal(1),
  fleet: z.string(),
  role: z.string(),
  id: z.string(),
  sequence: z.int().min(0),
  hash: z.string().regex(/^[0-9a-f]{64}$/),
  timeMs: z.int().min(0),
  /** A signature block (`package/signatures.ts`), base64. */
  signatures: z.base64(),
});
export type SignedHead = z.infer<typeof signedHeadSchema>;

/** What is signed in an exported head, as a DSSE payload of the kind "audit-head". */
export function headPayload(head: Omit<SignedHead, 'format' | 'version' | 'signatures'>): Uint8Array {
  const { fleet, role, id, sequence, hash, timeMs } = head;
  return encodeCbor({ fleet, role, id, sequence, hash, timeMs });
}

export class AuditTrail {
  readonly owner: AuditOwner;
  readonly #database: DurableDatabase;

  constructor(database: DurableDatabase, owner: AuditOwner) {
    this.#database = database;
    this.owner = owner;
  }

  head(): AuditHead {
    const sql = 'SELECT sequence, hash FROM audit_entry ORDER BY sequence DESC LIMIT 1';
    return this.#database.get(headRow, sql) ?? { sequence: 0, hash: genesis(this.owner) };
  }

  /**
   * Appends entries, and runs `change` in the same transaction: all of it is on the disk when this returns, or nothing.
   *
   * @param change gets the sequence number of the last entry
   * @throws ParameterError `audit.detail-too-long`
   */
  async append(
    signer: SigningKey,
    entries: readonly NewEntry[],
    change?: (entry: number) => void,
  ): Promise<void> {
    for (;;) {
      const head = this.head();
      const signed = await this.#sign(signer, head, entries);
      const appended = this.#database.transaction(() => {
        // Signing takes its time; another process may have appended meanwhile.
        if (!sameBytes(this.head().hash, head.hash)) return false;
        for (const entry of signed) this.#insert(entry);
        change?.(head.sequence + entries.length);
        return true;
      });
      if (appended) return;
    }
  }

  /** Every entry, oldest first: those after `after`, `limit` of them at most (-1 for all). */
  entries(after = 0, limit = -1): AuditEntry[] {
    const sql = 'SELECT * FROM audit_entry WHERE sequence > ? ORDER BY sequence LIMIT ?';
    return this.#database.all(entryRow, sql, [after, limit]).map(entryOf);
  }

  /** For a verifier, who names the first bad entry: every entry before the first row that is none. */
  readable(): { readonly entries: AuditEntry[]; readonly malformed: boolean } {
    const entries: AuditEntry[] = [];
    for (const row of this.#database.all(z.unknown(), 'SELECT * FROM audit_entry ORDER BY sequence')) {
      const parsed = entryRow.safeParse(row);
      if (!parsed.success) return { entries, malformed: true };
      entries.push(entryOf(parsed.data));
    }
    return { entries, malformed: false };
  }

  /** The hash before an entry, and the entry: what its own hash is checked with. */
  pair(sequence: number): [before: Uint8Array, entry: AuditEntry | undefined] {
    const [previous, entry] =
      sequence > 1 ? this.entries(sequence - 2, 2) : [undefined, this.entries(0, 1)[0]];
    return [previous?.hash ?? genesis(this.owner), entry];
  }

  /** The head with a signature, to be kept elsewhere. */
  async signedHead(signer: SigningKey): Promise<SignedHead> {
    const { sequence, hash } = this.head();
    const { fleet, role, id } = this.owner;
    const head = { fleet, role, id, sequence, hash: hex(hash), timeMs: Date.now() };
    const signatures = await signHeader('audit-head', headPayload(head), signer);
    return {
      format: HEAD_FORMAT,
      version: 1,
      ...head,
      signatures: Buffer.from(signatures).toString('base64'),
    };
  }

  async #sign(signer: SigningKey, head: AuditHead, entries: readonly NewEntry[]): Promise<AuditEntry[]> {
    const signed: AuditEntry[] = [];
    let previous = head.hash;
    for (const [i, { kind, key, detail }] of entries.entries()) {
      requireReadable(kind, detail ?? {});
      const content: AuditContent = {
        sequence: head.sequence + 1 + i,
        timeMs: Date.now(),
        kind,
        key,
        detail: detail ?? {},
      };
      const hash = entryHash(previous, content);
      const signatures = await signHeader(
        'audit-entry',
        entryPayload({ sequence: content.sequence, hash }),
        signer,
      );
      signed.push({ ...content, hash, signatures });
      previous = hash;
    }
    return signed;
  }

  #insert({ sequence, timeMs, kind, key, detail, hash, signatures }: AuditEntry): void {
    this.#database.run(
      `INSERT INTO audit_entry (sequence, time_ms, kind, key, detail, hash, signatures)
       VALUES (?, ?, ?, ?, ?, ?, ?)`,
      [sequence, timeMs, kind, key ?? null, detailText(detail), hash, signatures],
    );
  }
}

function entryOf({ time_ms, key, ...entry }: z.infer<typeof entryRow>): AuditEntry {
  return { ...entry, timeMs: time_ms, key: key ?? undefined };
}

/** What is longer than a reader takes would make the whole trail unreadable, for ever. */
function requireReadable(kind: AuditKind, detail: AuditDetail): void {
  const { length } = detailText(detail);
  if (length <= MAX_DETAIL_CHARACTERS) return;
  throw new ParameterError(
    'audit.detail-too-long',
    `The entry "${kind}" of the audit trail would have ${length} characters, and may have ${MAX_DETAIL_CHARACTERS}. Nothing ` +
      'was done: give a shorter reason or note.',
  );
}
