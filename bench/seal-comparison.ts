/** The same values through this package's scheme and through node-seal's CKKS, in one process, in turn. */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { EnvironmentError } from '../lib/errors.js';
import { openAggregate } from '../lib/lwe/open.js';
import { parameterSet } from '../lib/lwe/parameters.js';
import { addCiphertexts } from '../lib/lwe/sum.js';
import { native } from '../lib/native.js';
import {
  type Absent,
  interleave,
  isAbsent,
  measureElapsed,
  millionsPerSecond,
  pairedRatio,
  type RoundOptions,
  type Spread,
} from './measure.js';
import { loadSeal, makeSealUpdate, type SealUpdate } from './seal-ckks.js';
import {
  addSecret,
  centredSecretSum,
  encryptWorkload,
  makeWorkload,
  type Workload,
  type WorkloadFigures,
  type WorkloadSpec,
  workloadFigures,
} from './workload.js';

/** One job on both sides, in values a second; the ratio is taken round by round. */
export interface SideBySide {
  readonly tensorguardMillionValuesPerSecond: Spread;
  readonly sealMillionValuesPerSecond: Spread;
  readonly timesSeal: Spread;
}

export interface SealComparison {
  readonly sealVersion: string;
  readonly instructionSet: string;
  readonly workload: WorkloadFigures;
  /** Both sides on one thread; ours from integers to packed bytes, digest included, SEAL's without its encoding. */
  readonly encrypt: SideBySide;
  /** SEAL's encoding counted: from values on both sides. */
  readonly encodeEncrypt: SideBySide;
  readonly symmetricEncrypt: SideBySide;
  /** Two updates. */
  readonly add: SideBySide;
  /** Ours to integers, SEAL's to encoded polynomials. */
  readonly decrypt: SideBySide;
  readonly decryptDecode: SideBySide;
  readonly bytesPerValue: {
    readonly tensorguard: number;
    /** Public-key ciphertexts, not seeded, not compressed. */
    readonly seal: number;
    readonly sealCompressed: number;
    readonly sealSymmetricSeeded: number;
  };
}

type JobName = 'encrypt' | 'add' | 'open';
type SealJobName = 'encode' | 'sealEncrypt' | 'symmetric' | 'sealAdd' | 'decrypt' | 'decode';

async function ownCases(workload: Workload) {
  const { plan, seed, planFingerprint } = workload;
  const first = new Uint8Array(plan.ciphertextBytes);
  const second = new Uint8Array(plan.ciphertextBytes);
  const sum = new Uint8Array(plan.ciphertextBytes);
  const residues = new Uint32Array(parameterSet(plan.parameterSet).n);
  addSecret(workload, await encryptWorkload(workload, first, 1), residues);
  addSecret(workload, await encryptWorkload(workload, second, 1), residues);
  const aggregate = new Uint8Array(plan.ciphertextBytes);
  await addCiphertexts(plan, [first, second], aggregate, 1);
  const secretSum = centredSecretSum(workload, residues);
  const values = new Int32Array(plan.valueCount);
  const run: Record<JobName, () => unknown> = {
    encrypt: () => encryptWorkload(workload, first, 1),
    add: () => addCiphertexts(plan, [first, second], sum, 1),
    open: () =>
      openAggregate({
        plan,
        seed,
        planFingerprint,
        aggregate,
        secretSum,
        contributors: 2,
        values,
        threads: 1,
      }),
  };
  return run;
}

function sealCases(update: SealUpdate): Record<SealJobName, () => unknown> {
  return {
    encode: update.encode,
    sealEncrypt: update.encrypt,
    symmetric: update.encryptSymmetric,
    sealAdd: update.add,
    decrypt: update.decrypt,
    decode: update.decode,
  };
}

function requireDecoded(update: SealUpdate, values: Int32Array): void {
  const decoded = update.decode();
  if (values.some((value, i) => Math.abs((decoded[i] as number) - value) > 1e-3)) {
    throw new EnvironmentError(
      'bench.seal-wrong-result',
      'node-seal does not decrypt to what it encrypted, so it was not timed. Reinstall it: npm ci.',
    );
  }
}

function sealVersion(): string {
  const manifest = createRequire(import.meta.url).resolve('node-seal/package.json');
  return String((JSON.parse(readFileSync(manifest, 'utf8')) as { version?: unknown }).version);
}

function sumOf(a: readonly number[], b: readonly number[]): number[] {
  return a.map((ns, round) => ns + (b[round] as number));
}

function sideBySide(values: number, ours: readonly number[], seals: readonly number[]): SideBySide {
  return {
    tensorguardMillionValuesPerSecond: millionsPerSecond(values, ours),
    sealMillionValuesPerSecond: millionsPerSecond(values, seals),
    timesSeal: pairedRatio(seals, ours),
  };
}

export async function compareWithSeal(
  spec: WorkloadSpec,
  options: RoundOptions,
): Promise<SealComparison | Absent> {
  const seal = await loadSeal();
  if (isAbsent(seal)) return seal;
  const workload = makeWorkload(spec);
  const update = makeSealUpdate(seal, workload.values);
  try {
    requireDecoded(update, workload.values);
    const cases = Object.entries({ ...(await ownCases(workload)), ...sealCases(update) }) as [
      JobName | SealJobName,
      () => unknown,
    ][];
    const timings = await interleave(
      cases.map(([name, run]) => ({
        name,
        // Once untimed, both sides alike: our thread's core has slept for the seconds that CKKS took, and what it costs to
        // wake it is no part of either.
        time: async () => {
          await run();
          return measureElapsed(run);
        },
      })),
      options,
    );
    const count = spec.valueCount;
    return {
      sealVersion: sealVersion(),
      instructionSet: native().instructionSet,
      workload: workloadFigures(workload),
      encrypt: sideBySide(count, timings('encrypt'), timings('sealEncrypt')),
      encodeEncrypt: sideBySide(count, timings('encrypt'), sumOf(timings('encode'), timings('sealEncrypt'))),
      symmetricEncrypt: sideBySide(count, timings('encrypt'), timings('symmetric')),
      add: sideBySide(count, timings('add'), timings('sealAdd')),
      decrypt: sideBySide(count, timings('open'), timings('decrypt')),
      decryptDecode: sideBySide(count, timings('open'), sumOf(timings('decrypt'), timings('decode'))),
      bytesPerValue: {
        tensorguard: workload.plan.ciphertextBytes / count,
        seal: update.bytes() / count,
        sealCompressed: update.compressedBytes() / count,
        sealSymmetricSeeded: update.symmetricBytes() / count,
      },
    };
  } finally {
    update.delete();
  }
}
