/** What a robot reports of an update that it sealed just now. */
import { stat } from 'node:fs/promises';
import type { RobotReport } from '../../observability/robot-report.js';
import type { PlanBody } from '../../package/messages/plan.js';
import { openContainer } from '../../package/reader.js';
import { bucketMagnitude } from '../../package/safety-buckets.js';
import type { ResidualStore } from '../../pipeline/residual/residual-store.js';
import { residualShape } from '../../round/residuals.js';

export type SealMeasurements = Pick<RobotReport, 'latenciesMs' | 'sealed' | 'experts'>;

/** As the update's signed header has it, and of the file itself. */
export async function measureUpdate(update: string, plan: PlanBody): Promise<SealMeasurements> {
  const container = await openContainer(update, 'update');
  await container.close();
  const { timingsMs, compression, experts } = container.body;
  return {
    ...(timingsMs !== undefined && { latenciesMs: timingsMs }),
    ...(compression !== undefined && {
      sealed: {
        originalBytes: compression.originalBytes,
        sealedBytes: (await stat(update)).size,
        parameters: residualShape(plan).valueCount,
      },
    }),
    ...(experts !== undefined && { experts }),
  };
}

/**
 * The L2 norm of the residual that goes with the plan's policy; 0 where nothing was lost yet. It depends on what the robot
 * learned, and reports are in the clear: two binary digits of it, as of statistics in headers, and none in a private round, whose
 * noise says nothing about it.
 *
 * @returns undefined where there is no residual to have a norm, or where it is not to be told
 * @throws as `ResidualStore.norm`
 */
export async function residualNormOf(
  residuals: ResidualStore | undefined,
  plan: PlanBody,
): Promise<number | undefined> {
  if (residuals === undefined || plan.privacy !== undefined) return undefined;
  const { policy, schemaKey } = residualShape(plan);
  return bucketMagnitude((await residuals.norm(policy, schemaKey)) ?? 0);
}
