/**
 * One rollout, driven as a server would: events in, effects carried out, time by a clock of its own. Robots' telemetry is what
 * they measured; only hours are skipped.
 */
import type { ReleaseReference } from '../../../lib/package/release-reference.js';
import type { AnalysisResult } from '../../../lib/rollout/analysis.js';
import type { RolloutEffect } from '../../../lib/rollout/effects.js';
import type { RolloutEvent } from '../../../lib/rollout/events.js';
import { type RolloutHistory, recordRollout } from '../../../lib/rollout/history.js';
import { applyRolloutEvent } from '../../../lib/rollout/machine.js';
import type { RolloutPlan } from '../../../lib/rollout/plan.js';
import { startRollout } from '../../../lib/rollout/start.js';
import { hasEnded, type RolloutState, stepMembers } from '../../../lib/rollout/state.js';
import type { DeployedRobot } from './deployed-robot.js';
import type { SealedRelease } from './owner-releases.js';
import { REPORT_INTERVAL_SECONDS } from './rollout-plan.js';
import { addService, type FleetService, type Served } from './service-record.js';

export interface PassedVerdict {
  readonly adapterFingerprint: string;
  readonly outcome: 'passed' | 'failed' | 'inconclusive';
  /** Fingerprint of the signed verdict. */
  readonly verdict: string;
}

export interface StagedRolloutOptions {
  readonly plan: RolloutPlan;
  readonly history: RolloutHistory;
  readonly startMs: number;
  readonly robots: ReadonlyMap<string, DeployedRobot>;
  readonly sealed: SealedRelease;
  readonly verdict: PassedVerdict;
  /** The owner's answer where the rollout goes back. */
  readonly sealRollback: (to: number) => Promise<SealedRelease>;
  /** That each robot of the step runs between two reports. */
  readonly episodesAReport: number;
}

export interface RolloutStepReport {
  readonly percent: number;
  readonly robots: number;
  /** What they had to reach. */
  readonly floor: number;
  readonly episodes: number;
  readonly successes: number;
}

export interface RolloutReport {
  readonly release: ReleaseReference;
  readonly phase: RolloutState['phase'];
  readonly steps: readonly RolloutStepReport[];
  /** Why it went back; absent where it did not. */
  readonly cause?: string;
  /** The analysis that it broke on; absent where none did. */
  readonly brokenOn?: AnalysisResult;
  readonly rollback?: ReleaseReference;
  readonly history: RolloutHistory;
  readonly service: FleetService;
  readonly endMs: number;
}

type WithoutTime<T> = T extends unknown ? Omit<T, 'atMs'> : never;

export class StagedRollout {
  private state: RolloutState;
  private history: RolloutHistory;
  private nowMs: number;
  private readonly served = new Map<number, string>();
  private readonly waiting: RolloutEffect[] = [];
  private readonly service = new Map<string, Served>();
  private readonly steps: { robots: number; episodes: number; successes: number }[] = [];
  private brokenOn: AnalysisResult | undefined;
  private askedBack: string | undefined;

  private constructor(private readonly options: StagedRolloutOptions) {
    const { plan, history, startMs: atMs, sealed } = options;
    const started = startRollout({ plan, history, atMs });
    this.state = started.state;
    this.history = started.history;
    this.nowMs = atMs;
    this.served.set(sealed.release.counter, sealed.file);
  }

  static async run(options: StagedRolloutOptions): Promise<RolloutReport> {
    const rollout = new StagedRollout(options);
    await rollout.send({ type: 'verdict', ...options.verdict });
    while (rollout.state.phase.name !== 'full' && !hasEnded(rollout.state.phase)) await rollout.goOn();
    return rollout.report();
  }

  private async goOn(): Promise<void> {
    const { phase } = this.state;
    if (phase.name === 'paused') {
      // Whoever is asked, and has no better evidence, goes back.
      this.askedBack = `paused: ${phase.reason}`;
      return this.send({ type: 'rollback' });
    }
    for (const { id } of stepMembers(this.state)) {
      if (phase.name !== 'rolling-back') await this.reportFrom(id);
    }
    this.nowMs += REPORT_INTERVAL_SECONDS * 1000;
    await this.send({ type: 'time' });
  }

