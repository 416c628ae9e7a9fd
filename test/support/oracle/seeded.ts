/** Test inputs from a seed: a failing case is reproduced by the number that its message prints. */
import { createHash } from 'node:crypto';
import { keystream } from './streams.js';

/** 32 bytes from a number and a label. */
export function seededBytes(seed: number, label: string, length = 32): Uint8Array {
  const key = createHash('sha256').update(`${label} ${seed}`).digest();
  return new Uint8Array(keystream(key, 0, Math.ceil(length / 4)).buffer.slice(0, length) as ArrayBuffer);
}

/** Words uniform in [0, bound), bound <= 2^32, but for a bias below 2^-21. */
export function seededWords(seed: number, label: string, count: number, bound: number): Uint32Array {
  const words = keystream(seededBytes(seed, label), 0, 2 * count);
  const values = new Uint32Array(count);
  for (let i = 0; i < count; i += 1) {
    const fraction = ((words[2 * i] as number) + (words[2 * i + 1] as number) / 2 ** 32) / 2 ** 32;
    values[i] = Math.min(bound - 1, Math.floor(fraction * bound));
  }
  return values;
}

/** Integers uniform in [-bound, bound]. */
export function seededValues(seed: number, label: string, count: number, bound: number): Int32Array {
  // The array is Int32Array from the start: mapping the words would wrap below zero.
  return new Int32Array(seededWords(seed, label, count, 2 * bound + 1)).map((word) => word - bound);
}

/** Random words in [0, bound) with the edges 0, 1, bound - 1 and bound / 2 planted at both ends. */
export function seededWordsWithEdges(seed: number, label: string, count: number, bound: number): Uint32Array {
  const words = seededWords(seed, label, count, bound);
  const half = Math.floor(bound / 2);
  const edges = [0, bound - 1, Math.min(1, bound - 1), half, Math.max(0, half - 1)];
  edges.forEach((edge, i) => {
    words[i] = edge;
    words[count - 1 - i] = edge;
  });
  return words;
}
