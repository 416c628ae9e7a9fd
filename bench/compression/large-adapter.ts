/** What the planner makes of OpenVLA-7B's adapter: keep ratios and errors foreseen for a size, and sizes for a ratio. */
import { fillNormal } from '../../lib/adapter/seeded-normal.js';
import { countElements } from '../../lib/adapter/tensor-info.js';
import { sharesSectionBytes } from '../../lib/custody/sharing.js';
import { headerAllowanceBytes } from '../../lib/custody/trusted-plan.js';
import { planArithmetic } from '../../lib/lwe/plan.js';
import type { BitRange, CompressionExpectation } from '../../lib/pipeline/allocation/compression-request.js';
import { planCompression } from '../../lib/pipeline/allocation/plan-compression.js';
import { CUSTODY, segmentsOf } from './measured-plan.js';
import { openVlaShapes } from './openvla-shapes.js';

export const LIMIT_BYTES = 5_000_000;
export const LARGE_CLIENTS = 16;

/** Standard deviation of the logarithm of the tensors' mean squares, where they are not all alike. */
export const ENERGY_SPREADS = [0, 1] as const;

export interface LargeAdapterRow {
  /** 0: every tensor has the same mean square. */
  readonly energySpread: number;
  /** Widths that the planner may use; it uses those from `usedBits.min` to `usedBits.max`. */
  readonly bits: BitRange;
  readonly usedBits: BitRange;
  readonly asked: number | 'auto';
  readonly keepRatio: number;
  /** Ciphertext, sealed shares and what is allowed for the header. */
  readonly updateBytes: number;
  readonly expected: CompressionExpectation;
}

interface LargeTensor {
  readonly name: string;
  readonly values: number;
  readonly energy: number;
}

function openVlaTensors(energySpread: number, seed: string): LargeTensor[] {
  const shapes = openVlaShapes();
  const logs = new Float32Array(shapes.length);
  fillNormal(logs, energySpread, seed, 'mean squares');
  return shapes.map(({ name, shape }, m) => {
    const values = countElements(name, shape);
    return { name, values, energy: values * Math.exp(logs[m] as number) };
  });
}

export function planLargeAdapter(
  energySpread: number,
  asked: number | 'auto',
  bits: BitRange,
  seed: string,
): LargeAdapterRow {
  const tensors = openVlaTensors(energySpread, seed);
  const sharesBytes = sharesSectionBytes(CUSTODY);
  const overheadFor = (ciphertextBytes: number): number =>
    sharesBytes + headerAllowanceBytes(tensors, [ciphertextBytes, sharesBytes]);
  const plan = planCompression({
    tensors,
    keepRatio: asked,
    bits,
    clients: LARGE_CLIENTS,
    rotation: true,
    maxBytes: asked === 'auto' ? LIMIT_BYTES - overheadFor(LIMIT_BYTES) : Number.MAX_SAFE_INTEGER,
    sizeBytes: (valuesByBits) =>
      planArithmetic({
        parameterSet: CUSTODY.parameterSet,
        maxClients: LARGE_CLIENTS,
        segments: segmentsOf(valuesByBits),
      }).ciphertextBytes,
  });
  const sent = plan.keeps.reduce((a, b) => a + b, 0);
  return {
    energySpread,
    bits,
    usedBits: { min: Math.min(...plan.bits), max: Math.max(...plan.bits) },
    asked,
    keepRatio: sent / tensors.reduce((sum, { values }) => sum + values, 0),
    updateBytes: plan.bytes + overheadFor(plan.bytes),
    expected: plan.expected,
  };
}

/** The planner's own choice first, then one width for all. */
const ADMITTED_BITS: readonly BitRange[] = [
  { min: 2, max: 8 },
  ...[2, 4, 8].map((bits) => ({ min: bits, max: bits })),
];

/** First what fits the limit, at several widths; then what given ratios take. */
export function planLargeAdapterCases(seed: string): LargeAdapterRow[] {
  const rows: LargeAdapterRow[] = [];
  for (const spread of ENERGY_SPREADS) {
    for (const bits of ADMITTED_BITS) rows.push(planLargeAdapter(spread, 'auto', bits, seed));
  }
  for (const keepRatio of [1, 0.5, 0.1]) {
    for (const bits of [8, 4]) rows.push(planLargeAdapter(0, keepRatio, { min: bits, max: bits }, seed));
  }
  return rows;
}
