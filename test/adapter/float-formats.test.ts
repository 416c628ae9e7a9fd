import { expect } from 'chai';
import fc from 'fast-check';
import {
  bfloat16ToFloat32Bits,
  decodeHalves,
  encodeHalves,
  float16ToFloat32Bits,
  float32ToBfloat16Bits,
  float32ToFloat16Bits,
} from '../../lib/adapter/float-formats.js';

const view = new DataView(new ArrayBuffer(4));

function singleOf(bits: number): number {
  view.setUint32(0, bits);
  return view.getFloat32(0);
}

function patternOf(value: number): number {
  view.setFloat32(0, value);
  return view.getUint32(0);
}

interface Format {
  readonly name: 'F16' | 'BF16';
  readonly widen: (half: number) => number;
  readonly narrow: (bits: number) => number;
  readonly exponentBits: number;
  readonly mantissaBits: number;
  /** The pattern of positive infinity. */
  readonly infinity: number;
}

const FORMATS: readonly Format[] = [
  {
    name: 'F16',
    widen: float16ToFloat32Bits,
    narrow: float32ToFloat16Bits,
    exponentBits: 5,
    mantissaBits: 10,
    infinity: 0x7c00,
  },
  {
    name: 'BF16',
    widen: bfloat16ToFloat32Bits,
    narrow: float32ToBfloat16Bits,
    exponentBits: 8,
    mantissaBits: 7,
    infinity: 0x7f80,
  },
];

/** The value of a finite pattern by the definition of the format, in double arithmetic. */
function definedValue(format: Format, pattern: number): number {
  const sign = pattern & 0x8000 ? -1 : 1;
  const exponent = (pattern >>> format.mantissaBits) & (2 ** format.exponentBits - 1);
  const mantissa = pattern & (2 ** format.mantissaBits - 1);
  const bias = 2 ** (format.exponentBits - 1) - 1;
  const significand = exponent === 0 ? mantissa : mantissa + 2 ** format.mantissaBits;
  return sign * significand * 2 ** (Math.max(exponent, 1) - bias - format.mantissaBits);
}

/** All non-negative finite values of a format, ascending: value i has pattern i. */
function ladder(format: Format): Float64Array {
  return Float64Array.from({ length: format.infinity }, (_, pattern) => definedValue(format, pattern));
}

/** The pattern nearest to a finite value, ties to the even pattern, found by search on the ladder. */
function nearestPattern(steps: Float64Array, value: number): number {
  const sign = value < 0 || Object.is(value, -0) ? 0x8000 : 0;
  const magnitude = Math.abs(value);
  let low = 0;
  let high = steps.length;
  while (high - low > 1) {
    const middle = (low + high) >>> 1;
    if ((steps[middle] as number) <= magnitude) low = middle;
    else high = middle;
  }
  const below = steps[low] as number;
  // Past the largest finite value, the next step of the same width is where infinity begins.
  const above = high < steps.length ? (steps[high] as number) : 2 * below - (steps[low - 1] as number);
  const down = magnitude - below;
  const up = above - magnitude;
  if (down < up) return sign | low;
  if (up < down) return sign | high;
  return sign | (low % 2 === 0 ? low : high);
}

for (const format of FORMATS) {
  describe(`${format.name} conversion`, () => {
    const steps = ladder(format);

    it('widens each of the 65,536 patterns to the value that the format defines', () => {
      for (let pattern = 0; pattern < 65536; pattern++) {
        const widened = singleOf(format.widen(pattern));
        const magnitude = pattern & 0x7fff;
        if (magnitude > format.infinity) {
          if (!Number.isNaN(widened))
            throw new Error(`0x${pattern.toString(16)} should be NaN, is ${widened}`);
        } else {
          const expected =
            magnitude === format.infinity
              ? pattern & 0x8000
                ? -Infinity
                : Infinity
              : definedValue(format, pattern);
          if (!Object.is(widened, expected)) {
            throw new Error(`0x${pattern.toString(16)} should be ${expected}, is ${widened}`);
          }
        }
      }
    });

    it('narrows each of the 65,536 widened patterns back to itself, NaN payloads included', () => {
      for (let pattern = 0; pattern < 65536; pattern++) {
        const back = format.narrow(format.widen(pattern));
        if (back !== pattern)
          throw new Error(`0x${pattern.toString(16)} came back as 0x${back.toString(16)}`);
      }
    });

    it('rounds every midpoint between neighbours to the even one, and its float32 neighbours to the nearer', () => {
      for (let pattern = 0; pattern < format.infinity; pattern++) {
        const next = pattern + 1;
        const above = next < format.infinity ? (steps[next] as number) : undefined;
        const below = steps[pattern] as number;
        const midpoint =
          above === undefined ? below + (below - (steps[pattern - 1] as number)) / 2 : (below + above) / 2;
        const bits = patternOf(midpoint);
        expect(singleOf(bits)).to.equal(midpoint);
        const even = pattern % 2 === 0 ? pattern : next;
        const found = [format.narrow(bits - 1), format.narrow(bits), format.narrow(bits + 1)];
        const negative = format.narrow(bits + 0x8000_0000);
        if (found[0] !== pattern || found[1] !== even || found[2] !== next || negative !== (even | 0x8000)) {
          throw new Error(
            `around ${midpoint}: ${found.join(', ')} and ${negative}, between ${pattern} and ${next}`,
          );
        }
      }
    });

    it('rounds any finite float32 to the nearest value, ties to even', () => {
      fc.assert(
        fc.property(fc.integer({ min: 0, max: 0xffff_ffff }), (bits) => {
          const value = singleOf(bits);
          fc.pre(Number.isFinite(value));
          expect(format.narrow(bits)).to.equal(nearestPattern(steps, value));
        }),
        { numRuns: 20000 },
      );
    });

    it('keeps a NaN a NaN whatever its payload, and its sign', () => {
      for (const bits of [0x7f80_0001, 0xff80_0001, 0x7fc0_0000, 0x7fff_ffff, 0xffff_ffff, 0x7f80_1fff]) {
        const pattern = format.narrow(bits);
        expect(pattern & 0x7fff).to.be.greaterThan(format.infinity);
        expect(pattern >>> 15).to.equal(bits >>> 31);
      }
    });

    it('reports the first finite value that overflows, and no infinity that was one before', () => {
      const largest = steps[steps.length - 1] as number;
      const out = new Uint16Array(4);
      expect(encodeHalves(format.name, Float32Array.of(Infinity, -Infinity, NaN, largest), out)).to.equal(-1);
      expect([...out.subarray(0, 2)]).to.deep.equal([format.infinity, format.infinity | 0x8000]);
      const tooLarge = -3.4028234663852886e38;
      expect(encodeHalves(format.name, Float32Array.of(Infinity, 1, tooLarge, tooLarge), out)).to.equal(2);
    });

    it('widens into the middle of an array and leaves the rest alone', () => {
      const out = new Float32Array(new ArrayBuffer(32), 4, 5).fill(7);
      decodeHalves(
        format.name,
        Uint16Array.of(format.narrow(patternOf(1.5)), format.narrow(patternOf(-2))),
        out,
        2,
      );
      expect([...out]).to.deep.equal([7, 7, 1.5, -2, 7]);
    });
  });
}
