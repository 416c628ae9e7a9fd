/** Seeded randomness for simulations that are compared with predictions. */

export type Uniform = () => number;

/** Mulberry32: uniform on [0, 1), good enough for Monte Carlo and the same on every machine. */
export function seededUniform(seed: number): Uniform {
  let state = seed | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Box and Muller's standard normal. */
export function normal(uniform: Uniform): number {
  return Math.sqrt(-2 * Math.log(1 - uniform())) * Math.cos(2 * Math.PI * uniform());
}

/** `count` different indices below `size`, uniformly: the first places of a partial shuffle. */
export function subset(uniform: Uniform, size: number, count: number): number[] {
  const indices = Array.from({ length: size }, (_, i) => i);
  for (let i = 0; i < count; i += 1) {
    const j = i + Math.floor(uniform() * (size - i));
    [indices[i], indices[j]] = [indices[j] as number, indices[i] as number];
  }
  return indices.slice(0, count);
}

/** Clamps to +-level and rounds stochastically: floor(x + u). */
export function roundStochastically(x: number, level: number, uniform: Uniform): number {
  const clamped = Math.min(level, Math.max(-level, x));
  return Math.min(level, Math.floor(clamped + uniform()));
}

export function norm(values: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < values.length; i += 1) sum += (values[i] as number) ** 2;
  return Math.sqrt(sum);
}

/** In place: the orthonormal Walsh-Hadamard transform, its own inverse, of a power of two of values. */
export function hadamard(values: number[]): void {
  for (let half = 1; half < values.length; half *= 2) {
    for (let i = 0; i < values.length; i += 1) {
      if ((i & half) !== 0) continue;
      const [a, b] = [values[i] as number, values[i + half] as number];
      values[i] = (a + b) * Math.SQRT1_2;
      values[i + half] = (a - b) * Math.SQRT1_2;
    }
  }
}
