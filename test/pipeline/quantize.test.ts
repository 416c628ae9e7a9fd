import { expect } from 'chai';
import { quantize } from '../../lib/pipeline/quantize.js';
import { seededBytes, seededValues } from '../support/oracle/seeded.js';
import { expectRefusal } from '../support/refusals.js';

const hedge = {
  parameterSet: 'lwe-192',
  planFingerprint: seededBytes(1, 'fingerprint'),
  prfKey: seededBytes(1, 'prf key'),
} as const;

function request(count: number) {
  const values = Float32Array.from(seededValues(1, 'values', count, 1000), (x) => x / 100);
  return {
    ...hedge,
    values,
    counts: Uint32Array.of(3, count - 3),
    factors: Float32Array.of(2, 1.5),
    limits: Uint32Array.of(10, 12),
    levels: new Int32Array(count),
  };
}

describe('stochastic quantization', () => {
  it('rounds to one of the two neighbouring levels, within the limits, and counts what it clamped', async () => {
    const job = request(10_000);
    const { saturated, sumsOfSquares } = await quantize(job);
    const clamped = [0, 0];
    const squares = [0, 0];
    for (const [i, level] of job.levels.entries()) {
      const part = i < 3 ? 0 : 1;
      const limit = job.limits[part] as number;
      const y = Math.fround((job.values[i] as number) * (job.factors[part] as number));
      const low = Math.max(-limit, Math.min(limit, Math.floor(y)));
      const high = Math.max(-limit, Math.min(limit, Math.ceil(y)));
      expect(level).to.be.within(low, high);
      squares[part] = (squares[part] as number) + level ** 2;
      // Within one level of the limit, chance decides whether a level is clamped.
      if (Math.floor(y) > limit || Math.ceil(y) < -limit) clamped[part] = (clamped[part] as number) + 1;
    }
    expect(sumsOfSquares).to.deep.equal(squares);
    for (const part of [0, 1]) expect(saturated[part]).to.be.at.least(clamped[part] as number);
    expect(saturated[1])
      .to.be.above(0)
      .and.below(10_000 / 2);
  });

  it('draws anew in every call, and leaves the values alone', async () => {
    const [one, other] = [request(1000), request(1000)];
    await quantize(one);
    await quantize(other);
    expect(one.levels).to.not.deep.equal(other.levels);
    expect(one.values).to.deep.equal(request(1000).values);
  });

  it('gives zero for a factor of zero', async () => {
    const job = { ...request(600), factors: Float32Array.of(0, 0) };
    expect(await quantize(job)).to.deep.equal({ saturated: [0, 0], sumsOfSquares: [0, 0] });
    expect(job.levels.every((level) => level === 0)).to.equal(true);
  });

  it('refuses parts that do not fit, by name', async () => {
    const good = request(10);
    const cases: [string, Partial<ReturnType<typeof request>>][] = [
      ['pipeline.value-count', { values: new Float32Array(0) }],
      ['pipeline.parts', { counts: Uint32Array.of(3, 8) }],
      ['pipeline.parts', { counts: Uint32Array.of(10) }],
      ['pipeline.parts', { limits: Uint32Array.of(1, 2, 3) }],
      ['pipeline.limit', { limits: Uint32Array.of(1, 0) }],
      ['pipeline.limit', { limits: Uint32Array.of(1, 2 ** 20 + 1) }],
      ['pipeline.factor', { factors: Float32Array.of(1, Number.NaN) }],
      ['pipeline.factor', { factors: Float32Array.of(1, Number.POSITIVE_INFINITY) }],
      ['pipeline.out-length', { levels: new Int32Array(9) }],
      ['pipeline.plan-fingerprint', { planFingerprint: new Uint8Array(31) as typeof good.planFingerprint }],
      ['stream.wrong-length', { prfKey: new Uint8Array(31) as typeof good.prfKey }],
    ];
    for (const [code, wrong] of cases) await expectRefusal(code, () => quantize({ ...good, ...wrong }));
  });
});
