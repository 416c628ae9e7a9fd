/** `npm run demo`: a fleet that learns, is gated, and rolls out what it learned; and robots that mean harm. */
import { rmSync } from 'node:fs';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { TensorGuardError, UsageError } from '../../lib/errors.js';
import { DEFAULT_ROBOTS, DEFAULT_UNSEEN } from './evaluate.js';
import { renderSuccessChart } from './report/chart.js';
import { renderResults } from './report/text.js';
import { type RunOptions, runDemo } from './run-demo.js';

const USAGE = `usage: npm run demo -- [--large] [--out DIRECTORY] [--keep]
  --large  more robots and episodes
  --out    where results.json and the plot go; tensorguard-demo unless told
  --keep   leave adapters, keys, rounds and releases where they were made`;

type Size = Omit<RunOptions, 'directory' | 'progress'>;

const DEFAULT_SIZE: Size = {
  robots: DEFAULT_ROBOTS,
  unseenSites: DEFAULT_UNSEEN,
  rounds: 12,
  episodes: { training: 160, unseen: 320 },
  episodesAReport: 40,
  attackRounds: 6,
};
const LARGE_SIZE: Size = {
  robots: 24,
  unseenSites: 32,
  rounds: 12,
  episodes: { training: 480, unseen: 960 },
  episodesAReport: 60,
  attackRounds: 8,
};

function parseParameters(parameters: string[]) {
  try {
    const { values } = parseArgs({
      args: parameters,
      options: {
        large: { type: 'boolean', default: false },
        out: { type: 'string', default: 'tensorguard-demo' },
        keep: { type: 'boolean', default: false },
      },
    });
    return values;
  } catch (error) {
    throw new UsageError('demo.usage', `${error instanceof Error ? error.message : error}\n${USAGE}`);
  }
}

async function runIn(directory: string, size: Size, out: string): Promise<void> {
  const started = performance.now();
  const progress = (line: string): void => {
    process.stderr.write(`${line} ...\n`);
  };
  const results = await runDemo({ ...size, directory, progress });
  const wallSeconds = (performance.now() - started) / 1000;
  await mkdir(out, { recursive: true });
  const document = { wallSeconds, ...results };
  await writeFile(join(out, 'results.json'), `${JSON.stringify(document, null, 2)}\n`);
  await writeFile(
    join(out, 'success.svg'),
    renderSuccessChart(results.curves, 'Success by round, of all arms'),
  );
  process.stdout.write(`\n${renderResults(results)}\n\n`);
  process.stdout.write(
    `${wallSeconds.toFixed(0)} s, ${results.processorSeconds.toFixed(0)} s of processor time. results.json and success.svg are in ` +
      `${resolve(out)}.\n`,
  );
}

async function main(): Promise<void> {
  const { large, out, keep } = parseParameters(process.argv.slice(2));
  const directory = await mkdtemp(join(tmpdir(), 'tensorguard-demo-'));
  const interrupted = (): void => {
    if (!keep) rmSync(directory, { recursive: true, force: true });
    process.exit(130);
  };
  process.once('SIGINT', interrupted);
  try {
    await runIn(directory, large ? LARGE_SIZE : DEFAULT_SIZE, out);
  } finally {
    process.removeListener('SIGINT', interrupted);
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
