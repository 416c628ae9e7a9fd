/** Reading the files that `JsonlWriter` leaves. */
import { createReadStream } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { EnvironmentError } from '../errors.js';
import { RECORD_FILE } from './jsonl-writer.js';
import { recordSchema, type TelemetryRecord } from './records.js';

export interface ReadRecords {
  /** The newest first, of each kind and id the last one. */
  readonly records: readonly TelemetryRecord[];
  /** Lines that are no record: torn by a crash, or another version's. */
  readonly unreadable: number;
}

/** @throws EnvironmentError `records.unreadable` */
export async function readJsonlRecords(directory: string): Promise<ReadRecords> {
  const found = new Map<string, TelemetryRecord>();
  let unreadable = 0;
  try {
    for (const name of (await readdir(directory)).filter((each) => RECORD_FILE.test(each)).sort()) {
      for await (const line of createInterface({ input: createReadStream(join(directory, name)) })) {
        const record = parsed(line);
        if (record === undefined) unreadable += 1;
        else found.set(`${record.kind} ${record.id}`, record);
      }
    }
  } catch (cause) {
    throw new EnvironmentError(
      'records.unreadable',
      `The records in ${directory} cannot be read. Name the directory that the server was given: --records DIR.`,
      { cause },
    );
  }
  return { records: [...found.values()].sort((a, b) => b.atMs - a.atMs), unreadable };
}

function parsed(line: string): TelemetryRecord | undefined {
  try {
    return recordSchema.parse(JSON.parse(line));
  } catch {
    return undefined;
  }
}
