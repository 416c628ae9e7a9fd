/** Records of rounds: where one stands, what its sum took, how it was opened. */
import { countElements } from '../../adapter/tensor-info.js';
import type { TrustedPlan } from '../../custody/trusted-plan.js';
import type { LatencyStage } from '../../observability/latency-stages.js';
import type { OpeningReport } from '../../observability/opening-report.js';
import {
  onlyValue,
  RECORD_SCHEMA_VERSION,
  type RoundOfRecord,
  type Spread,
  spreadOf,
} from '../../observability/record-fields.js';
import type { RecordOf } from '../../observability/records.js';
import type { Envelope } from '../../package/envelope.js';
import type { RoundState } from '../../round/machine/state.js';
import { fileBytes } from '../files/verified-file.js';
import { roundSummary } from '../rounds/round-status.js';

export function roundRecord(plan: string, state: RoundState, atMs: number): RecordOf<'round'> {
  const { fleet, policy, cohort, round, phase, opensAtMs, deadlineMs, enteredAtMs, ...rest } = roundSummary(
    plan,
    state,
  );
  const { eligible, quorum, received, refused, outliers, accepted, answered, threshold, failure, close } =
    rest;
  return {
    kind: 'round',
    schema: RECORD_SCHEMA_VERSION,
    id: `round.${plan}`,
    atMs,
    ...{ fleet, policy, cohort, round, plan, phase, opensAtMs, deadlineMs, enteredAtMs },
    ...{ eligible, quorum, received, refused, answered, threshold },
    ...(outliers !== undefined && { outliers }),
    ...(accepted !== undefined && { accepted }),
    ...(failure !== undefined && {
      failure: { code: failure.code, message: failure.message.replace(/\p{Cc}+/gu, ' ') },
    }),
    ...(close !== undefined && { opened: close.opened }),
  };
}

/** What the signed header of an update says of it. */
export interface SummedUpdate {
  readonly timingsMs: Envelope<'update'>['body']['timingsMs'];
  readonly originalBytes: number | undefined;
  readonly ciphertextBytes: number;
  readonly fileBytes: number;
}

export function summedUpdate(envelope: Envelope<'update'>): SummedUpdate {
  const { timingsMs, compression } = envelope.body;
  return {
    timingsMs,
    originalBytes: compression?.originalBytes,
    // Sections come in the order in which their message has them: the ciphertext first.
    ciphertextBytes: envelope.header.sections[0]?.length ?? 0,
    fileBytes: fileBytes(envelope),
  };
}

export interface Summed {
  readonly plan: string;
  readonly trusted: TrustedPlan;
  readonly updates: readonly SummedUpdate[];
  readonly milliseconds: number;
}

function roundOf({ plan, trusted }: Pick<Summed, 'plan' | 'trusted'>): RoundOfRecord {
  const { fleet, policy, cohort, round } = trusted.body;
  return { fleet, policy, cohort, round, plan };
}

/** How long clients took, by their headers, and the sum. */
export function summedLatency(summed: Summed, atMs: number): RecordOf<'latency'> {
  const round = roundOf(summed);
  const stagesMs: Partial<Record<LatencyStage, Spread>> = { aggregate: onlyValue(summed.milliseconds) };
  for (const stage of ['train', 'compress', 'encrypt'] as const) {
    const spread = spreadOf(summed.updates.flatMap(({ timingsMs }) => timingsMs?.[stage] ?? []));
    if (spread !== undefined) stagesMs[stage] = spread;
  }
  return {
    kind: 'latency',
    schema: RECORD_SCHEMA_VERSION,
    id: `latency.sum.${summed.plan}`,
    atMs,
    policy: round.policy,
    round,
    stagesMs,
  };
}

/** @returns undefined where an update does not say what it was made of */
export function summedCompression(summed: Summed, atMs: number): RecordOf<'compression'> | undefined {
  const { updates, trusted } = summed;
  const total = (of: (update: SummedUpdate) => number): number =>
    updates.reduce((sum, update) => sum + of(update), 0);
  if (updates.length === 0 || updates.some(({ originalBytes }) => originalBytes === undefined))
    return undefined;
  const originalBytes = total((update) => update.originalBytes ?? 0);
  const compressedBytes = total(({ ciphertextBytes }) => ciphertextBytes);
  const wireBytes = total((update) => update.fileBytes);
  if (compressedBytes === 0) return undefined;
  return {
    kind: 'compression',
    schema: RECORD_SCHEMA_VERSION,
    id: `compression.${summed.plan}`,
    atMs,
    ...roundOf(summed),
    updates: updates.length,
    parameters: trusted.body.tensors.reduce((sum, { name, shape }) => sum + countElements(name, shape), 0),
    ...{ originalBytes, compressedBytes, wireBytes },
    ratio: originalBytes / compressedBytes,
    effectiveRatio: originalBytes / wireBytes,
  };
}

export function openingLatency(
  round: RoundOfRecord,
  { decryptMs }: OpeningReport,
  atMs: number,
): RecordOf<'latency'> {
  return {
    kind: 'latency',
    schema: RECORD_SCHEMA_VERSION,
    id: `latency.opening.${round.plan}`,
    atMs,
    policy: round.policy,
    round,
    stagesMs: { decrypt: onlyValue(decryptMs) },
  };
}
