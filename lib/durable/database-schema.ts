/** What kind of SQLite file it is, and with which tables: written at creation, compared at every opening. */
import Database from 'libsql';
import type { TensorGuardError } from '../errors.js';

export interface DatabaseDescription {
  /** What this file is, for messages: "ledger". */
  readonly name: string;
  /** SQLite's `application_id`, so that one kind of file is not taken for another. */
  readonly applicationId: number;
  /** The `CREATE` statements of its only schema version. */
  readonly schema: readonly string[];
  /** Makes the error for a file that cannot be trusted. */
  readonly corrupt: (detail: string) => TensorGuardError;
  /** What to do when the file is missing, in a sentence or two. */
  readonly adviceIfMissing: string;
}

/** Runs the schema in an empty file. Without a log, so that the one file is all there is. */
export function writeSchema(path: string, description: DatabaseDescription): void {
  const connection = new Database(path);
  try {
    connection.exec('PRAGMA synchronous = FULL');
    connection.exec('BEGIN IMMEDIATE');
    for (const statement of description.schema) {
      connection.exec(statement);
    }
    connection.exec(`PRAGMA application_id = ${description.applicationId}`);
    connection.exec('COMMIT');
  } finally {
    connection.close();
  }
}

/** The schema as SQLite stores it, as one string. */
export function schemaOf(connection: Database.Database): string {
  const rows = connection.prepare('SELECT type, name, sql FROM sqlite_schema ORDER BY type, name').all();
  return JSON.stringify(rows);
}

/** What `schemaOf` gives for a file that nobody changed. */
export function expectedSchema(description: DatabaseDescription): string {
  const connection = new Database(':memory:');
  try {
    for (const statement of description.schema) {
      connection.exec(statement);
    }
    return schemaOf(connection);
  } finally {
    connection.close();
  }
}
