import { expect } from 'chai';
import fc from 'fast-check';
import { TensorGuardError } from '../../lib/errors.js';
import { dequantizeMean, largestLevel, quantizeUniform, uniformScale } from '../../lib/pipeline/uniform.js';

const bits = fc.integer({ min: 2, max: 8 });
const clip = fc.double({ min: 1e-6, max: 1e6, noNaN: true });
const finite = fc.float({ noNaN: true, noDefaultInfinity: true });

function quantize(
  values: readonly number[],
  scale: number,
  width: number,
): { levels: number[]; saturated: number } {
  const out = new Int32Array(values.length);
  const { saturated } = quantizeUniform(Float32Array.from(values), scale, width, out, 0);
  return { levels: [...out], saturated };
}

function codeOf(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    if (error instanceof TensorGuardError) return error.code;
    throw error;
  }
  return 'nothing refused';
}

/** round(value / scale), half to even, in exact rational arithmetic on the bits of both numbers. */
function exactRatio(value: number, scale: number): { numerator: bigint; denominator: bigint } {
  const parts = (x: number): [bigint, number] => {
    let exponent = 0;
    let mantissa = Math.abs(x);
    while (!Number.isInteger(mantissa)) {
      mantissa *= 2;
      exponent--;
    }
    return [BigInt(mantissa), exponent];
  };
  const [a, e] = parts(value);
  const [b, f] = parts(scale);
  return e >= f
    ? { numerator: a << BigInt(e - f), denominator: b }
    : { numerator: a, denominator: b << BigInt(f - e) };
}

describe('uniform quantization', () => {
  it('rounds to a nearest level, by exact arithmetic', () => {
    fc.assert(
      fc.property(
        fc.float({ min: -4, max: 4, noNaN: true }),
        fc.double({ min: 0.01, max: 1, noNaN: true }),
        (value, scale) => {
          const level = quantize([value], scale, 8).levels[0] as number;
          fc.pre(Math.abs(level) < 127);
          const { numerator, denominator } = exactRatio(value, scale);
          const distance = numerator - BigInt(Math.abs(level)) * denominator;
          // One part in 2^52 of slack: the quotient itself is rounded to a double.
          const twice = 2n * (distance < 0n ? -distance : distance);
          expect(twice <= denominator + (denominator >> 40n)).to.equal(true);
          if (level !== 0) expect(Math.sign(level)).to.equal(Math.sign(value));
        },
      ),
    );
  });

  it('rounds halves to even, on both sides of zero', () => {
    const { levels } = quantize([0.5, 1.5, 2.5, 3.5, -0.5, -1.5, -2.5, -3.5, 0.49999997, -0.49999997], 1, 8);
    expect(levels).to.deep.equal([0, 2, 2, 4, 0, -2, -2, -4, 0, 0]);
  });

  it('has zero as a level, and treats both signs alike', () => {
    fc.assert(
      fc.property(fc.array(finite), clip, bits, (values, bound, width) => {
        const scale = uniformScale(bound, width);
        const { levels, saturated } = quantize(values, scale, width);
        const mirrored = quantize(
          values.map((value) => -value),
          scale,
          width,
        );
        expect(mirrored.levels).to.deep.equal(levels.map((level) => (level === 0 ? 0 : -level)));
        expect(mirrored.saturated).to.equal(saturated);
        expect(quantize([0, -0], scale, width).levels).to.deep.equal([0, 0]);
      }),
    );
  });

  it('stays within the levels, and counts exactly what it clamps', () => {
    fc.assert(
      fc.property(fc.array(finite), clip, bits, (values, bound, width) => {
        const scale = uniformScale(bound, width);
        const limit = largestLevel(width);
        const { levels, saturated } = quantize(values, scale, width);
        for (const level of levels) expect(Math.abs(level)).to.be.at.most(limit);
        const beyond = values.filter((value) => Math.abs(Math.fround(value)) / scale > limit + 0.5);
        // A value at exactly limit + 1/2 rounds to even, which is up (limit is odd).
        const at = values.filter((value) => Math.abs(Math.fround(value)) / scale === limit + 0.5);
        expect(saturated).to.equal(beyond.length + at.length);
      }),
    );
  });

  it('errs by at most half a level within the clip bound, and clamps nothing there', () => {
    fc.assert(
      fc.property(
        fc.array(fc.double({ min: -1, max: 1, noNaN: true })),
        clip,
        bits,
        (fractions, bound, width) => {
          const scale = uniformScale(bound, width);
          const values = [...fractions, 1, -1].map((fraction) => Math.fround(fraction * bound));
          const { levels, saturated } = quantize(values, scale, width);
          expect(saturated).to.equal(0);
          for (const [i, level] of levels.entries()) {
            expect(Math.abs(level * scale - (values[i] as number))).to.be.at.most(scale * (0.5 + 1e-9));
          }
        },
      ),
    );
  });

  it('writes from the offset on and nowhere else', () => {
    const out = new Int32Array(5).fill(99);
    quantizeUniform(Float32Array.of(1, -1), 1, 8, out, 2);
    expect([...out]).to.deep.equal([99, 99, 1, -1, 99]);
  });

  it('clamps the largest floats at the smallest scale', () => {
    expect(quantize([3.4e38, -3.4e38], 5e-324, 8)).to.deep.equal({ levels: [127, -127], saturated: 2 });
    expect(quantize([3.4e38, -3.4e38], 1e20, 2)).to.deep.equal({ levels: [1, -1], saturated: 2 });
  });

  it('refuses NaN and infinities, naming the index', () => {
    for (const bad of [NaN, Infinity, -Infinity]) {
      const run = () => quantize([0, bad], 1, 8);
      expect(codeOf(run)).to.equal('pipeline.non-finite');
      expect(run).to.throw('Value 1');
    }
  });

  it('refuses bits, scales, clip bounds and arrays that do not fit', () => {
    const values = new Float32Array(3);
    for (const width of [0, 1, 9, 2.5, NaN]) {
      expect(codeOf(() => quantizeUniform(values, 1, width, new Int32Array(3), 0))).to.equal('pipeline.bits');
    }
    for (const scale of [0, -1, NaN, Infinity]) {
      expect(codeOf(() => quantizeUniform(values, scale, 8, new Int32Array(3), 0))).to.equal(
        'pipeline.scale',
      );
      expect(codeOf(() => uniformScale(scale, 8))).to.equal('pipeline.clip');
    }
    expect(codeOf(() => uniformScale(5e-324, 8))).to.equal('pipeline.clip');
    for (const [length, offset] of [
      [2, 0],
      [3, 1],
      [4, -1],
      [4, 0.5],
      [4, NaN],
    ] as const) {
      const out = new Int32Array(length);
      expect(codeOf(() => quantizeUniform(values, 1, 8, out, offset))).to.equal('pipeline.out-length');
    }
  });
});

