/** Repeated timings, taken in turn, and their statistics: no figure comes from a single run. */
import { ParameterError } from '../lib/errors.js';

/** Below this, a median is hardly more than a single run. */
export const MIN_ROUNDS = 3;

/** A figure: the median of its samples, and how far they spread. */
export interface Spread {
  readonly median: number;
  readonly min: number;
  readonly max: number;
  readonly samples: number;
}

/** `wall`: what a user waits for. `processor`: what the process computed, on a machine that others use too. */
export const CLOCKS = ['wall', 'processor'] as const;
export type Clock = (typeof CLOCKS)[number];

/** Nanoseconds of one repetition by each clock; the processor's counts all threads, in steps of a microsecond. */
export type Elapsed = Readonly<Record<Clock, number>>;

/** Something that is timed over and over. */
export interface TimedCase<Name extends string = string> {
  readonly name: Name;
  time(): Promise<Elapsed>;
}

/** Nanoseconds of a case, one a round; entry i of every case was taken in the same round. */
export type Timings<Name extends string = string> = (name: Name) => readonly number[];

/** A figure that this machine could not give, and why. */
export interface Absent {
  readonly absent: string;
}

export function isAbsent(value: object): value is Absent {
  return 'absent' in value;
}

/** Runs `operation` and waits for its promise, where it returns one. */
export async function measureElapsed(operation: () => unknown): Promise<Elapsed> {
  const usage = process.cpuUsage();
  const begin = process.hrtime.bigint();
  const result = operation();
  if (result instanceof Promise) await result;
  const wall = Number(process.hrtime.bigint() - begin);
  const { user, system } = process.cpuUsage(usage);
  return { wall, processor: (user + system) * 1e3 };
}

/**
 * Median, smallest and largest of at least three samples.
 *
 * @throws ParameterError `bench.too-few-samples`, `bench.not-a-number`
 */
export function spread(samples: readonly number[]): Spread {
  if (samples.length < MIN_ROUNDS) {
    throw new ParameterError(
      'bench.too-few-samples',
      `${samples.length} samples were taken; a figure needs at least ${MIN_ROUNDS}. Raise the number of rounds.`,
    );
  }
  if (samples.some((sample) => !Number.isFinite(sample))) {
    throw new ParameterError('bench.not-a-number', 'A sample is not a finite number: nothing was measured.');
  }
  const sorted = samples.toSorted((a, b) => a - b);
  const upper = sorted[sorted.length >> 1] as number;
  const lower = sorted[(sorted.length - 1) >> 1] as number;
  return {
    median: (lower + upper) / 2,
    min: sorted[0] as number,
    max: sorted.at(-1) as number,
    samples: sorted.length,
  };
}

/** `amount` per second, in millions, for something that took `timings` nanoseconds. */
export function millionsPerSecond(amount: number, timings: readonly number[]): Spread {
  return spread(timings.map((ns) => (amount / ns) * 1e3));
}

/** Bytes per nanosecond, which are GB/s. */
export function gigabytesPerSecond(bytes: number, timings: readonly number[]): Spread {
  return spread(timings.map((ns) => bytes / ns));
}

/** Nanoseconds for each of `amount` things. */
export function nanosecondsEach(amount: number, timings: readonly number[]): Spread {
  return spread(timings.map((ns) => ns / amount));
}

/**
 * The ratio of two cases, round by round: what slows the machine for a while slows both, and cancels.
 *
 * @throws ParameterError `bench.unpaired-samples`
 */
export function pairedRatio(numerator: readonly number[], denominator: readonly number[]): Spread {
  if (numerator.length !== denominator.length) {
    throw new ParameterError(
      'bench.unpaired-samples',
      `${numerator.length} samples cannot be paired with ${denominator.length}: measure both in the same rounds.`,
    );
  }
  return spread(numerator.map((sample, round) => sample / (denominator[round] as number)));
}

export interface RoundOptions {
  /** Measured rounds, at least {@link MIN_ROUNDS}. */
  readonly rounds: number;
  /** Rounds before those, thrown away: caches, page tables and the compiler settle. */
  readonly warmups?: number;
  readonly clock?: Clock;
}

/**
 * Times every case once a round, one after the other. Each round begins with another case, so that none always
 * follows the same one, and a slow phase of the machine falls on all of them.
 *
 * @throws ParameterError `bench.too-few-samples`
 */
export async function interleave<Name extends string>(
  cases: readonly TimedCase<Name>[],
  { rounds, warmups = 1, clock = 'wall' }: RoundOptions,
): Promise<Timings<Name>> {
  if (!Number.isInteger(rounds) || rounds < MIN_ROUNDS) {
    throw new ParameterError(
      'bench.too-few-samples',
      `${rounds} rounds were asked for; a figure needs a whole number of at least ${MIN_ROUNDS}.`,
    );
  }
  const timings = new Map<Name, number[]>(cases.map(({ name }) => [name, []]));
  for (let round = -warmups; round < rounds; round += 1) {
    for (let turn = 0; turn < cases.length; turn += 1) {
      const { name, time } = cases[(turn + round + warmups) % cases.length] as TimedCase<Name>;
      const elapsed = await time();
      if (round >= 0) timings.get(name)?.push(elapsed[clock]);
    }
  }
  return (name) => timings.get(name) ?? [];
}
