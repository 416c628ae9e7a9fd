/** The benchmark, part by part. */
import { native } from '../lib/native.js';
import { type Ceilings, measureCeilings } from './ceiling.js';
import { type ContextRates, measureContextRates } from './context-rates.js';
import { type EncryptFigures, measureEncrypt } from './encrypt.js';
import { ForcedProcess } from './forced-process.js';
import { describeMachine, loadAverage, type Machine, unsupportedInstructionSets } from './machine.js';
import { type Absent, type Clock, MIN_ROUNDS } from './measure.js';
import { measureOpen, type OpenFigures } from './open.js';
import { measurePipeline, type PipelineFigures } from './pipeline.js';
import { compareWithSeal, type SealComparison } from './seal-comparison.js';
import { measureSum, type SumFigures, valuesBeyondCache } from './sum.js';

export const BENCHMARK_PARTS = ['pipeline', 'encrypt', 'open', 'sum', 'seal', 'context'] as const;
export type BenchmarkPart = (typeof BENCHMARK_PARTS)[number];

export interface BenchmarkOptions {
  readonly parts?: readonly BenchmarkPart[];
  /** Rounds of every part but the comparison with SEAL, which takes a third of them: it is hundreds of times slower. */
  readonly rounds?: number;
  readonly clock?: Clock;
  /** Values of an adapter's update, and of a large one. */
  readonly valueCount?: number;
  readonly largeValueCount?: number;
  readonly onProgress?: (message: string) => void;
}

export interface BenchmarkResults {
  readonly schemaVersion: 1;
  readonly startedAt: string;
  readonly machine: Machine;
  /** Load averages over a minute, before and after. */
  readonly load: { readonly before: number; readonly after: number };
  readonly rounds: number;
  readonly clock: Clock;
  /** Instruction sets that the package has kernels for on this architecture, and this machine cannot run. */
  readonly notMeasured: readonly NotMeasured[];
  readonly pipeline?: PipelineFigures;
  readonly encrypt?: readonly EncryptFigures[];
  readonly ceilings?: Ceilings;
  readonly open?: readonly OpenFigures[];
  readonly sum?: readonly SumFigures[];
  readonly seal?: SealComparison | Absent;
  readonly context?: ContextRates;
}

export interface NotMeasured extends Absent {
  readonly instructionSet: string;
}

export const DEFAULT_ROUNDS = 15;
/** The values of the smaller adapter, and ten times as many. */
const DEFAULT_VALUE_COUNT = 740_000;
const DEFAULT_LARGE_VALUE_COUNT = 7_400_000;
const CONTEXT_BUFFER_BYTES = 16 * 2 ** 20;

type Settings = Required<BenchmarkOptions>;

async function pipelinePart({ rounds, clock, valueCount, onProgress }: Settings) {
  onProgress('Rotating, quantizing and drawing noise');
  return { pipeline: await measurePipeline(valueCount, { rounds, clock }) };
}

async function encryptPart({ rounds, clock, valueCount, largeValueCount, onProgress }: Settings) {
  const processes = native().supportedInstructionSets.map((name) => new ForcedProcess(name));
  try {
    const encrypt: EncryptFigures[] = [];
    for (const size of [valueCount, largeValueCount]) {
      for (const bits of [8, 4]) {
        onProgress(`Encrypting ${size} values of ${bits} bits`);
        const spec = { bits, maxClients: 16, valueCount: size };
        encrypt.push(...(await measureEncrypt(processes, spec, { rounds, clock })));
      }
    }
    onProgress('Measuring the kernels that bound encryption');
    const ceilings = await measureCeilings(
      processes,
      { bits: 8, maxClients: 16, valueCount },
      { rounds, clock },
    );
    return { encrypt, ceilings };
  } finally {
    for (const process of processes) process.close();
  }
}

async function openPart({ rounds, clock, valueCount, onProgress }: Settings) {
  onProgress('Opening sums of 2, 16 and 256 updates');
  const plans = [
    { spec: { bits: 8, maxClients: 16, valueCount }, contributors: [16] },
    { spec: { bits: 8, maxClients: 256, valueCount }, contributors: [2, 16, 256] },
  ];
  return { open: await measureOpen(plans, { rounds, clock }) };
}

async function sumPart({ rounds, clock, largeValueCount, onProgress }: Settings, machine: Machine) {
  onProgress('Summing 16 updates');
  const valueCount = valuesBeyondCache(largeValueCount, machine.lastLevelCacheBytes);
  return { sum: await measureSum(valueCount, { rounds, clock }) };
}

async function sealPart({ rounds, clock, valueCount, onProgress }: Settings) {
  onProgress('Comparing with CKKS in node-seal');
  const spec = { bits: 8, maxClients: 16, valueCount };
  return {
    seal: await compareWithSeal(spec, { rounds: Math.max(MIN_ROUNDS, Math.ceil(rounds / 3)), clock }),
  };
}

async function contextPart({ rounds, clock, onProgress }: Settings) {
  onProgress('Hashing and copying');
  return { context: await measureContextRates(CONTEXT_BUFFER_BYTES, { rounds, clock }) };
}

/** Measures the parts one after the other, each against what it is compared with; nothing else runs meanwhile. */
export async function runBenchmarks(options: BenchmarkOptions = {}): Promise<BenchmarkResults> {
  const settings: Settings = {
    parts: BENCHMARK_PARTS,
    rounds: DEFAULT_ROUNDS,
    clock: 'wall',
    valueCount: DEFAULT_VALUE_COUNT,
    largeValueCount: DEFAULT_LARGE_VALUE_COUNT,
    onProgress: () => undefined,
    ...options,
  };
  const wanted = new Set(settings.parts);
  const machine = describeMachine();
  const startedAt = new Date().toISOString();
  const before = loadAverage();
  const figures = {
    ...(wanted.has('pipeline') && (await pipelinePart(settings))),
    ...(wanted.has('encrypt') && (await encryptPart(settings))),
    ...(wanted.has('open') && (await openPart(settings))),
    ...(wanted.has('sum') && (await sumPart(settings, machine))),
    ...(wanted.has('seal') && (await sealPart(settings))),
    ...(wanted.has('context') && (await contextPart(settings))),
  };
  return {
    schemaVersion: 1,
    startedAt,
    machine,
    load: { before, after: loadAverage() },
    rounds: settings.rounds,
    clock: settings.clock,
    notMeasured: unsupportedInstructionSets(machine).map((instructionSet) => ({
      instructionSet,
      absent: `this machine does not run ${instructionSet}`,
    })),
    ...figures,
  };
}
