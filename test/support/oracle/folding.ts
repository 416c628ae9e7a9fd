/** Values to coefficients' messages and back (docs/protocol.md sections 3 and 4). */
import { chunkLaneCounts } from './packing.js';
import { centred, mod } from './ring.js';

/** sum of v_j * 2^(j * p0) mod 2^p for the fields v_0, v_1, ... of one coefficient. */
export function foldFields(fields: readonly number[], fieldBits: number): number {
  const sum = fields.reduce((total, value, field) => total + value * 2 ** (field * fieldBits), 0);
  return mod(sum, 2 ** (fields.length * fieldBits));
}

/** From the lowest field up: take p0 bits, centre them, subtract, shift. */
export function unfoldFields(message: number, fieldBits: number, fold: number): number[] {
  let left = message;
  return Array.from({ length: fold }, () => {
    // An odd tie, 2^(p0-1), is the two's complement minimum.
    const low = mod(left, 2 ** fieldBits);
    const value = low === 2 ** (fieldBits - 1) ? -low : centred(low, 2 ** fieldBits);
    left = (left - value) / 2 ** fieldBits;
    return value;
  });
}

export interface FoldLayout {
  readonly n: number;
  readonly fieldBits: number;
  readonly fold: number;
}

/** Ring elements that `valueCount` values need: full chunks of eight, and what the rest needs. */
export function ringElementCount(layout: FoldLayout, valueCount: number): number {
  const chunkValues = layout.fold * layout.n * 8;
  const rest = valueCount % chunkValues;
  return 8 * Math.floor(valueCount / chunkValues) + Math.ceil(Math.ceil(rest / layout.fold) / layout.n);
}

/** The messages of every ring element, missing values zero. */
export function messagesOf(layout: FoldLayout, values: ArrayLike<number>): Uint32Array[] {
  const { n, fold, fieldBits } = layout;
  let first = 0;
  return chunkLaneCounts(ringElementCount(layout, values.length)).flatMap((lanes) => {
    const start = first;
    first += fold * n * lanes;
    return Array.from({ length: lanes }, (_, lane) =>
      Uint32Array.from({ length: n }, (_unused, i) => {
        const fields = Array.from(
          { length: fold },
          (_field, j) => values[start + (j * n + i) * lanes + lane] ?? 0,
        );
        return foldFields(fields, fieldBits);
      }),
    );
  });
}

/** The values that a sum of messages carries. */
export function valuesOf(
  layout: FoldLayout,
  messages: readonly Uint32Array[],
  valueCount: number,
): Int32Array {
  const { n, fold, fieldBits } = layout;
  const values = new Int32Array(valueCount);
  let element = 0;
  for (const lanes of chunkLaneCounts(messages.length)) {
    const start = element * fold * n;
    for (let lane = 0; lane < lanes; lane += 1) {
      const chunkMessages = messages[element + lane] as Uint32Array;
      for (let i = 0; i < n; i += 1) {
        unfoldFields(chunkMessages[i] as number, fieldBits, fold).forEach((value, j) => {
          const index = start + (j * n + i) * lanes + lane;
          if (index < valueCount) values[index] = value;
        });
      }
    }
    element += lanes;
  }
  return values;
}