  private async reportFrom(id: string): Promise<void> {
    const robot = this.robot(id);
    const telemetry = await robot.work(this.options.episodesAReport);
    const index = this.state.step?.index ?? 0;
    // Of the last step alone, in which all robots work as long: who came first would weigh more otherwise.
    if (index === this.state.plan.steps.length - 1) addService(this.service, id, telemetry);
    const step = this.steps[index] ?? { robots: 0, episodes: 0, successes: 0 };
    this.steps[index] = {
      robots: stepMembers(this.state).length,
      episodes: step.episodes + telemetry.episodes,
      successes: step.successes + telemetry.successes,
    };
    await this.send({
      type: 'telemetry',
      client: id,
      sequence: robot.nextReport(),
      runs: robot.runs,
      telemetry,
    });
  }

  /** Applies an event, and carries out all that it asks for before the next. */
  private async send(event: WithoutTime<RolloutEvent>): Promise<void> {
    const isOutermost = this.waiting.length === 0;
    const { state, effects } = applyRolloutEvent(this.state, { ...event, atMs: this.nowMs });
    this.state = state;
    this.history = recordRollout(this.history, state);
    this.waiting.push(...effects);
    if (!isOutermost) return;
    for (let effect = this.waiting[0]; effect !== undefined; effect = this.waiting[0]) {
      await this.carryOut(effect);
      this.waiting.shift();
    }
  }

  private async carryOut(effect: RolloutEffect): Promise<void> {
    switch (effect.type) {
      case 'offer-release':
        for (const id of effect.clients) await this.hand(id, effect.release);
        return;
      case 'publish':
        for (const id of this.options.robots.keys()) await this.hand(id, effect.release);
        return;
      case 'withdraw-offer':
        this.served.delete(effect.release.counter);
        return;
      case 'request-rollback-release':
        return this.goBack(effect.to);
      case 'alert':
        if (effect.alert.code === 'analysis-failed') this.brokenOn = effect.alert.result;
        return;
      case 'set-timer':
        // Reports come every interval, and so does time.
        return;
    }
  }

  private async hand(id: string, { counter }: ReleaseReference): Promise<void> {
    const file = this.served.get(counter);
    const robot = this.robot(id);
    if (file === undefined || robot.runs.counter === counter) return;
    await robot.open(file);
    await this.send({ type: 'confirm', client: id, sequence: robot.nextReport(), runs: robot.runs });
  }

  private async goBack(to: number): Promise<void> {
    const { release, withdrawn, file } = await this.options.sealRollback(to);
    this.served.set(release.counter, file);
    await this.send({ type: 'rollback-released', release, to, withdrawn: [...withdrawn] });
  }

  private robot(id: string): DeployedRobot {
    const robot = this.options.robots.get(id);
    if (robot === undefined) throw new TypeError(`there is no robot ${id}`);
    return robot;
  }

  private report(): RolloutReport {
    const { plan, phase, rollback } = this.state;
    return {
      release: plan.release,
      phase,
      steps: this.steps.map((step, i) => ({ ...step, ...planned(plan, i) })),
      ...(rollback !== undefined && { cause: this.askedBack ?? rollback.cause }),
      ...(rollback !== undefined && this.brokenOn !== undefined && { brokenOn: this.brokenOn }),
      ...(rollback?.release !== undefined && { rollback: rollback.release }),
      history: this.history,
      service: this.service,
      endMs: this.nowMs,
    };
  }
}

function planned({ steps }: RolloutPlan, index: number): Pick<RolloutStepReport, 'percent' | 'floor'> {
  const step = steps[index];
  const condition = step?.analysis.successCondition.find(({ metric }) => metric === 'success-rate');
  return { percent: step?.percent ?? 0, floor: condition?.threshold ?? 0 };
}
