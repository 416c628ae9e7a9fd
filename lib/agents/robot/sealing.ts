/** One update for one plan, from the snapshots that there are. */
import { readTrainingMetadata } from '../../adapter/training-metadata.js';
import { hex } from '../../custody/fields.js';
import { readTrustedPlan } from '../../custody/trusted-plan.js';
import { RefusedError } from '../../errors.js';
import type { PlanBody } from '../../package/messages/plan.js';
import type { ResidualStore } from '../../pipeline/residual/residual-store.js';
import { type ClientOptions, openClient } from '../../round/client-directory.js';
import { type SealedUpdateFile, sealUpdate } from '../../round/seal-update.js';
import { wrongFile } from './close-records.js';
import type { Snapshot } from './snapshots.js';

export interface SealForPlan {
  readonly clientDirectory: string;
  readonly options: ClientOptions;
  /** Fingerprint of the plan, 64 hexadecimal digits. */
  readonly plan: string;
  readonly planFile: Uint8Array;
  /** The newest first; at least one. */
  readonly snapshots: readonly Snapshot[];
}

export interface SealedSnapshot {
  readonly snapshot: Snapshot;
  readonly sealed: SealedUpdateFile;
  readonly planBody: PlanBody;
  /** Absent where the policy keeps none. */
  readonly residuals: ResidualStore | undefined;
}

/**
 * Seals the newest snapshot, or gives the update of the plan that was sealed before. An older snapshot is taken only where
 * it is the one that this plan has already: what was sealed, or begun to be, before a crash or before the newer one came.
 *
 * @throws as `openClient`, `readTrustedPlan` and `sealUpdate`; VerificationError `agent.wrong-file`
 */
export async function sealForPlan(request: SealForPlan): Promise<SealedSnapshot> {
  const { client, roster, close } = await openClient(request.clientDirectory, request.options);
  try {
    const plan = await readTrustedPlan(request.planFile, roster);
    if (hex(plan.fingerprint) !== request.plan) throw wrongFile('plan', request.plan);
    let refusal: unknown;
    for (const snapshot of request.snapshots) {
      const training = await readTrainingMetadata(snapshot.adapter, snapshot.training);
      const { adapter, base } = snapshot;
      try {
        const sealed = await sealUpdate({
          client,
          plan,
          adapter,
          training,
          ...(base !== undefined && { base }),
        });
        return { snapshot, sealed, planBody: plan.body, residuals: client.residuals };
      } catch (error) {
        refusal ??= error;
        const isAnother = error instanceof RefusedError && error.code === 'client.round-already-sealed';
        if (!isAnother && snapshot === request.snapshots[0]) throw error;
      }
    }
    throw refusal;
  } finally {
    close();
  }
}
