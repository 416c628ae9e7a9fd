import { expect } from 'chai';
import { parameterSet } from '../../lib/lwe/parameters.js';
import type { PlanSegment } from '../../lib/lwe/plan.js';
import { openContainer } from '../../lib/package/reader.js';
import { expectRefusal } from '../support/refusals.js';
import { temporaryDirectory } from '../support/temporary-directory.js';
import { pathsBelow } from './support/directories.js';
import { expectAverage } from './support/expected-average.js';
import { craftAnswer, craftUpdate, packedResidues, signAgain } from './support/forgery.js';
import { TestRound, type TestRoundOptions } from './support/round.js';

async function start(options: TestRoundOptions = {}): Promise<TestRound> {
  return TestRound.start(await temporaryDirectory(), options);
}

function custody(threshold: number, custodians: number): TestRoundOptions {
  return { custodians, rules: { threshold } };
}

describe('a custodian that lies', () => {
  let round: TestRound;
  let aggregate: string;
  let honest: string[];

  before(async () => {
    round = await start(custody(3, 4));
    aggregate = await round.aggregate(await round.sealAll());
    honest = await round.answers(aggregate, [1, 2, 3, 4]);
  });

  after(() => round.end());

  async function lieOf(index: number, packed?: Uint8Array): Promise<string[]> {
    const lie = await craftAnswer(
      round.plan,
      round.custodian(index),
      honest[index - 1] as string,
      packed ?? packedResidues(round.plan, (i) => 1 + 7 * i),
    );
    const path = await round.file('.tgs', lie);
    return honest.map((answer, i) => (i === index - 1 ? path : answer));
  }

  for (const index of [1, 2, 3, 4]) {
    it(`is found out and named among 4 answers at threshold 3: custodian ${index}`, async () => {
      const { out, disagreeing } = await round.open(aggregate, await lieOf(index));
      expect(disagreeing).to.deep.equal([`custodian-${index}`]);
      await expectAverage(out, await round.expected());
    });
  }

  it('is not believed among 3 answers, and nothing is written', async () => {
    const out = round.path('-average');
    const answers = (await lieOf(2)).slice(0, 3);
    await expectRefusal('open.secret-sum-out-of-range', () => round.open(aggregate, answers, { out }));
    expect(await pathsBelow(out)).to.deep.equal([]);
  });

  it('is caught by the residuals where its lie keeps the sum of secrets small', async () => {
    const lone = await start(custody(1, 1));
    const sum = await lone.aggregate(await lone.sealAll());
    const [answer = ''] = await lone.answers(sum, [1]);
    const { n } = parameterSet('lwe-128');
    const small = packedResidues(lone.plan, (i) => i % 3);
    expect(small).to.have.length((n / 8) * 26);
    const lie = await lone.file('.tgs', await craftAnswer(lone.plan, lone.custodian(1), answer, small));
    const out = lone.path('-average');
    await expectRefusal('open.residual-too-large', () => lone.open(sum, [lie], { out }));
    expect(await pathsBelow(out)).to.deep.equal([]);
    expect(await lone.owner().records.outcome(lone.plan.fingerprint)).to.equal(undefined);
    lone.end();
  });

  it('together with a second one leaves nothing to open', async () => {
    const first = await lieOf(1);
    const second = await lieOf(
      4,
      packedResidues(round.plan, (i) => 3 + 11 * i),
    );
    const answers = [first[0], first[1], first[2], second[3]] as string[];
    const out = round.path('-average');
    await expectRefusal('open.no-consistent-answers', () => round.open(aggregate, answers, { out }));
    expect(await pathsBelow(out)).to.deep.equal([]);
  });

  it('is named where what it sealed is no sum at all', async () => {
    const error = await expectRefusal('answer.malformed', async () =>
      round.open(aggregate, await lieOf(3, new Uint8Array(100))),
    );
    expect(error.message).to.include('custodian-3');
    const beyond = new Uint8Array((parameterSet('lwe-128').n / 8) * 26).fill(0xff);
    await expectRefusal('answer.malformed', async () => round.open(aggregate, await lieOf(3, beyond)));
  });

  it('is named where its answer does not open', async () => {
    const answer = await openContainer(honest[1] as string, 'answer');
    const sealed = await answer.readSection('sealed');
    await answer.close();
    sealed[1200] = (sealed[1200] as number) ^ 1;
    const bytes = await signAgain('answer', honest[1] as string, round.custodian(2).signing, {
      sections: { sealed },
    });
    const path = await round.file('.tgs', bytes);
    const error = await expectRefusal('hpke.open-failed', () =>
      round.open(aggregate, [honest[0], path, honest[2]] as string[]),
    );
    expect(error.message).to.include('custodian-2');
  });
});

