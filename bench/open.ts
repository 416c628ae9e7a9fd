/** Opening an aggregate on one thread; what it costs must not depend on how many updates are in it. */

import { openAggregate } from '../lib/lwe/open.js';
import { parameterSet } from '../lib/lwe/parameters.js';
import { addCiphertexts } from '../lib/lwe/sum.js';
import { native } from '../lib/native.js';
import {
  interleave,
  measureElapsed,
  millionsPerSecond,
  nanosecondsEach,
  type RoundOptions,
  type Spread,
  type TimedCase,
} from './measure.js';
import {
  addSecret,
  centredSecretSum,
  coefficientCount,
  encryptWorkload,
  makeWorkload,
  requireEqual,
  type Workload,
  type WorkloadFigures,
  type WorkloadSpec,
  workloadFigures,
} from './workload.js';

export interface OpenFigures {
  readonly instructionSet: string;
  readonly workload: WorkloadFigures;
  /** N: updates in the aggregate that is opened. */
  readonly contributors: number;
  readonly nsPerCoefficient: Spread;
  readonly millionValuesPerSecond: Spread;
}

interface Aggregate {
  readonly workload: Workload;
  readonly contributors: number;
  readonly sum: Uint8Array;
  readonly secretSum: Int32Array;
}

/** Sums of 1, 2, ... updates of the same values under secrets of their own, kept where `contributors` lists them. */
async function makeAggregates(spec: WorkloadSpec, contributors: readonly number[]): Promise<Aggregate[]> {
  const workload = makeWorkload(spec);
  const { plan } = workload;
  const residues = new Uint32Array(parameterSet(plan.parameterSet).n);
  const sum = new Uint8Array(plan.ciphertextBytes);
  const update = new Uint8Array(plan.ciphertextBytes);
  const aggregates: Aggregate[] = [];
  for (let clients = 1; clients <= Math.max(...contributors); clients += 1) {
    addSecret(workload, await encryptWorkload(workload, update), residues);
    await addCiphertexts(plan, [sum, update], sum);
    if (contributors.includes(clients)) {
      const secretSum = centredSecretSum(workload, residues);
      aggregates.push({ workload, contributors: clients, sum: sum.slice(), secretSum });
    }
  }
  return aggregates;
}

function opening({ workload, contributors, sum, secretSum }: Aggregate, values: Int32Array) {
  const { plan, seed, planFingerprint } = workload;
  return () =>
    openAggregate({
      plan,
      seed,
      planFingerprint,
      aggregate: sum,
      secretSum,
      contributors,
      values,
      threads: 1,
    });
}

/** `plans`: each with the numbers of contributors that are summed and opened under it. */
export async function measureOpen(
  plans: readonly { readonly spec: WorkloadSpec; readonly contributors: readonly number[] }[],
  options: RoundOptions,
): Promise<OpenFigures[]> {
  const aggregates: Aggregate[] = [];
  for (const { spec, contributors } of plans) aggregates.push(...(await makeAggregates(spec, contributors)));
  const cases: TimedCase[] = [];
  for (const [index, aggregate] of aggregates.entries()) {
    const values = new Int32Array(aggregate.workload.plan.valueCount);
    const open = opening(aggregate, values);
    await open();
    requireEqual(values, aggregate.workload.values, aggregate.contributors);
    cases.push({ name: String(index), time: () => measureElapsed(open) });
  }
  const timings = await interleave(cases, options);
  return aggregates.map(({ workload, contributors }, index) => {
    const samples = timings(String(index));
    return {
      instructionSet: native().instructionSet,
      workload: workloadFigures(workload),
      contributors,
      nsPerCoefficient: nanosecondsEach(coefficientCount(workload), samples),
      millionValuesPerSecond: millionsPerSecond(workload.spec.valueCount, samples),
    };
  });
}
