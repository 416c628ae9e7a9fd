import { expect } from 'chai';
import fc from 'fast-check';
import { RefusedError } from '../../lib/errors.js';
import type { EpisodeCounts } from '../../lib/observability/episode-counts.js';
import { isSameRelease } from '../../lib/package/release-reference.js';
import type { RolloutEffect } from '../../lib/rollout/effects.js';
import { parseRolloutEvent } from '../../lib/rollout/events.js';
import { newRolloutHistory, type RolloutHistory, recordRollout } from '../../lib/rollout/history.js';
import { applyRolloutEvent } from '../../lib/rollout/machine.js';
import type { RolloutPlan } from '../../lib/rollout/plan.js';
import { startRollout, supersedeRollout } from '../../lib/rollout/start.js';
import {
  adaptersToWithdraw,
  expectedRelease,
  hasEnded,
  isRunning,
  parseRolloutState,
  type RolloutState,
} from '../../lib/rollout/state.js';
import {
  eventAt,
  type Moment,
  randomMoments,
  randomPlans,
  randomTelemetry,
} from './support/random-courses.js';
import {
  CANDIDATE,
  GOES_BACK,
  ofType,
  PREVIOUS,
  release,
  START_MS,
  type TimelessEvent,
  testPlan,
  VERDICT,
} from './support/rollout-driver.js';

const RUNS = 60;

interface Observed {
  readonly before: RolloutState;
  readonly after: RolloutState;
  readonly event: TimelessEvent;
  readonly effects: readonly RolloutEffect[];
  readonly refused: boolean;
}

/** Runs the events, with the state through JSON before each, and shows every transition. */
function run(
  start: RolloutState,
  course: readonly Moment[],
  observe: (step: Observed) => void,
): RolloutState {
  let state = start;
  let nowMs = START_MS;
  for (const moment of course) {
    nowMs += moment.afterSeconds * 1000;
    const event = eventAt(moment, state);
    const timed = parseRolloutEvent({ ...event, atMs: nowMs });
    const before = parseRolloutState(JSON.parse(JSON.stringify(state)));
    const untouched = JSON.stringify(before);
    try {
      const { state: after, effects } = applyRolloutEvent(before, timed);
      // Again, by another server that did not hear of it.
      const again = applyRolloutEvent(parseRolloutState(JSON.parse(JSON.stringify(after))), timed);
      expect(again.state).to.deep.equal(JSON.parse(JSON.stringify(after)));
      expect(again.effects.filter(({ type }) => type !== 'set-timer')).to.deep.equal([]);
      observe({ before, after, event, effects, refused: false });
      state = after;
    } catch (error) {
      if (!(error instanceof RefusedError)) throw error;
      observe({ before, after: before, event, effects: [], refused: true });
    }
    expect(JSON.stringify(before)).to.equal(untouched);
  }
  return state;
}

function started(plan: RolloutPlan): RolloutState {
  return startRollout({ plan, history: newRolloutHistory(PREVIOUS), atMs: START_MS }).state;
}

function offeredClients(state: RolloutState): string[] {
  return state.clients.filter(({ offered }) => offered).map(({ id }) => id);
}

function stepOf(state: RolloutState): number {
  return state.step?.index ?? -1;
}

function checkAll(check: (step: Observed) => void): void {
  fc.assert(
    fc.property(randomPlans, randomMoments, (plan, course) => {
      run(started(plan), course, check);
    }),
    { numRuns: RUNS },
  );
}

