/** A fleet that learns: five arms of federation side by side, measured in the simulator. */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { TensorGuardError, UsageError } from '../../lib/errors.js';
import { DEFAULT_ROBOTS, DEFAULT_UNSEEN } from './evaluate.js';
import { type RunOptions, runFleet } from './fleet/run-fleet.js';
import { renderSuccessChart } from './report/chart.js';
import { renderResults } from './report/text.js';

const USAGE = `usage: node dist/examples/mujoco-fleet/main.js [--large] [--poisoned] [--out DIRECTORY] [--keep]
  --large     more robots, rounds and episodes
  --poisoned  run plain FedAvg and the 8-bit arm with a poisoned robot as well
  --out       where results.json and the plots go; mujoco-fleet-results unless told
  --keep      leave adapters, keys and rounds where they were made`;

type Size = Pick<RunOptions, 'robots' | 'unseenSites' | 'rounds' | 'episodes'>;

const DEFAULT_SIZE: Size = {
  robots: DEFAULT_ROBOTS,
  unseenSites: DEFAULT_UNSEEN,
  rounds: 12,
  episodes: { training: 160, unseen: 320 },
};
const LARGE_SIZE: Size = {
  robots: 24,
  unseenSites: 32,
  rounds: 12,
  episodes: { training: 480, unseen: 960 },
};

function parseParameters(parameters: string[]) {
  try {
    const { values } = parseArgs({
      args: parameters,
      options: {
        large: { type: 'boolean', default: false },
        poisoned: { type: 'boolean', default: false },
        out: { type: 'string', default: 'mujoco-fleet-results' },
        keep: { type: 'boolean', default: false },
      },
    });
    return values;
  } catch (error) {
    throw new UsageError('demo.usage', `${error instanceof Error ? error.message : error}\n${USAGE}`);
  }
}

async function main(): Promise<void> {
  const { large, poisoned, out, keep } = parseParameters(process.argv.slice(2));
  const directory = await mkdtemp(join(tmpdir(), 'tensorguard-fleet-'));
  const started = performance.now();
  try {
    const size = large ? LARGE_SIZE : DEFAULT_SIZE;
    const progress = (line: string): void => {
      process.stderr.write(`${line} ...\n`);
    };
    const results = await runFleet({ ...size, directory, poisoned, progress });
    const seconds = (performance.now() - started) / 1000;
    await mkdir(out, { recursive: true });
    await writeFile(join(out, 'results.json'), `${JSON.stringify({ seconds, ...results }, null, 2)}\n`);
    const honest = results.curves.filter(({ attack }) => attack === undefined);
    await writeFile(join(out, 'success.svg'), renderSuccessChart(honest, 'Success by round, of five arms'));
    const attacked = results.curves.filter(({ attack }) => attack !== undefined);
    if (attacked.length > 0) {
      const plot = renderSuccessChart(attacked, 'Success by round with one poisoned robot');
      await writeFile(join(out, 'poisoned.svg'), plot);
    }
    process.stdout.write(`\n${renderResults(results)}\n\n`);
    process.stdout.write(`${seconds.toFixed(0)} s. Results and plots are in ${resolve(out)}.\n`);
  } finally {
    if (keep) process.stderr.write(`Everything else is in ${directory}.\n`);
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
