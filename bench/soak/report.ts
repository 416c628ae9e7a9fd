/** The soak's figures, for people. */
import { formatNumber, renderTable } from '../table.js';
import { quantile } from './quantile.js';
import type { SoakResult } from './run.js';

const MIB = 2 ** 20;

function milliseconds(value: number | undefined): string {
  return value === undefined ? '-' : `${formatNumber(value)} ms`;
}

function roundTable({ rounds }: SoakResult): string {
  return renderTable(
    ['round', ...rounds.map(({ round }) => String(round))],
    [
      ['bytes of an update', ...rounds.map(({ updateBytes }) => String(updateBytes))],
      ['acknowledged', ...rounds.map(({ acknowledged }) => String(acknowledged))],
      ['in the sum', ...rounds.map(({ accepted }) => String(accepted))],
      ['refused by the sum, with a reason', ...rounds.map(({ refusedInSum }) => String(refusedInSum))],
      ['corrupt ones refused', ...rounds.map(({ corruptRefused }) => String(corruptRefused))],
      [
        'late ones refused',
        ...rounds.map(({ lateRefused, overtakenByDeadline }) => String(lateRefused + overtakenByDeadline)),
      ],
      ['duplicates acknowledged', ...rounds.map((round) => String(round.duplicatesAcknowledged))],
      ['sums compared', ...rounds.map(({ average }) => String(average.values))],
      ['sums that are not the plain ones', ...rounds.map(({ average }) => String(average.wrong))],
      [
        'uploads a second, kills included',
        ...rounds.map((round) => formatNumber((1000 * round.acknowledged) / round.receivingMs)),
      ],
      ['latency of an upload, p50', ...rounds.map((round) => milliseconds(quantile(round.latenciesMs, 0.5)))],
      [
        'latency of an upload, p99',
        ...rounds.map((round) => milliseconds(quantile(round.latenciesMs, 0.99))),
      ],
      ['attempts that kills cost', ...rounds.map(({ failedAttempts }) => String(failedAttempts))],
      ['sealed off to summed', ...rounds.map(({ summingMs }) => milliseconds(summingMs))],
      [
        'server killed in mid-sum',
        ...rounds.map(({ sumKill }) => (sumKill?.inMidSum === true ? 'yes' : 'no')),
      ],
    ],
  );
}

function killTable({ kills, rounds }: SoakResult): string {
  const recoveries = rounds.flatMap(({ recoveriesMs }) => recoveriesMs);
  const ready = (what: 'server' | 'nats-server'): number[] =>
    kills.filter((kill) => kill.what === what).map(({ readyAfterMs }) => readyAfterMs);
  const row = (name: string, values: readonly number[]): string[] => [
    name,
    String(values.length),
    milliseconds(quantile(values, 0.5)),
    milliseconds(quantile(values, 1)),
  ];
  return renderTable(
    ['killed (-9)', 'times', 'median', 'longest'],
    [
      row('a server, until one in its place is ready', ready('server')),
      row('a server, until the next update is acknowledged', recoveries),
      row('nats-server, until it listens again', ready('nats-server')),
    ].filter(([, times]) => times !== '0'),
  );
}

function readTable({ reads }: SoakResult): string {
  return renderTable(
    ['read (autocannon, 8 connections)', 'requests', 'a second', 'p50', 'p99', 'MiB/s', 'failed'],
    reads.map((read) => [
      read.path,
      String(read.requests),
      formatNumber(read.requestsPerSecond),
      milliseconds(read.p50Ms),
      milliseconds(read.p99Ms),
      formatNumber(read.bytesPerSecond / MIB),
      String(read.failed),
    ]),
  );
}

export function renderSoak(result: SoakResult): string {
  const { options, values, peakBytes, violations, reads, serverErrors } = result;
  const where =
    options.store === 'embedded'
      ? 'one server, embedded store'
      : `${options.servers} servers, NATS JetStream on one nats-server`;
  return [
    `${options.robots} robots, ${values} parameters each; ${where}; seed "${options.seed}"`,
    roundTable(result),
    killTable(result),
    ...(reads.length > 0 ? [readTable(result)] : []),
    ...(peakBytes > 0
      ? [`Most memory that one server held in the rounds: ${formatNumber(peakBytes / MIB)} MiB`]
      : []),
    ...serverErrors.map((text) => `Logged by a server:\n${text}`),
    violations.length === 0
      ? 'Every acknowledged update is in the sum or refused with its reason; every round was opened once; every average is the plain one.'
      : `VIOLATED:\n${violations.map((violation) => `- ${violation}`).join('\n')}`,
  ].join('\n\n');
}

/** Memory of the servers by the size of the fleet. */
export function renderMemory(results: readonly SoakResult[]): string {
  return renderTable(
    ['fleet', 'sealed bytes a round', 'most memory of a server'],
    results.map(({ options, rounds, peakBytes }) => [
      `${options.robots} robots`,
      `${formatNumber(((rounds[0]?.updateBytes ?? 0) * (rounds[0]?.acknowledged ?? 0)) / MIB)} MiB`,
      `${formatNumber(peakBytes / MIB)} MiB`,
    ]),
  );
}
