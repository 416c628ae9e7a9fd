/** Which records are an alarm. What a server with Prometheus is told by rules, one without it is told by these. */
import { RECORD_SCHEMA_VERSION } from './record-fields.js';
import type { RecordOf, TelemetryRecord } from './records.js';

type Alert = RecordOf<'alert'>;

/** The share of a budget that is spent when somebody should decide what comes after it. */
export const LOW_BUDGET_SHARE = 0.8;

function alert(
  of: Pick<Alert, 'atMs' | 'name' | 'severity' | 'message'> & Partial<Alert>,
  about: string,
): Alert {
  return { kind: 'alert', schema: RECORD_SCHEMA_VERSION, id: `alert.${of.name}.${about}`, ...of };
}

/** The same record again gives an alert with the same id. */
export function alertsOf(record: TelemetryRecord): Alert[] {
  switch (record.kind) {
    case 'privacy':
      return budgetAlerts(record);
    case 'round':
      return roundAlerts(record);
    case 'custody':
      return custodyAlerts(record);
    case 'rollout':
      return rolloutAlerts(record);
    default:
      return [];
  }
}

function budgetAlerts(record: RecordOf<'privacy'>): Alert[] {
  const { atMs, policy, client, epsilonSpent, epsilonBudget } = record;
  const isSpent = epsilonSpent >= epsilonBudget;
  if (!isSpent && epsilonSpent < LOW_BUDGET_SHARE * epsilonBudget) return [];
  const said = `${client} has spent epsilon ${shown(epsilonSpent)} of ${shown(epsilonBudget)} for policy ${policy}.`;
  const about = `${policy}.${client}`;
  if (!isSpent) {
    const message = `${said} Plan what comes after it.`;
    const of = { atMs, name: 'privacy-budget-low', severity: 'warning', message, policy, client } as const;
    return [alert(of, about)];
  }
  const message = `${said} It takes part in no further private round, unless its budget is raised.`;
  const of = {
    atMs,
    name: 'privacy-budget-exhausted',
    severity: 'critical',
    message,
    policy,
    client,
  } as const;
  return [alert(of, about)];
}

/** A person's own pause is no news to people. */
function rolloutAlerts({ atMs, policy, release, phase, reason }: RecordOf<'rollout'>): Alert[] {
  const about = `${policy}.${release.counter}`;
  const of = { atMs, policy } as const;
  const why = reason === undefined ? '' : ` (${reason})`;
  const which = `The rollout of release ${release.counter} of ${policy}`;
  if (phase === 'rolling-back') {
    const message = `${which} goes back${why}: the owner has to sign the release, and robots to take it.`;
    return [alert({ ...of, name: 'rollout-rolling-back', severity: 'critical', message }, about)];
  }
  if (phase === 'failed') {
    const message = `${which} failed${why}.`;
    return [alert({ ...of, name: 'rollout-failed', severity: 'critical', message }, about)];
  }
  if (phase !== 'paused' || reason === 'operator') return [];
  const message = `${which} is paused${why}: somebody has to decide.`;
  return [alert({ ...of, name: 'rollout-paused', severity: 'warning', message }, about)];
}

function roundAlerts(record: RecordOf<'round'>): Alert[] {
  const { atMs, failure, fleet, policy, cohort, round, plan } = record;
  if (failure === undefined || record.phase !== 'failed') return [];
  const message = `Round ${round} of ${policy} (${cohort}) failed: ${failure.message}`.slice(0, 2048);
  const of = { fleet, policy, cohort, round, plan };
  return [alert({ atMs, name: 'round-failed', severity: 'warning', message, policy, round: of }, plan)];
}

function custodyAlerts({ atMs, custodian, status }: RecordOf<'custody'>): Alert[] {
  const alerts = status.openBreakGlass.map(({ entry, key, round }) =>
    alert(
      {
        atMs,
        name: 'break-glass-open',
        severity: 'critical',
        custodian,
        message:
          `${custodian}: officers unlocked ${key} for ${round} (entry ${entry} of its audit trail). An officer closes it: ` +
          '"keys break-glass close".',
      },
      `${custodian}.${entry}`,
    ),
  );
  if (status.audit.whole) return alerts;
  const message = `${custodian}: its audit trail is not whole. "keys audit verify" says where.`;
  const of = { atMs, name: 'audit-trail-broken', severity: 'critical', message, custodian } as const;
  return [...alerts, alert(of, custodian)];
}

export function droppedRecordsAlert(atMs: number, output: string, count: number): Alert {
  const message =
    `${count} records were not written (${output}): they came faster than it takes them, or it fails. ` +
    'The log says which.';
  return alert({ atMs, name: 'records-dropped', severity: 'warning', message, count }, `${output}.${atMs}`);
}

/** Rounded up: a figure that is read must not be below what is spent. */
function shown(epsilon: number): string {
  return String(Math.ceil(epsilon * 1e4) / 1e4);
}
