/** The plan of a round that is measured without a fleet: the same choices, sizes and streams as a signed one. */

import { createHash } from 'node:crypto';
import { sharesSectionBytes } from '../../lib/custody/sharing.js';
import { type PlanArithmetic, planArithmetic } from '../../lib/lwe/plan.js';
import type { PlanBody } from '../../lib/package/messages/plan.js';
import type { CompressionExpectation } from '../../lib/pipeline/allocation/compression-request.js';
import { planCompression } from '../../lib/pipeline/allocation/plan-compression.js';
import { plannedSegments } from '../../lib/round/plan-round.js';
import type { SubjectTensor } from './subjects.js';

/** Who holds the secrets: the default of `fleet init`. */
export const CUSTODY = { parameterSet: 'lwe-192', threshold: 3, custodians: 4 } as const;

const ROTATION_BLOCK_LOG2 = 12;
const NO_DIGEST = new Uint8Array(32);

export interface PlanChoice {
  readonly keepRatio: number;
  readonly bits: number;
  readonly rotation: boolean;
  readonly clients: number;
  /** In place of what the planner recommends. */
  readonly clip?: number;
}

export interface MeasuredPlan {
  readonly body: PlanBody;
  readonly fingerprint: Uint8Array;
  readonly arithmetic: PlanArithmetic;
  /** Ciphertext and sealed shares of one update; header and signature, a few kilobytes, come on top. */
  readonly sealedBytes: number;
  readonly expected: CompressionExpectation;
  /** Norm of the delta that the plan was made from. */
  readonly referenceNorm: number;
}

export function seededBytes(...names: readonly (string | number)[]): Uint8Array {
  return new Uint8Array(createHash('sha256').update(JSON.stringify(names)).digest());
}

/** Counts of values by width, as the plan arithmetic takes them. */
export function segmentsOf(
  valuesByBits: ReadonlyMap<number, number>,
): { readonly bits: number; readonly valueCount: number }[] {
  return [...valuesByBits]
    .map(([bits, valueCount]) => ({ bits, valueCount }))
    .sort((a, b) => a.bits - b.bits);
}

/** A plan from the energies of the common delta, as from a last released update. */
export function measuredPlan(
  tensors: readonly SubjectTensor[],
  choice: PlanChoice,
  seed: string,
): MeasuredPlan {
  const { keepRatio, bits, rotation, clients, clip } = choice;
  const arithmeticOf = (valuesByBits: ReadonlyMap<number, number>): PlanArithmetic =>
    planArithmetic({
      parameterSet: CUSTODY.parameterSet,
      maxClients: clients,
      segments: segmentsOf(valuesByBits),
    });
  const compression = planCompression({
    tensors: tensors.map(({ name, values, energy, largest }) => ({
      name,
      values: values.length,
      energy,
      largest,
    })),
    keepRatio,
    bits,
    clients,
    rotation,
    maxBytes: Number.MAX_SAFE_INTEGER,
    sizeBytes: (valuesByBits) => arithmeticOf(valuesByBits).ciphertextBytes,
    ...(clip !== undefined && { clip }),
  });
  const kept = compression.keeps.reduce((a, b) => a + b, 0);
  const arithmetic = arithmeticOf(new Map([[bits, kept]]));
  const body: PlanBody = {
    fleet: 'measured',
    policy: 'measured',
    cohort: 'all',
    round: 1,
    rosterVersion: 1,
    rosterFingerprint: NO_DIGEST,
    ...CUSTODY,
    seed: seededBytes(seed, 'plan seed'),
    keyEpoch: 1,
    quorum: Math.min(3, clients),
    lwe: {
      maxClients: clients,
      segments: plannedSegments(arithmetic),
    },
    loraMode: 'average',
    tensors: tensors.map(({ name, shape }, m) => ({
      name,
      shape: [...shape],
      dtype: 'F32',
      bits,
      kept: compression.keeps[m] as number,
      scale: compression.scales[m] as number,
    })),
    rotationBlockLog2: rotation ? ROTATION_BLOCK_LOG2 : 0,
    clip: compression.clip,
    adapterSchema: NO_DIGEST,
    ledgerHeads: [],
  };
  return {
    body,
    fingerprint: seededBytes(seed, 'plan fingerprint'),
    arithmetic,
    sealedBytes: arithmetic.ciphertextBytes + sharesSectionBytes(CUSTODY),
    expected: compression.expected,
    referenceNorm: Math.sqrt(tensors.reduce((sum, { energy }) => sum + energy, 0)),
  };
}

/** The same plan for another round: other signs, another subsample. */
export function forRound(plan: MeasuredPlan, round: number, seed: string): MeasuredPlan {
  return {
    ...plan,
    body: { ...plan.body, round, seed: seededBytes(seed, 'plan seed', round) },
    fingerprint: seededBytes(seed, 'plan fingerprint', round),
  };
}
