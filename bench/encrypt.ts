/** Encryption, from quantized integers to packed bytes, on one thread, on every instruction set of this machine. */
import type { EncryptPart } from './encrypt-messages.js';
import { ENCRYPT_PARTS } from './encrypt-messages.js';
import type { ForcedProcess } from './forced-process.js';
import {
  interleave,
  millionsPerSecond,
  pairedRatio,
  type RoundOptions,
  type Spread,
  type TimedCase,
} from './measure.js';
import {
  coefficientCount,
  makeWorkload,
  type WorkloadFigures,
  type WorkloadSpec,
  workloadFigures,
} from './workload.js';

export interface EncryptFigures {
  readonly instructionSet: string;
  readonly workload: WorkloadFigures;
  /** From integers to packed bytes and shares; without the message digest. */
  readonly millionCoefficientsPerSecond: Spread;
  readonly millionValuesPerSecond: Spread;
  /** The GMAC over the values that hedges the randomness, alone. */
  readonly digestMillionValuesPerSecond: Spread;
  /** The public call, digest included. */
  readonly wholeMillionCoefficientsPerSecond: Spread;
  /** How many times as fast as the scalar kernels, round by round. */
  readonly timesScalar: Spread;
}

type CaseName = `${string}/${EncryptPart}`;

/** Every part on every instruction set takes its turn in every round. */
export async function measureEncrypt(
  processes: readonly ForcedProcess[],
  spec: WorkloadSpec,
  options: RoundOptions,
): Promise<EncryptFigures[]> {
  const workload = makeWorkload(spec);
  const coefficients = coefficientCount(workload);
  const cases = processes.flatMap((process) =>
    ENCRYPT_PARTS.map(
      (part): TimedCase<CaseName> => ({
        name: `${process.instructionSet}/${part}`,
        time: () => process.time({ part, workload: spec }),
      }),
    ),
  );
  const timings = await interleave(cases, options);
  return processes.map(({ instructionSet }) => {
    const native = timings(`${instructionSet}/native`);
    const digest = timings(`${instructionSet}/digest`);
    const whole = timings(`${instructionSet}/whole`);
    return {
      instructionSet,
      workload: workloadFigures(workload),
      millionCoefficientsPerSecond: millionsPerSecond(coefficients, native),
      millionValuesPerSecond: millionsPerSecond(spec.valueCount, native),
      digestMillionValuesPerSecond: millionsPerSecond(spec.valueCount, digest),
      wholeMillionCoefficientsPerSecond: millionsPerSecond(coefficients, whole),
      timesScalar: pairedRatio(timings('scalar/native'), native),
    };
  });
}
