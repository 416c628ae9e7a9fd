/**
 * `npm run bench:observing`: what observing costs. Two servers take the same updates, one of them with records in the store and
 * as JSONL, metrics, a scrape a second and traces over OTLP; in each round in turn, the other one first in the next.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { TensorGuardError, UsageError } from '../lib/errors.js';
import { describeMachine, loadAverage } from './machine.js';
import { measureObserving, type ObservingFigures } from './observing/measure.js';
import { formatSpread, renderTable } from './table.js';

const USAGE = `usage: npm run bench:observing -- [--robots N] [--values N] [--rounds N]
  --robots  updates of a round, 4 to 1000 (100)
  --values  parameters of an adapter (740000)
  --rounds  of each server, at least 3 (7)`;

function parse(args: string[]): { robots: number; values: number; rounds: number } {
  try {
    const text = { type: 'string' } as const;
    const { values: given } = parseArgs({ args, options: { robots: text, values: text, rounds: text } });
    const read = (name: keyof typeof given, unlessTold: number, least: number, most: number): number => {
      const value = given[name] === undefined ? unlessTold : Number(given[name]);
      if (!Number.isInteger(value) || value < least || value > most) {
        throw new Error(`--${name} is ${least} to ${most}`);
      }
      return value;
    };
    return {
      robots: read('robots', 100, 4, 1000),
      values: read('values', 740_000, 640, 100_000_000),
      rounds: read('rounds', 7, 3, 100),
    };
  } catch (error) {
    throw new UsageError('bench.usage', `${error instanceof Error ? error.message : error}\n${USAGE}`);
  }
}

function print(figures: ObservingFigures): void {
  const { robots, updateBytes, rounds, without, observed, wallRatio, processorRatio } = figures;
  console.log(
    `${robots} updates of ${updateBytes} bytes, ${rounds} rounds of each server, in turn; median (least..most)\n`,
  );
  const row = (name: string, { updatesPerSecond, processorMs }: ObservingFigures['without']): string[] => [
    name,
    formatSpread(updatesPerSecond),
    formatSpread(processorMs),
  ];
  console.log(
    renderTable(
      ['server', 'updates/s, sent until summed', 'processor, ms an update'],
      [row('without', without), row('observed', observed)],
    ),
  );
  console.log(
    `\nobserved / without, round by round: throughput ${formatSpread(wallRatio)}, processor time ${formatSpread(processorRatio)}`,
  );
  console.log(`scrapes ${figures.scrapes}, spans ${figures.spans}, records in the files ${figures.records}`);
}

async function main(): Promise<void> {
  const options = parse(process.argv.slice(2));
  const directory = await mkdtemp(join(tmpdir(), 'tensorguard-observing-'));
  const loadBefore = loadAverage();
  try {
    const figures = await measureObserving({
      ...options,
      directory,
      progress: (line) => console.error(line),
    });
    const { cpuModel, cores, nodeVersion } = describeMachine();
    console.log(
      `${cpuModel}, ${cores} threads, Node ${nodeVersion}; load ${loadBefore} before, ${loadAverage()} after`,
    );
    print(figures);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

try {
  await main();
} catch (error) {
  if (!(error instanceof TensorGuardError)) throw error;
  process.stderr.write(`${error.code}: ${error.message}\n`);
  process.exitCode = error.exitCode;
}
