/** What a transition asks of whoever runs the machine. Each may be carried out twice. */

import type { ReleaseReference } from '../package/release-reference.js';
import type { AnalysisResult } from './analysis.js';
import type { PauseReason, RollbackCause, RolloutState } from './state.js';

export type RolloutAlert =
  | { readonly code: 'verdict-failed' | 'verdict-inconclusive'; readonly verdict: string }
  | { readonly code: 'analysis-failed'; readonly step: number; readonly result: AnalysisResult }
  | { readonly code: 'paused'; readonly reason: PauseReason; readonly step: number }
  | { readonly code: 'rolling-back'; readonly cause: RollbackCause }
  | { readonly code: 'rollback-release-outstanding' }
  | { readonly code: 'rollback-unconfirmed'; readonly clients: readonly string[] }
  /** A client says that it runs a newer release than it was offered, or one that was withdrawn. */
  | { readonly code: 'unexpected-release'; readonly client: string; readonly runs: ReleaseReference }
  | { readonly code: 'ended'; readonly phase: RolloutState['phase'] };

export type RolloutEffect =
  /** Tell these clients of the release; serve it to them from now on. */
  | {
      readonly type: 'offer-release';
      readonly release: ReleaseReference;
      readonly clients: readonly string[];
    }
  /** Serve it to every client, as the policy's current release. */
  | { readonly type: 'publish'; readonly release: ReleaseReference }
  /** Serve it to nobody any more. */
  | { readonly type: 'withdraw-offer'; readonly release: ReleaseReference }
  /** The owner must sign a release that goes back to counter `to`, and withdraws at least these adapters. */
  | { readonly type: 'request-rollback-release'; readonly to: number; readonly withdrawn: readonly string[] }
  | { readonly type: 'alert'; readonly alert: RolloutAlert }
  /** Send a `time` event then; a later timer replaces an earlier one. */
  | { readonly type: 'set-timer'; readonly atMs: number };

export interface Transition {
  readonly state: RolloutState;
  readonly effects: readonly RolloutEffect[];
}

export function unchanged(state: RolloutState): Transition {
  return { state, effects: [] };
}

export function alertOf(alert: RolloutAlert): RolloutEffect {
  return { type: 'alert', alert };
}

/** Another transition after this one. */
export function andThen(first: Transition, next: (state: RolloutState) => Transition): Transition {
  const second = next(first.state);
  return { state: second.state, effects: [...first.effects, ...second.effects] };
}
