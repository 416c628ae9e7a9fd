/** What a private round's grid and noise come to, by keep ratio and size of the fleet: planning alone. */
import { smolVlaShapes } from '../../lib/adapter/smolvla.js';
import { countElements } from '../../lib/adapter/tensor-info.js';
import { sharesSectionBytes } from '../../lib/custody/sharing.js';
import { planArithmetic } from '../../lib/lwe/plan.js';
import type { BitRange } from '../../lib/pipeline/allocation/compression-request.js';
import { planCompression } from '../../lib/pipeline/allocation/plan-compression.js';
import { commonScale } from '../../lib/pipeline/allocation/scales.js';
import { roundingBound } from '../../lib/privacy/sensitivity.js';
import { roundEpsilon } from '../../lib/round/round-privacy.js';
import { CUSTODY, segmentsOf } from './measured-plan.js';

export const NOISE_MULTIPLIER = 1;
export const PRIVACY_DELTA = 1e-5;

export interface PrivateFleet {
  readonly clients: number;
  readonly quorum: number;
  readonly colluders: number;
}

export const PRIVATE_FLEETS: readonly PrivateFleet[] = [
  { clients: 16, quorum: 12, colluders: 1 },
  { clients: 1000, quorum: 800, colluders: 10 },
];

export interface PrivateRow {
  readonly fleet: PrivateFleet;
  readonly keepRatio: number;
  readonly values: number;
  readonly usedBits: BitRange;
  readonly bytesPerParameter: number;
  /** Norm of the noise in the average of all clients, over the clip: all values together. */
  readonly noiseNorm: number;
  readonly epsilon: number;
}

interface Noise {
  readonly clientVariance: number;
  readonly l2Squared: number;
}

function noiseOf({ quorum, colluders }: PrivateFleet, dimension: number): Noise {
  const { scale } = commonScale({ clip: 1, dimension });
  const { l2Squared } = roundingBound({ clip: 1, scale, dimension });
  return {
    l2Squared,
    clientVariance: Math.ceil((NOISE_MULTIPLIER ** 2 * l2Squared) / (quorum - colluders)),
  };
}

export function planPrivateRound(fleet: PrivateFleet, keepRatio: number): PrivateRow {
  const tensors = smolVlaShapes().map(({ name, shape }) => {
    const values = countElements(name, shape);
    return { name, values, energy: values };
  });
  const parameters = tensors.reduce((sum, { values }) => sum + values, 0);
  const plan = planCompression({
    tensors,
    keepRatio,
    bits: { min: 2, max: 8 },
    clients: fleet.clients,
    clip: 1,
    rotation: true,
    maxBytes: Number.MAX_SAFE_INTEGER,
    privacy: {},
    sizeBytes: (valuesByBits) => {
      const segments = segmentsOf(valuesByBits);
      const dimension = segments.reduce((sum, { valueCount }) => sum + valueCount, 0);
      return planArithmetic({
        parameterSet: CUSTODY.parameterSet,
        maxClients: fleet.clients,
        noiseVariance: noiseOf(fleet, dimension).clientVariance,
        segments,
      }).ciphertextBytes;
    },
  });
  const values = plan.keeps.reduce((a, b) => a + b, 0);
  const { clientVariance, l2Squared } = noiseOf(fleet, values);
  const noise = Math.sqrt(clientVariance / fleet.clients) * (plan.scales[0] as number);
  return {
    fleet,
    keepRatio,
    values,
    usedBits: { min: Math.min(...plan.bits), max: Math.max(...plan.bits) },
    bytesPerParameter: (plan.bytes + sharesSectionBytes(CUSTODY)) / parameters,
    noiseNorm: noise * Math.sqrt(values),
    epsilon: roundEpsilon(
      { mechanism: 'skellam', clientVariance, l2Squared, colluders: fleet.colluders, delta: PRIVACY_DELTA },
      values,
      fleet.quorum,
    ),
  };
}

export function planPrivateRounds(): PrivateRow[] {
  return PRIVATE_FLEETS.flatMap((fleet) =>
    [1, 0.1, 0.01].map((keepRatio) => planPrivateRound(fleet, keepRatio)),
  );
}
