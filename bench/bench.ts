/** `npm run bench`: measures, prints a report on stdout, and writes the figures as JSON. */
import { parseArgs } from 'node:util';
import { TensorGuardError, UsageError } from '../lib/errors.js';
import { replaceFile } from '../lib/files.js';
import { CLOCKS, type Clock, MIN_ROUNDS } from './measure.js';
import { renderReport } from './report.js';
import { BENCHMARK_PARTS, type BenchmarkPart, DEFAULT_ROUNDS, runBenchmarks } from './run.js';
import { judgeTargets } from './targets.js';

const USAGE = `usage: npm run bench -- [--json FILE] [--rounds N] [--only PART[,PART]] [--clock CLOCK]
  --json FILE   where the figures go (bench-results.json)
  --rounds N    rounds of every measurement, at least ${MIN_ROUNDS} (${DEFAULT_ROUNDS})
  --only PARTS  some of: ${BENCHMARK_PARTS.join(', ')}
  --clock CLOCK ${CLOCKS.join(' or ')}: on a machine that does other work too, processor time is steadier (wall)`;

interface CommandLine {
  readonly json: string;
  readonly rounds: number;
  readonly parts: readonly BenchmarkPart[];
  readonly clock: Clock;
}

function isPart(name: string): name is BenchmarkPart {
  return (BENCHMARK_PARTS as readonly string[]).includes(name);
}

function parseCommandLine(parameters: string[]): CommandLine {
  const { values } = parse(parameters);
  const rounds = Number(values.rounds);
  if (!Number.isInteger(rounds) || rounds < MIN_ROUNDS) {
    throw new UsageError('bench.rounds', `--rounds takes an integer of at least ${MIN_ROUNDS}.\n${USAGE}`);
  }
  const clock = CLOCKS.find((name) => name === values.clock);
  if (clock === undefined)
    throw new UsageError('bench.clock', `There is no clock "${values.clock}".\n${USAGE}`);
  const parts = values.only.split(',').map((name) => {
    if (!isPart(name)) throw new UsageError('bench.part', `There is no part "${name}".\n${USAGE}`);
    return name;
  });
  return { json: values.json, rounds, parts, clock };
}

function parse(parameters: string[]) {
  try {
    return parseArgs({
      args: parameters,
      options: {
        json: { type: 'string', default: 'bench-results.json' },
        rounds: { type: 'string', default: String(DEFAULT_ROUNDS) },
        clock: { type: 'string', default: 'wall' },
        only: { type: 'string', default: BENCHMARK_PARTS.join(',') },
      },
    });
  } catch (error) {
    throw new UsageError('bench.usage', `${error instanceof Error ? error.message : error}\n${USAGE}`);
  }
}

async function main(): Promise<void> {
  const { json, rounds, parts, clock } = parseCommandLine(process.argv.slice(2));
  const results = await runBenchmarks({
    rounds,
    parts,
    clock,
    onProgress: (message) => process.stderr.write(`${message} ...\n`),
  });
  process.stdout.write(`\n${renderReport(results)}`);
  await replaceFile(json, `${JSON.stringify({ ...results, targets: judgeTargets(results) }, null, 2)}\n`);
  process.stderr.write(`\nWritten to ${json}.\n`);
}

try {
  await main();
} catch (error) {
  if (!(error instanceof TensorGuardError)) throw error;
  process.stderr.write(`${error.message}\n`);
  process.exitCode = error.exitCode;
}
