/** A delta that missed rounds: sealed again, and counted for less. */
import { join } from 'node:path';
import { expect } from 'chai';
import { checkUpdate } from '../../lib/custody/trusted-update.js';
import { WEIGHT_ONE } from '../../lib/package/messages/update.js';
import { openContainer } from '../../lib/package/reader.js';
import { dryRunSeal } from '../../lib/round/seal-update.js';
import { expectRefusal } from '../support/refusals.js';
import { temporaryDirectory } from '../support/temporary-directory.js';
import { writeAdapter } from './support/adapters.js';
import { expectAverage, expectedAverage } from './support/expected-average.js';
import { signAgain } from './support/forgery.js';
import { TestRound } from './support/round.js';

const TAU = 4;
const MAX_ROUNDS = 6;
const STALENESS = { stalenessTau: TAU, maxStalenessRounds: MAX_ROUNDS };
const PLAIN = { as: { withoutResiduals: true } };

/** Client 1 has sealed for round 1, whose close record does not list it: it is free again. */
async function afterMissedRound(training: Record<string, unknown> = STALENESS): Promise<TestRound> {
  const round = await TestRound.start(await temporaryDirectory(), { clients: 4, policy: { training } });
  await round.seal(1, PLAIN);
  const others: string[] = [];
  for (const number of [2, 3, 4]) others.push((await round.seal(number, PLAIN)).stored);
  const { aggregate } = await round.finish(others);
  expect(await round.close([1], aggregate, PLAIN.as)).to.equal('not-opened');
  round.end();
  return round;
}

async function later(round: TestRound, number: number): Promise<TestRound> {
  return round.next({ round: number });
}

async function headerOf(path: string) {
  const update = await openContainer(path, 'update');
  await update.close();
  return update.body;
}

