/** Rounds as clients and server would run them by a plan, for what the plan foresees to be measured. */
import type {
  CompressionPlan,
  CompressionRequest,
  CompressionTensor,
} from '../../../lib/pipeline/allocation/compression-request.js';
import { planCompression } from '../../../lib/pipeline/allocation/plan-compression.js';
import {
  hadamard,
  norm,
  normal,
  roundStochastically,
  seededUniform,
  subset,
  type Uniform,
} from './sampling.js';

function at(tensors: readonly (readonly number[])[], m: number, i: number): number {
  return (tensors[m] as readonly number[])[i] as number;
}

/** Gaussian coordinates of exactly this energy, as a rotated tensor has them. */
export function rotated({ values, energy }: CompressionTensor, uniform: Uniform): number[] {
  const raw = Array.from({ length: values }, () => normal(uniform));
  const factor = Math.sqrt(energy) / norm(raw);
  return raw.map((x) => x * factor);
}

/**
 * One client's update: what the server gets, and how much of it saturated. `pending` is delta plus residual and is
 * left with the next residual.
 */
export function sendUpdate(
  pending: number[][],
  plan: CompressionPlan,
  chosen: readonly (readonly number[])[],
  uniform: Uniform,
): { sent: number[][]; saturated: number } {
  const values = chosen.flatMap((indices, m) => indices.map((i) => (pending[m] as number[])[i] as number));
  const factor = Math.min(1, plan.clip / norm(values));
  let saturated = 0;
  const sent = pending.map((tensor, m) => {
    const [scale, level] = [plan.scales[m] as number, 2 ** ((plan.bits[m] as number) - 1) - 1];
    const out = tensor.map(() => 0);
    for (const i of chosen[m] as readonly number[]) {
      const x = ((tensor[i] as number) * factor) / scale;
      if (Math.abs(x) > level) saturated += 1;
      out[i] = scale * roundStochastically(x, level, uniform);
      tensor[i] = (tensor[i] as number) - (out[i] as number);
    }
    return out;
  });
  return { sent, saturated };
}

export function choose(
  plan: CompressionPlan,
  tensors: readonly CompressionTensor[],
  uniform: Uniform,
): number[][] {
  return tensors.map(({ values }, m) => subset(uniform, values, plan.keeps[m] as number));
}

/** Root mean square over rounds of ||average - delta|| / ||delta||, all clients sending the reference delta. */
export function measuredError(
  asked: CompressionRequest,
  plan: CompressionPlan,
  rounds: number,
  seed: number,
): number {
  const uniform = seededUniform(seed);
  let squared = 0;
  for (let round = 0; round < rounds; round += 1) {
    const delta = asked.tensors.map((tensor) => rotated(tensor, uniform));
    const chosen = choose(plan, asked.tensors, uniform);
    const average = delta.map((tensor) => tensor.map(() => 0));
    for (let client = 0; client < asked.clients; client += 1) {
      const { sent } = sendUpdate(
        delta.map((tensor) => [...tensor]),
        plan,
        chosen,
        uniform,
      );
      for (const [m, tensor] of sent.entries()) {
        for (const [i, x] of tensor.entries())
          (average[m] as number[])[i] = ((average[m] as number[])[i] as number) + x / asked.clients;
      }
    }
    const error = norm(
      average.flatMap((tensor, m) => tensor.map((x, i) => x - ((delta[m] as number[])[i] as number))),
    );
    squared += (error / norm(delta.flat())) ** 2 / rounds;
  }
  return Math.sqrt(squared);
}

/** Error feedback of one client whose delta is the same every round. */
export function settle(
  asked: CompressionRequest,
  rounds: number,
  freshRotation: boolean,
): {
  measured: { residualNormRatio: number; saturatedFraction: number };
  predicted: CompressionPlan['expected'];
} {
  const plan = planCompression(asked);
  const uniform = seededUniform(101);
  const delta = asked.tensors.map((tensor) => rotated(tensor, uniform));
  let residual = delta.map((tensor) => tensor.map(() => 0));
  const start = Math.floor(rounds / 6);
  let [squared, saturated] = [0, 0];
  for (let round = 0; round < rounds; round += 1) {
    const signs = delta.map((tensor) => tensor.map(() => (freshRotation && uniform() < 0.5 ? -1 : 1)));
    const pending = residual.map((tensor, m) =>
      tensor.map((x, i) => (x + at(delta, m, i)) * at(signs, m, i)),
    );
    if (freshRotation) pending.forEach(hadamard);
    const update = sendUpdate(pending, plan, choose(plan, asked.tensors, uniform), uniform);
    if (freshRotation) pending.forEach(hadamard);
    residual = pending.map((tensor, m) => tensor.map((x, i) => x * at(signs, m, i)));
    if (round < start) continue;
    squared += norm(residual.flat()) ** 2;
    saturated += update.saturated;
  }
  const counted = rounds - start;
  return {
    measured: {
      residualNormRatio: Math.sqrt(squared / counted) / norm(delta.flat()),
      saturatedFraction: saturated / counted / plan.keeps.reduce((a, b) => a + b, 0),
    },
    predicted: plan.expected,
  };
}
