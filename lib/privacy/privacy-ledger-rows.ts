/** The rows of a site's privacy ledger: their table, and the bytes that its hash chain runs over. */
import { createHash } from 'node:crypto';
import { z } from 'zod';
import type { DatabaseDescription } from '../durable/database-schema.js';
import { blobColumn } from '../durable/durable-database.js';
import { VerificationError } from '../errors.js';
import { MECHANISMS, type Release } from './release.js';
import type { Spend } from './spend.js';

export const description: DatabaseDescription = {
  name: 'privacy ledger',
  applicationId: 0x7467_7031,
  schema: [
    `CREATE TABLE spend (
      entry INTEGER PRIMARY KEY,
      plan BLOB NOT NULL UNIQUE,
      fleet TEXT NOT NULL,
      policy TEXT NOT NULL,
      round INTEGER NOT NULL,
      client TEXT NOT NULL,
      mechanism TEXT NOT NULL,
      client_variance INTEGER NOT NULL,
      honest INTEGER NOT NULL,
      l2_squared INTEGER NOT NULL,
      dimension INTEGER NOT NULL,
      draws INTEGER NOT NULL,
      sampler_delta REAL NOT NULL,
      head BLOB NOT NULL
    ) STRICT`,
  ],
  corrupt,
  adviceIfMissing:
    'An empty one would forget what this site has released already. Restore it from a backup that is up to date; ' +
    'if there is none, take the whole budget as spent.',
};

const releaseColumns = {
  mechanism: z.enum(MECHANISMS),
  client_variance: z.int().min(1),
  honest: z.int().min(1),
  l2_squared: z.int().min(1),
  dimension: z.int().min(1),
  draws: z.int().min(1),
  sampler_delta: z.number().min(0).max(1),
};

export const spendRow = z.object({
  entry: z.int().min(1),
  plan: blobColumn,
  fleet: z.string(),
  policy: z.string(),
  round: z.int(),
  client: z.string(),
  ...releaseColumns,
  head: blobColumn,
});

/** Equal releases together. */
export const groupRow = z.object({
  ...releaseColumns,
  count: z.int().min(1),
});

export type SpendRow = z.infer<typeof spendRow>;

export type GroupRow = z.infer<typeof groupRow>;

export function releaseOf(row: SpendRow | GroupRow): Release {
  return {
    mechanism: row.mechanism,
    clientVariance: row.client_variance,
    honest: row.honest,
    l2Squared: row.l2_squared,
    dimension: row.dimension,
    draws: row.draws,
  };
}

export function spendOf(row: SpendRow): Spend {
  const { plan, fleet, policy, round, client } = row;
  return { plan, fleet, policy, round, client, release: releaseOf(row), samplerDelta: row.sampler_delta };
}

export function rowOf(entry: number, spend: Spend, before: Uint8Array): SpendRow {
  const { plan, fleet, policy, round, client, release } = spend;
  const row = {
    entry,
    plan,
    fleet,
    policy,
    round,
    client,
    mechanism: release.mechanism,
    client_variance: release.clientVariance,
    honest: release.honest,
    l2_squared: release.l2Squared,
    dimension: release.dimension,
    draws: release.draws,
    sampler_delta: spend.samplerDelta,
  };
  return { ...row, head: nextHead(before, row) };
}

const LABEL = 'tensorguard-native v1 privacy ledger';

export const GENESIS = new Uint8Array(createHash('sha256').update(LABEL).digest());

/**
 * SHA-256 of the head before and the row. A JSON array of strings and numbers has one parse, and a number's shortest
 * decimal gives the same double back, so two rows never share their bytes.
 */
export function nextHead(before: Uint8Array, row: Omit<SpendRow, 'head'>): Uint8Array {
  const fields = [
    LABEL,
    row.entry,
    Buffer.from(row.plan).toString('hex'),
    row.fleet,
    row.policy,
    row.round,
    row.client,
    row.mechanism,
    row.client_variance,
    row.honest,
    row.l2_squared,
    row.dimension,
    row.draws,
    row.sampler_delta,
  ];
  return new Uint8Array(createHash('sha256').update(before).update(JSON.stringify(fields)).digest());
}

export function corrupt(detail: string): VerificationError {
  return new VerificationError(
    'privacy.ledger-corrupt',
    `The privacy ledger cannot be trusted: ${detail}. Seal nothing with it and keep it as evidence. Restore a backup ` +
      'that holds every round this site took part in; if there is none, take the whole budget as spent.',
  );
}
