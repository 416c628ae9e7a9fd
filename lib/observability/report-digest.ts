/**
 * Robots' reports, taken together over a span of time: a fleet of a thousand leaves one record of each kind, not a thousand, and
 * how long something took is not kept by the robot. Budgets are kept by the robot, for they are spent by it.
 */
import type { ReleaseReference } from '../package/release-reference.js';
import { RECORD_SCHEMA_VERSION, spreadOf } from './record-fields.js';
import type { RecordOf } from './records.js';
import type { RobotReport } from './robot-report.js';

interface Quality {
  readonly policy: string;
  readonly release: ReleaseReference | undefined;
  reports: number;
  counts: { episodes: number; successes: number; violations: number; collisions: number } | undefined;
  readonly residualNorms: number[];
}

interface Durations {
  readonly upload: number[];
  readonly apply: number[];
}

export class ReportDigest {
  readonly #quality = new Map<string, Quality>();
  readonly #durations = new Map<string, Durations>();

  /** @param name of whoever writes the records: several servers share what robots send */
  constructor(private readonly name: string) {}

  /** @param report one that was not taken before */
  add(report: RobotReport): void {
    this.#addQuality(report);
    const { upload, apply } = report.latenciesMs ?? {};
    const durations = this.#durations.get(report.policy) ?? { upload: [], apply: [] };
    if (upload !== undefined) durations.upload.push(upload);
    if (apply !== undefined) durations.apply.push(apply);
    this.#durations.set(report.policy, durations);
  }

  /** The records of what was added since the last call. */
  take(atMs: number): (RecordOf<'quality'> | RecordOf<'latency'>)[] {
    const head = { schema: RECORD_SCHEMA_VERSION, atMs } as const;
    const records: (RecordOf<'quality'> | RecordOf<'latency'>)[] = [];
    for (const { policy, release, reports, counts, residualNorms } of this.#quality.values()) {
      const residualNorm = spreadOf(residualNorms);
      if (counts === undefined && residualNorm === undefined) continue;
      const id = `quality.${this.name}.${policy}.${release?.counter ?? 'none'}.${atMs}`;
      records.push({
        kind: 'quality',
        ...head,
        id,
        policy,
        ...(release !== undefined && { release }),
        reports,
        ...counts,
        ...(counts !== undefined &&
          counts.episodes > 0 && { successRate: counts.successes / counts.episodes }),
        ...(residualNorm !== undefined && { residualNorm }),
      });
    }
    for (const [policy, durations] of this.#durations) {
      const [upload, apply] = [spreadOf(durations.upload), spreadOf(durations.apply)];
      if (upload === undefined && apply === undefined) continue;
      records.push({
        kind: 'latency',
        ...head,
        id: `latency.${this.name}.${policy}.${atMs}`,
        policy,
        stagesMs: { ...(upload !== undefined && { upload }), ...(apply !== undefined && { apply }) },
      });
    }
    this.#quality.clear();
    this.#durations.clear();
    return records;
  }

  #addQuality({ policy, runs: release, episodes, residualNorm }: RobotReport): void {
    if (episodes === undefined && residualNorm === undefined) return;
    const key = `${policy} ${release?.counter} ${release?.adapterFingerprint}`;
    const quality = this.#quality.get(key) ?? {
      ...{ policy, release, reports: 0, counts: undefined },
      residualNorms: [],
    };
    quality.reports += 1;
    if (episodes !== undefined) {
      const {
        episodes: episodesBefore,
        successes,
        violations,
        collisions,
      } = quality.counts ?? {
        ...{ episodes: 0, successes: 0, violations: 0, collisions: 0 },
      };
      quality.counts = {
        episodes: episodesBefore + episodes.episodes,
        successes: successes + episodes.successes,
        violations: violations + episodes.violations,
        collisions: collisions + episodes.collisions,
      };
    }
    if (residualNorm !== undefined) quality.residualNorms.push(residualNorm);
    this.#quality.set(key, quality);
  }
}

/** A site's budget as its robot reported it; undefined where it reports none. */
export function privacyRecordOf(
  { client, policy, privacy }: RobotReport,
  atMs: number,
): RecordOf<'privacy'> | undefined {
  if (privacy === undefined) return undefined;
  const { epsilonSpent, epsilonBudget, delta, rounds } = privacy;
  const epsilonRemaining = Math.max(0, epsilonBudget - epsilonSpent);
  const epsilonPerRound = rounds > 0 ? epsilonSpent / rounds : undefined;
  return {
    kind: 'privacy',
    schema: RECORD_SCHEMA_VERSION,
    // One for each round that it paid for: what is reported again in between changes nothing.
    id: `privacy.${policy}.${client}.${rounds}`,
    atMs,
    ...{ policy, client, epsilonSpent, epsilonBudget, epsilonRemaining, delta, rounds },
    ...(epsilonPerRound !== undefined && { epsilonPerRound }),
    ...(epsilonPerRound !== undefined &&
      epsilonPerRound > 0 && { roundsLeft: Math.floor(epsilonRemaining / epsilonPerRound) }),
  };
}
