import type { Command } from 'commander';
import { z } from 'zod';
import { custodyStatusSchema } from '../../observability/custody-status.js';
import { RECORDED_ROUND_PHASES, type RecordOf, recordSchema } from '../../observability/records.js';
import { robotReportSchema } from '../../observability/robot-report.js';
import { troubleOf } from '../../observability/round-trouble.js';
import { releaseName } from '../../package/release-reference.js';
import type { Output } from '../output.js';
import { PersonClient, type PersonOptions, personOptions } from '../person-client.js';
import { shownDuration, shownEpsilon } from '../shown-figures.js';

const readySchema = z.object({
  status: z.enum(['ready', 'not-ready']),
  missing: z.array(z.object({ name: z.string(), advice: z.string() })),
});
const phaseSchema = z.enum(RECORDED_ROUND_PHASES);
const roundSchema = z.object({
  ...{ plan: z.string(), policy: z.string(), cohort: z.string(), round: z.int(), phase: phaseSchema },
  ...{ deadlineMs: z.int(), quorum: z.int(), eligible: z.int(), received: z.int(), refused: z.int() },
  ...{ answered: z.int(), threshold: z.int() },
  enteredAtMs: z.partialRecord(phaseSchema, z.int()),
  failure: z.object({ message: z.string() }).optional(),
  close: z.looseObject({}).optional(),
});
type Round = z.infer<typeof roundSchema>;
const roundsSchema = z.object({ rounds: z.array(roundSchema) });
const clientSchema = z.object({
  ...{ client: z.string(), standing: z.enum(['active', 'suspended', 'revoked']) },
  health: z.array(z.object({ policy: z.string(), suspended: z.boolean() })),
  lastSeenMs: z.int().optional(),
  lastReport: z.object({ report: robotReportSchema }).optional(),
});
type Client = z.infer<typeof clientSchema>;
const clientsSchema = z.object({ clients: z.array(clientSchema), next: z.string().optional() });
const custodySchema = z.object({
  threshold: z.int(),
  custodians: z.array(
    z.object({
      ...{ custodian: z.string(), epoch: z.int() },
      reported: z.object({ receivedAtMs: z.int(), status: custodyStatusSchema }).optional(),
    }),
  ),
});
type Custody = z.infer<typeof custodySchema>;
const recordsSchema = z.object({ records: z.array(recordSchema) });

const SILENT_MS = 5 * 60_000;
const MAX_NAMED = 5;
const HEAD_CHARACTERS = 16;

async function everyClient(client: PersonClient): Promise<Client[]> {
  const found: Client[] = [];
  for (let after = ''; ; ) {
    const { clients, next } = await client.get(`/v1/clients${after}`, clientsSchema);
    found.push(...clients);
    if (next === undefined) return found;
    after = `?after=${encodeURIComponent(next)}`;
  }
}

function fleetOf(clients: readonly Client[], nowMs: number) {
  const active = clients.filter(({ standing }) => standing === 'active');
  const silent = active.filter(
    ({ lastSeenMs }) => lastSeenMs === undefined || nowMs - lastSeenMs > SILENT_MS,
  );
  return {
    clients: clients.length,
    active: active.length,
    leftOut: active
      .filter(({ health }) => health.some(({ suspended }) => suspended))
      .map(({ client }) => client),
    silent: silent.map(({ client }) => client),
  };
}

/** Of each policy the site that has spent the most of its budget. */
function lowestBudgets(clients: readonly Client[]) {
  const budgets = clients.flatMap(({ client, standing, lastReport }) => {
    const privacy = lastReport?.report.privacy;
    if (privacy === undefined || standing !== 'active') return [];
    const { epsilonSpent, epsilonBudget, rounds } = privacy;
    const share = epsilonBudget > 0 ? epsilonSpent / epsilonBudget : 1;
    return [{ policy: lastReport?.report.policy ?? '', client, epsilonSpent, epsilonBudget, rounds, share }];
  });
  const lowest = new Map<string, (typeof budgets)[number]>();
  for (const budget of budgets.sort((a, b) => b.share - a.share)) {
    if (!lowest.has(budget.policy)) lowest.set(budget.policy, budget);
  }
  return [...lowest.values()];
}

function roundOf(round: Round, nowMs: number) {
  const trouble = troubleOf({ ...round, closed: round.close !== undefined }, nowMs);
  const {
    plan,
    policy,
    cohort,
    round: number,
    phase,
    received,
    eligible,
    quorum,
    refused,
    deadlineMs,
  } = round;
  const deadlineInMs = deadlineMs - nowMs;
  return {
    ...{ plan, policy, cohort, round: number, phase, received, eligible, quorum, refused, deadlineInMs },
    ...{ answered: round.answered, threshold: round.threshold },
    ...(trouble !== undefined && { trouble }),
    ...(round.failure !== undefined && { failure: round.failure.message }),
  };
}

function roundLine(of: ReturnType<typeof roundOf>): string {
  const {
    policy,
    cohort,
    round,
    phase,
    received,
    eligible,
    quorum,
    refused,
    deadlineInMs,
    answered,
    threshold,
  } = of;
  const left = deadlineInMs > 0 ? `, ${shownDuration(deadlineInMs)} left` : '';
  const counts =
    phase === 'awaiting-answers'
      ? `${answered} of ${threshold} answers`
      : `${received} of ${eligible} sent, quorum ${quorum}${phase === 'open' ? left : ''}`;
  const refusals = refused > 0 ? `, ${refused} refused` : '';
  return `round ${round} of ${policy} (${cohort}): ${phase}, ${counts}${refusals}`;
}

