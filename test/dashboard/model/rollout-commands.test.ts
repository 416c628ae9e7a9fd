import { expect } from 'chai';
import fc from 'fast-check';
import {
  COMMANDS,
  type CommandName,
  commandBody,
  commandWords,
  isPossible,
  stepsOf,
} from '../../../lib/dashboard/model/rollout-commands.js';
import { RefusedError, TensorGuardError } from '../../../lib/errors.js';
import { parseRolloutEvent } from '../../../lib/rollout/events.js';
import { applyRolloutEvent } from '../../../lib/rollout/machine.js';
import type { RolloutState } from '../../../lib/rollout/state.js';
import { eventAt, type Moment, randomMoments, randomPlans } from '../../rollout/support/random-courses.js';
import { RolloutDriver, type TimelessEvent } from '../../rollout/support/rollout-driver.js';

type Seen = Parameters<typeof isPossible>[1];

/** What the server lists of a state, as far as commands look at it. */
function summaryOf({ plan, phase, step }: RolloutState): Seen {
  const percent = step && plan.steps[step.index]?.percent;
  return {
    ...{ phase: phase.name, release: plan.release, previous: plan.previous, steps: plan.steps.length },
    ...('reason' in phase && { reason: phase.reason }),
    ...(step !== undefined && percent !== undefined && { step: { index: step.index, percent } }),
  };
}

/** What the machine says to the command as the page would send it: a code, or what it does. */
function answerTo(state: RolloutState, command: CommandName): string {
  const event = { type: command, ...commandBody(command, summaryOf(state)), atMs: state.clock.nowMs };
  try {
    const { effects, state: next } = applyRolloutEvent(state, parseRolloutEvent(event));
    return effects.length > 0 || next.phase.name !== state.phase.name ? 'done' : 'nothing';
  } catch (error) {
    // Where it is not paused there is no reason to name: no event at all.
    if (error instanceof TensorGuardError) return error.code;
    throw error;
  }
}

/** Each state that a course of events leads to. */
function* statesOf(driver: RolloutDriver, course: readonly Moment[]): Generator<RolloutState> {
  yield driver.state;
  for (const moment of course) {
    driver.nowMs += moment.afterSeconds * 1000;
    const event: TimelessEvent = eventAt(moment, driver.state);
    try {
      driver.send(event);
    } catch (error) {
      if (!(error instanceof RefusedError)) throw error;
    }
    yield driver.state;
  }
}

describe('what can be decided about a rollout', () => {
  it('is offered where the machine takes it, and nowhere where it is not the time for it', () => {
    const offered = new Set<string>();
    fc.assert(
      fc.property(randomPlans, randomMoments, (plan, course) => {
        for (const state of statesOf(new RolloutDriver(plan), course)) {
          for (const command of COMMANDS) {
            const said = answerTo(state, command);
            const place = `${command} in ${state.phase.name}: ${said}`;
            if (isPossible(command, summaryOf(state))) {
              expect(said, place).not.to.equal('rollout.not-now');
              if (said === 'done') offered.add(command);
            } else if (command !== 'pause') {
              // Pausing what is paused changes its reason, and is not offered; a full rollout has no step to promote to.
              expect(said, place).not.to.equal('done');
            }
          }
        }
      }),
      { numRuns: 150 },
    );
    expect([...offered].sort()).to.deep.equal([...COMMANDS].sort());
  });

  it('says what will happen, to which release', () => {
    const rollout: Seen = {
      ...{ phase: 'paused', reason: 'breach', steps: 4, step: { index: 1, percent: 25 } },
      release: { counter: 7, adapterFingerprint: 'ab'.repeat(32) },
      previous: { counter: 5, adapterFingerprint: 'cd'.repeat(32) },
    };
    expect(commandWords('rollback', rollout)).to.include({ isDangerous: true });
    expect(commandWords('rollback', rollout).consequence).to.include('#5');
    expect(commandWords('resume', rollout).consequence).to.include('breach');
    expect(commandBody('resume', rollout)).to.deep.equal({ reason: 'breach' });
    expect(commandBody('promote', rollout)).to.deep.equal({ fromStep: 1 });
    expect(commandBody('pause', rollout)).to.deep.equal({});
  });

  it('stands beside the steps, of which one at most is under way', () => {
    const percents = [10, 50, 100];
    const standings = (phase: Seen['phase'], index?: number) =>
      stepsOf(percents, {
        phase,
        ...(index !== undefined && { step: { index, percent: percents[index] ?? 0 } }),
      }).map(({ standing }) => standing);
    expect(standings('pending')).to.deep.equal(['to-come', 'to-come', 'to-come']);
    expect(standings('progressing', 1)).to.deep.equal(['done', 'current', 'to-come']);
    expect(standings('full', 2)).to.deep.equal(['done', 'done', 'done']);
    expect(standings('rolled-back', 1)).to.deep.equal(['done', 'done', 'to-come']);
  });
});
