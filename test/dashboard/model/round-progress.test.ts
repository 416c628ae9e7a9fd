import { expect } from 'chai';
import { quorumRing, refusalsOf, stagesOf } from '../../../lib/dashboard/model/round-progress.js';
import { PHASES } from '../../../lib/round/machine/phases.js';
import { stepThrough } from '../../../lib/round/machine/step.js';
import { roundStatus } from '../../../lib/server/rounds/round-status.js';
import { newRound } from '../../server/support/rounds.js';

const PLAN = 'ab'.repeat(32);

describe('a round on the page', () => {
  it('is in one stage, with those before it done and how long they took', () => {
    const stages = stagesOf({
      phase: 'summing',
      enteredAtMs: { planned: 1000, open: 1500, 'sealed-off': 4000, summing: 4100 },
    });
    expect(stages.map(({ phase, standing, durationMs }) => [phase, standing, durationMs])).to.deep.equal([
      ['planned', 'done', 500],
      ['open', 'done', 2500],
      ['sealed-off', 'done', 100],
      ['summing', 'current', undefined],
      ['awaiting-answers', 'to-come', undefined],
      ['opened', 'to-come', undefined],
      ['released', 'to-come', undefined],
    ]);
  });

  it('shows where it failed, and what it did not reach', () => {
    const stages = stagesOf({ phase: 'failed', enteredAtMs: { planned: 0, open: 10, failed: 90 } });
    const standings = Object.fromEntries(stages.map(({ phase, standing }) => [phase, standing]));
    expect(standings).to.include({
      open: 'done',
      'sealed-off': 'skipped',
      failed: 'failed',
      released: 'skipped',
    });
    expect(stages.find(({ phase }) => phase === 'open')?.durationMs).to.equal(80);
  });

  it('has every phase of the machine as a stage, none of them twice', () => {
    for (const phase of PHASES) {
      const enteredAtMs = Object.fromEntries(
        PHASES.slice(0, PHASES.indexOf(phase) + 1).map((each, i) => [each, i]),
      );
      const names = stagesOf({ phase, enteredAtMs }).map((stage) => stage.phase);
      expect(names).to.include(phase);
      expect(new Set(names).size).to.equal(names.length);
    }
  });

  it('is on its way to the quorum, and never beyond the whole', () => {
    expect(quorumRing(2, 3, 6)).to.include({ receivedPart: 1 / 3, quorumPart: 0.5, isReached: false });
    expect(quorumRing(6, 3, 6)).to.include({ receivedPart: 1, isReached: true });
    expect(quorumRing(8, 3, 6)).to.include({ receivedPart: 1 });
    expect(quorumRing(0, 0, 0)).to.include({ receivedPart: 0, quorumPart: 0 });
  });

  it('lists what was refused of the machine’s own state, with who and why', () => {
    const planned = newRound(PLAN, 'all', 1, ['robot-1', 'robot-2', 'robot-3'], 1000);
    const { state } = stepThrough(planned, [{ type: 'time', atMs: 1000 }]);
    const status = roundStatus(PLAN, {
      ...state,
      refusals: [{ client: 'robot-2', code: 'update.too-late', reason: 'after the deadline', atMs: 1200 }],
      custodianRefusals: [
        { custodian: 'a', code: 'custodian.other-set', reason: 'answered before', atMs: 1300 },
      ],
    });
    expect(refusalsOf(status)).to.deep.equal([
      {
        who: 'robot-2',
        stage: 'on arrival',
        code: 'update.too-late',
        reason: 'after the deadline',
        atMs: 1200,
      },
      {
        who: 'a',
        stage: 'by a custodian',
        code: 'custodian.other-set',
        reason: 'answered before',
        atMs: 1300,
      },
    ]);
  });
});
