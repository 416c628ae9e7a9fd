import type { Command } from 'commander';
import { z } from 'zod';
import { UsageError } from '../../errors.js';
import { readJsonlRecords } from '../../observability/jsonl-reader.js';
import { LATENCY_STAGES } from '../../observability/latency-stages.js';
import { type RecordOf, recordSchema, type TelemetryRecord } from '../../observability/records.js';
import { type RoundOverview, roundOverviews } from '../../observability/round-overview.js';
import { integerOption } from '../options.js';
import type { Output } from '../output.js';
import { PersonClient, type PersonOptions, personOptions } from '../person-client.js';
import { shownDuration, shownEpsilon, shownRatio, shownShare } from '../shown-figures.js';
import { type Column, textTable } from '../text-table.js';

interface MetricsOptions extends PersonOptions {
  readonly records?: string;
  readonly rounds: number;
}

const DEFAULT_ROUNDS = 10;
const KINDS = ['round', 'latency', 'compression', 'privacy', 'quality', 'alert'] as const;
const listSchema = z.object({ records: z.array(recordSchema) });
const MAX_ALERTS = 5;

async function fromServer(server: string, tokenFile: string | undefined): Promise<TelemetryRecord[]> {
  const client = await PersonClient.open(server, tokenFile);
  const records: TelemetryRecord[] = [];
  for (const kind of KINDS) {
    records.push(...(await client.get(`/v1/records?kind=${kind}&limit=2000`, listSchema)).records);
  }
  return records;
}

const COLUMNS: readonly Column[] = [
  { title: 'round', align: 'right' },
  ...(['policy', 'cohort', 'phase'] as const).map((title) => ({ title, align: 'left' as const })),
  ...['sent', 'summed', ...LATENCY_STAGES, 'ratio', 'effective'].map((title) => ({
    title,
    align: 'right' as const,
  })),
];

function rowOf(of: RoundOverview): string[] {
  const { round, policy, cohort, phase, failure, received, eligible, accepted, stagesMs } = of;
  return [
    String(round),
    policy,
    cohort,
    failure === undefined || phase !== 'failed' ? (phase ?? '-') : `failed: ${failure}`,
    received === undefined ? '-' : `${received}/${eligible}`,
    accepted === undefined ? '-' : String(accepted),
    ...LATENCY_STAGES.map((stage) => shownDuration(stagesMs[stage])),
    shownRatio(of.ratio),
    shownRatio(of.effectiveRatio),
  ];
}

function ofKind<Kind extends TelemetryRecord['kind']>(
  records: readonly TelemetryRecord[],
  kind: Kind,
): RecordOf<Kind>[] {
  return records
    .filter((record): record is RecordOf<Kind> => record.kind === kind)
    .sort((a, b) => b.atMs - a.atMs);
}

/** The newest of each, in the order in which they come. */
function newestBy<T>(records: readonly T[], keyOf: (record: T) => string): T[] {
  const newest = new Map<string, T>();
  for (const record of records) if (!newest.has(keyOf(record))) newest.set(keyOf(record), record);
  return [...newest.values()];
}

function privacyLine({
  policy,
  client,
  epsilonSpent,
  epsilonBudget,
  roundsLeft,
}: RecordOf<'privacy'>): string {
  const left = roundsLeft === undefined ? '' : `; at least ${roundsLeft} rounds left at its rate`;
  return `privacy   ${policy}, ${client}: epsilon ${shownEpsilon(epsilonSpent)} of ${epsilonBudget}${left}`;
}

function qualityLine({
  policy,
  release,
  successRate,
  successes,
  episodes,
  violations,
}: RecordOf<'quality'>): string {
  const under = release === undefined ? 'without a release' : `release ${release.counter}`;
  const rate =
    successRate === undefined
      ? 'no episodes'
      : `${shownShare(successRate)} succeeded (${successes} of ${episodes})`;
  return `quality   ${policy}, ${under}: ${rate}${violations === undefined ? '' : `, ${violations} with a violation`}`;
}

function reportedLine({ policy, stagesMs }: RecordOf<'latency'>): string {
  const { upload, apply } = stagesMs;
  return `robots    ${policy}: upload ${shownDuration(upload?.median)}, apply ${shownDuration(apply?.median)} (medians)`;
}

export function metricsCommand(command: Command, output: () => Output): Command {
  return personOptions(command)
    .description('the last rounds: how long each stage took, compression, budgets, quality')
    .option('--records <dir>', "a server's directory of records (server --records), in place of --server")
    .option('--rounds <n>', 'how many', integerOption(1, 500), DEFAULT_ROUNDS)
    .action(async ({ server, tokenFile, records: directory, rounds: count }: MetricsOptions) => {
      if ((server === undefined) === (directory === undefined)) {
        throw new UsageError('usage.one-source', 'Give --server URL (with --token-file), or --records DIR.');
      }
      const out = output();
      let records: readonly TelemetryRecord[];
      if (directory !== undefined) {
        const read = await readJsonlRecords(directory);
        if (read.unreadable > 0)
          out.warn(`${read.unreadable} lines are no records of this version, and were left out.`);
        records = read.records;
      } else records = await fromServer(server as string, tokenFile);
      const rounds = roundOverviews(records).slice(0, count);
      const privacy = newestBy(ofKind(records, 'privacy'), ({ policy, client }) => `${policy} ${client}`);
      // The one that has the least left of each policy.
      const shareOf = ({ epsilonSpent, epsilonBudget }: RecordOf<'privacy'>): number =>
        epsilonBudget > 0 ? epsilonSpent / epsilonBudget : 1;
      const lowest = newestBy(
        privacy.toSorted((a, b) => shareOf(b) - shareOf(a)),
        ({ policy }) => policy,
      );
      const quality = newestBy(
        ofKind(records, 'quality'),
        ({ policy, release }) => `${policy} ${release?.counter}`,
      );
      const reported = newestBy(
        ofKind(records, 'latency').filter(({ round }) => round === undefined),
        ({ policy }) => policy,
      );
      const alerts = ofKind(records, 'alert').slice(0, MAX_ALERTS);
      out.result({ rounds, privacy: lowest, quality, reported, alerts }, [
        ...(rounds.length === 0
          ? ['No round has left a record yet.']
          : textTable(COLUMNS, rounds.map(rowOf))),
        ...reported.map(reportedLine),
        ...lowest.map(privacyLine),
        ...quality.map(qualityLine),
        ...alerts.map(
          ({ severity, message, atMs }) =>
            `${severity.padEnd(8)}  ${new Date(atMs).toISOString()}  ${message}`,
        ),
      ]);
    });
}
