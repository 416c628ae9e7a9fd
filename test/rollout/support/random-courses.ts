/** Random courses of a rollout: what robots report, what people decide, what the clock does, in any order. */
import fc from 'fast-check';
import type { EpisodeCounts } from '../../../lib/observability/episode-counts.js';
import type { RolloutPlan } from '../../../lib/rollout/plan.js';
import { PAUSE_REASONS, type RolloutState } from '../../../lib/rollout/state.js';
import {
  BAD,
  CANDIDATE,
  clientIds,
  GOES_BACK,
  GOOD,
  PREVIOUS,
  release,
  type TimelessEvent,
  testPlan,
  UNCLEAR,
  VERDICT,
} from './rollout-driver.js';

const MAX_CLIENTS_IN_TEST = 8;

/** What an operator or the owner does about the state that they see, where a blind choice would nearly always be refused. */
type Seen = { readonly type: 'resume-as-seen' | 'promote-as-seen' | 'answer-rollback' };

export interface Moment {
  readonly afterSeconds: number;
  readonly event: TimelessEvent | Seen;
}

/** The event that a moment stands for in a state. */
export function eventAt({ event }: Moment, { phase, step, rollback, plan }: RolloutState): TimelessEvent {
  switch (event.type) {
    case 'resume-as-seen':
      return { type: 'resume', reason: phase.name === 'paused' ? phase.reason : 'operator' };
    case 'promote-as-seen':
      return { type: 'promote', fromStep: step?.index ?? 0 };
    case 'answer-rollback':
      return {
        type: 'rollback-released',
        release: GOES_BACK,
        to: plan.previous.counter,
        withdrawn: [...(rollback?.withdrawn ?? [CANDIDATE.adapterFingerprint])],
      };
    default:
      return event;
  }
}

const client = fc.constantFrom(...clientIds(MAX_CLIENTS_IN_TEST + 1));
const runs = fc.constantFrom(PREVIOUS, CANDIDATE, CANDIDATE, CANDIDATE, GOES_BACK);
export const randomTelemetry = fc.constantFrom<EpisodeCounts>(GOOD, GOOD, GOOD, BAD, UNCLEAR, {
  ...GOOD,
  violations: 90,
});
const afterSeconds = fc.constantFrom(0, 1, 60, 300, 300, 300, 5000);
/** Mostly new, sometimes stale: what a report adds to the number of the event that it is. */
const staleness = fc.constantFrom(0, 0, 0, 30);

const decisions: fc.Arbitrary<Moment['event']> = fc.oneof(
  {
    arbitrary: fc.constantFrom<Seen>(
      { type: 'resume-as-seen' },
      { type: 'promote-as-seen' },
      { type: 'answer-rollback' },
    ),
    weight: 12,
  },
  { arbitrary: fc.record({ type: fc.constant('promote' as const), fromStep: fc.nat(4) }), weight: 1 },
  { arbitrary: fc.constant({ type: 'pause' as const }), weight: 1 },
  {
    arbitrary: fc.record({ type: fc.constant('resume' as const), reason: fc.constantFrom(...PAUSE_REASONS) }),
    weight: 1,
  },
  { arbitrary: fc.constantFrom({ type: 'abort' as const }, { type: 'rollback' as const }), weight: 1 },
);

