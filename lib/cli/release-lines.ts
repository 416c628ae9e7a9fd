/** Releases as lines for people. */
import type { ShownReleaseFacts } from '../server/releases/shown-releases.js';
import type { RolloutSummary } from '../server/rollouts/rollout-status.js';
import type { VerdictFindings } from '../server/verdicts/shown-findings.js';
import { formatBytes } from './output.js';
import type { ListedRelease } from './release-client.js';
import type { ReleaseFile } from './release-files.js';
import { textTable } from './text-table.js';

const SHORT_CHARACTERS = 16;
const OUTCOME_CHARACTERS = 12;

function short(fingerprint: string): string {
  return fingerprint.slice(0, SHORT_CHARACTERS);
}

/** Where the rollout is that a release belongs to: its own, or one that it ends. */
export function rolloutPhrase(counter: number, rollout: RolloutSummary | undefined): string {
  if (rollout === undefined) return 'no rollout';
  const { phase, step, steps, reason, cause } = rollout;
  if (rollout.rollout !== counter) return `goes back from ${rollout.rollout}: ${phase}`;
  const why = reason ?? cause;
  const at = step === undefined ? '' : `, step ${step.index + 1} of ${steps} (${step.percent} percent)`;
  return `${phase}${at}${why === undefined ? '' : `: ${why}`}`;
}

export function listedLines(releases: readonly ListedRelease[]): string[] {
  if (releases.length === 0) return ['No release was published.'];
  return textTable(
    [
      { title: 'counter', align: 'right' },
      { title: '', align: 'left' },
      { title: 'policy', align: 'left' },
      { title: 'published', align: 'left' },
      { title: "round's plan", align: 'left' },
      { title: 'rollout', align: 'left' },
    ],
    releases.map(({ counter, current, policy, atMs, plan, rollout }) => [
      String(counter),
      current ? 'current' : '',
      policy,
      new Date(atMs).toISOString(),
      plan === undefined ? '-' : short(plan),
      rolloutPhrase(counter, rollout),
    ]),
  );
}

export function fileLines(releases: readonly ReleaseFile[]): string[] {
  if (releases.length === 0) return ['There is no release here.'];
  return textTable(
    [
      { title: 'counter', align: 'right' },
      { title: 'policy', align: 'left' },
      { title: 'made', align: 'left' },
      { title: 'clients', align: 'right' },
      { title: 'adapter', align: 'left' },
      { title: 'back to', align: 'right' },
      { title: "owner's signature", align: 'left' },
      { title: 'file', align: 'left' },
    ],
    releases.map((release) => [
      String(release.counter),
      release.policy,
      release.created,
      String(release.recipients),
      short(release.adapterFingerprint),
      release.rollback === undefined ? '-' : String(release.rollback.to),
      release.signatureVerified ? 'verified' : 'not verified',
      release.file,
    ]),
  );
}

export function factLines(facts: ShownReleaseFacts): string[] {
  const { counter, policy, recipients, adapterBytes, rosterVersion, round, rollback, note } = facts;
  const of = [facts.baseModel, facts.loraMode].filter((each) => each !== undefined);
  return [
    `Release ${counter} of policy "${policy}", for ${recipients} clients of roster ${rosterVersion}.`,
    `Adapter ${facts.adapterFingerprint}, ${[formatBytes(adapterBytes), ...of].join(', ')}.`,
    ...(round === undefined ? [] : [`From round ${round.round} of ${round.cohort}, plan ${round.plan}.`]),
    ...(rollback === undefined
      ? []
      : [`It goes back to release ${rollback.to}; ${rollback.withdrawn.length} adapters are withdrawn.`]),
    ...(note === undefined ? [] : [`Note: ${note}`]),
  ];
}

function figure(value: number): string {
  return String(Number(value.toPrecision(3)));
}

export function findingLines(findings: VerdictFindings | undefined): string[] {
  if (findings === undefined) return ['No verdict on its adapter yet.'];
  const { outcome, attempt, confidence, episodes, baseline, metrics, reasons } = findings;
  return [
    `Verdict: ${outcome}, attempt ${attempt}, confidence ${confidence}, ${episodes} episodes, against adapter ${short(baseline)}.`,
    ...metrics.map((metric) => {
      const { name, atLeast, atMost, estimate, lower, upper } = metric;
      const parts = [
        ...(estimate === undefined ? [] : [figure(estimate)]),
        ...(lower === undefined || upper === undefined ? [] : [`${figure(lower)} to ${figure(upper)}`]),
        ...(atLeast === undefined ? [] : [`at least ${atLeast}`]),
        ...(atMost === undefined ? [] : [`at most ${atMost}`]),
        `${metric.episodes} episodes`,
      ];
      return `${metric.outcome.padEnd(OUTCOME_CHARACTERS)} ${name}: ${parts.join(', ')}. ${metric.reason}`;
    }),
    ...reasons,
  ];
}
