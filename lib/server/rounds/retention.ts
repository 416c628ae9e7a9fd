/** Which blobs of the service may go, and letting them go: ciphertexts of rounds that were closed some rounds ago. */
import { z } from 'zod';
import { EnvironmentError } from '../../errors.js';
import { hasEnded, isBefore } from '../../round/machine/phases.js';
import { type RoundState, sentUpdates } from '../../round/machine/state.js';
import type { RetentionPolicy, RoundBlobs } from '../../store/retention.js';
import { type SweepReport, sweepBlobs } from '../../store/retention-sweep.js';
import type { StateStore } from '../../store/store.js';
import type { ServerContext } from '../context.js';
import { storedFileSchema } from '../files/stored-file.js';
import { listJson } from '../state/json-state.js';
import { ENROLMENT_PREFIX, RELEASE_PREFIX, ROSTER_PREFIX } from '../state/keys.js';
import { keyOf, readFileRecord } from './stored-round.js';

export const DEFAULT_RETENTION: RetentionPolicy = { closedRounds: 3, graceMs: 24 * 3_600_000 };

const anyFileSchema = z.looseObject({ file: storedFileSchema });

/** What is no round's: the roster, enrolments, releases. */
async function othersBlobs(state: StateStore): Promise<RoundBlobs> {
  const records: string[] = [];
  for (const prefix of [ROSTER_PREFIX, ENROLMENT_PREFIX, RELEASE_PREFIX]) {
    for await (const { value } of listJson(state, anyFileSchema, prefix)) {
      records.push(...value.file.map(({ digest }) => digest));
    }
  }
  return { closedAtMs: undefined, ciphertexts: [], records };
}

/**
 * The fingerprints of a round's uploads. As long as it takes updates, of those as well that are under way: a client that comes
 * back after days ends its upload with chunks that are as old, and is told that the round has it.
 */
async function uploadsOf(store: StateStore, plan: string, state: RoundState): Promise<readonly string[]> {
  if (!isBefore(state.phase, 'sealed-off')) return sentUpdates(state).map(({ update }) => update.fingerprint);
  const prefix = keyOf('upload', plan);
  const fingerprints: string[] = [];
  for await (const { key } of store.list(prefix)) fingerprints.push(key.slice(prefix.length + 1));
  return fingerprints;
}

/** Every blob that something refers to, round by round. */
async function referredBlobs({ store, rounds, intake }: ServerContext): Promise<readonly RoundBlobs[]> {
  const found: RoundBlobs[] = [await othersBlobs(store.state)];
  for await (const { plan, state } of rounds.list()) {
    const record = async (
      ...at: Parameters<typeof readFileRecord> extends [unknown, ...infer Rest] ? Rest : never
    ) => ((await readFileRecord(store.state, ...at))?.file ?? []).map(({ digest }) => digest);
    const answers = await Promise.all(
      state.answers.map(({ custodian, fingerprint }) => record('answer', plan, custodian, fingerprint)),
    );
    const closed = state.close !== undefined && hasEnded(state.phase);
    const ciphertexts: string[] = await record('aggregate', plan);
    for (const fingerprint of await uploadsOf(store.state, plan, state)) {
      const upload = await intake.find(plan, fingerprint).catch((error: unknown) => {
        // An earlier sweep let a closed round's envelopes go.
        if (closed && error instanceof EnvironmentError && error.code === 'store.blob-missing')
          return undefined;
        throw error;
      });
      ciphertexts.push(...(upload?.file ?? []).map(({ digest }) => digest));
    }
    const atMs = state.enteredAtMs.failed ?? state.enteredAtMs.opened ?? 0;
    found.push({
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

/** Removes what `policy` lets go. Never a round's ciphertexts before its close record. */
export function collectGarbage(context: ServerContext, policy: RetentionPolicy): Promise<SweepReport> {
  return sweepBlobs(context.store, () => referredBlobs(context), policy);
}
