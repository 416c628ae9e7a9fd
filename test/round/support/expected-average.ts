/**
 * The average that a round must come to, by the textbook: rotate, choose, clip, weigh, sum, one value at a time. Rounding
 * is random, so that a sum of N levels is known to less than N levels; that it is a sum of whole levels, exactly.
 */
import { expect } from 'chai';
import { sampleKey, signKey } from '../../../lib/lwe/streams.js';
import type { PlanBody } from '../../../lib/package/messages/plan.js';
import { oraclePositions, oracleRotate } from '../../native/support/pipeline-oracle.js';
import { adapterValues } from './adapters.js';

interface Planned {
  readonly body: PlanBody;
  readonly fingerprint: Uint8Array;
}

export interface ExpectedAverage {
  readonly plan: Planned;
  /** Of each tensor's kept coordinates: sum over the clients of weight times value, in levels. */
  readonly sums: ReadonlyMap<string, Float64Array>;
  /** The clients' weights by tensor, added. */
  readonly weights: ReadonlyMap<string, number>;
  readonly clients: number;
  readonly start: ReadonlyMap<string, Float32Array> | undefined;
  /** By client: how many values saturate at least, and at most. */
  readonly saturated: readonly { readonly least: number; readonly most: number }[];
}

export interface Clients {
  readonly adapters: readonly string[];
  readonly base?: string | undefined;
  /** By client, then by expert; 1 unless told. */
  readonly weights?: readonly (readonly number[])[];
}

/** The coordinates of a tensor that travel, before the clip. */
function keptCoordinates({ body, fingerprint }: Planned, index: number, values: Float32Array): Float32Array {
  const { kept } = body.tensors[index] as PlanBody['tensors'][number];
  const signs = signKey(body.seed, body.parameterSet, fingerprint);
  const sample = sampleKey(body.seed, body.parameterSet, fingerprint);
  const rotated = oracleRotate(values, signs, index, body.rotationBlockLog2);
  return Float32Array.from(oraclePositions(sample, index, values.length, kept), (i) => rotated[i] as number);
}

function less(values: Float32Array, start: Float32Array | undefined): Float32Array {
  return values.map((value, i) => Math.fround(value - (start?.[i] ?? 0)));
}

export async function expectedAverage(plan: Planned, clients: Clients): Promise<ExpectedAverage> {
  const { tensors, clip } = plan.body;
  const start = clients.base === undefined ? undefined : await adapterValues(clients.base);
  const sums = new Map(tensors.map(({ name, kept }) => [name, new Float64Array(kept)]));
  const weights = new Map(tensors.map(({ name }) => [name, 0]));
  const saturated: { least: number; most: number }[] = [];
  for (const [client, adapter] of clients.adapters.entries()) {
    const trained = await adapterValues(adapter);
    const counts = { least: 0, most: 0 };
    saturated.push(counts);
    const weightOf = (expert: number): number => clients.weights?.[client]?.[expert] ?? 1;
    const kept = tensors.map(({ name }, index) =>
      keptCoordinates(plan, index, less(trained.get(name) as Float32Array, start?.get(name))),
    );
    let squares = 0;
    for (const [index, values] of kept.entries()) {
      // What nobody weighs does not count against the clip.
      if (weightOf(tensors[index]?.expert ?? 0) === 0) continue;
      for (const value of values) squares += value * value;
    }
    const factor = Math.min(1, clip / Math.sqrt(squares));
    for (const [index, { name, bits, scale, expert = 0 }] of tensors.entries()) {
      const weight = weightOf(expert);
      const limit = 2 ** (bits - 1) - 1;
      weights.set(name, (weights.get(name) as number) + weight);
      const sum = sums.get(name) as Float64Array;
      for (const [i, value] of (kept[index] as Float32Array).entries()) {
        const level = (value * factor * weight) / scale;
        if (Math.abs(level) >= limit + 1.001) counts.least += 1;
        if (Math.abs(level) > limit - 0.001) counts.most += 1;
        sum[i] = (sum[i] as number) + Math.max(-limit, Math.min(limit, level));
      }
    }
  }
  return { plan, sums, weights, clients: clients.adapters.length, start, saturated };
}

/** Kept coordinates of an opened tensor, in summed levels. */
function openedLevels(expected: ExpectedAverage, index: number, values: Float32Array): number[] {
  const { name, scale } = expected.plan.body.tensors[index] as PlanBody['tensors'][number];
  const average = less(values, expected.start?.get(name));
  const unit = (expected.weights.get(name) as number) / scale;
  return [...keptCoordinates(expected.plan, index, average)].map((value) => value * unit);
}

/**
 * The adapter in `directory` is `expected`: every coordinate that was sent a whole sum of levels, less than one level a
 * client from the sum of what was to be rounded; the others zero.
 *
 * @param names tensors to look at; all unless told
 */
export async function expectAverage(
  directory: string,
  expected: ExpectedAverage,
  names?: readonly string[],
): Promise<void> {
  const { body } = expected.plan;
  const found = await adapterValues(directory);
  const sent = body.tensors.map(({ name }) => name);
  const frozen = (body.frozen?.tensors ?? []).map(({ name }) => name);
  expect([...found.keys()].sort()).to.deep.equal([...sent, ...frozen].sort());
  for (const [index, { name, scale, kept }] of body.tensors.entries()) {
    if (names !== undefined && !names.includes(name)) continue;
    const values = found.get(name) as Float32Array;
    const sums = expected.sums.get(name) as Float64Array;
    const levels = openedLevels(expected, index, values);
    for (const [i, level] of levels.entries()) {
      expect(level, `${name}, value ${i}: whole levels`).to.be.closeTo(Math.round(level), 0.02);
      expect(Math.abs(level - (sums[i] as number)), `${name}, value ${i}`).to.be.below(
        expected.clients + 0.02,
      );
    }
    // Whatever was not sent is zero: all of the energy is in what was.
    const energy = (all: Iterable<number>): number => [...all].reduce((sum, value) => sum + value * value, 0);
    const average = less(values, expected.start?.get(name));
    const unit = (expected.weights.get(name) as number) / scale;
    expect(energy(average) * unit ** 2, name).to.be.closeTo(
      energy(levels),
      1e-3 * energy(levels) + kept * 1e-3,
    );
  }
}
