/** `npm run soak`: rounds of a large fleet against servers that are killed all the time, and what it costs. */
import { availableParallelism, cpus } from 'node:os';
import { parseArgs } from 'node:util';
import { TensorGuardError, UsageError } from '../lib/errors.js';
import { hasNatsServer } from './soak/nats-process.js';
import { DEFAULT_SOAK, type SoakOptions } from './soak/options.js';
import { renderMemory, renderSoak } from './soak/report.js';
import { runSoak, type SoakResult } from './soak/run.js';

const USAGE = `usage: npm run soak -- [--robots N] [--values N] [--rounds N] [--seed TEXT] [--jetstream] [--read]
  --robots N    10 to 1000 (${DEFAULT_SOAK.robots}); a quarter of them goes first, for one round, to compare the memory
  --values N    parameters of an adapter, 320 to 2000000 (${DEFAULT_SOAK.values})
  --rounds N    1 to 50 (${DEFAULT_SOAK.rounds})
  --seed TEXT   decides who drops out and when servers die (${DEFAULT_SOAK.seed})
  --jetstream   three servers on NATS JetStream in place of one on the embedded store; nats-server is killed as well
  --read        load the read paths after the rounds, with autocannon`;

function integerOf(name: string, text: string, least: number, most: number): number {
  const value = Number(text);
  if (Number.isInteger(value) && value >= least && value <= most) return value;
  throw new UsageError('soak.usage', `--${name} takes an integer from ${least} to ${most}.\n${USAGE}`);
}

function parse(parameters: string[]) {
  try {
    return parseArgs({
      args: parameters,
      options: {
        robots: { type: 'string', default: String(DEFAULT_SOAK.robots) },
        values: { type: 'string', default: String(DEFAULT_SOAK.values) },
        rounds: { type: 'string', default: String(DEFAULT_SOAK.rounds) },
        seed: { type: 'string', default: DEFAULT_SOAK.seed },
        jetstream: { type: 'boolean', default: false },
        read: { type: 'boolean', default: false },
      },
    }).values;
  } catch (error) {
    throw new UsageError('soak.usage', `${error instanceof Error ? error.message : error}\n${USAGE}`);
  }
}

function optionsOf(parameters: string[]): SoakOptions {
  const { robots, values, rounds, seed, jetstream, read } = parse(parameters);
  return {
    ...DEFAULT_SOAK,
    robots: integerOf('robots', robots, 10, 1000),
    values: integerOf('values', values, 320, 2_000_000),
    rounds: integerOf('rounds', rounds, 1, 50),
    ...{ seed, read },
    ...(jetstream && { store: 'jetstream' as const, servers: 3, restartNats: true }),
    progress: (line) => process.stderr.write(`${Math.round(performance.now() / 1000)} s: ${line} ...\n`),
  };
}

/** A fleet of a quarter first: what a server holds must not follow from the size of the fleet. */
async function run(options: SoakOptions): Promise<void> {
  const quarter = Math.floor(options.robots / 4);
  const results: SoakResult[] = [];
  if (quarter >= 10) results.push(await runSoak({ ...options, robots: quarter, rounds: 1, read: false }));
  results.push(await runSoak(options));
  const machine = `${cpus()[0]?.model.trim() ?? 'unknown'}, ${availableParallelism()} threads, Node ${process.version}`;
  const parts = [machine, ...results.map(renderSoak), renderMemory(results)];
  process.stdout.write(`\n${parts.join('\n\n')}\n`);
  if (results.some(({ violations }) => violations.length > 0)) process.exitCode = 1;
}

async function main(): Promise<void> {
  const options = optionsOf(process.argv.slice(2));
  if (options.store === 'jetstream' && !hasNatsServer()) {
    process.stderr.write('Skipped: nats-server is not on the PATH (Debian: apt-get install nats-server).\n');
    return;
  }
  await run(options);
}

try {
  await main();
} catch (error) {
  if (!(error instanceof TensorGuardError)) throw error;
  process.stderr.write(`${error.code}: ${error.message}\n`);
  process.exitCode = error.exitCode;
}