function custodyLines({ custodians, threshold }: Custody, nowMs: number): string[] {
  const lines = [`custodians: ${custodians.length}, ${threshold} must answer`];
  for (const { custodian, epoch, reported } of custodians) {
    if (reported === undefined) {
      lines.push(`  ${custodian}: epoch ${epoch}, has not reported ("custodian run")`);
      continue;
    }
    const { audit, rotation, openBreakGlass } = reported.status;
    const due = rotation.dueAtMs - nowMs;
    const next = rotation.pending
      ? 'its next key waits for a roster'
      : due > 0
        ? `next key in ${shownDuration(due)}`
        : `its next key is ${shownDuration(-due)} late`;
    const head = `head ${audit.head.slice(0, HEAD_CHARACTERS)} (${audit.entries} entries)`;
    const heard = `heard of ${shownDuration(Math.max(0, nowMs - reported.receivedAtMs))} ago`;
    lines.push(`  ${custodian}: epoch ${epoch}, ${next}, ${head}, ${heard}`);
    if (!audit.whole) lines.push(`  ${custodian}: ITS AUDIT TRAIL IS NOT WHOLE ("keys audit verify")`);
    for (const { key, round, entry } of openBreakGlass) {
      lines.push(
        `  ${custodian}: BREAK-GLASS OPEN: entry ${entry}, key "${key}", ${round} ("keys break-glass close")`,
      );
    }
  }
  return lines;
}

function named(clients: readonly string[]): string {
  const more = clients.length > MAX_NAMED ? `, and ${clients.length - MAX_NAMED} more` : '';
  return `${clients.slice(0, MAX_NAMED).join(', ')}${more}`;
}

function rolloutsOf(records: z.infer<typeof recordsSchema>['records']): RecordOf<'rollout'>[] {
  const newest = new Map<string, RecordOf<'rollout'>>();
  for (const record of records) {
    if (record.kind === 'rollout' && !newest.has(record.policy)) newest.set(record.policy, record);
  }
  return [...newest.values()];
}

export function statusCommand(command: Command, output: () => Output): Command {
  return personOptions(command)
    .description('what an operator asks first: server, fleet, rounds, rollout, budgets, custody')
    .action(async ({ server = 'http://127.0.0.1:8080', tokenFile }: PersonOptions) => {
      const client = await PersonClient.open(server, tokenFile);
      const ready = await client.get('/readyz', readySchema, [200, 503]);
      const nowMs = Date.now();
      const clients = await everyClient(client);
      const { rounds: listed } = await client.get('/v1/rounds?limit=200', roundsSchema);
      const custody = await client.get('/v1/custody', custodySchema);
      const { records } = await client.get('/v1/records?kind=rollout&limit=100', recordsSchema);
      const fleet = fleetOf(clients, nowMs);
      const budgets = lowestBudgets(clients);
      const rollouts = rolloutsOf(records);
      const isOver = ({ phase, close }: Round): boolean =>
        phase === 'opened' || phase === 'released' || (phase === 'failed' && close !== undefined);
      const rounds = listed.filter((round) => !isOver(round)).map((round) => roundOf(round, nowMs));
      const openBreakGlass = custody.custodians.reduce(
        (sum, { reported }) => sum + (reported?.status.openBreakGlass.length ?? 0),
        0,
      );
      output().result({ ready, fleet, rounds, rollouts, budgets, openBreakGlass, custody }, [
        ready.status === 'ready' ? 'server: ready' : 'server: NOT READY',
        ...ready.missing.map(({ name, advice }) => `  ${name}: ${advice}`),
        `fleet: ${fleet.active} active of ${fleet.clients} clients, ${fleet.active - fleet.silent.length} heard of within 5 min`,
        ...(fleet.silent.length > 0 ? [`  silent: ${named(fleet.silent)}`] : []),
        ...(fleet.leftOut.length > 0
          ? [`  left out of rounds for their health: ${named(fleet.leftOut)}`]
          : []),
        ...(rounds.length === 0 ? ['rounds: none is open'] : []),
        ...rounds.flatMap((round) => [
          roundLine(round),
          ...(round.trouble === undefined ? [] : [`  STUCK: ${round.trouble}`]),
          ...(round.failure === undefined ? [] : [`  ${round.failure}`]),
        ]),
        ...rollouts.map(
          ({ policy, release, phase, offered, clients: of, reason }) =>
            `rollout of ${policy}: ${releaseName(release)}, ${phase}` +
            `${offered === undefined ? '' : `, offered to ${offered}${of === undefined ? '' : ` of ${of}`}`}` +
            `${reason === undefined ? '' : ` (${reason})`}`,
        ),
        ...budgets.map(
          ({ policy, client: site, epsilonSpent, epsilonBudget }) =>
            `privacy of ${policy}: at worst epsilon ${shownEpsilon(epsilonSpent)} of ${epsilonBudget} (${site})` +
            `${epsilonSpent >= epsilonBudget ? ': SPENT' : ''}`,
        ),
        ...custodyLines(custody, nowMs),
      ]);
    });
}
