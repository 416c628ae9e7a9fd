/** The tables of a key store. */
import { z } from 'zod';
import type { DatabaseDescription } from '../../durable/database-schema.js';
import { blobColumn } from '../../durable/durable-database.js';
import { VerificationError } from '../../errors.js';
import { KEY_STATES } from './key-states.js';

export const ROLES = ['client', 'gateway', 'aggregator', 'custodian', 'owner', 'coordinator'] as const;
export type Role = (typeof ROLES)[number];

export const PURPOSES = ['signing', 'kem', 'prf'] as const;
export type KeyPurpose = (typeof PURPOSES)[number];

export const description: DatabaseDescription = {
  name: 'key store',
  applicationId: 0x7467_6b31,
  schema: [
    `CREATE TABLE audit_entry (
    sequence INTEGER PRIMARY KEY,
    time_ms INTEGER NOT NULL,
    kind TEXT NOT NULL,
    key TEXT,
    detail TEXT NOT NULL,
    hash BLOB NOT NULL UNIQUE,
    signatures BLOB NOT NULL
  ) STRICT`,
    `CREATE TABLE store (
    only_row INTEGER PRIMARY KEY CHECK (only_row = 1),
    role TEXT NOT NULL,
    id TEXT NOT NULL,
    fleet TEXT NOT NULL,
    created_ms INTEGER NOT NULL,
    public_keys BLOB NOT NULL,
    wrapper_config TEXT NOT NULL,
    epoch_floor INTEGER NOT NULL
  ) STRICT`,
    `CREATE TABLE key (
    name TEXT PRIMARY KEY,
    purpose TEXT NOT NULL,
    epoch INTEGER UNIQUE,
    state TEXT NOT NULL,
    public_key BLOB,
    created_ms INTEGER NOT NULL,
    wrapper TEXT NOT NULL,
    secret_file TEXT UNIQUE,
    recovery_file TEXT UNIQUE,
    entry INTEGER NOT NULL REFERENCES audit_entry
  ) STRICT`,
    `CREATE TABLE recovery (
    only_row INTEGER PRIMARY KEY CHECK (only_row = 1),
    description TEXT NOT NULL,
    entry INTEGER NOT NULL REFERENCES audit_entry
  ) STRICT`,
    `CREATE TABLE break_glass (
    entry INTEGER PRIMARY KEY REFERENCES audit_entry,
    key TEXT NOT NULL REFERENCES key,
    plan BLOB NOT NULL,
    round TEXT NOT NULL,
    reason TEXT NOT NULL,
    closed_entry INTEGER REFERENCES audit_entry
  ) STRICT`,
  ],
  corrupt,
  adviceIfMissing: 'Name the directory of a role: "client init", "custodian init" or "fleet init" make one.',
};

export const storeRow = z.object({
  role: z.enum(ROLES),
  id: z.string(),
  fleet: z.string(),
  created_ms: z.int(),
  public_keys: blobColumn,
  wrapper_config: z.string(),
  epoch_floor: z.int(),
});

export const keyRow = z.object({
  name: z.string(),
  purpose: z.enum(PURPOSES),
  epoch: z.int().nullable(),
  state: z.enum(KEY_STATES),
  public_key: blobColumn.nullable(),
  created_ms: z.int(),
  wrapper: z.string(),
  secret_file: z.string().nullable(),
  recovery_file: z.string().nullable(),
  entry: z.int(),
});
export type KeyRow = z.infer<typeof keyRow>;

export const recoveryRow = z.object({ description: z.string(), entry: z.int() });

export const breakGlassRow = z.object({
  entry: z.int(),
  key: z.string(),
  plan: blobColumn,
  round: z.string(),
  reason: z.string(),
  closed_entry: z.int().nullable(),
});
export type BreakGlassRow = z.infer<typeof breakGlassRow>;

export function corrupt(detail: string): VerificationError {
  return new VerificationError(
    'key.store-corrupt',
    `The key store cannot be trusted: ${detail}. Keep it as evidence, and give this role a new directory with new keys.`,
  );
}