const others: fc.Arbitrary<TimelessEvent> = fc.oneof(
  {
    arbitrary: fc.record({
      type: fc.constant('verdict' as const),
      adapterFingerprint: fc.constantFrom(CANDIDATE.adapterFingerprint, release(9).adapterFingerprint),
      outcome: fc.constantFrom<'passed' | 'failed' | 'inconclusive'>(
        'passed',
        'passed',
        'failed',
        'inconclusive',
      ),
      verdict: fc.constantFrom(VERDICT, 'dd'.repeat(32)),
    }),
    weight: 2,
  },
  {
    arbitrary: fc.record({
      type: fc.constant('rollback-released' as const),
      release: fc.constantFrom(GOES_BACK, GOES_BACK, release(4, 1), CANDIDATE),
      to: fc.constantFrom(1, 1, 2),
      withdrawn: fc.constant<string[]>([CANDIDATE.adapterFingerprint]),
    }),
    weight: 2,
  },
  {
    arbitrary: fc.record({
      type: fc.constant('superseded' as const),
      by: fc.constantFrom(release(5), PREVIOUS),
    }),
    weight: 1,
  },
  {
    arbitrary: fc.record({ type: fc.constant('enrolled' as const), client, recipient: fc.boolean() }),
    weight: 2,
  },
  { arbitrary: fc.record({ type: fc.constant('revoked' as const), client }), weight: 2 },
);

const now = (event: Moment['event']): Moment => ({ afterSeconds: 0, event });
const time = (seconds: number): Moment => ({ afterSeconds: seconds, event: { type: 'time' } });

/** A report of one client, or of the whole fleet followed by a timer. Numbered when they are put in order. */
const reports: fc.Arbitrary<Moment[]> = fc.oneof(
  {
    arbitrary: fc
      .record({ client, runs, telemetry: randomTelemetry, staleness })
      .map(({ staleness: stale, ...report }) => [now({ type: 'telemetry', sequence: stale, ...report })]),
    weight: 1,
  },
  {
    arbitrary: fc
      .tuple(randomTelemetry, afterSeconds)
      .map(([counts, seconds]) => [
        ...clientIds(MAX_CLIENTS_IN_TEST).map((id) =>
          now({ type: 'telemetry', client: id, sequence: 0, runs: CANDIDATE, telemetry: counts }),
        ),
        time(seconds),
      ]),
    weight: 4,
  },
  {
    arbitrary: runs.map((release) =>
      clientIds(MAX_CLIENTS_IN_TEST).map((id) =>
        now({ type: 'confirm', client: id, sequence: 0, runs: release }),
      ),
    ),
    weight: 1,
  },
);

function numbered(moments: readonly Moment[]): Moment[] {
  return moments.map(({ afterSeconds: seconds, event }, i) =>
    event.type === 'telemetry' || event.type === 'confirm'
      ? { afterSeconds: seconds, event: { ...event, sequence: Math.max(0, i - event.sequence) } }
      : { afterSeconds: seconds, event },
  );
}

const passed = now({
  type: 'verdict',
  adapterFingerprint: CANDIDATE.adapterFingerprint,
  outcome: 'passed',
  verdict: VERDICT,
});

export const randomMoments: fc.Arbitrary<Moment[]> = fc
  .record({
    verdictFirst: fc.constantFrom(true, true, true, false),
    rest: fc.array(
      fc.oneof(
        { arbitrary: reports, weight: 10 },
        { arbitrary: afterSeconds.map((seconds) => [time(seconds)]), weight: 4 },
        { arbitrary: decisions.map((event) => [now(event)]), weight: 4 },
        { arbitrary: others.map((event) => [now(event)]), weight: 2 },
      ),
      { minLength: 5, maxLength: 25, size: 'max' },
    ),
  })
  .map(({ verdictFirst, rest }) => numbered([...(verdictFirst ? [passed] : []), ...rest.flat()]));

export const randomPlans: fc.Arbitrary<RolloutPlan> = fc
  .record({
    clientCount: fc.integer({ min: 1, max: MAX_CLIENTS_IN_TEST }),
    canaryPercent: fc.integer({ min: 5, max: 20 }),
    automaticRollback: fc.boolean(),
    percents: fc.array(fc.integer({ min: 1, max: 99 }), { maxLength: 3 }),
  })
  .map(({ clientCount, canaryPercent, automaticRollback, percents }) =>
    testPlan(clientCount, { envelope: { canaryPercent, automaticRollback }, percents }),
  );
