import { expect } from 'chai';
import { addNoise } from '../../lib/pipeline/noise.js';
import { seededBytes, seededValues } from '../support/oracle/seeded.js';
import { expectRefusal } from '../support/refusals.js';

/** Half of the magnitudes are 0, a quarter 1, the rest 2. */
const thresholds = BigUint64Array.of(2n ** 62n, 3n * 2n ** 61n);

function request(count: number) {
  return {
    parameterSet: 'lwe-192',
    planFingerprint: seededBytes(1, 'fingerprint'),
    prfKey: seededBytes(1, 'prf key'),
    levels: seededValues(1, 'levels', count, 100),
    thresholds,
    draws: 1,
  } as const;
}

describe('integer noise', () => {
  it('adds what the table gives, with its mean and variance', async () => {
    const job = request(20_000);
    const before = job.levels.slice();
    await addNoise(job);
    const noise = job.levels.map((level, i) => level - (before[i] as number));
    const mean = noise.reduce((a, b) => a + b) / noise.length;
    const variance = noise.reduce((sum, x) => sum + x * x, 0) / noise.length;
    expect(noise.every((x) => Math.abs(x) <= 2)).to.equal(true);
    // The variance is 1/4 + 4/4, the fourth moment 1/4 + 16/4: seven standard errors.
    expect(Math.abs(mean)).to.be.below(7 * Math.sqrt(1.25 / 20_000));
    expect(variance).to.be.closeTo(1.25, 7 * Math.sqrt((4.25 - 1.25 ** 2) / 20_000));
  });

  it('draws anew in every call', async () => {
    const [one, other] = [request(1000), request(1000)];
    await addNoise(one);
    await addNoise(other);
    expect(one.levels).to.not.deep.equal(other.levels);
  });

  it('adds nothing where every threshold lies above what can be drawn with any likelihood', async () => {
    const job = { ...request(500), thresholds: BigUint64Array.of(2n ** 63n - 1n), draws: 3 };
    await addNoise(job);
    expect(job.levels).to.deep.equal(request(500).levels);
  });

  it('refuses tables and draws that do not fit, by name', async () => {
    const good = request(10);
    const cases: [string, object][] = [
      ['pipeline.value-count', { levels: new Int32Array(0) }],
      ['pipeline.thresholds', { thresholds: new BigUint64Array(0) }],
      ['pipeline.thresholds', { thresholds: new BigUint64Array(2 ** 16 + 1) }],
      ['pipeline.thresholds', { thresholds: BigUint64Array.of(5n, 4n) }],
      ['pipeline.thresholds', { thresholds: BigUint64Array.of(2n ** 63n) }],
      ['pipeline.draws', { draws: 0 }],
      ['pipeline.draws', { draws: 1.5 }],
      ['pipeline.draws', { draws: 2 ** 16 }],
      ['pipeline.draws', { thresholds: new BigUint64Array(2 ** 15), draws: 2 ** 15 }],
      ['pipeline.plan-fingerprint', { planFingerprint: new Uint8Array(33) }],
      ['stream.wrong-length', { prfKey: new Uint8Array(0) }],
    ];
    for (const [code, wrong] of cases) await expectRefusal(code, () => addNoise({ ...good, ...wrong }));
  });
});