describe('a rollout under any events', () => {
  it('offers, promotes and publishes only under a passed verdict on its adapter', () => {
    fc.assert(
      fc.property(randomPlans, randomMoments, (plan, course) => {
        let heard = false;
        run(started(plan), course, ({ before, after, event, effects }) => {
          if (event.type === 'verdict' && event.adapterFingerprint === CANDIDATE.adapterFingerprint) {
            heard ||= event.outcome === 'passed';
          }
          const offers = ofType(effects, 'offer-release').some((offer) =>
            isSameRelease(CANDIDATE, offer.release),
          );
          if (
            offers ||
            stepOf(after) > stepOf(before) ||
            (after.phase.name === 'full' && before.phase.name !== 'full')
          ) {
            expect(heard).to.equal(true);
            expect(after.verdict?.outcome).to.equal('passed');
          }
        });
      }),
      { numRuns: RUNS },
    );
  });

  it('offers the release to nobody outside of the step, and takes it from nobody', () => {
    checkAll(({ before, after, effects }) => {
      const members = offeredClients(after);
      expect(members).to.include.members(offeredClients(before));
      for (const { release: offered, clients } of ofType(effects, 'offer-release')) {
        if (isSameRelease(CANDIDATE, offered)) expect(members).to.include.members([...clients]);
      }
      for (const { id } of after.clients) {
        const expected = expectedRelease(after, id);
        if (expected !== undefined && isSameRelease(CANDIDATE, expected)) expect(members).to.include(id);
      }
    });
  });

  it('skips no step, and goes back to none', () => {
    checkAll(({ before, after, event }) => {
      const grown = stepOf(after) - stepOf(before);
      expect([0, 1]).to.include(grown);
      const becameFull = after.phase.name === 'full' && before.phase.name !== 'full';
      if (becameFull) expect(stepOf(before)).to.equal(after.plan.steps.length - 1);
      if (grown === 1 || becameFull) expect(['verdict', 'time', 'promote']).to.include(event.type);
    });
  });

  it('grows in no step beyond its percent, but for what revocation and a smaller fleet leave over', () => {
    checkAll(({ before, after }) => {
      const eligible = after.clients.filter(({ enrolled, recipient }) => enrolled && recipient).length;
      const percent = after.plan.steps[stepOf(after)]?.percent ?? 0;
      const wanted = eligible === 0 ? 0 : Math.max(1, Math.ceil((percent * eligible) / 100));
      const members = after.clients.filter(({ enrolled, offered }) => enrolled && offered).length;
      const offeredBefore = offeredClients(before).length;
      if (offeredClients(after).length > offeredBefore) expect(members).to.equal(wanted);
      if (isRunning(after.phase)) expect(members).to.be.at.least(wanted);
    });
  });

  it('expects nobody to run what was withdrawn, from the moment that it goes back', () => {
    checkAll(({ after }) => {
      const goesBack = after.rollback !== undefined || after.phase.name === 'rolled-back';
      if (!goesBack) return;
      const withdrawn = adaptersToWithdraw(after.plan);
      for (const { id } of after.clients) {
        expect(withdrawn).not.to.include(expectedRelease(after, id)?.adapterFingerprint);
      }
    });
  });

  it('is rolled back only when nobody who may run the bad release is unaccounted for', () => {
    checkAll(({ before, after }) => {
      if (after.phase.name !== 'rolled-back' || before.phase.name === 'rolled-back') return;
      const exposed = after.clients.filter(({ enrolled, exposed }) => enrolled && exposed);
      for (const { reported } of exposed) {
        expect(reported?.counter).to.be.at.least(
          after.rollback?.release?.counter ?? Number.POSITIVE_INFINITY,
        );
        expect(reported?.adapterFingerprint).to.equal(PREVIOUS.adapterFingerprint);
      }
    });
  });

  it('goes back from every breach where it may, and stops otherwise', () => {
    checkAll(({ before, after, effects }) => {
      const breached = effects.some(
        (effect) => effect.type === 'alert' && effect.alert.code === 'analysis-failed',
      );
      const limit = before.plan.steps[stepOf(before)]?.analysis.failureLimit ?? 0;
      if (!breached || (before.step?.failures ?? 0) < limit) return;
      expect(after.phase.name).to.equal(before.plan.automaticRollback ? 'rolling-back' : 'paused');
    });
  });

  it('ends, given time and decisions', () => {
    fc.assert(
      fc.property(
        randomPlans,
        randomMoments,
        fc.array(randomTelemetry, { minLength: 1, maxLength: 8 }),
        (plan, beginning, counts) => {
          let state = run(started(plan), beginning, () => {});
          let nowMs = state.clock.nowMs;
          let reportNumber = 1000;
          const send = (event: TimelessEvent) => {
            state = applyRolloutEvent(state, parseRolloutEvent({ ...event, atMs: nowMs })).state;
          };
          let decisions = 0;
          for (let tick = 0; !hasEnded(state.phase) && state.phase.name !== 'full'; tick += 1) {
            // A step takes its duration or its timeout, and then fails, concludes nothing or passes: a few analyses each.
            expect(tick).to.be.lessThan(200);
            nowMs += plan.analysisIntervalSeconds * 1000;
            for (const { id, enrolled } of state.clients) {
              const report = counts[reportNumber % counts.length] as EpisodeCounts;
              reportNumber += 1;
              if (enrolled && tick % 3 !== 2) {
                send({
                  type: 'telemetry',
                  client: id,
                  sequence: reportNumber,
                  runs: CANDIDATE,
                  telemetry: report,
                });
              }
            }
            send({ type: 'time' });
            // What waits for people gets one decision: they do not wait for ever either.
            if (state.phase.name === 'pending' || state.phase.name === 'paused') {
              send({ type: 'abort' });
              decisions += 1;
            } else if (state.phase.name === 'rolling-back' && state.rollback?.release === undefined) {
              const withdrawn = [...(state.rollback?.withdrawn ?? [])];
              send({ type: 'rollback-released', release: GOES_BACK, to: 1, withdrawn });
              decisions += 1;
            }
            expect(decisions).to.be.at.most(2);
          }
        },
      ),
      { numRuns: 100 },
    );
  });
});

