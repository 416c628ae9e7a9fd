/** Which blobs of the service may go, and letting them go: ciphertexts of rounds that were closed some rounds ago. */
import { z } from 'zod';
import { EnvironmentError } from '../../errors.js';
import { hasEnded, isBefore } from '../../round/machine/phases.js';
import { type RoundState, sentFiles } from '../../round/machine/state.js';
import { type RetentionPolicy, type RoundBlobs, roundsToLetGo } from '../../store/retention.js';
import { type SweepReport, sweepBlobs } from '../../store/retention-sweep.js';
import type { StateStore } from '../../store/store.js';
import type { ServerContext } from '../context.js';
import { storedFileSchema } from '../files/stored-file.js';
import { listJson } from '../state/json-state.js';
import { ENROLMENT_PREFIX, RELEASE_PREFIX, ROSTER_PREFIX, VERDICT_PREFIX } from '../state/keys.js';
import { keyOf, readFileRecord } from './stored-round.js';

export const DEFAULT_RETENTION: RetentionPolicy = { closedRounds: 3, graceMs: 24 * 3_600_000 };

const anyFileSchema = z.looseObject({ file: storedFileSchema });

/** What is no round's, or not yet: the roster, enrolments, releases, verdicts, plans whose round nobody has opened. */
async function othersBlobs(state: StateStore): Promise<RoundBlobs> {
  const records: string[] = [];
  const prefixes = [ROSTER_PREFIX, ENROLMENT_PREFIX, RELEASE_PREFIX, VERDICT_PREFIX, keyOf('plan')];
  for (const prefix of prefixes) {
    for await (const { value } of listJson(state, anyFileSchema, prefix)) {
      records.push(...value.file.map(({ digest }) => digest));
    }
  }
  return { closedAtMs: undefined, ciphertexts: [], records };
}

/**
 * The fingerprints of a round's uploads and partial sums. As long as it takes updates, of those as well that are under way: a
 * client that comes back after days ends its upload with chunks that are as old, and is told that the round has it.
 */
async function filesOf(store: StateStore, plan: string, state: RoundState) {
  if (!isBefore(state.phase, 'sealed-off')) return sentFiles(state);
  const listed = async (kind: 'upload' | 'partialSum'): Promise<readonly string[]> => {
    const prefix = keyOf(kind, plan);
    const fingerprints: string[] = [];
    for await (const { key } of store.list(prefix)) fingerprints.push(key.slice(prefix.length + 1));
    return fingerprints;
  };
  return { updates: await listed('upload'), partialSums: await listed('partialSum') };
}

interface PlannedBlobs extends RoundBlobs {
  /** Absent for what is no round's. */
  readonly plan?: string;
}

/** Every blob that something refers to, round by round. */
async function referredBlobs({ store, rounds, intake }: ServerContext): Promise<readonly PlannedBlobs[]> {
  const found: PlannedBlobs[] = [await othersBlobs(store.state)];
  for await (const { plan, state } of rounds.list()) {
    const record = async (
      ...at: Parameters<typeof readFileRecord> extends [unknown, ...infer Rest] ? Rest : never
    ) => ((await readFileRecord(store.state, ...at))?.file ?? []).map(({ digest }) => digest);
    const answers = await Promise.all(
      state.answers.map(({ custodian, fingerprint }) => record('answer', plan, custodian, fingerprint)),
    );
    const closed = state.close !== undefined && hasEnded(state.phase);
    const ciphertexts: string[] = await record('aggregate', plan);
    const { updates, partialSums } = await filesOf(store.state, plan, state);
    for (const fingerprint of updates) {
      const upload = await intake.find(plan, fingerprint).catch((error: unknown) => {
        // An earlier sweep let a closed round's envelopes go.
        if (closed && error instanceof EnvironmentError && error.code === 'store.blob-missing')
          return undefined;
        throw error;
      });
      ciphertexts.push(...(upload?.file ?? []).map(({ digest }) => digest));
    }
    for (const partialSum of partialSums) {
      ciphertexts.push(...(await record('partialSum', plan, partialSum)));
    }
    const atMs = state.enteredAtMs.failed ?? state.enteredAtMs.opened ?? 0;
    found.push({
      plan,
      closedAtMs: closed ? atMs : undefined,
      ciphertexts,
      records: [
        ...(await record('plan', plan)),
        ...(state.close === undefined ? [] : await record('close', plan, state.close.record)),
        ...answers.flat(),
      ],
    });
  }
  return found;
}

/** What is known of the uploads of a round: without their bytes it says nothing that the round does not say. */
const UPLOAD_RECORDS = ['upload', 'begun', 'partialSum', 'begunSums'] as const;

/** @returns how many there were */
async function removeUploadRecords(state: StateStore, plan: string): Promise<number> {
  let removed = 0;
  for (const kind of UPLOAD_RECORDS) {
    for await (const { key, revision } of state.list(keyOf(kind, plan))) {
      if (await state.remove(key, revision)) removed += 1;
    }
  }
  return removed;
}

export interface GarbageReport extends SweepReport {
  /** Records of uploads, of rounds whose ciphertexts were let go. */
  readonly removedRecords: number;
}

/** Removes what `policy` lets go. Never a round's ciphertexts before its close record. */
export async function collectGarbage(
  context: ServerContext,
  policy: RetentionPolicy,
): Promise<GarbageReport> {
  let referred: readonly PlannedBlobs[] = [];
  const report = await sweepBlobs(
    context.store,
    async () => {
      referred = await referredBlobs(context);
      return referred;
    },
    policy,
  );
  // After the blobs: a round whose records are there is one whose blobs are still looked for.
  let removedRecords = 0;
  for (const { plan } of roundsToLetGo(referred, policy)) {
    if (plan !== undefined) removedRecords += await removeUploadRecords(context.store.state, plan);
  }
  return { ...report, removedRecords };
}
