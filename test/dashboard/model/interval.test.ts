import { expect } from 'chai';
import fc from 'fast-check';
import { intervalPlaces } from '../../../lib/dashboard/model/interval.js';

describe('an interval and its bound on one scale', () => {
  it('lie on it, in their order', () => {
    const value = fc.double({ min: -1e6, max: 1e6, noNaN: true });
    fc.assert(
      fc.property(value, value, value, value, (a, b, estimate, bound) => {
        const [lower, upper] = [Math.min(a, b), Math.max(a, b)];
        const places = intervalPlaces({ lower, upper, estimate, bound });
        for (const place of Object.values(places)) expect(place).to.be.within(0, 1);
        expect(places.start).to.be.at.most(places.end);
        if (bound > upper) expect(places.bound).to.be.at.least(places.end);
        if (bound < lower) expect(places.bound).to.be.at.most(places.start);
      }),
    );
  });

  it('have a place where all of them are one number', () => {
    expect(intervalPlaces({ lower: 0, upper: 0, bound: 0 }).start).to.be.within(0, 1);
    expect(intervalPlaces({ lower: 1, upper: 1 })).to.include({ estimate: undefined, bound: undefined });
  });
});
