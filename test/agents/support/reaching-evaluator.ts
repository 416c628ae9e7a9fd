/**
 * A program that evaluates adapters: `node reaching-evaluator.js TARGET TOLERANCE`. An episode reaches for the values of the
 * target adapter at places that its seed draws, and succeeds where the root mean square of what is missed stays below the
 * tolerance. Everything is computed from the values in the adapters' files.
 */
import { text } from 'node:stream/consumers';
import type { Episode } from '../../../lib/evaluation/episodes/episode.js';
import { requestSchema } from '../../../lib/evaluation/evaluators/evaluator.js';
import { adapterValues } from '../../round/support/adapters.js';
import { randomFrom } from '../../support/random.js';

const PLACES = 64;
/** Beyond this many tolerances a place is hit instead of reached. */
const COLLISION_TOLERANCES = 5;
/** Beyond any value of a sound adapter. */
const LARGEST_VALUE = 1;

async function valuesOf(directory: string): Promise<Float32Array> {
  const tensors = [...(await adapterValues(directory))].sort(([a], [b]) => (a < b ? -1 : 1));
  return Float32Array.from(tensors.flatMap(([, values]) => [...values]));
}

function meanOf(values: readonly number[]): number {
  return values.reduce((sum, each) => sum + each, 0) / values.length;
}

const [target = '', tolerance = ''] = process.argv.slice(2);
const request = requestSchema.parse(JSON.parse(await text(process.stdin)));
const [reached, candidate, baseline] = await Promise.all(
  [target, request.candidate, request.baseline].map(valuesOf),
);
if (reached === undefined || candidate === undefined || baseline === undefined) throw new Error('no adapter');

for (const seed of request.seeds) {
  const random = randomFrom(seed);
  const places = Array.from({ length: PLACES }, () => Math.floor(random() * reached.length));
  const at = (values: Float32Array, place: number): number => values[place] as number;
  const moved = places.map((place) => (at(candidate, place) - at(baseline, place)) ** 2);
  for (const [adapter, values] of [
    ['candidate', candidate],
    ['baseline', baseline],
  ] as const) {
    const missed = places.map((place) => Math.abs(at(values, place) - at(reached, place)));
    const distance = Math.sqrt(meanOf(missed.map((each) => each ** 2)));
    const success = distance < Number(tolerance);
    const episode: Episode = {
      seed,
      adapter,
      success,
      constraintViolations: places.filter((place) => Math.abs(at(values, place)) > LARGEST_VALUE).length,
      collisions: missed.filter((each) => each > COLLISION_TOLERANCES * Number(tolerance)).length,
      ...(success && { timeToCompleteSeconds: 1 + distance / Number(tolerance) }),
      // Of two Gaussian policies that act as far apart as the adapters are, with the tolerance for their spread.
      ...(adapter === 'candidate' && { klDivergence: meanOf(moved) / (2 * Number(tolerance) ** 2) }),
      outOfDistribution: seed % 2 === 1,
    };
    process.stdout.write(`${JSON.stringify(episode)}\n`);
  }
}
