import type { ReleaseReference } from '../../package/release-reference.js';
import type { AnalysedCondition } from '../../rollout/analysis.js';
import type { RolloutPlan } from '../../rollout/plan.js';
import type { ClientDrift } from '../../rollout/status.js';

type Outcome = 'passed' | 'failed' | 'inconclusive';
export interface RolloutSummary {
  readonly rollout: number;
  readonly policy: string;
  readonly release: ReleaseReference;
  readonly previous: ReleaseReference;
  readonly phase:
    | 'pending'
    | 'canary'
    | 'progressing'
    | 'paused'
    | 'full'
    | 'rolling-back'
    | 'rolled-back'
    | 'aborted'
    | 'failed';
  readonly reason?: string | undefined;
  readonly cause?: string | undefined;
  readonly step?: { readonly index: number; readonly percent: number } | undefined;
  readonly steps: number;
  readonly verdict?: { readonly outcome: Outcome; readonly verdict: string } | undefined;
  readonly clients: { readonly enrolled: number; readonly offered: number; readonly asExpected: number };
}
export interface RolloutStatus extends RolloutSummary {
  readonly plan: RolloutPlan;
  readonly progress?: {
    readonly failures: number;
    readonly inconclusives: number;
    readonly conclusion?: Outcome;
    readonly breached: boolean;
    readonly watchedSeconds: number;
  };
  readonly analysis?: {
    readonly outcome: Outcome;
    readonly episodes: number;
    readonly conditions: readonly AnalysedCondition[];
  };
  readonly reporting: { readonly reporting: number; readonly required: number };
  readonly drift: readonly ClientDrift[];
  readonly alerts: readonly {
    readonly number: number;
    readonly atMs: number;
    readonly code: string;
    readonly message: string;
  }[];
}
export interface RolloutList {
  readonly rollouts: readonly RolloutSummary[];
}
