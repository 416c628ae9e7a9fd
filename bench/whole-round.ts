/** `npm run bench:round`: one round of a small fleet, from synthetic adapters to a closed round, and what it costs. */
import { rmSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { TensorGuardError, UsageError } from '../lib/errors.js';
import { compareWithPlainAverage } from '../lib/trial/plain-comparison.js';
import { checkRounding } from '../lib/trial/rounding-check.js';
import { describeMachine } from './machine.js';
import { renderWholeRound } from './whole-round/report.js';
import { runWholeRound } from './whole-round/round.js';
import { makeSyntheticFleetData } from './whole-round/synthetic-data.js';

const USAGE = `usage: npm run bench:round -- [--keep]
  --keep  leave the fleet, its keys and the files of the round where they were made`;

function parseKeep(parameters: string[]): boolean {
  try {
    return parseArgs({ args: parameters, options: { keep: { type: 'boolean', default: false } } }).values
      .keep;
  } catch (error) {
    throw new UsageError('round.usage', `${error instanceof Error ? error.message : error}\n${USAGE}`);
  }
}

async function runIn(directory: string): Promise<void> {
  const progress = (line: string): void => {
    process.stderr.write(`${line} ...\n`);
  };
  progress('Generating synthetic adapters');
  const data = await makeSyntheticFleetData(join(directory, 'adapters'));
  const figures = await runWholeRound(directory, data, progress);
  progress('Comparing with the plain average');
  const comparison = await compareWithPlainAverage(data, figures.plan, figures.average);
  progress('Comparing every opened sum with what rounding can give');
  const rounding = await checkRounding(data, figures.plan, figures.average);
  process.stdout.write(`\n${renderWholeRound(describeMachine(), figures, comparison, rounding)}\n`);
}

async function main(): Promise<void> {
  const keep = parseKeep(process.argv.slice(2));
  const directory = await mkdtemp(join(tmpdir(), 'tensorguard-round-'));
  const interrupted = (): void => {
    if (!keep) rmSync(directory, { recursive: true, force: true });
    process.exit(130);
  };
  process.once('SIGINT', interrupted);
  try {
    await runIn(directory);
  } finally {
    process.removeListener('SIGINT', interrupted);
    if (keep) process.stderr.write(`Everything is in ${directory}.\n`);
    else await rm(directory, { recursive: true, force: true });
  }
}

try {
  await main();
} catch (error) {
  if (!(error instanceof TensorGuardError)) throw error;
  process.stderr.write(`${error.code}: ${error.message}\n`);
  process.exitCode = error.exitCode;
}
