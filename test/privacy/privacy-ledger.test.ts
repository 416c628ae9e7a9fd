import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import {
  addExpense,
  expenseEpsilon,
  expenseOf,
  NOTHING_SPENT,
  roundsWithin,
} from '../../lib/privacy/guarantee.js';
import {
  createPrivacyLedger,
  openPrivacyLedger,
  type PrivacyLedger,
  type SpendRequest,
} from '../../lib/privacy/privacy-ledger.js';
import { bytes32 } from '../custody/support/bytes.js';
import { expectRefusal } from '../support/refusals.js';
import { temporaryDirectory } from '../support/temporary-directory.js';
import { release } from './support/releases.js';

const budget = { epsilon: 2, delta: 1e-5, hardStop: true };

function request(plan: string, change: Partial<SpendRequest> = {}): SpendRequest {
  return {
    ...{ plan: bytes32(plan), fleet: 'fleet', policy: 'policy', round: 1, client: 'client' },
    ...{ release: release(), samplerDelta: 1e-13, budget },
    ...change,
  };
}

const epsilonAfter = (rounds: number, delta = 1e-5): number =>
  expenseEpsilon(addExpense(NOTHING_SPENT, expenseOf(release(), 1e-13), rounds), delta);

describe('the privacy ledger', () => {
  let path: string;
  let ledger: PrivacyLedger;

  beforeEach(async () => {
    path = join(await temporaryDirectory(), 'ledger', 'privacy.sqlite');
    ledger = await createPrivacyLedger(path);
  });
  afterEach(() => ledger.close());

  const reopen = async () => {
    ledger.close();
    ledger = await openPrivacyLedger(path);
  };

  it('starts with nothing spent', () => {
    expect(ledger.status({ budget })).to.deep.equal({ epsilonSpent: 0, releases: 0, remaining: 2 });
    expect(ledger.entries()).to.deep.equal([]);
  });

  it('composes what it recorded, and keeps it', async () => {
    const first = ledger.spend(request('plan 1'));
    expect(first.epsilonBefore).to.equal(0);
    expect(first.epsilonSpent).to.be.closeTo(epsilonAfter(1), 1e-9);
    const second = ledger.spend(request('plan 2', { round: 2 }));
    expect(second.epsilonBefore).to.equal(first.epsilonSpent);
    expect(second.epsilonSpent).to.be.closeTo(epsilonAfter(2), 1e-9);
    expect(second.epsilonSpent).to.be.lessThan(2 * first.epsilonSpent);
    await reopen();
    const { epsilonSpent, releases, remaining } = ledger.status({ budget });
    expect([epsilonSpent, releases]).to.deep.equal([second.epsilonSpent, 2]);
    expect(remaining).to.equal(2 - epsilonSpent);
    expect(ledger.entries().map(({ entry, round, plan }) => [entry, round, [...plan]])).to.deep.equal([
      [1, 1, [...bytes32('plan 1')]],
      [2, 2, [...bytes32('plan 2')]],
    ]);
    expect(ledger.entries()[0]?.release).to.deep.equal(release());
  });

  it('adds different mechanisms, fleets and policies together: the data is the same', () => {
    const other = release({ mechanism: 'discrete-gaussian', clientVariance: 5000, l2Squared: 77 });
    ledger.spend(request('plan 1'));
    const { epsilonSpent } = ledger.spend(
      request('plan 2', { fleet: 'another', policy: 'another', release: other, samplerDelta: 2e-13 }),
    );
    const both = addExpense(addExpense(NOTHING_SPENT, expenseOf(release(), 1e-13)), expenseOf(other, 2e-13));
    expect(epsilonSpent).to.be.closeTo(expenseEpsilon(both, 1e-5), 1e-9);
  });

  it('counts a plan once, however often it is asked for, even when the budget is gone', async () => {
    const first = ledger.spend(request('plan 1'));
    expect(first.replayed).to.equal(false);
    await reopen();
    const tight = { ...budget, epsilon: 0.1 };
    const again = ledger.spend(request('plan 1', { budget: tight, samplerDelta: 3e-13 }));
    expect(again).to.deep.equal({
      ...first,
      ...{ replayed: true, overBudget: true, remaining: 0, roundsLeft: 0 },
    });
    expect(ledger.status({ budget }).releases).to.equal(1);
  });

  it('refuses another release, round, fleet or policy under a recorded plan', async () => {
    ledger.spend(request('plan 1'));
    for (const change of [
      { release: release({ clientVariance: 10_001 }) },
      { release: release({ honest: 6 }) },
      { release: release({ mechanism: 'discrete-gaussian' }) },
      { round: 2 },
      { fleet: 'x' },
      { policy: 'x' },
    ]) {
      await expectRefusal('privacy.plan-has-another-release', () => ledger.spend(request('plan 1', change)));
    }
    expect(ledger.status({ budget }).releases).to.equal(1);
  });

  it('refuses a second client under a recorded plan: two shifts in one sum are more than two releases', async () => {
    ledger.spend(request('plan 1'));
    await expectRefusal('privacy.plan-has-another-client', () =>
      ledger.spend(request('plan 1', { client: 'another' })),
    );
    expect(ledger.status({ budget }).releases).to.equal(1);
  });

  it('refuses what exceeds the budget before recording it, and says what would fit', async () => {
    const fits = roundsWithin(NOTHING_SPENT, expenseOf(release(), 1e-13), budget);
    expect(fits).to.be.greaterThan(2);
    for (let round = 1; round <= fits; round += 1) {
      const { roundsLeft, overBudget } = ledger.spend(request(`plan ${round}`, { round }));
      expect([roundsLeft, overBudget]).to.deep.equal([fits - round, false]);
    }
    const error = await expectRefusal('privacy.budget-exhausted', () => ledger.spend(request('too much')));
    expect(error.message).to.contain(` of 2 is spent`).and.to.contain('0 more such rounds fit');
    expect(error.message).to.contain(`would hold ${fits}`);
    expect(error.message).to.contain((Math.ceil(epsilonAfter(fits) * 1e4) / 1e4).toString());
    expect(ledger.status({ budget }).releases).to.equal(fits);
    // A cheaper round still fits, and a larger budget takes the dear one.
    ledger.spend(request('cheap', { release: release({ clientVariance: 2_000_000, draws: 3 }) }));
    ledger.spend(request('too much', { budget: { ...budget, epsilon: 3 } }));
  });

  it('records what exceeds a soft budget, and says so', () => {
    const soft = { epsilon: 0.1, delta: 1e-5, hardStop: false };
    const outcome = ledger.spend(request('plan 1', { budget: soft }));
    expect([outcome.overBudget, outcome.remaining, outcome.roundsLeft]).to.deep.equal([true, 0, 0]);
    expect(ledger.status({ budget: soft }).releases).to.equal(1);
  });

  it('answers a preview as it would a spend, and records nothing', async () => {
    const preview = ledger.preview(request('plan 1'));
    expect(ledger.status({ budget }).releases).to.equal(0);
    expect(ledger.spend(request('plan 1'))).to.deep.equal(preview);
    expect(ledger.preview(request('plan 1')).replayed).to.equal(true);
    await expectRefusal('privacy.budget-exhausted', () =>
      ledger.preview(request('plan 2', { budget: { ...budget, epsilon: epsilonAfter(1) * 1.01 } })),
    );
  });

  it('recomputes everything when the budget changes', () => {
    ledger.spend(request('plan 1'));
    for (const delta of [1e-4, 1e-7]) {
      const { epsilonSpent } = ledger.status({ budget: { ...budget, delta } });
      expect(epsilonSpent).to.be.closeTo(epsilonAfter(1, delta), 1e-9);
    }
  });

  it('counts rounds left by composition, not by division', () => {
    ledger.spend(request('plan 1'));
    const next = { release: release(), samplerDelta: 1e-13 };
    const { roundsLeft, remaining, epsilonSpent } = ledger.status({ budget, next });
    expect(roundsLeft).to.equal(roundsWithin(NOTHING_SPENT, expenseOf(release(), 1e-13), budget) - 1);
    expect(roundsLeft).to.be.greaterThan(Math.floor(remaining / epsilonSpent));
  });

  it('takes the distance of the noise tables out of delta, for all releases together', async () => {
    const coarse = { samplerDelta: 3e-6 };
    const exact = ledger.preview(request('plan 1', { samplerDelta: 0 })).epsilonSpent;
    const { epsilonSpent } = ledger.spend(request('plan 1', coarse));
    expect(epsilonSpent).to.be.greaterThan(exact);
    // The distance of both, 6e-6, counts twice at least, which, is more than delta.
    const error = await expectRefusal('privacy.budget-exhausted', () =>
      ledger.spend(request('plan 2', coarse)),
    );
    expect(error.message).to.contain('without bound');
    const soft = { ...budget, hardStop: false };
    expect(ledger.spend(request('plan 2', { ...coarse, budget: soft })).epsilonSpent).to.equal(
      Number.POSITIVE_INFINITY,
    );
  });

  it('allows nothing at all with a budget of zero, hard stop or not', async () => {
    for (const hardStop of [true, false]) {
      const zero = { epsilon: 0, delta: 1e-5, hardStop };
      const error = await expectRefusal('privacy.budget-exhausted', () =>
        ledger.spend(request('p', { budget: zero })),
      );
      expect(error.message).to.contain('zero');
    }
    const next = { release: release(), samplerDelta: 0 };
    expect(ledger.status({ budget: { ...budget, epsilon: 0 }, next })).to.deep.equal({
      ...{ epsilonSpent: 0, releases: 0, remaining: 0, roundsLeft: 0 },
    });
  });

  it('refuses what is no budget, release, distance or round, and records nothing', async () => {
    for (const [code, change] of [
      ['privacy.bad-budget', { budget: { ...budget, epsilon: -1 } }],
      ['privacy.bad-budget', { budget: { ...budget, epsilon: Number.NaN } }],
      ['privacy.bad-budget', { budget: { ...budget, epsilon: Number.POSITIVE_INFINITY } }],
      ['privacy.bad-budget', { budget: { ...budget, delta: 0 } }],
      ['privacy.bad-budget', { budget: { ...budget, delta: 1 } }],
      ['privacy.bad-budget', { budget: { ...budget, delta: Number.NaN } }],
      ['privacy.bad-release', { release: release({ clientVariance: -10_000 }) }],
      ['privacy.bad-release', { release: release({ clientVariance: 100.5 }) }],
      ['privacy.bad-release', { release: release({ l2Squared: -5 }) }],
      ['privacy.bad-sampler-delta', { samplerDelta: -1e-6 }],
      ['privacy.bad-sampler-delta', { samplerDelta: Number.NaN }],
      ['privacy.bad-spend', { plan: new Uint8Array(31) }],
      ['privacy.bad-spend', { round: -1 }],
      ['privacy.bad-spend', { round: 1.5 }],
      ['privacy.bad-spend', { fleet: '' }],
      ['privacy.bad-spend', { policy: 'x'.repeat(256) }],
      ['privacy.bad-spend', { fleet: '\ud800' }],
    ] as const) {
      await expectRefusal(code, () => ledger.spend(request('plan 1', change)));
      await expectRefusal(code, () => ledger.preview(request('plan 1', change)));
    }
    expect(ledger.entries()).to.deep.equal([]);
  });

  it('is a file that only its user may read, and is never overwritten or taken for empty', async () => {
    expect((await stat(path)).mode & 0o777).to.equal(0o600);
    await expectRefusal('storage.exists', () => createPrivacyLedger(path));
    await expectRefusal('storage.missing', () => openPrivacyLedger(`${path}.other`));
  });
});
