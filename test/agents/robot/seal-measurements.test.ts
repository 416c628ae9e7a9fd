import { expect } from 'chai';
import { residualNormOf } from '../../../lib/agents/robot/seal-measurements.js';
import { residualShape } from '../../../lib/round/residuals.js';
import { TestRound } from '../../round/support/round.js';
import { temporaryDirectory } from '../../support/temporary-directory.js';

/** A quarter is sent: a round loses most of a delta. */
const LOSSY = { bits: 4, keepRatio: 0.25, rotation: false };

describe('what a robot reports of its residual', function () {
  this.timeout(60_000);

  async function roundThatLost(policy: Record<string, unknown>): Promise<TestRound> {
    const round = await TestRound.start(await temporaryDirectory(), { policy });
    const { aggregate } = await round.finish(await round.sealAll());
    expect(await round.close([1, 2, 3], aggregate)).to.equal('opened');
    return round;
  }

  it('is 0 before anything was lost, and then its norm to two binary digits', async () => {
    const round = await roundThatLost({ training: LOSSY });
    const { body } = round.plan;
    const { policy, schemaKey } = residualShape(body);
    await round.asClient(1, async ({ residuals }) => {
      const exact = (await residuals?.norm(policy, schemaKey)) ?? Number.NaN;
      expect(exact).to.be.greaterThan(0);
      const told = (await residualNormOf(residuals, body)) ?? Number.NaN;
      const mantissa = told / 2 ** Math.floor(Math.log2(told));
      expect(mantissa).to.be.oneOf([1, 1.5]);
      expect(Math.abs(told / exact - 1)).to.be.at.most(0.2501);
      expect(await residualNormOf(residuals, { ...body, policy: 'another' })).to.equal(0);
    });
  });

  it('is nothing where none is kept, or where the round is private', async () => {
    const round = await roundThatLost({ training: LOSSY });
    expect(await residualNormOf(undefined, round.plan.body)).to.equal(undefined);
    const privacy = { mechanism: 'skellam', epsilon: 50, noiseMultiplier: 1 };
    const secret = await TestRound.start(await temporaryDirectory(), {
      policy: { privacy, training: { bits: 8 } },
    });
    expect(secret.plan.body.privacy).to.not.equal(undefined);
    await secret.asClient(1, async ({ residuals }) => {
      expect(residuals).to.not.equal(undefined);
      expect(await residualNormOf(residuals, secret.plan.body)).to.equal(undefined);
    });
  });
});
