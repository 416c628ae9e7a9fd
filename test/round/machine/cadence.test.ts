/** When the next round may open. */
import { expect } from 'chai';
import { nextRoundAtMs } from '../../../lib/round/machine/cadence.js';
import { expectRefusal } from '../../support/refusals.js';

describe('the cadence of rounds', () => {
  it('is one interval from opening to opening', () => {
    expect(nextRoundAtMs(5_000, 600)).to.equal(605_000);
    expect(nextRoundAtMs(5_000, 86_400)).to.equal(86_405_000);
  });

  it('refuses intervals that no envelope has', async () => {
    for (const seconds of [599, 86_401, 600.5, Number.NaN]) {
      await expectRefusal('round.bad-interval', () => nextRoundAtMs(0, seconds));
    }
  });
});
