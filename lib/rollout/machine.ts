/**
 * The rollout as a pure machine: a state and an event give the next state and effects. No clock, no files, no chance: the
 * same events give the same states on every server, and a state that was stored goes on anywhere.
 */

import { atTime } from './clock.js';
import { abort, pause, promote, resume, rollBack, supersede, takeVerdict } from './commands.js';
import type { Transition } from './effects.js';
import type { RolloutEvent } from './events.js';
import { enrolClient, revokeClient, takeReport } from './reports.js';
import { takeRollbackRelease, watchRollback } from './rolling-back.js';
import type { RolloutState } from './state.js';
import { watchStep } from './watching.js';

/**
 * The transition of an event. The same event again changes nothing more. What is refused leaves the state as it was: it is
 * thrown, and nothing was returned.
 *
 * @throws RefusedError `rollout.not-now`, `rollout.other-verdict`, `rollout.no-passed-verdict`, `rollout.breach`,
 *   `rollout.other-step`, `rollout.pause-changed`, `rollout.client-not-enrolled`, `rollout.too-many-clients`,
 *   `rollout.rollback-mismatch`, `rollout.superseded`, `rollout.older`
 */
export function applyRolloutEvent(state: RolloutState, event: RolloutEvent): Transition {
  return transition(atTime(state, event.atMs), event);
}

function transition(state: RolloutState, event: RolloutEvent): Transition {
  switch (event.type) {
    case 'time':
      return state.phase.name === 'rolling-back' ? watchRollback(state) : watchStep(state);
    case 'verdict':
      return takeVerdict(state, event);
    case 'telemetry':
    case 'confirm':
      return takeReport(state, event);
    case 'pause':
      return pause(state);
    case 'resume':
      return resume(state, event);
    case 'promote':
      return promote(state, event);
    case 'abort':
      return abort(state);
    case 'rollback':
      return rollBack(state);
    case 'rollback-released':
      return takeRollbackRelease(state, event);
    case 'superseded':
      return supersede(state, event);
    case 'enrolled':
      return enrolClient(state, event);
    case 'revoked':
      return revokeClient(state, event);
  }
}
