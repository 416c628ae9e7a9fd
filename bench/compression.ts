/** `npm run compression`: what bits, keep ratio and rotation cost and lose; prints it, or writes it into the documents. */
import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { TensorGuardError, UsageError } from '../lib/errors.js';
import { replaceFile } from '../lib/files.js';
import { packageRoot } from '../lib/native.js';
import { replaceMeasured } from './compression/document.js';
import { measuredImages } from './compression/images.js';
import { type CompressionResults, measureCompression } from './compression/results.js';
import { measuredSections } from './compression/sections.js';

const DEFAULT_SEED = 'compression';
const DEFAULT_REPETITIONS = 3;

const USAGE = `usage: npm run compression -- [--adapters DIR] [--seed TEXT] [--repetitions N] [--write]
  --adapters DIR   where published adapters lie (../shared/adapters); those that are absent are generated
  --seed TEXT      decides deltas, signs and subsamples (${DEFAULT_SEED}); rounding is random all the same
  --repetitions N  rounds of each kind, at least 2, for the spread (${DEFAULT_REPETITIONS})
  --write          into docs/compression.md and docs/images, instead of on stdout`;

interface CommandLine {
  readonly adapters: string;
  readonly seed: string;
  readonly repetitions: number;
  readonly write: boolean;
}

function parse(parameters: string[]) {
  try {
    return parseArgs({
      args: parameters,
      options: {
        adapters: { type: 'string', default: join(packageRoot(), '..', 'shared', 'adapters') },
        seed: { type: 'string', default: DEFAULT_SEED },
        repetitions: { type: 'string', default: String(DEFAULT_REPETITIONS) },
        write: { type: 'boolean', default: false },
      },
    }).values;
  } catch (error) {
    throw new UsageError('compression.usage', `${error instanceof Error ? error.message : error}\n${USAGE}`);
  }
}

function parseCommandLine(parameters: string[]): CommandLine {
  const values = parse(parameters);
  const repetitions = Number(values.repetitions);
  if (!Number.isInteger(repetitions) || repetitions < 2) {
    throw new UsageError(
      'compression.repetitions',
      `--repetitions takes an integer of at least 2.\n${USAGE}`,
    );
  }
  return { ...values, repetitions };
}

async function writeDocuments(results: CompressionResults): Promise<void> {
  const document = join(packageRoot(), 'docs', 'compression.md');
  const images = join(packageRoot(), 'docs', 'images');
  const text = replaceMeasured(await readFile(document, 'utf8'), measuredSections(results));
  await mkdir(images, { recursive: true });
  for (const [name, image] of measuredImages(results)) await replaceFile(join(images, name), image);
  await replaceFile(document, text);
  process.stderr.write(`Written: ${document}, and the charts in ${images}.\n`);
}

async function main(): Promise<void> {
  const { adapters, seed, repetitions, write } = parseCommandLine(process.argv.slice(2));
  const results = await measureCompression({
    adapters,
    seed,
    repetitions,
    onProgress: (line) => process.stderr.write(`${line} ...\n`),
  });
  if (write) return writeDocuments(results);
  for (const [section, content] of measuredSections(results)) {
    process.stdout.write(`\n# ${section}\n\n${content}\n`);
  }
}

try {
  await main();
} catch (error) {
  if (!(error instanceof TensorGuardError)) throw error;
  process.stderr.write(`${error.code}: ${error.message}\n`);
  process.exitCode = error.exitCode;
}
