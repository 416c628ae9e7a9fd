import { expect } from 'chai';
import { z } from 'zod';
import {
  type RoundStatus,
  roundStatusSchema,
  roundSummarySchema,
} from '../../lib/server/rounds/round-status.js';
import { ServedTestFleet, smallPolicy } from './support/served-fleet.js';

type Action = 'ignore' | 'flag' | 'refuse';

/** What robots say of their gradients: the last one's trainer is broken. */
const NORMS = [1, 1.5, 2, 2.5, 9];
const BROKEN = NORMS.length;

async function summedRound(action: Action, norms: readonly number[] = NORMS): Promise<RoundStatus> {
  const fleet = await ServedTestFleet.create(norms.length);
  const policy = smallPolicy();
  await fleet.start({ policy: { ...policy, safety: { ...policy.safety, reportedOutliers: action } } });
  try {
    const planned = await fleet.plan(1, { deadlineMs: 60_000 });
    const { plan } = planned;
    const owner = await fleet.api('owner');
    await owner.putBytes(`/v1/rounds/${plan}/plan`, planned.bytes, 'named-by-path', roundStatusSchema);
    for (const [i, gradientNormMax] of norms.entries()) {
      const { path, update } = await fleet.seal(i + 1, planned.path, 1, { gradientNormMax });
      const api = await fleet.api(`client-${i + 1}`);
      await api.putFile(`/v1/rounds/${plan}/updates/${update}`, path, z.unknown());
    }
    for (const end = Date.now() + 30_000; ; await new Promise((resolve) => setTimeout(resolve, 50))) {
      const status = await owner.getJson(`/v1/rounds/${plan}`, roundStatusSchema);
      if (['awaiting-answers', 'failed'].includes(status.phase)) {
        const { rounds } = await owner.getJson(
          '/v1/rounds',
          z.object({ rounds: z.array(roundSummarySchema) }),
        );
        expect(rounds[0]?.outliers).to.equal(action === 'ignore' ? undefined : 1);
        return status;
      }
      if (Date.now() > end) throw new Error(`the round is ${status.phase}`);
    }
  } finally {
    await fleet.stop();
  }
}

function flagged({ received }: RoundStatus): (string | undefined)[][] {
  return received.flatMap(({ client, outlier }) => (outlier === undefined ? [] : [[client, outlier.test]]));
}

describe('updates that report far more than the others of their round', function () {
  this.timeout(120_000);

  const broken = [[`client-0${BROKEN}`, 'reported-gradient-norm-max-mad']];

  it('are summed and marked, with the reason, where the policy says so', async () => {
    const status = await summedRound('flag');
    expect(status.aggregate).to.include({ accepted: NORMS.length });
    expect(status.outliers).to.deep.equal({ action: 'flag' });
    expect(flagged(status)).to.deep.equal(broken);
    const outlier = status.received.find((each) => each.outlier !== undefined)?.outlier;
    expect(outlier?.reason).to.include('gradientNormMax').and.include('median');
    // To everybody who may see the round: what a robot reported is in its header, not here.
    expect(JSON.stringify(status)).to.not.match(/"(value|limit|statistics)"/);
  });

  it('are left out of the sum, for that reason, where the policy says so', async () => {
    const status = await summedRound('refuse');
    expect(status.aggregate).to.include({ accepted: NORMS.length - 1 });
    expect(status.aggregate?.refused.map(({ client, code }) => [client, code])).to.deep.equal([
      [`client-0${BROKEN}`, 'update.outlier'],
    ]);
    expect(flagged(status)).to.deep.equal(broken);
  });

  it('are like any other where the policy does not ask', async () => {
    const status = await summedRound('ignore');
    expect(status.aggregate).to.include({ accepted: NORMS.length });
    expect(status.outliers).to.equal(undefined);
    expect(flagged(status)).to.deep.equal([]);
  });

  it('end a round that has too few without them, and say why', async () => {
    const status = await summedRound('refuse', [1, 2, 9]);
    expect(status.phase).to.equal('failed');
    expect(status.failure?.message).to.include('aggregate.below-quorum');
  });
});
