/** What clients that trained on similar tasks send: one common delta, and a perturbation of each one's own. */
import { fillNormal } from '../../lib/adapter/seeded-normal.js';
import type { SubjectTensor } from './subjects.js';

/** The perturbation's root mean square over that of the tensor. */
export const PERTURBATION = 0.1;

/**
 * Fills `out` (one array a tensor, of its size) with the common delta plus a perturbation; `stream` names whose.
 */
export function perturbDelta(
  tensors: readonly SubjectTensor[],
  out: readonly Float32Array[],
  seed: string,
  stream: string,
): void {
  for (const [m, { name, values, energy }] of tensors.entries()) {
    const delta = out[m] as Float32Array;
    const rms = Math.sqrt(energy / values.length);
    fillNormal(delta, PERTURBATION * rms, seed, `${stream} ${name}`);
    for (let i = 0; i < delta.length; i += 1) delta[i] = (delta[i] as number) + (values[i] as number);
  }
}

/** Uninitialised deltas of `clients` clients: [client][tensor]. */
export function emptyDeltas(tensors: readonly SubjectTensor[], clients: number): Float32Array[][] {
  return Array.from({ length: clients }, () => tensors.map(({ values }) => new Float32Array(values.length)));
}

/** Deltas of `clients` clients: [client][tensor]. */
export function clientDeltas(
  tensors: readonly SubjectTensor[],
  clients: number,
  seed: string,
): Float32Array[][] {
  const deltas = emptyDeltas(tensors, clients);
  for (const [i, delta] of deltas.entries()) perturbDelta(tensors, delta, seed, `client ${i}`);
  return deltas;
}

/** Their plain average: one array a tensor. */
export function plainAverage(deltas: readonly (readonly Float32Array[])[]): Float64Array[] {
  const [first] = deltas as [readonly Float32Array[]];
  return first.map((_, m) => {
    const average = new Float64Array((first[m] as Float32Array).length);
    for (const delta of deltas) {
      const values = delta[m] as Float32Array;
      for (let i = 0; i < average.length; i += 1) {
        average[i] = (average[i] as number) + (values[i] as number) / deltas.length;
      }
    }
    return average;
  });
}
