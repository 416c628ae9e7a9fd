/** Plans that ask for what cannot be done, or should not: refused before anything of a client is claimed or spent. */
import { expect } from 'chai';
import fc from 'fast-check';
import type { PlanBody, PlanPrivacy, PlanTensor } from '../../lib/package/messages/plan.js';
import { commonScale } from '../../lib/pipeline/allocation/scales.js';
import { roundingBound } from '../../lib/privacy/sensitivity.js';
import { planRound } from '../../lib/round/plan-round.js';
import { requireLikelyRounding } from '../../lib/round/round-privacy.js';
import { dryRunSeal, sealUpdate } from '../../lib/round/seal-update.js';
import { expectRefusal } from '../support/refusals.js';
import { temporaryDirectory } from '../support/temporary-directory.js';
import { PLANNING, TestRound } from './support/round.js';

const PRIVATE = {
  training: { bits: 8 },
  privacy: { mechanism: 'skellam' as const, clip: 1, noiseMultiplier: 1, colluders: 1, epsilon: 1000 },
};

/** Nothing was claimed and nothing spent: the delta can be sealed under the plan as it should have been. */
async function expectUntouched(bad: TestRound, good: TestRound): Promise<void> {
  await bad.asClient(1, async ({ privacy, residuals }) => {
    expect(privacy?.ledger.entries()).to.deep.equal([]);
    expect(await residuals?.pending()).to.deep.equal([]);
  });
  expect((await good.seal(1)).replayed).to.equal(false);
}

describe('a plan with less sensitivity than its clip and scale need', () => {
  let round: TestRound;
  beforeEach(async () => {
    round = await TestRound.start(await temporaryDirectory(), { policy: PRIVATE });
  });
  afterEach(() => round.end());

  const withSensitivity = (l2Squared: number): Promise<TestRound> =>
    round.next({ privacy: { ...(round.plan.body.privacy as PlanPrivacy), l2Squared } });

  it('is refused, whatever the delta is: who could seal would tell how large it is', async () => {
    const needed = (round.plan.body.privacy as PlanPrivacy).l2Squared;
    const bad = await withSensitivity(Math.floor(needed * 0.999));
    await expectRefusal('pipeline.sensitivity', () => bad.seal(1));
    await bad.asClient(1, async (client) => {
      const adapter = await bad.adapter(1);
      await expectRefusal('pipeline.sensitivity', () => dryRunSeal({ client, plan: bad.plan, adapter }));
    });
    await expectUntouched(bad, round);
  });

  it('is none that the coordinator made, at any clip and number of values', () => {
    const clips = fc.double({ min: 1e-6, max: 1e6, noNaN: true });
    fc.assert(
      fc.property(clips, fc.integer({ min: 1, max: 2 ** 28 }), (clip, dimension) => {
        const { l2Squared } = roundingBound({ ...commonScale({ clip: 1, dimension }), clip: 1, dimension });
        const { scale } = commonScale({ clip, dimension });
        const privacy = { ...(round.plan.body.privacy as PlanPrivacy), l2Squared };
        const tensors = [{ ...(round.plan.body.tensors[0] as PlanTensor), kept: dimension, scale }];
        requireLikelyRounding({ ...round.plan.body, clip, tensors, privacy });
      }),
      { numRuns: 1000 },
    );
  });
});

describe('a plan whose tensors are not those of the schema that it names', () => {
  for (const [what, change] of [
    ['another shape', (shape: readonly number[]) => [...shape].reverse()],
    ['fewer coordinates', (shape: readonly number[]) => [1, ...shape.slice(1)]],
  ] as const) {
    it(`is refused before anything is claimed: ${what}`, async () => {
      const round = await TestRound.start(await temporaryDirectory(), {
        policy: { training: { keepRatio: 0.1 } },
      });
      const [first, ...others] = round.plan.body.tensors as [PlanBody['tensors'][number]];
      const tensors = [{ ...first, shape: change(first.shape) }, ...others];
      const bad = await round.next({ tensors });
      const error = await expectRefusal('adapter.other-schema', () => bad.seal(1));
      expect(error.message)
        .to.include(first.name)
        .and.to.include(`planned is F32 [${change(first.shape).join(', ')}]`);
      await expectUntouched(bad, round);
      round.end();
    });
  }
});

describe('the residual of a client whose last round is closed while it seals', () => {
  it('is what that round left, not what it took along', async () => {
    const policy = { training: { bits: 4, keepRatio: 0.25 } };
    const first = await TestRound.start(await temporaryDirectory(), { policy });
    const { update } = await first.seal(1);
    const next = await first.next();
    const adapter = await first.adapter(2);
    const sealed = await next.asClient(1, async (client) => {
      // Another process records the close record between this one's first look and its claim.
      const state = Object.create(client.state) as typeof client.state;
      state.claim = async (request) => {
        await client.state.recordClose({ plan: first.plan.fingerprint, opened: [update] });
        return client.state.claim(request);
      };
      return sealUpdate({ client: { ...client, state }, plan: next.plan, adapter });
    });
    expect(sealed.report?.residualUsed).to.equal(true);
    await next.asClient(1, async ({ residuals }) => {
      expect(await residuals?.pending()).to.deep.equal([sealed.update]);
    });
    first.end();
  });
});

describe('a plan for more clients than its widest values fit', () => {
  it('has the widths that do, of those that the policy admits', async () => {
    const round = await TestRound.start(await temporaryDirectory());
    const planned = async (bits: { min: number; max: number }): Promise<number> => {
      const policy = { ...round.policy, training: { ...round.policy.training, bits } };
      const { roster, like } = round;
      const { body } = await planRound({ ...PLANNING, roster, like, policy, maxClients: 300 });
      return Math.max(...body.tensors.map((tensor) => tensor.bits));
    };
    expect(await planned({ min: 2, max: 8 })).to.equal(5);
    await expectRefusal('plan.does-not-fit', () => planned({ min: 6, max: 8 }));
    round.end();
  });
});

describe('a plan whose quorum is more than the active clients', () => {
  it('is not made: nobody could open its round', async () => {
    const round = await TestRound.start(await temporaryDirectory());
    const { roster, like, policy } = round;
    const planned = planRound({ ...PLANNING, roster, like, policy, quorum: 4 });
    const error = await expectRefusal('plan.outside-roster', () => planned);
    expect(error.message).to.include('quorum is 4').and.to.include('3 active clients');
    round.end();
  });
});
