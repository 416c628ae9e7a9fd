/** Rotation, quantization and noise by their definitions, value by value, from Node's own ChaCha20. */
import { keystream } from '../../support/oracle/streams.js';

/** Streams 0..15 of a key beside a first nonce, each of `words` words. */
function sixteen(key: Uint8Array, first: number, words: number): Uint32Array[] {
  return Array.from({ length: 16 }, (_, lane) => keystream(key, first + lane, words));
}

/** -1 or 1 for each of n coordinates. */
export function oracleSigns(key: Uint8Array, tensor: number, n: number): number[] {
  const streams = sixteen(key, 16 * tensor, Math.ceil(n / 512));
  return Array.from({ length: n }, (_, i) => {
    const h = Math.floor(i / 16);
    const word = (streams[i % 16] as Uint32Array)[Math.floor(h / 32)] as number;
    return Math.floor(word / 2 ** (h % 32)) % 2 === 1 ? -1 : 1;
  });
}

/** Kept positions in ascending order. */
export function oraclePositions(key: Uint8Array, tensor: number, n: number, kept: number): number[] {
  if (kept === n) return Array.from({ length: n }, (_, i) => i);
  const words = keystream(key, tensor, kept);
  return Array.from({ length: kept }, (_, i) => {
    const low = (BigInt(i) * BigInt(n)) / BigInt(kept);
    const width = (BigInt(i + 1) * BigInt(n)) / BigInt(kept) - low;
    return Number(low + ((BigInt(words[i] as number) * width) >> 32n));
  });
}

/** Where blocks begin and how long they are: whole ones, then the binary digits of the rest. */
export function oracleBlocks(n: number, blockLog2: number): { begin: number; size: number }[] {
  const size = 2 ** blockLog2;
  const blocks: { begin: number; size: number }[] = [];
  let begin = 0;
  for (let whole = 0; whole < Math.floor(n / size); whole += 1, begin += size) blocks.push({ begin, size });
  for (const [i, digit] of [...(n % size).toString(2)].entries()) {
    const length = 2 ** ((n % size).toString(2).length - 1 - i);
    if (digit === '1') {
      blocks.push({ begin, size: length });
      begin += length;
    }
  }
  return blocks;
}

/** Whether the bits that two indices share are odd in number: the sign of a Sylvester-Hadamard entry. */
function odd(bits: number): boolean {
  let parity = false;
  for (let left = bits; left !== 0; left &= left - 1) parity = !parity;
  return parity;
}

/** One block by the definition of the Hadamard matrix, in double precision. */
export function hadamardByDefinition(block: readonly number[]): number[] {
  return block.map(
    (_, row) =>
      block.reduce((sum, x, column) => sum + (odd(row & column) ? -x : x), 0) / Math.sqrt(block.length),
  );
}

/** One block by butterflies in float32, rounded after every step: the protocol's bits. */
function hadamardInFloats(block: Float32Array): void {
  for (let stride = 1; stride < block.length; stride *= 2) {
    for (let i = 0; i < block.length; i += 1) {
      if (Math.floor(i / stride) % 2 === 1) continue;
      const a = block[i] as number;
      const b = block[i + stride] as number;
      block[i] = a + b;
      block[i + stride] = a - b;
    }
  }
  const scale = Math.fround(1 / Math.sqrt(block.length));
  for (let i = 0; i < block.length; i += 1) block[i] = (block[i] as number) * scale;
}

/** Signs, then transforms; float32 throughout. blockLog2 of 0 changes nothing. */
export function oracleRotate(
  values: Float32Array,
  key: Uint8Array,
  tensor: number,
  blockLog2: number,
): Float32Array {
  if (blockLog2 === 0) return values.slice();
  const signs = oracleSigns(key, tensor, values.length);
  const out = values.map((x, i) => x * (signs[i] as number));
  for (const { begin, size } of oracleBlocks(values.length, blockLog2)) {
    hadamardInFloats(out.subarray(begin, begin + size));
  }
  return out;
}

export function oracleRotateBack(
  values: Float32Array,
  key: Uint8Array,
  tensor: number,
  blockLog2: number,
): Float32Array {
  if (blockLog2 === 0) return values.slice();
  const signs = oracleSigns(key, tensor, values.length);
  const out = values.slice();
  for (const { begin, size } of oracleBlocks(values.length, blockLog2)) {
    hadamardInFloats(out.subarray(begin, begin + size));
  }
  return out.map((x, i) => x * (signs[i] as number));
}

/** Levels and statistics, part by part. */
export function oracleQuantize(
  key: Uint8Array,
  values: Float32Array,
  counts: readonly number[],
  factors: readonly number[],
  limits: readonly number[],
): { levels: number[]; saturated: number[]; sumsOfSquares: number[] } {
  const streams = sixteen(key, 0, Math.ceil(values.length / 32));
  const levels: number[] = [];
  const saturated = counts.map(() => 0);
  const sumsOfSquares = counts.map(() => 0);
  let i = 0;
  for (const [part, count] of counts.entries()) {
    const limit = limits[part] as number;
    for (let end = i + count; i < end; i += 1) {
      const h = Math.floor(i / 16);
      const word = (streams[i % 16] as Uint32Array)[Math.floor(h / 2)] as number;
      const r = h % 2 === 0 ? word % 65536 : Math.floor(word / 65536);
      const y = Math.fround((values[i] as number) * Math.fround(factors[part] as number));
      const free = Math.floor(Math.fround(y + r / 65536));
      const level = Math.max(-limit, Math.min(limit, free));
      saturated[part] = (saturated[part] as number) + (level === free ? 0 : 1);
      sumsOfSquares[part] = (sumsOfSquares[part] as number) + level ** 2;
      levels.push(level);
    }
  }
  return { levels, saturated, sumsOfSquares };
}

/** The sum of `draws` samples for each of `count` values. */
export function oracleNoise(
  key: Uint8Array,
  count: number,
  thresholds: readonly bigint[],
  draws: number,
): number[] {
  const streams = sixteen(key, 0, 2 * draws * Math.ceil(count / 16));
  return Array.from({ length: count }, (_, i) => {
    const stream = streams[i % 16] as Uint32Array;
    let sum = 0;
    for (let draw = 0; draw < draws; draw += 1) {
      const c = Math.floor(i / 16) * draws + draw;
      const bits = BigInt(stream[2 * c] as number) + (BigInt(stream[2 * c + 1] as number) << 32n);
      const magnitude = thresholds.filter((threshold) => threshold <= bits % 2n ** 63n).length;
      sum += bits >> 63n === 1n ? -magnitude : magnitude;
    }
    return sum;
  });
}
