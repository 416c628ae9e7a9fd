import { expect } from 'chai';
import { type OpenedAnswer, readAnswer, requireAnswers } from '../../lib/custody/answers.js';
import { answerRound } from '../../lib/custody/custodian.js';
import { setDigest } from '../../lib/package/fingerprint.js';
import { openContainer } from '../../lib/package/reader.js';
import { craftAnswer, craftUpdate, packedResidues, signAgain } from '../round/support/forgery.js';
import { TestRound } from '../round/support/round.js';
import { expectRefusal } from '../support/refusals.js';
import { temporaryDirectory } from '../support/temporary-directory.js';
import { bytes32 } from './support/bytes.js';

describe('a custodian’s answer as the owner reads it', () => {
  let round: TestRound;
  let set: Uint8Array;
  let first: string;
  let second: string;

  before(async () => {
    round = await TestRound.start(await temporaryDirectory());
    const aggregate = await round.aggregate(await round.sealAll());
    const container = await openContainer(aggregate, 'aggregate');
    set = setDigest(container.body.accepted.map(({ update }) => update));
    await container.close();
    [first, second] = (await round.answers(aggregate, [1, 2])) as [string, string];
  });

  after(() => round.end());

  function read(from: string | Uint8Array, wanted = set): Promise<OpenedAnswer> {
    return readAnswer(from, round.plan, wanted, round.members.owner.kem);
  }

  it('is the custodian’s sum, with its index and the head of its ledger', async () => {
    const answer = await read(second);
    expect(answer).to.include({ custodian: 'custodian-2', index: 2 });
    expect(answer.residues).to.have.length(1024);
    const { ledger } = await round.custodianIdentity(2);
    expect(ledger.hasHead(answer.ledgerHead)).to.equal(true);
  });

  it('is refused for another set, and for another plan', async () => {
    await expectRefusal('answer.wrong-set', () => read(first, bytes32('another set')));
    const next = await round.next();
    const paths: string[] = [];
    for (const number of [1, 2, 3]) {
      paths.push(await next.file('.tgu', await craftUpdate(next.plan, round.client(number))));
    }
    const aggregate = await next.aggregate(paths);
    // Its ledgers are the first round's, so the answers of two rounds come from the same custodians.
    const identity = await round.custodianIdentity(1);
    const container = await openContainer(aggregate, 'aggregate');
    const { answer } = await answerRound(identity, next.plan, container);
    await container.close();
    await expectRefusal('answer.wrong-plan', () => read(answer));
  });

  it('is refused where its custodian did not sign it', async () => {
    const forged = await signAgain('answer', first, round.custodian(2).signing);
    await expectRefusal('container.wrong-signer', () => read(forged));
    const unknown = await signAgain('answer', first, round.custodian(1).signing, {
      body: { custodian: 'custodian-9' },
    });
    await expectRefusal('roster.unknown-custodian', () => read(unknown));
  });

  for (const [field, value] of [
    ['fleet', 'other'],
    ['policy', 'place'],
    ['cohort', 'b'],
    ['round', 7],
    ['epoch', 2],
    ['index', 3],
  ] as const) {
    it(`is refused where it names another ${field} than its plan and the roster`, async () => {
      const signed = await signAgain('answer', first, round.custodian(1).signing, {
        body: { [field]: value },
      });
      await expectRefusal('answer.wrong-field', () => read(signed));
    });
  }

  it('does not open where it is another custodian’s sealed sum under a signature of its own', async () => {
    const honest = await openContainer(first, 'answer');
    const sealed = await honest.readSection('sealed');
    await honest.close();
    const copied = await signAgain('answer', second, round.custodian(2).signing, { sections: { sealed } });
    await expectRefusal('hpke.open-failed', () => read(copied));
  });

  it('does not open with another key than the owner’s', async () => {
    await expectRefusal('hpke.open-failed', () => readAnswer(first, round.plan, set, round.custodian(1).kem));
  });

  it('is refused where it holds too little, or a residue that is not below q', async () => {
    const whole = packedResidues(round.plan, () => 1);
    for (const packed of [whole.subarray(1), new Uint8Array(), whole.map(() => 0xff)]) {
      const lie = await craftAnswer(round.plan, round.custodian(1), first, packed);
      const error = await expectRefusal('answer.malformed', () => read(lie));
      expect(error.message).to.include('custodian-1');
    }
  });

  it('counts once a custodian, up to the threshold', async () => {
    const answers = await Promise.all([read(first), read(second)]);
    const [one] = answers as [OpenedAnswer, OpenedAnswer];
    requireAnswers(answers, 2);
    requireAnswers(answers, 1);
    const error = await expectRefusal('open.too-few-answers', () => requireAnswers(answers, 3));
    expect(error.message).to.include('Ask 1 more');
    await expectRefusal('open.duplicate-answer', () => requireAnswers([...answers, one], 2));
    await expectRefusal('open.too-few-answers', () => requireAnswers([], 1));
  });
});
