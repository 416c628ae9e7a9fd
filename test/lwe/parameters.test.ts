import { expect } from 'chai';
import { PARAMETER_SET_NAMES, parameterSet } from '../../lib/lwe/parameters.js';
import { RINGS } from '../support/oracle/ring.js';
import { smallCoefficient } from '../support/oracle/streams.js';

function isPrime(x: number): boolean {
  for (let divisor = 2; divisor * divisor <= x; divisor += 1) if (x % divisor === 0) return false;
  return x > 1;
}

describe('the parameter sets', () => {
  for (const name of PARAMETER_SET_NAMES) {
    it(`${name} has a prime modulus with a primitive 2n-th root of unity`, () => {
      const { n, q } = parameterSet(name);
      expect(isPrime(q)).to.equal(true);
      expect(q % (2 * n)).to.equal(1);
    });

    it(`${name} is what the protocol says`, () => {
      const set = parameterSet(name);
      const ring = RINGS.find((candidate) => candidate.name === name);
      expect(set).to.include({ ...ring });
      expect(2 ** (set.modulusBits - 1) < set.q && set.q < 2 ** set.modulusBits).to.equal(true);
      expect(set.maxWireBits).to.equal(Math.floor(Math.log2(set.q)) - 1);
    });

    it(`${name} states the bound and the variance of its small distribution`, () => {
      const all = Array.from({ length: 65536 }, (_, bits) => smallCoefficient(bits));
      const variance = all.reduce((sum, x) => sum + x * x, 0) / all.length;
      const { errorVariance, errorStandardDeviation, errorBound } = parameterSet(name);
      expect(all.reduce((sum, x) => sum + x, 0)).to.equal(0);
      expect(errorVariance).to.equal(variance);
      expect(errorStandardDeviation).to.be.closeTo(Math.sqrt(variance), 1e-15);
      expect(Math.max(...all.map(Math.abs))).to.equal(errorBound);
    });

    it(`${name} cannot be altered`, () => {
      expect(Object.isFrozen(parameterSet(name))).to.equal(true);
    });
  }
});
