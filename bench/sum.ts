/** Sixteen updates, packed in, packed out, against copying the same bytes: both are bound by memory. */
import { randomFillSync } from 'node:crypto';
import { freemem } from 'node:os';
import { addCiphertexts } from '../lib/lwe/sum.js';
import { native } from '../lib/native.js';
import {
  gigabytesPerSecond,
  interleave,
  measureElapsed,
  pairedRatio,
  type RoundOptions,
  type Spread,
} from './measure.js';
import { makeWorkload, type Workload, type WorkloadFigures, workloadFigures } from './workload.js';

const UPDATES = 16;
const WORKLOAD = { bits: 8, maxClients: UPDATES };
/** One chunk of eight ring elements: sixteen of them stay in cache. */
const CHUNK_VALUES = 8 * 2048;
/** One call reads each buffer so often, or starting the call would be most of what is measured. */
const PASSES_IN_CACHE = 16;
/** Enough for caches of any size; more would only take longer to fill. */
const MAX_TOTAL_BYTES = 2 ** 31;

export interface SumFigures {
  readonly instructionSet: string;
  readonly where: 'memory' | 'cache';
  readonly workload: WorkloadFigures;
  readonly updates: number;
  /** All input buffers together. */
  readonly inputBytes: number;
  /** Over the bytes that are read. */
  readonly sumGigabytesPerSecond: Spread;
  /** Each input copied over the sum's buffer; over the bytes that are read. */
  readonly copyGigabytesPerSecond: Spread;
  /** The sum's rate over the copy's, round by round. */
  readonly shareOfCopy: Spread;
}

/** Values that make an update twice the last-level cache, where memory allows it. */
export function valuesBeyondCache(wanted: number, lastLevelCacheBytes: number | undefined): number {
  const bitsAValue = makeWorkload({ ...WORKLOAD, valueCount: 1 }).segment.wireBits;
  const beyondCache = Math.ceil((2 * (lastLevelCacheBytes ?? 0) * 8) / bitsAValue);
  const affordable = Math.floor(
    ((Math.min(freemem() / 4, MAX_TOTAL_BYTES) / (UPDATES + 1)) * 8) / bitsAValue,
  );
  return Math.max(CHUNK_VALUES, Math.min(Math.max(wanted, beyondCache), affordable));
}

async function measureBuffers(
  where: SumFigures['where'],
  workload: Workload,
  passes: number,
  options: RoundOptions,
): Promise<SumFigures> {
  const { plan } = workload;
  // A sum costs the same whatever the bits are.
  const updates = Array.from({ length: UPDATES }, () => randomFillSync(new Uint8Array(plan.ciphertextBytes)));
  const inputs = Array.from({ length: passes }, () => updates).flat();
  const sum = new Uint8Array(plan.ciphertextBytes);
  const timings = await interleave(
    [
      { name: 'sum', time: () => measureElapsed(() => addCiphertexts(plan, inputs, sum, 1)) },
      {
        name: 'copy',
        time: () =>
          measureElapsed(() => {
            for (const input of inputs) sum.set(input);
          }),
      },
    ],
    options,
  );
  const bytes = inputs.length * plan.ciphertextBytes;
  return {
    instructionSet: native().instructionSet,
    where,
    workload: workloadFigures(workload),
    updates: UPDATES,
    inputBytes: UPDATES * plan.ciphertextBytes,
    sumGigabytesPerSecond: gigabytesPerSecond(bytes, timings('sum')),
    copyGigabytesPerSecond: gigabytesPerSecond(bytes, timings('copy')),
    shareOfCopy: pairedRatio(timings('copy'), timings('sum')),
  };
}

/** @param valueCount values of an update in memory; {@link valuesBeyondCache} gives it */
export async function measureSum(valueCount: number, options: RoundOptions): Promise<SumFigures[]> {
  return [
    await measureBuffers('memory', makeWorkload({ ...WORKLOAD, valueCount }), 1, options),
    await measureBuffers(
      'cache',
      makeWorkload({ ...WORKLOAD, valueCount: CHUNK_VALUES }),
      PASSES_IN_CACHE,
      options,
    ),
  ];
}