describe('the mean from a sum of levels', () => {
  it('is within half a level of the mean of the values, whatever the number of robots', () => {
    const robots = fc.array(
      fc.array(fc.double({ min: -1, max: 1, noNaN: true }), { minLength: 4, maxLength: 4 }),
      {
        minLength: 1,
        maxLength: 40,
      },
    );
    fc.assert(
      fc.property(robots, clip, bits, (fractions, bound, width) => {
        const scale = uniformScale(bound, width);
        const sums = new Int32Array(6);
        const means = [0, 0, 0, 0];
        for (const robot of fractions) {
          const values = Float32Array.from(robot, (fraction) => fraction * bound);
          const levels = new Int32Array(4);
          quantizeUniform(values, scale, width, levels, 0);
          for (let i = 0; i < 4; i++) {
            sums[1 + i] = (sums[1 + i] as number) + (levels[i] as number);
            means[i] = (means[i] as number) + (values[i] as number) / fractions.length;
          }
        }
        const out = new Float32Array(4);
        dequantizeMean(sums, 1, 4, scale, fractions.length, out);
        for (const [i, mean] of out.entries()) {
          expect(Math.abs(mean - (means[i] as number))).to.be.at.most(scale * 0.5 + bound * 1e-6);
        }
      }),
    );
  });

  it('gives every level back to the same level', () => {
    fc.assert(
      fc.property(clip, bits, (bound, width) => {
        const scale = uniformScale(bound, width);
        const limit = largestLevel(width);
        const levels = Int32Array.from({ length: 2 * limit + 1 }, (_, i) => i - limit);
        const values = new Float32Array(levels.length);
        dequantizeMean(levels, 0, levels.length, scale, 1, values);
        expect(quantize([...values], scale, width)).to.deep.equal({ levels: [...levels], saturated: 0 });
      }),
    );
  });

  it('refuses no contributors, bad scales and arrays that do not fit', () => {
    const sums = new Int32Array(4);
    const run = (offset: number, count: number, scale: number, contributors: number, length: number) =>
      codeOf(() => dequantizeMean(sums, offset, count, scale, contributors, new Float32Array(length)));
    for (const contributors of [0, -1, 1.5, NaN])
      expect(run(0, 4, 1, contributors, 4)).to.equal('pipeline.contributors');
    expect(run(0, 4, 0, 1, 4)).to.equal('pipeline.scale');
    expect(run(1, 4, 1, 1, 4)).to.equal('pipeline.out-length');
    expect(run(-1, 4, 1, 1, 4)).to.equal('pipeline.out-length');
    expect(run(0, 4, 1, 1, 3)).to.equal('pipeline.out-length');
    expect(run(0, 4, 1, 1, 5)).to.equal('pipeline.out-length');
    expect(run(4, 0, 1, 1, 0)).to.equal('nothing refused');
  });
});
