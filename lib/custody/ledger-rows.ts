/** The rows of the custodian's ledger: their tables, and the bytes that its hash chain runs over. */
import { createHash } from 'node:crypto';
import { z } from 'zod';
import type { DatabaseDescription } from '../durable/database-schema.js';
import { blobColumn } from '../durable/durable-database.js';
import { VerificationError } from '../errors.js';
import { encodeFields } from './fields.js';
import { roundFields } from './round-key.js';

export const GENESIS = sha256(encodeFields('tensorguard-native v1 ledger', []));

export const description: DatabaseDescription = {
  name: 'custodian ledger',
  applicationId: 0x7467_6c31,
  schema: [
    `CREATE TABLE entry (
    sequence INTEGER PRIMARY KEY,
    head BLOB NOT NULL UNIQUE
  ) STRICT`,
    `CREATE TABLE claim (
    entry INTEGER PRIMARY KEY REFERENCES entry DEFERRABLE INITIALLY DEFERRED,
    fleet TEXT NOT NULL,
    policy TEXT NOT NULL,
    cohort TEXT NOT NULL,
    round INTEGER NOT NULL,
    plan BLOB NOT NULL,
    set_fingerprint BLOB NOT NULL,
    UNIQUE (fleet, policy, cohort, round)
  ) STRICT`,
    `CREATE TABLE claimed_update (
    fingerprint BLOB PRIMARY KEY,
    claim INTEGER NOT NULL REFERENCES claim
  ) STRICT, WITHOUT ROWID`,
    'CREATE INDEX claimed_update_by_claim ON claimed_update (claim, fingerprint)',
    `CREATE TABLE answer (
    entry INTEGER PRIMARY KEY REFERENCES entry DEFERRABLE INITIALLY DEFERRED,
    claim INTEGER NOT NULL UNIQUE REFERENCES claim,
    bytes BLOB NOT NULL
  ) STRICT`,
  ],
  corrupt,
  adviceIfMissing:
    'If this custodian ever answered, an empty ledger would let it answer again: give it new keys under the ' +
    'next key epoch, which come with a new ledger.',
};

export const entryRow = z.object({ sequence: z.int(), head: blobColumn });
export const claimRow = z.object({
  entry: z.int(),
  fleet: z.string(),
  policy: z.string(),
  cohort: z.string(),
  round: z.int(),
  plan: blobColumn,
  set_fingerprint: blobColumn,
});
export const updateRow = z.object({ fingerprint: blobColumn });
export const answerRow = z.object({ entry: z.int(), claim: z.int(), bytes: blobColumn });

export type Claim = z.infer<typeof claimRow>;
export type Entry = z.infer<typeof entryRow>;

export function encodedClaim(claim: Claim, updates: readonly Uint8Array[]): Uint8Array {
  return encodeFields('tensorguard-native v1 ledger claim', [
    ['entry', claim.entry],
    ...roundFields(claim),
    ['plan', claim.plan],
    ['set', claim.set_fingerprint],
    ...updates.map((update) => ['update', update] as const),
  ]);
}

export function encodedAnswer(entry: number, claim: number, answer: Uint8Array): Uint8Array {
  return encodeFields('tensorguard-native v1 ledger answer', [
    ['entry', entry],
    ['claim', claim],
    ['answer digest', sha256(answer)],
  ]);
}

export function sha256(...parts: readonly Uint8Array[]): Uint8Array {
  const hash = createHash('sha256');
  for (const part of parts) {
    hash.update(part);
  }
  return new Uint8Array(hash.digest());
}

export function corrupt(detail: string): VerificationError {
  return new VerificationError(
    'ledger.corrupt',
    `The custodian's ledger cannot be trusted: ${detail}. Answer nothing from it and keep it as evidence. A ` +
      'restored copy would forget what was answered: give this custodian a new directory with new keys, under ' +
      'the next key epoch.',
  );
}
