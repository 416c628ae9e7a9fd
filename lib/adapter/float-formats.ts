/**
 * Conversions between float32 and the two 16-bit formats that adapters are stored in: IEEE 754
 * binary16 ("F16") and bfloat16 ("BF16"), after IEEE 754-2019 sections 3.4 and 4.3.1.
 *
 * All of it works on bit patterns: a JavaScript number would lose the payload of a NaN.
 */

const FLOAT32_INFINITY = 0x7f80_0000;
const FLOAT16_INFINITY = 0x7c00;
const BFLOAT16_INFINITY = 0x7f80;

/** Widens one binary16 pattern to the float32 pattern of the same value; exact, NaN payloads included. */
export function float16ToFloat32Bits(half: number): number {
  const sign = (half & 0x8000) << 16;
  const exponent = (half >>> 10) & 0x1f;
  const mantissa = half & 0x3ff;
  if (exponent === 0x1f) return (sign | FLOAT32_INFINITY | (mantissa << 13)) >>> 0;
  if (exponent !== 0) return (sign | ((exponent + 112) << 23) | (mantissa << 13)) >>> 0;
  if (mantissa === 0) return sign >>> 0;
  // A subnormal is mantissa * 2^-24: moving its leading one to bit 10 costs one exponent step a place.
  const shift = Math.clz32(mantissa) - 21;
  return (sign | ((113 - shift) << 23) | (((mantissa << shift) & 0x3ff) << 13)) >>> 0;
}

/**
 * Narrows one float32 pattern to binary16, rounding half to even. Finite values from 65520 on give
 * the pattern of infinity; NaNs stay NaNs and keep the upper ten bits of their payload.
 */
export function float32ToFloat16Bits(bits: number): number {
  const sign = (bits >>> 16) & 0x8000;
  const magnitude = bits & 0x7fff_ffff;
  if (magnitude > FLOAT32_INFINITY) {
    const payload = (magnitude >>> 13) & 0x3ff;
    // A payload that lives in the lower bits alone would turn the NaN into an infinity.
    return sign | FLOAT16_INFINITY | (payload === 0 ? 0x200 : payload);
  }
  if (magnitude >= 0x4780_0000) return sign | FLOAT16_INFINITY; // 65536 and above
  if (magnitude >= 0x3880_0000) {
    // 2^-14 and above: normal. A carry out of the mantissa is the next exponent, as it should be.
    const rebased = magnitude - 0x3800_0000;
    return sign | ((rebased + 0xfff + ((rebased >>> 13) & 1)) >>> 13);
  }
  const exponent = magnitude >>> 23;
  // Below 2^-25, half of the smallest subnormal.
  if (exponent < 102) return sign;
  const significand = (magnitude & 0x7f_ffff) | 0x80_0000;
  const shift = 126 - exponent;
  const quotient = significand >>> shift;
  const remainder = significand & ((1 << shift) - 1);
  const half = 1 << (shift - 1);
  const up = remainder > half || (remainder === half && (quotient & 1) === 1);
  return sign | (up ? quotient + 1 : quotient);
}

/** Widens one bfloat16 pattern to the float32 pattern of the same value; exact. */
export function bfloat16ToFloat32Bits(brain: number): number {
  return (brain << 16) >>> 0;
}

/**
 * Narrows one float32 pattern to bfloat16, rounding half to even. Finite values that round past the
 * largest finite bfloat16 give the pattern of infinity; NaNs stay NaNs and keep their upper payload.
 */
export function float32ToBfloat16Bits(bits: number): number {
  if ((bits & 0x7fff_ffff) > FLOAT32_INFINITY) {
    const upper = bits >>> 16;
    return (upper & 0x7f) === 0 ? upper | 0x40 : upper;
  }
  return (bits + 0x7fff + ((bits >>> 16) & 1)) >>> 16;
}

function bitsOf(values: Float32Array): Uint32Array {
  return new Uint32Array(values.buffer, values.byteOffset, values.length);
}

/** Widens `source` (patterns of `format`) into `out[outOffset ...]`, which must have room for it. */
export function decodeHalves(
  format: 'F16' | 'BF16',
  source: Uint16Array,
  out: Float32Array,
  outOffset: number,
): void {
  const target = bitsOf(out);
  const widen = format === 'F16' ? float16ToFloat32Bits : bfloat16ToFloat32Bits;
  for (let i = 0; i < source.length; i++) target[outOffset + i] = widen(source[i] as number);
}

/**
 * Narrows `source` into patterns of `format` in `out` (at least as long as `source`), rounding half
 * to even.
 *
 * @returns the index of the first finite value that overflowed to infinity, or -1 if none did.
 */
export function encodeHalves(format: 'F16' | 'BF16', source: Float32Array, out: Uint16Array): number {
  const bits = bitsOf(source);
  const narrow = format === 'F16' ? float32ToFloat16Bits : float32ToBfloat16Bits;
  const infinity = format === 'F16' ? FLOAT16_INFINITY : BFLOAT16_INFINITY;
  let overflow = -1;
  for (let i = 0; i < bits.length; i++) {
    const from = bits[i] as number;
    const to = narrow(from);
    out[i] = to;
    if (overflow < 0 && (to & 0x7fff) === infinity && (from & 0x7fff_ffff) !== FLOAT32_INFINITY) overflow = i;
  }
  return overflow;
}
