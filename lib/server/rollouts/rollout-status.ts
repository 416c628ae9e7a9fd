/** A rollout as it is shown. */
import { z } from 'zod';
import { RECORDED_ROLLOUT_PHASES } from '../../observability/records.js';
import { releaseReferenceSchema } from '../../package/release-reference.js';
import { conditionSchema } from '../../rollout/analysis.js';
import { rolloutPlanSchema } from '../../rollout/plan.js';
import type { RolloutState } from '../../rollout/state.js';
import { drift } from '../../rollout/status.js';
import { currentAnalysis, reportingClients } from '../../rollout/watching.js';
import { rolloutAlertSchema, type StoredAlert } from './alerts.js';

const outcomeSchema = z.enum(['passed', 'failed', 'inconclusive']);

/** Counts in place of lists: what events and listings carry. */
export const rolloutSummarySchema = z.object({
  rollout: z.int().describe('Its name: the counter of its release'),
  policy: z.string(),
  release: releaseReferenceSchema,
  previous: releaseReferenceSchema,
  phase: z.enum(RECORDED_ROLLOUT_PHASES),
  reason: z.string().optional().describe('Why it is paused, or how it ended'),
  cause: z.string().optional().describe('Why it goes back'),
  step: z.object({ index: z.int(), percent: z.int() }).optional(),
  steps: z.int(),
  verdict: z.object({ outcome: outcomeSchema, verdict: z.string() }).optional(),
  clients: z.object({ enrolled: z.int(), offered: z.int(), asExpected: z.int() }),
  rollbackRelease: releaseReferenceSchema.optional(),
  changedAtMs: z.int(),
});
export type RolloutSummary = z.infer<typeof rolloutSummarySchema>;

const driftSchema = z.object({
  client: z.string(),
  expected: releaseReferenceSchema,
  reported: releaseReferenceSchema.optional(),
  lastSeenMs: z.int().optional(),
  status: z.enum(['as-expected', 'same-adapter', 'not-reported', 'other-adapter', 'withdrawn-adapter']),
});

export const rolloutStatusSchema = rolloutSummarySchema.extend({
  plan: rolloutPlanSchema,
  progress: z
    .object({
      failures: z.int(),
      inconclusives: z.int(),
      conclusion: outcomeSchema.optional(),
      breached: z.boolean(),
      watchedSeconds: z.number().describe('Of the step, by the time that was watched over'),
    })
    .optional(),
  analysis: z
    .object({
      outcome: outcomeSchema,
      episodes: z.number(),
      conditions: z.array(
        z.object({
          condition: conditionSchema,
          bounds: z.object({ lower: z.number(), upper: z.number() }),
          outcome: outcomeSchema,
        }),
      ),
    })
    .optional()
    .describe('Of what has come in since the last one that concluded something'),
  reporting: z.object({ reporting: z.int(), required: z.int() }),
  drift: z.array(driftSchema).describe('What each client is to run, and what it says that it runs'),
  supersededBy: releaseReferenceSchema.optional(),
  alerts: z.array(rolloutAlertSchema),
});
export type RolloutStatus = z.infer<typeof rolloutStatusSchema>;

export function rolloutSummary(state: RolloutState): RolloutSummary {
  const { plan, phase, step, verdict, rollback, clients, clock } = state;
  const enrolled = clients.filter((client) => client.enrolled);
  const percent = step && plan.steps[step.index]?.percent;
  return {
    rollout: plan.release.counter,
    policy: plan.policy,
    release: plan.release,
    previous: plan.previous,
    phase: phase.name,
    ...('reason' in phase && { reason: phase.reason }),
    ...(rollback !== undefined && { cause: rollback.cause }),
    ...(step !== undefined && percent !== undefined && { step: { index: step.index, percent } }),
    steps: plan.steps.length,
    ...(verdict !== undefined && { verdict }),
    clients: {
      enrolled: enrolled.length,
      offered: enrolled.filter(({ offered }) => offered).length,
      asExpected: drift(state).filter(({ status }) => status === 'as-expected').length,
    },
    ...(rollback?.release !== undefined && { rollbackRelease: rollback.release }),
    changedAtMs: clock.nowMs,
  };
}

export function rolloutStatus(state: RolloutState, alerts: readonly StoredAlert[]): RolloutStatus {
  const { step, plan, clock, supersededBy } = state;
  const analysis = currentAnalysis(state);
  return {
    ...rolloutSummary(state),
    plan,
    ...(step !== undefined && {
      progress: {
        failures: step.failures,
        inconclusives: step.inconclusives,
        ...(step.conclusion !== undefined && { conclusion: step.conclusion }),
        breached: step.breached,
        watchedSeconds: (clock.observedMs - step.enteredMs) / 1000,
      },
    }),
    ...(analysis !== undefined && {
      analysis: { ...analysis, conditions: analysis.conditions.map((each) => ({ ...each })) },
    }),
    reporting: reportingClients(state),
    drift: drift(state),
    ...(supersededBy !== undefined && { supersededBy }),
    alerts: alerts.filter(({ rollout }) => rollout === plan.release.counter),
  };
}