describe('rollouts of one policy after another', () => {
  /** The releases that are the fleet's: full, and neither gone back from nor replaced by a later full one. */
  function fullReleases(states: readonly RolloutState[], history: RolloutHistory): number[] {
    return states
      .filter(({ phase, plan }) => phase.name === 'full' && isSameRelease(plan.release, history.current))
      .map(({ plan }) => plan.release.counter);
  }

  it('have never two releases at full, nor two under way, and bring nothing back by themselves', () => {
    const choices = fc.array(
      fc.record({
        adapterByte: fc.integer({ min: 2, max: 6 }),
        course: fc.constantFrom('full', 'rollback', 'abort', 'failed', 'leave', 'supersede'),
      }),
      { minLength: 1, maxLength: 12 },
    );
    fc.assert(
      fc.property(choices, (courses) => {
        let history = newRolloutHistory(PREVIOUS);
        let nowMs = START_MS;
        const states: RolloutState[] = [];
        const withdrawn = new Set<string>();
        const apply = (index: number, event: TimelessEvent) => {
          nowMs += 1000;
          const next = applyRolloutEvent(
            states[index] as RolloutState,
            parseRolloutEvent({ ...event, atMs: nowMs }),
          );
          states[index] = next.state;
          history = recordRollout(history, next.state);
          expect(fullReleases(states, history).length).to.be.at.most(1);
          const underWay = states.filter(({ phase }) => !hasEnded(phase) && phase.name !== 'full');
          expect(underWay.length).to.be.at.most(1);
        };
        for (const { adapterByte, course } of courses) {
          const candidate = release(history.latestCounter + 1, adapterByte);
          const verdict = {
            adapterFingerprint: candidate.adapterFingerprint,
            outcome: 'passed',
            verdict: VERDICT,
          } as const;
          try {
            const plan = testPlan(10, { release: candidate, previous: history.current });
            const open = states.at(-1);
            if (course === 'supersede' && open !== undefined && history.active !== undefined) {
              const next = supersedeRollout({ superseded: open, plan, history, atMs: nowMs, verdict });
              states[states.length - 1] = next.ended;
              states.push(next.state);
              history = next.history;
            } else {
              const next = startRollout({ plan, history, atMs: nowMs });
              states.push(next.state);
              history = next.history;
            }
          } catch {
            continue;
          }
          expect([...withdrawn]).not.to.include(candidate.adapterFingerprint);
          const index = states.length - 1;
          if (course === 'failed') {
            apply(index, { type: 'verdict', ...verdict, outcome: 'failed' });
            continue;
          }
          apply(index, { type: 'verdict', ...verdict });
          if (course === 'full') {
            for (let fromStep = 0; fromStep < 4; fromStep += 1) apply(index, { type: 'promote', fromStep });
          } else if (course === 'rollback' || course === 'abort') {
            apply(index, { type: course });
            const state = states[index] as RolloutState;
            const back = {
              counter: history.latestCounter + 1,
              adapterFingerprint: state.plan.previous.adapterFingerprint,
            };
            const adapters = adaptersToWithdraw(state.plan);
            for (const adapter of adapters) withdrawn.add(adapter);
            apply(index, {
              type: 'rollback-released',
              release: back,
              to: state.plan.previous.counter,
              withdrawn: adapters,
            });
            for (const id of offeredClients(state))
              apply(index, { type: 'confirm', client: id, sequence: 1, runs: back });
            expect(states[index]?.phase.name).to.equal(course === 'abort' ? 'aborted' : 'rolled-back');
          }
        }
      }),
      { numRuns: 150 },
    );
  });
});
