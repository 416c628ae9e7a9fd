/** What was promised, beside what was measured. */

import { type Absent, isAbsent, type Spread } from './measure.js';
import type { BenchmarkResults } from './run.js';

/** The machine that the absolute rates were set on. */
export const TARGET_MACHINE = 'AMD EPYC (Zen 4) at 3.66 GHz, one core';

export interface Target {
  readonly name: string;
  readonly requirement: string;
  /** Absent where there is nothing to compare with, and why. */
  readonly measured: number | Absent;
  readonly unit: string;
  readonly verdict: 'met' | 'not met' | 'not measured';
}

interface Requirement {
  readonly name: string;
  readonly unit: string;
  readonly atLeast?: number;
  readonly atMost?: number;
  readonly measured: Spread | number | Absent;
}

/** Judges the median. */
export function judge({ name, unit, atLeast, atMost, measured }: Requirement): Target {
  const requirement = atLeast === undefined ? `<= ${atMost}` : `>= ${atLeast}`;
  if (typeof measured === 'object' && isAbsent(measured)) {
    return { name, unit, requirement, measured, verdict: 'not measured' };
  }
  const value = typeof measured === 'number' ? measured : measured.median;
  const met = (atLeast === undefined || value >= atLeast) && (atMost === undefined || value <= atMost);
  return { name, unit, requirement, measured: value, verdict: met ? 'met' : 'not met' };
}

const NOT_RUN = { absent: 'that part was not run' };

/** The first figures are those of 8-bit values in the smaller update, whose fixed costs weigh most. */
function encryptRate(results: BenchmarkResults, name: string): Requirement['measured'] {
  if (results.encrypt === undefined) return NOT_RUN;
  const figures = results.encrypt.find(({ instructionSet }) => instructionSet === name);
  const reason = results.notMeasured.find(({ instructionSet }) => instructionSet === name);
  return figures?.millionCoefficientsPerSecond ?? reason ?? { absent: 'it belongs to another architecture' };
}

function pipelineRate({ pipeline }: BenchmarkResults): Requirement['measured'] {
  if (pipeline === undefined) return NOT_RUN;
  if (pipeline.instructionSet === 'avx2') return pipeline.rotateAndQuantizeMillionValuesPerSecond;
  return { absent: `it was measured with ${pipeline.instructionSet}` };
}

/** The first figures are those of sixteen clients in a plan for sixteen. */
function openCost(results: BenchmarkResults): Requirement['measured'] {
  return results.open?.[0]?.nsPerCoefficient ?? NOT_RUN;
}

function sumShare(results: BenchmarkResults): Requirement['measured'] {
  return results.sum?.find(({ where }) => where === 'memory')?.shareOfCopy ?? NOT_RUN;
}

/** Every target, in the order in which they were promised. */
export function judgeTargets(results: BenchmarkResults): Target[] {
  const { seal } = results;
  const comparison = seal === undefined ? NOT_RUN : seal;
  return [
    judge({
      name: 'clip, rotate and quantize, AVX2',
      unit: 'M values/s',
      atLeast: 300,
      measured: pipelineRate(results),
    }),
    judge({
      name: 'encrypt, AVX2',
      unit: 'M coefficients/s',
      atLeast: 300,
      measured: encryptRate(results, 'avx2'),
    }),
    judge({
      name: 'encrypt, AVX-512',
      unit: 'M coefficients/s',
      atLeast: 380,
      measured: encryptRate(results, 'avx512'),
    }),
    judge({ name: 'open', unit: 'ns/coefficient', atMost: 2.8, measured: openCost(results) }),
    judge({
      name: 'sum of 16 updates, over the copy rate',
      unit: 'of copy',
      atLeast: 0.8,
      measured: sumShare(results),
    }),
    judge({
      name: 'encrypt, over CKKS public-key encryption',
      unit: 'times',
      atLeast: 200,
      measured: isAbsent(comparison) ? comparison : comparison.encrypt.timesSeal,
    }),
    judge({
      name: 'bytes a value, over CKKS',
      unit: 'of CKKS',
      atMost: 1 / 25,
      measured: isAbsent(comparison)
        ? comparison
        : comparison.bytesPerValue.tensorguard / comparison.bytesPerValue.seal,
    }),
  ];
}
