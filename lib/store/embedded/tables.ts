/** The tables of the embedded store: values with their revisions, and tasks with their leases. */
import { z } from 'zod';
import type { DatabaseDescription } from '../../durable/database-schema.js';
import { blobColumn } from '../../durable/durable-database.js';
import { VerificationError } from '../../errors.js';

export const description: DatabaseDescription = {
  name: 'store',
  applicationId: 0x7467_7331,
  schema: [
    // A removed key stays as a row without a value, for the watches of other processes, until it is collected.
    `CREATE TABLE state (
    key TEXT PRIMARY KEY,
    value BLOB,
    revision INTEGER NOT NULL UNIQUE,
    changed_at_ms INTEGER NOT NULL
  ) STRICT`,
    // The highest revision in the table would go back when a removed key is collected.
    'CREATE TABLE last_revision (id INTEGER PRIMARY KEY CHECK (id = 1), revision INTEGER NOT NULL) STRICT',
    'INSERT INTO last_revision VALUES (1, 0)',
    // AUTOINCREMENT: the sequence of a task that is done must not name a later one.
    `CREATE TABLE task (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT,
    queue TEXT NOT NULL,
    id TEXT NOT NULL,
    payload BLOB NOT NULL,
    attempt INTEGER NOT NULL,
    lease_ends_at_ms INTEGER NOT NULL,
    UNIQUE (queue, id)
  ) STRICT`,
    'CREATE INDEX task_by_queue ON task (queue, sequence)',
  ],
  corrupt: (detail) =>
    new VerificationError(
      'store.corrupt',
      `The store cannot be trusted: ${detail}. Keep the file as evidence and restore a backup.`,
    ),
  adviceIfMissing: 'Restore it from a backup, or start in an empty directory.',
};

export const revisionRow = z.object({ revision: z.int() });
export const keyRow = z.object({ key: z.string(), revision: z.int() });
export const valueRow = z.object({ value: blobColumn, revision: z.int() });
export const changeRow = z.object({ key: z.string(), value: blobColumn.nullable(), revision: z.int() });
export const taskRow = z.object({
  sequence: z.int(),
  id: z.string(),
  payload: blobColumn,
  attempt: z.int(),
});