describe('a delta that missed rounds', () => {
  let missed: TestRound;
  before(async () => {
    missed = await afterMissedRound();
  });

  async function copy(): Promise<TestRound> {
    return missed.copyTo(join(await temporaryDirectory(), 'round'));
  }

  it('is sealed again for round 3 and weighs exp(-2/tau) in its average', async () => {
    const third = await later(await copy(), 3);
    const dry = await third.asClient(
      1,
      async (client) => dryRunSeal({ client, plan: third.plan, adapter: await third.adapter(1) }),
      PLAIN.as,
    );
    const { stored, report } = await third.seal(1, PLAIN);
    // e^-0.5 to ten digits, not as the code computes it.
    const weight = Math.round(WEIGHT_ONE * 0.6065306597);
    for (const told of [dry, report]) expect(told).to.deep.include({ staleness: 2, weights: [weight] });
    expect(await headerOf(stored)).to.deep.include({ round: 3, staleness: 2, weights: [weight] });

    const adapters = [await third.adapter(1)];
    const updates = [stored];
    for (const number of [2, 3]) {
      const adapter = await writeAdapter(third.path('-new'), `client ${number}, new`);
      adapters.push(adapter);
      const { stored: fresh } = await third.seal(number, { ...PLAIN, adapter });
      expect(await headerOf(fresh)).to.deep.include({ staleness: 0, weights: [WEIGHT_ONE] });
      updates.push(fresh);
    }
    const { out, aggregate } = await third.finish(updates);
    const weights = [[weight / WEIGHT_ONE], [1], [1]];
    await expectAverage(out, await expectedAverage(third.plan, { adapters, weights }));
    expect(await third.close([1], aggregate, PLAIN.as)).to.equal('opened');
    third.end();
  });

  it('is as late as since the first round that it was sealed for, however often it is sealed again', async () => {
    const first = await copy();
    const second = await later(first, 2);
    expect((await second.seal(1, PLAIN)).report).to.deep.include({ staleness: 1 });
    await second.close([1], undefined, PLAIN.as);
    const fifth = await later(first, 5);
    const { report, stored } = await fifth.seal(1, PLAIN);
    expect(report).to.deep.include({ staleness: 4, weights: [Math.round(WEIGHT_ONE * 0.3678794412)] });
    // A retry gives what was sealed.
    expect(await fifth.seal(1, PLAIN)).to.deep.include({ stored, replayed: true });
  });

  it('is refused, unclaimed, once it is later than the plan takes', async () => {
    const first = await copy();
    const last = await later(first, 1 + MAX_ROUNDS);
    const beyond = await later(first, 2 + MAX_ROUNDS);
    const error = await expectRefusal('seal.too-stale', () => beyond.seal(1, PLAIN));
    expect(error.message).to.include('7 rounds ago').and.to.include('at most 6').and.to.include('Train anew');
    const other = await writeAdapter(beyond.path('-other'), 'new training');
    expect((await beyond.seal(1, { ...PLAIN, adapter: other })).report).to.deep.include({ staleness: 0 });
    // The refusal has claimed nothing, so that the same delta is taken where it is in time.
    expect((await last.seal(1, PLAIN)).report).to.deep.include({ staleness: MAX_ROUNDS });
  });

  it('is refused once it would weigh less than 1/16', async () => {
    const first = await afterMissedRound({ stalenessTau: 1 });
    // e^-2 is more than 1/16, e^-3 is less.
    const fourth = await later(first, 4);
    const error = await expectRefusal('seal.too-stale', () => fourth.seal(1, PLAIN));
    expect(error.message).to.include('less than 1/16');
    const third = await later(first, 3);
    expect((await third.seal(1, PLAIN)).report).to.deep.include({
      weights: [Math.round(WEIGHT_ONE * 0.1353352832)],
    });
  });

  it('weighs as much as a new one, and says nothing, under a plan without a discount', async () => {
    const tenth = await later(await afterMissedRound({}), 10);
    const { stored, report } = await tenth.seal(1, PLAIN);
    expect(report)
      .to.deep.include({ weights: [WEIGHT_ONE] })
      .and.not.to.have.property('staleness');
    const header = await headerOf(stored);
    expect(header).not.to.have.any.keys('staleness', 'weights');
  });

  it('is refused by everybody where it weighs more than its staleness allows', async () => {
    const third = await later(await copy(), 3);
    const { stored } = await third.seal(1, PLAIN);
    const { weights = [] } = await headerOf(stored);
    const check = async (body: object): Promise<void> => {
      const bytes = await signAgain('update', stored, third.client(1).signing, { body });
      await checkUpdate(await openContainer(bytes, 'update'), third.plan);
    };
    await check({});
    await check({ weights: [(weights[0] as number) - 1] });
    const heavier = await expectRefusal('update.wrong-weights', () =>
      check({ weights: [(weights[0] as number) + 1] }),
    );
    expect(heavier.message).to.include(String(weights[0])).and.to.include('2 rounds late');
    await expectRefusal('update.wrong-weights', () => check({ weights: undefined }));
    await expectRefusal('update.wrong-weights', () => check({ staleness: 3 }));
    await expectRefusal('update.wrong-staleness', () => check({ staleness: undefined }));
    await expectRefusal('update.wrong-staleness', () => check({ staleness: 4 }));
    const ninth = await later(third, 9);
    const late = await signAgain('update', stored, third.client(1).signing, {
      body: { round: 9, plan: ninth.plan.fingerprint, staleness: MAX_ROUNDS + 1, weights: [4096] },
    });
    const lateUpdate = await openContainer(late, 'update');
    await expectRefusal('update.too-stale', () => checkUpdate(lateUpdate, ninth.plan));
    // Nor does the aggregator count it.
    const forged = await third.file(
      '.tgu',
      await signAgain('update', stored, third.client(1).signing, { body: { weights: [WEIGHT_ONE] } }),
    );
    await expectRefusal('update.wrong-weights', () => third.aggregate([forged]));
  });
});
