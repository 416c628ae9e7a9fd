/** Where a round's files are in the store, by the fingerprint of its plan. */
import { z } from 'zod';
import { idSchema } from '../../package/messages/common.js';
import type { StateStore } from '../../store/store.js';
import { type StoredFile, storedFileSchema } from '../files/stored-file.js';
import { createJson, readJson } from '../state/json-state.js';
import { keySegment } from '../state/keys.js';

/** One state key below which a kind of record lies: one record for each plan, and below it for each id. */
export const KEYS = {
  round: 'round',
  plan: 'plan',
  upload: 'upload',
  begun: 'begun',
  partialSum: 'partial-sum',
  begunSums: 'begun-sums',
  aggregate: 'aggregate',
  answer: 'answer',
  close: 'close',
  /** There once the health of its clients has been recorded. */
  observed: 'observed',
} as const;
export type RecordKind = keyof typeof KEYS;

/** A file of a round, and when it came. */
export const fileRecordSchema = z.strictObject({
  /** Of the container, 64 hexadecimal digits. */
  fingerprint: z.string().regex(/^[0-9a-f]{64}$/),
  file: storedFileSchema,
  atMs: z.int().min(0),
});
export type FileRecord = z.infer<typeof fileRecordSchema>;

/** What is known of an upload: its envelope is verified and stored; its chunks may still be missing. */
export const uploadRecordSchema = z.strictObject({
  client: idSchema,
  envelope: storedFileSchema,
  atMs: z.int().min(0),
});
export type UploadRecord = z.infer<typeof uploadRecordSchema>;

export function keyOf(kind: RecordKind, ...names: readonly string[]): string {
  return [KEYS[kind], ...names.map(keySegment)].join('.');
}

export async function readFileRecord(
  state: StateStore,
  kind: RecordKind,
  ...names: readonly string[]
): Promise<FileRecord | undefined> {
  return (await readJson(state, fileRecordSchema, keyOf(kind, ...names)))?.value;
}

/**
 * Keeps the first file of its kind.
 *
 * @returns the one that counts
 */
export async function keepFileRecord(
  state: StateStore,
  record: { readonly fingerprint: string; readonly file: StoredFile; readonly atMs: number },
  kind: RecordKind,
  ...names: readonly string[]
): Promise<FileRecord> {
  const key = keyOf(kind, ...names);
  const whole = { ...record, file: [...record.file] };
  if (await createJson(state, key, whole)) return whole;
  const stored = await readJson(state, fileRecordSchema, key);
  return stored?.value ?? whole;
}
