/** Robots' reports as events of their policy's rollout. */
import { RefusedError } from '../../errors.js';
import type { RobotReport } from '../../observability/robot-report.js';
import type { RolloutEvent } from '../../rollout/events.js';
import type { RolloutService } from './rollout-service.js';

/** undefined where the robot runs no release: that confirms nothing, and is telemetry of nothing. */
function eventOf({ client, sequence, runs, episodes }: RobotReport, atMs: number): RolloutEvent | undefined {
  if (runs === undefined) return undefined;
  const report = { atMs, client, sequence, runs };
  return episodes === undefined
    ? { type: 'confirm', ...report }
    : { type: 'telemetry', ...report, telemetry: episodes };
}

/** Before the report is kept, so that one that was not fed is sent again; the machine counts no number twice. */
export async function feedReport(rollouts: RolloutService, report: RobotReport, atMs: number): Promise<void> {
  const event = eventOf(report, atMs);
  const isFollowed = event !== undefined && (await rollouts.read(report.policy))?.latest !== undefined;
  if (!isFollowed) return;
  await rollouts.send(report.policy, event).catch(async (error: unknown) => {
    if (!(error instanceof RefusedError) || error.code !== 'rollout.client-not-enrolled') throw error;
    // The roster has it, since its signature held: the rollout was not told yet, or has no room for it.
    await rollouts.catchUp(report.policy);
    await rollouts.send(report.policy, event).catch((again: unknown) => {
      if (!(again instanceof RefusedError)) throw again;
    });
  });
}
