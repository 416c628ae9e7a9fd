/** What commands about rollouts ask of a server, as a person with a token. */

import { z } from 'zod';
import { UsageError } from '../errors.js';
import {
  type RolloutStatus,
  rolloutStatusSchema,
  rolloutSummarySchema,
} from '../server/rollouts/rollout-status.js';
import { PersonClient, type PersonOptions } from './person-client.js';

const listSchema = z.object({ rollouts: z.array(rolloutSummarySchema) });

/** The environment's token is for containers, which have no place for a file. */
export async function openPerson({ server, tokenFile }: PersonOptions): Promise<PersonClient> {
  if (server === undefined)
    throw new UsageError('usage.server', 'Name the server: --server https://fleet.example.com.');
  return PersonClient.open(server, tokenFile, process.env['TENSORGUARD_TOKEN']);
}

/** The rollout that is named, or the newest one. */
export async function rolloutOf(
  client: PersonClient,
  counter: number | undefined,
  policy: string | undefined,
): Promise<RolloutStatus> {
  const named = counter ?? (await newest(client, policy));
  return client.get(`/v1/rollouts/${named}`, rolloutStatusSchema);
}

async function newest(client: PersonClient, policy: string | undefined): Promise<number> {
  const query = policy === undefined ? '' : `?policy=${encodeURIComponent(policy)}`;
  const [first] = (await client.get(`/v1/rollouts${query}`, listSchema)).rollouts;
  if (first !== undefined) return first.rollout;
  throw new UsageError(
    'usage.rollout',
    'There is no rollout yet. Start one: tensorguard-native rollout start COUNTER.',
  );
}

const STATUS_LETTERS = 12;

/** What people look at before they decide. */
export function rolloutLines(status: RolloutStatus): string[] {
  const { rollout, policy, phase, reason, cause, step, steps, verdict, clients, analysis, reporting } =
    status;
  const why = reason ?? cause;
  const conditions = analysis?.conditions ?? [];
  return [
    `Release ${rollout} of policy "${policy}": ${phase}${why === undefined ? '' : ` (${why})`}.`,
    `Adapter ${status.release.adapterFingerprint.slice(0, STATUS_LETTERS)}..., from release ${status.previous.counter}; ` +
      `verdict: ${verdict?.outcome ?? 'none yet'}.`,
    ...(step === undefined ? [] : [`Step ${step.index + 1} of ${steps}: ${step.percent} percent.`]),
    `Offered to ${clients.offered} of ${clients.enrolled} clients; ${clients.asExpected} run what they should. ` +
      `Reporting: ${reporting.reporting}, needed: ${reporting.required}.`,
    ...conditions.map(
      ({ condition: { metric, must, threshold }, bounds, outcome }) =>
        `${outcome.padEnd(STATUS_LETTERS)} ${metric} must ${must.replaceAll('-', ' ')} ${threshold}: from ` +
        `${Number(bounds.lower.toPrecision(3))} to ${Number(bounds.upper.toPrecision(3))} in ${Math.round(analysis?.episodes ?? 0)} episodes`,
    ),
    ...status.drift
      .filter(({ status: of }) => of !== 'as-expected')
      .slice(0, 20)
      .map(
        ({ client, expected, reported, status: of }) =>
          `${client}: ${of}, expected release ${expected.counter}, reports ${reported === undefined ? 'nothing' : `release ${reported.counter}`}`,
      ),
    ...status.alerts.slice(-5).map(({ atMs, message }) => `${new Date(atMs).toISOString()} ${message}`),
  ];
}
