/** Custodians' answers. */
import { expect } from 'chai';
import { fingerprint, TestRound, typesOf } from './support/test-round.js';

function refused(round: TestRound, custodian: string, code = 'custodian.plan-refused') {
  return round.send({ type: 'answer-refused', atMs: round.nowMs, custodian, code, reason: 'no' });
}

describe('the answers of custodians', () => {
  it('are counted to the threshold, and then the owner is told, and again with each one more', () => {
    const round = TestRound.summed();
    expect(typesOf(round.answer('custodian-2'))).to.deep.equal(['publish']);
    expect(typesOf(round.answer('custodian-1'))).to.deep.equal(['publish', 'notify-owner']);
    expect(typesOf(round.answer('custodian-3'))).to.deep.equal(['publish', 'notify-owner']);
    expect(round.effectsOf('notify-owner')[0]).to.deep.equal({
      type: 'notify-owner',
      ask: 'open',
      aggregate: round.state.aggregate?.fingerprint,
      set: round.state.aggregate?.set,
      custodians: ['custodian-1', 'custodian-2'],
    });
  });

  it('are one each: the same again changes nothing, another one is refused', () => {
    const round = TestRound.summed();
    round.answer('custodian-1');
    expect(round.answer('custodian-1').outcome).to.equal('repeated');
    expect(round.refusal(round.answered('custodian-1', 'another'))).to.equal('round.another-answer');
    expect(round.state.answers).to.have.lengthOf(1);
  });

  it('are refused from others, for other sets, before there is an aggregate and after the end', () => {
    const round = TestRound.summed();
    expect(round.refusal(round.answered('stranger'))).to.equal('round.unknown-custodian');
    const other = { ...round.answered('custodian-1'), set: fingerprint('another set') };
    expect(round.refusal(other)).to.equal('round.answer-for-another-set');
    const early = TestRound.sealedOff();
    expect(early.refusal(early.answered('custodian-1'))).to.equal('round.not-summed');
    round.send(round.closedOpened());
    expect(round.refusal(round.answered('custodian-1'))).to.equal('round.ended');
  });

  it('may follow a refusal, which is then forgotten', () => {
    const round = TestRound.summed();
    refused(round, 'custodian-1');
    expect(refused(round, 'custodian-1').outcome).to.equal('repeated');
    expect(round.state.custodianRefusals).to.have.lengthOf(1);
    round.answer('custodian-1');
    expect(round.state.custodianRefusals).to.deep.equal([]);
    expect(refused(round, 'custodian-1').outcome).to.equal('repeated');
    expect(round.state.custodianRefusals).to.deep.equal([]);
  });

  it('that cannot reach the threshold any more make the owner be asked for a close record', () => {
    const round = TestRound.summed();
    refused(round, 'custodian-1');
    expect(round.effectsOf('notify-owner')).to.deep.equal([]);
    refused(round, 'custodian-3');
    expect(round.effectsOf('notify-owner')).to.deep.equal([
      {
        type: 'notify-owner',
        ask: 'close',
        reason:
          'Too many custodians refuse to answer: custodian-1 (custodian.plan-refused), custodian-3 (custodian.plan-refused).',
      },
    ]);
    expect(round.state.phase).to.equal('awaiting-answers');
  });
});
