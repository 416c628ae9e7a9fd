/** A rollout under test: each state goes through JSON before the next event, as between two server processes. */

import type { EpisodeCounts } from '../../../lib/observability/episode-counts.js';
import type { ReleaseReference } from '../../../lib/package/release-reference.js';
import type { RolloutEffect } from '../../../lib/rollout/effects.js';
import { parseRolloutEvent, type RolloutEvent } from '../../../lib/rollout/events.js';
import {
  newRolloutHistory,
  parseRolloutHistory,
  type RolloutHistory,
  recordRollout,
} from '../../../lib/rollout/history.js';
import { applyRolloutEvent } from '../../../lib/rollout/machine.js';
import { planRollout, type RolloutPlan, type RolloutPlanOptions } from '../../../lib/rollout/plan.js';
import { startRollout } from '../../../lib/rollout/start.js';
import { parseRolloutState, type RolloutState } from '../../../lib/rollout/state.js';

export const START_MS = 1_700_000_000_000;
export const INTERVAL_SECONDS = 300;
const DURATION_SECONDS = 600;

/** A release whose adapter's fingerprint repeats a byte. */
export function release(counter: number, adapterByte = counter): ReleaseReference {
  return { counter, adapterFingerprint: adapterByte.toString(16).padStart(2, '0').repeat(32) };
}

export const PREVIOUS = release(1);
export const CANDIDATE = release(2);
/** The owner's answer to a rollback: the previous adapter under a new counter. */
export const GOES_BACK = release(3, 1);
export const VERDICT = 'ee'.repeat(32);

export function clientIds(count: number): string[] {
  return Array.from({ length: count }, (_, i) => `robot-${String(i + 1).padStart(3, '0')}`);
}

export function testPlan(clientCount: number, changes: Partial<RolloutPlanOptions> = {}): RolloutPlan {
  return planRollout({
    fleet: 'fleet-1',
    policy: 'pick-and-place',
    release: CANDIDATE,
    previous: PREVIOUS,
    clients: clientIds(clientCount),
    envelope: { canaryPercent: 10, automaticRollback: true },
    safety: { minSuccessRate: 0.8 },
    minimumDurationSeconds: DURATION_SECONDS,
    analysisIntervalSeconds: INTERVAL_SECONDS,
    rollbackTimeoutSeconds: 1200,
    ...changes,
    analysis: { telemetryTimeoutSeconds: 900, ...changes.analysis },
  });
}

export const GOOD: EpisodeCounts = { episodes: 100, successes: 98, violations: 0, collisions: 0 };
export const BAD: EpisodeCounts = { episodes: 100, successes: 40, violations: 0, collisions: 0 };
/** Around the bound of 0.8: neither passes nor fails. */
export const UNCLEAR: EpisodeCounts = { episodes: 100, successes: 80, violations: 0, collisions: 0 };

type WithoutTime<T> = T extends unknown ? Omit<T, 'atMs'> : never;
export type TimelessEvent = WithoutTime<RolloutEvent>;

export class RolloutDriver {
  state: RolloutState;
  history: RolloutHistory;
  nowMs = START_MS;
  /** All effects so far. */
  readonly effects: RolloutEffect[] = [];
  #sequence = 0;

  constructor(plan: RolloutPlan, history: RolloutHistory = newRolloutHistory(PREVIOUS)) {
    const started = startRollout({ plan, history, atMs: this.nowMs });
    this.state = throughJson(started.state);
    this.history = started.history;
  }

  /** Applies an event now. Returns what it asks for. */
  send(event: TimelessEvent): readonly RolloutEffect[] {
    const parsed = parseRolloutEvent(JSON.parse(JSON.stringify({ ...event, atMs: this.nowMs })));
    const { state, effects } = applyRolloutEvent(this.state, parsed);
    this.state = throughJson(state);
    this.history = parseRolloutHistory(JSON.parse(JSON.stringify(recordRollout(this.history, this.state))));
    this.effects.push(...effects);
    return effects;
  }

  verdict(outcome: 'passed' | 'failed' | 'inconclusive', verdict = VERDICT): readonly RolloutEffect[] {
    const { adapterFingerprint } = this.state.plan.release;
    return this.send({ type: 'verdict', adapterFingerprint, outcome, verdict });
  }

  telemetry(
    client: string,
    telemetry: EpisodeCounts,
    runs: ReleaseReference = this.state.plan.release,
  ): readonly RolloutEffect[] {
    this.#sequence += 1;
    return this.send({ type: 'telemetry', client, sequence: this.#sequence, runs, telemetry });
  }

  confirm(client: string, runs: ReleaseReference): readonly RolloutEffect[] {
    this.#sequence += 1;
    return this.send({ type: 'confirm', client, sequence: this.#sequence, runs });
  }

  /** A timer that fires after some seconds. */
  tick(seconds = INTERVAL_SECONDS): readonly RolloutEffect[] {
    this.nowMs += seconds * 1000;
    return this.send({ type: 'time' });
  }

  members(): string[] {
    return this.state.clients
      .filter(({ enrolled, offered }) => enrolled && offered)
      .map(({ id }) => id)
      .sort();
  }

  /** Every member reports, and the next timer fires. */
  watch(telemetry: EpisodeCounts): readonly RolloutEffect[] {
    for (const client of this.members()) this.telemetry(client, telemetry);
    return this.tick();
  }

  /** Reports until the phase is another. */
  watchUntilNext(telemetry: EpisodeCounts): void {
    const before = JSON.stringify(this.state.phase);
    for (let ticks = 0; JSON.stringify(this.state.phase) === before; ticks += 1) {
      if (ticks > 100) throw new Error(`the rollout stays in ${before}`);
      this.watch(telemetry);
    }
  }

  toFull(): void {
    this.verdict('passed');
    while (this.state.phase.name !== 'full') this.watchUntilNext(GOOD);
  }
}

function throughJson(state: RolloutState): RolloutState {
  return parseRolloutState(JSON.parse(JSON.stringify(state)));
}

/** A rollout in its canary. */
export function canary(clientCount: number, changes: Partial<RolloutPlanOptions> = {}): RolloutDriver {
  const driver = new RolloutDriver(testPlan(clientCount, changes));
  driver.verdict('passed');
  return driver;
}

/** The effects of one type. */
export function ofType<T extends RolloutEffect['type']>(
  effects: readonly RolloutEffect[],
  type: T,
): Extract<RolloutEffect, { type: T }>[] {
  return effects.filter((effect): effect is Extract<RolloutEffect, { type: T }> => effect.type === type);
}

export function alertCodes(effects: readonly RolloutEffect[]): string[] {
  return ofType(effects, 'alert').map(({ alert }) => alert.code);
}
