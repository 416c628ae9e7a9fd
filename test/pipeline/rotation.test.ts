import { expect } from 'chai';
import fc from 'fast-check';
import { sampleKey, signKey } from '../../lib/lwe/streams.js';
import { blockSizes, placeAndRotateBack, rotateAndSample } from '../../lib/pipeline/rotation.js';
import { oraclePositions, oracleRotate } from '../native/support/pipeline-oracle.js';
import { LWE_192 } from '../support/oracle/ring.js';
import { seededBytes, seededValues } from '../support/oracle/seeded.js';
import { deriveKey } from '../support/oracle/streams.js';
import { expectRefusal } from '../support/refusals.js';

const seed = seededBytes(1, 'plan seed');
const fingerprint = seededBytes(1, 'fingerprint');
const rotation = {
  blockLog2: 10,
  signKey: signKey(seed, 'lwe-192', fingerprint),
  sampleKey: sampleKey(seed, 'lwe-192', fingerprint),
  tensorIndex: 2,
};

function floats(count: number): Float32Array {
  return Float32Array.from(seededValues(3, 'floats', count, 1 << 20), (x) => x / (1 << 22));
}

describe('rotation', () => {
  it('divides a tensor into whole blocks and the binary digits of the rest', () => {
    expect(blockSizes(11, 2)).to.deep.equal([4, 4, 2, 1]);
    expect(blockSizes(3, 4)).to.deep.equal([2, 1]);
    expect(blockSizes(3, 0)).to.deep.equal([1, 1, 1]);
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 200_000 }), fc.integer({ min: 4, max: 16 }), (n, log2) => {
        const sizes = blockSizes(n, log2);
        const whole = Math.floor(n / 2 ** log2);
        const rest = sizes.slice(whole);
        expect(sizes.reduce((a, b) => a + b)).to.equal(n);
        expect(sizes.slice(0, whole).every((size) => size === 2 ** log2)).to.equal(true);
        expect(
          rest.every((size, i) => Number.isInteger(Math.log2(size)) && size < (rest[i - 1] ?? 2 ** log2)),
        );
      }),
    );
  });

  it("derives its public keys from the plan's seed under purposes of their own", () => {
    expect(Buffer.from(rotation.signKey)).to.deep.equal(
      deriveKey(seed, 'hadamard signs', LWE_192, fingerprint),
    );
    expect(Buffer.from(rotation.sampleKey)).to.deep.equal(deriveKey(seed, 'subsample', LWE_192, fingerprint));
  });

  it('sends the coordinates that the streams pick, and tells their energy', async () => {
    const values = floats(5000);
    const rotated = oracleRotate(values, rotation.signKey, 2, 10);
    const expected = oraclePositions(rotation.sampleKey, 2, 5000, 1234).map((i) => rotated[i] as number);
    const kept = new Float32Array(1234);
    const { sumOfSquares } = await rotateAndSample({ ...rotation, values, kept });
    expect(values).to.deep.equal(rotated);
    expect([...kept]).to.deep.equal(expected);
    expect(sumOfSquares).to.be.closeTo(
      expected.reduce((sum, x) => sum + x * x, 0),
      1e-9,
    );
  });

  it('keeps the norm, and spreads a single value over its block', async () => {
    const values = new Float32Array(1024);
    values[77] = 3;
    const kept = new Float32Array(1024);
    const { sumOfSquares } = await rotateAndSample({ ...rotation, values, kept });
    expect(sumOfSquares).to.be.closeTo(9, 1e-6);
    expect(kept.every((x) => Math.abs(Math.abs(x) - 3 / 32) < 1e-7)).to.equal(true);
  });

  it('comes back to the values, to within a level', async () => {
    const values = floats(3000);
    const original = values.slice();
    await rotateAndSample({ ...rotation, values, kept: values });
    const scale = 2 ** -16;
    const levels = Int32Array.from(values, (x) => Math.round(x / scale));
    const back = new Float32Array(3000);
    await placeAndRotateBack({ ...rotation, levels, scale, values: back });
    // Errors of half a level at most, added up over a block of 1024 and divided by 32.
    for (const [i, x] of back.entries()) expect(x).to.be.closeTo(original[i] as number, 16 * scale + 1e-6);
  });

  it('refuses shapes that do not fit, by name', async () => {
    const values = floats(8);
    const kept = new Float32Array(8);
    const levels = new Int32Array(4);
    const cases: [string, () => Promise<unknown>][] = [
      ['pipeline.value-count', () => rotateAndSample({ ...rotation, values: values.subarray(0, 0), kept })],
      ['pipeline.kept-count', () => rotateAndSample({ ...rotation, values, kept: new Float32Array(9) })],
      ['pipeline.kept-count', () => rotateAndSample({ ...rotation, values, kept: new Float32Array(0) })],
      ['pipeline.block-size', () => rotateAndSample({ ...rotation, values, kept, blockLog2: 17 })],
      ['pipeline.tensor-index', () => rotateAndSample({ ...rotation, values, kept, tensorIndex: 2 ** 28 })],
      [
        'pipeline.stream-key',
        () => rotateAndSample({ ...rotation, values, kept, signKey: new Uint8Array(16) }),
      ],
      ['pipeline.shared-memory', () => rotateAndSample({ ...rotation, values, kept: values.subarray(1, 4) })],
      ['pipeline.scale', () => placeAndRotateBack({ ...rotation, levels, scale: 1e39, values })],
      [
        'pipeline.shared-memory',
        () => placeAndRotateBack({ ...rotation, levels: new Int32Array(values.buffer), scale: 1, values }),
      ],
    ];
    for (const [code, action] of cases) await expectRefusal(code, action);
    await expectRefusal('pipeline.value-count', () => blockSizes(0, 3));
    await expectRefusal('pipeline.value-count', () => blockSizes(1.5, 3));
    await expectRefusal('pipeline.block-size', () => blockSizes(4, -1));
  });
});
