import { expect } from 'chai';
import { burnDown, LOW_FROM_SPENT_PART, siteBudgets } from '../../../lib/dashboard/model/privacy-budgets.js';
import { LOW_BUDGET_SHARE } from '../../../lib/observability/alerts.js';
import { privacyRecordOf } from '../../../lib/observability/report-digest.js';
import { privacyRecord } from '../../observability/support/records.js';
import { clientView, lastReport } from '../support/clients.js';

const budget = (epsilonSpent: number, rounds = 4) => ({
  epsilonSpent,
  epsilonBudget: 10,
  delta: 1e-6,
  rounds,
});
const site = (client: string, epsilonSpent: number, rounds = 4) =>
  clientView(client, { lastReport: lastReport(client, { privacy: budget(epsilonSpent, rounds) }) });

describe('privacy budgets on the page', () => {
  it('warn where the server does', () => {
    expect(LOW_FROM_SPENT_PART).to.equal(LOW_BUDGET_SHARE);
  });

  it('stand by what is left, the least first, and only of sites that reported one', () => {
    const budgets = siteBudgets([site('a', 2), site('b', 10.5), clientView('c'), site('d', 8)], []);
    expect(budgets.map(({ client, standing, spentPart }) => [client, standing, spentPart])).to.deep.equal([
      ['b', 'exhausted', 1],
      ['d', 'low', 0.8],
      ['a', 'enough', 0.2],
    ]);
    expect(budgets[0]).to.include({ epsilonRemaining: 0 });
  });

  it('have a rate only of the record that belongs to the report', () => {
    const { report } = lastReport('a', { privacy: budget(2) });
    const record = privacyRecordOf(report, 5000);
    const [current] = siteBudgets([site('a', 2)], record === undefined ? [] : [record]);
    expect(current).to.include({ epsilonPerRound: 0.5, roundsLeft: 16 });
    const [newer] = siteBudgets([site('a', 3, 5)], record === undefined ? [] : [record]);
    expect(newer?.roundsLeft).to.equal(undefined);
    const [other] = siteBudgets([site('b', 2)], record === undefined ? [] : [record]);
    expect(other?.roundsLeft).to.equal(undefined);
  });

  it('burn down by what was reported, and go on at the rate that was', () => {
    const of = { client: 'robot-1', policy: 'pick' };
    const line = burnDown(
      [
        privacyRecord({ rounds: 2, epsilonRemaining: 9, atMs: 2, id: 'b' }),
        privacyRecord({ rounds: 1, epsilonRemaining: 9.5, atMs: 1, id: 'a' }),
        privacyRecord({
          rounds: 4,
          epsilonRemaining: 8,
          atMs: 4,
          epsilonPerRound: 0.5,
          roundsLeft: 16,
          id: 'c',
        }),
        privacyRecord({ client: 'robot-2', rounds: 3, epsilonRemaining: 1, id: 'd' }),
      ],
      of,
    );
    expect(line).to.deep.equal({
      rounds: [1, 2, 4, 20],
      remaining: [9.5, 9, 8, undefined],
      atThisRate: [undefined, undefined, 8, 0],
    });
    expect(burnDown([], of)).to.equal(undefined);
  });

  it('promise nothing where no rate was reported', () => {
    const { epsilonPerRound: _, roundsLeft: __, ...bare } = privacyRecord();
    expect(burnDown([bare], { client: 'robot-1', policy: 'pick' })).to.deep.equal({
      rounds: [4],
      remaining: [8],
      atThisRate: [undefined],
    });
  });
});