describe('a client that deals badly', () => {
  for (const index of [1, 4]) {
    it(`to custodian ${index} only is outvoted, and that custodian is named`, async () => {
      const round = await start(custody(3, 4));
      const good = await round.sealAll([1, 2]);
      const bad = await craftUpdate(round.plan, round.client(3), { badShareFor: [index] });
      const aggregate = await round.aggregate([...good, await round.file('.tgu', bad)]);
      const answers = await round.answers(aggregate, [1, 2, 3, 4]);
      const { disagreeing, contributors } = await round.open(aggregate, answers);
      expect(disagreeing).to.deep.equal([`custodian-${index}`]);
      expect(contributors).to.equal(3);
      round.end();
    });
  }

  it('to all burns its round: nothing opens and nothing is written', async () => {
    const round = await start();
    const good = await round.sealAll([1, 2]);
    const bad = await craftUpdate(round.plan, round.client(3), { badShareFor: [1, 2, 3] });
    const aggregate = await round.aggregate([...good, await round.file('.tgu', bad)]);
    const answers = await round.answers(aggregate, [1, 2, 3]);
    const out = round.path('-average');
    await expectRefusal('open.no-consistent-answers', () => round.open(aggregate, answers, { out }));
    expect(await pathsBelow(out)).to.deep.equal([]);
    round.end();
  });

  it('or seals garbage as its ciphertext burns its round as well', async () => {
    const round = await start();
    const good = await round.sealAll([1, 2]);
    const ciphertext = Uint8Array.from(
      { length: round.plan.arithmetic.ciphertextBytes },
      (_, i) => (i * 89 + (i >> 3)) & 0xff,
    );
    const bad = await craftUpdate(round.plan, round.client(3), { sections: { ciphertext } });
    const aggregate = await round.aggregate([...good, await round.file('.tgu', bad)]);
    const answers = await round.answers(aggregate, [1, 2]);
    const out = round.path('-average');
    await expectRefusal('open.residual-too-large', () => round.open(aggregate, answers, { out }));
    expect(await pathsBelow(out)).to.deep.equal([]);
    round.end();
  });
});

describe('an aggregator that shifts the sum', () => {
  let round: TestRound;
  let updates: string[];
  let shifted: string;
  let answers: string[];

  before(async () => {
    round = await start();
    updates = await round.sealAll();
    const aggregate = await round.aggregate(updates);
    const container = await openContainer(aggregate, 'aggregate');
    const ciphertext = await container.readSection('ciphertext');
    await container.close();
    // The highest bit of one coefficient: a change by half the plaintext's range, which leaves residuals alone.
    const [{ wireBits }] = round.plan.arithmetic.segments as [PlanSegment];
    const bit = wireBits - 1;
    ciphertext[bit >> 3] = (ciphertext[bit >> 3] as number) ^ (1 << (bit & 7));
    const bytes = await signAgain('aggregate', aggregate, round.members.aggregator.signing, {
      sections: { ciphertext },
    });
    shifted = await round.file('.tga', bytes);
    answers = await round.answers(shifted, [1, 2]);
  });

  after(() => round.end());

  it('is caught where the signed updates are at hand, and nothing is written', async () => {
    const out = round.path('-average');
    await expectRefusal('open.sum-shifted', () => round.open(shifted, answers, { out, verify: updates }));
    expect(await pathsBelow(out)).to.deep.equal([]);
    expect(await round.owner().records.outcome(round.plan.fingerprint)).to.equal(undefined);
  });

  it('is not caught by a check of fewer updates, more, or one twice', async () => {
    const [first = '', second = ''] = updates;
    const out = round.path('-average');
    const opening = (verify: readonly string[]) => () => round.open(shifted, answers, { out, verify });
    await expectRefusal('open.updates-missing', opening([first, second]));
    await expectRefusal('open.update-not-in-set', opening([first, second, first]));
    const fourth = await round.file('.tgu', await craftUpdate(round.plan, round.client(1)));
    await expectRefusal('open.update-not-in-set', opening([...updates, fourth]));
    expect(await pathsBelow(out)).to.deep.equal([]);
  });

  it('passes unseen without them, which is why the report says that nothing was verified', async () => {
    const { out, verified } = await round.open(shifted, answers);
    expect(verified).to.equal(false);
    const expected = await round.expected();
    const same = await expectAverage(out, expected).then(
      () => true,
      () => false,
    );
    expect(same).to.equal(false);
  });
});
