/** The fleet as gauges have it: from what is in the store, whichever server put it there. */
import type { FleetState } from '../../observability/fleet-metrics.js';
import { troubleOf } from '../../observability/round-trouble.js';
import { hasEnded } from '../../round/machine/phases.js';
import type { ServerContext } from '../context.js';

const SEEN_WITHIN_MS = 5 * 60_000;
const REPORTED_WITHIN_MS = 3_600_000;

/** @throws as the store does */
export async function fleetState(context: ServerContext, nowMs: number): Promise<FleetState> {
  const { fleet, index, reports, telemetry } = context;
  const { clients, custodians } = fleet.roster.body;
  await index.refresh();
  const rounds = index.summaries();
  const seen = await telemetry.lastSeen.all();
  const active = new Set(clients.filter(({ status }) => status === 'active').map(({ id }) => id));
  const standing = { active: 0, suspended: 0, revoked: 0 };
  for (const { status } of clients) standing[status] += 1;
  return {
    clients: standing,
    clientsSeen: [...active].filter((id) => nowMs - (seen.get(id) ?? 0) < SEEN_WITHIN_MS).length,
    openRounds: rounds.filter(({ phase }) => !hasEnded(phase)).length,
    stuckRounds: rounds.filter(
      (round) => troubleOf({ ...round, closed: round.close !== undefined }, nowMs) !== undefined,
    ).length,
    budgets: budgetsOf((await reports.list()).filter(({ report }) => active.has(report.client))),
    custodians: await custodiansOf(context, custodians, nowMs),
  };
}

function budgetsOf(reports: Awaited<ReturnType<ServerContext['reports']['list']>>): FleetState['budgets'] {
  const shares = new Map<string, number[]>();
  for (const { report } of reports) {
    if (report.privacy === undefined) continue;
    const { epsilonSpent, epsilonBudget } = report.privacy;
    // A budget of zero allows nothing: it is spent.
    const share = epsilonBudget > 0 ? epsilonSpent / epsilonBudget : 1;
    shares.set(report.policy, [...(shares.get(report.policy) ?? []), share]);
  }
  return [...shares].sort().map(([policy, of]) => ({
    policy,
    highestShare: Math.max(...of),
    exhaustedSites: of.filter((share) => share >= 1).length,
  }));
}

async function custodiansOf(
  { telemetry }: ServerContext,
  custodians: readonly { readonly id: string }[],
  nowMs: number,
): Promise<FleetState['custodians']> {
  const reported = (await Promise.all(custodians.map(({ id }) => telemetry.custody.of(id)))).filter(
    (each) => each !== undefined,
  );
  const count = (test: (each: (typeof reported)[number]) => boolean): number => reported.filter(test).length;
  return {
    enrolled: custodians.length,
    reporting: count(({ receivedAtMs }) => nowMs - receivedAtMs < REPORTED_WITHIN_MS),
    openBreakGlass: reported.reduce((sum, { status }) => sum + status.openBreakGlass.length, 0),
    brokenAuditTrails: count(({ status }) => !status.audit.whole),
    overdueRotations: count(({ status }) => status.rotation.dueAtMs < nowMs && !status.rotation.pending),
  };
}
