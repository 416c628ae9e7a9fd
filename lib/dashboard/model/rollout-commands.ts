/** What people can decide about a rollout, and when. The server decides whether they may; the page does not offer what it refuses. */
import type { RolloutSummary } from './reported.js';

export const COMMANDS = ['pause', 'resume', 'promote', 'abort', 'rollback'] as const;
export type CommandName = (typeof COMMANDS)[number];

type Rollout = Pick<RolloutSummary, 'phase' | 'reason' | 'step' | 'steps' | 'release' | 'previous'>;

/** Reasons that only a resumption gets past. */
const BREACHES = ['breach', 'missing-telemetry', 'verdict-failed'];

export function isPossible(command: CommandName, { phase, reason }: Rollout): boolean {
  const isWatched = phase === 'canary' || phase === 'progressing' || phase === 'paused';
  switch (command) {
    case 'pause':
      return phase === 'canary' || phase === 'progressing';
    case 'resume':
      return phase === 'paused';
    case 'promote':
      return isWatched && !(phase === 'paused' && BREACHES.includes(reason ?? ''));
    case 'abort':
      return isWatched || phase === 'pending';
    case 'rollback':
      return isWatched || phase === 'full';
  }
}

/** What the server wants named, so that what somebody did not see is not waved through. */
export function commandBody(
  command: CommandName,
  { reason, step }: Rollout,
): Readonly<Record<string, unknown>> {
  if (command === 'resume') return { reason };
  if (command === 'promote') return { fromStep: step?.index };
  return {};
}

export interface CommandWords {
  /** On the button. */
  readonly title: string;
  /** What happens, before anybody says yes. */
  readonly consequence: string;
  readonly isDangerous: boolean;
}

export function commandWords(command: CommandName, rollout: Rollout): CommandWords {
  const { release, previous, step, steps, reason } = rollout;
  const name = `Release #${release.counter}`;
  switch (command) {
    case 'pause':
      return {
        title: 'Pause',
        consequence: `${name} is offered to nobody more. Robots that have it keep it, and the step is watched as before.`,
        isDangerous: false,
      };
    case 'resume':
      return {
        title: 'Resume',
        consequence: `The step goes on. It was paused because of: ${reason ?? 'no reason given'}.`,
        isDangerous: false,
      };
    case 'promote':
      return {
        title: 'Promote',
        consequence: `${name} goes to the step after ${(step?.index ?? 0) + 1} of ${steps} at once, without waiting for its minimum duration.`,
        isDangerous: false,
      };
    case 'abort':
      return {
        title: 'Abort',
        consequence: `${name} is given up. Robots that have it go back to release #${previous.counter}, once the owner has signed that.`,
        isDangerous: true,
      };
    case 'rollback':
      return {
        title: 'Roll back',
        consequence: `Every robot goes back to release #${previous.counter}'s adapter, once the owner has signed a release that says so.`,
        isDangerous: true,
      };
  }
}

export interface StepView {
  readonly index: number;
  readonly percent: number;
  readonly standing: 'done' | 'current' | 'to-come';
}

/** Where the rollout is in its plan. A rollout that went back is in none of its steps. */
export function stepsOf(
  percents: readonly number[],
  { phase, step }: Pick<RolloutSummary, 'phase' | 'step'>,
): StepView[] {
  return percents.map((percent, index) => ({
    index,
    percent,
    standing: standingOf(index, phase, step?.index),
  }));
}

function standingOf(index: number, phase: RolloutSummary['phase'], present = -1): StepView['standing'] {
  if (phase === 'full') return 'done';
  if (index < present) return 'done';
  const isUnderWay = phase === 'canary' || phase === 'progressing' || phase === 'paused';
  return index === present && isUnderWay ? 'current' : index === present ? 'done' : 'to-come';
}
