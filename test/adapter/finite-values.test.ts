import { expect } from 'chai';
import { firstNonFinite } from '../../lib/adapter/finite-values.js';

describe('the search for non-finite values', () => {
  it('finds the first NaN or infinity, and none among the largest and smallest finite values', () => {
    const finite = [0, -0, 1e-45, 3.4028234663852886e38, -3.4028234663852886e38];
    expect(firstNonFinite(Float32Array.from(finite))).to.equal(-1);
    expect(firstNonFinite(new Float32Array(0))).to.equal(-1);
    for (const bad of [NaN, Infinity, -Infinity]) {
      expect(firstNonFinite(Float32Array.from([...finite, bad, NaN]))).to.equal(finite.length);
    }
  });
});
