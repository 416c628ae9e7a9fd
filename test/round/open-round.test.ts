import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { expectRefusal } from '../support/refusals.js';
import { temporaryDirectory } from '../support/temporary-directory.js';
import { writeAdapter } from './support/adapters.js';
import { pathsBelow } from './support/directories.js';
import { expectAverage, expectedAverage } from './support/expected-average.js';
import { TestRound, type TestRoundOptions } from './support/round.js';

async function start(options: TestRoundOptions = {}): Promise<TestRound> {
  return TestRound.start(await temporaryDirectory(), options);
}

function custody(threshold: number, custodians: number): TestRoundOptions {
  return { custodians, rules: { threshold } };
}

describe('opening a round', () => {
  for (const [threshold, custodians] of [
    [1, 1],
    [1, 3],
    [2, 3],
    [3, 4],
    [4, 4],
  ] as const) {
    it(`comes to the average with ${threshold} of ${custodians} custodians, the last ones that there are`, async () => {
      const round = await start(custody(threshold, custodians));
      const aggregate = await round.aggregate(await round.sealAll());
      const last = Array.from({ length: threshold }, (_, i) => custodians - i);
      const { out, ...report } = await round.open(aggregate, await round.answers(aggregate, last));
      await expectAverage(out, await round.expected());
      expect(report).to.include({ contributors: 3, answers: threshold, verified: false });
      expect(report.disagreeing).to.deep.equal([]);
      round.end();
    });
  }

  it('adds the average of the differences to the base adapter', async () => {
    const round = await start();
    const base = await writeAdapter(join(round.directory, 'base'), 'base', { standardDeviation: 0.5 });
    const updates: string[] = [];
    const adapters: string[] = [];
    for (const number of [1, 2, 3]) {
      const adapter = join(round.directory, `trained-${number}`);
      // Values beside the base's own, so that differences saturate now and then.
      await writeAdapter(adapter, `trained ${number}`, { standardDeviation: 0.01 });
      adapters.push(adapter);
      updates.push((await round.seal(number, { adapter, base })).stored);
    }
    const aggregate = await round.aggregate(updates);
    const { out } = await round.open(aggregate, await round.answers(aggregate, [1, 2]), { base });
    await expectAverage(out, await expectedAverage(round.plan, { adapters, base }));
    round.end();
  });

  it('gives the same average again, from other custodians, and refuses no repetition', async () => {
    const round = await start();
    const aggregate = await round.aggregate(await round.sealAll());
    const first = await round.open(aggregate, await round.answers(aggregate, [1, 2]));
    const again = await round.open(aggregate, await round.answers(aggregate, [3, 2]));
    const into = await round.open(aggregate, await round.answers(aggregate, [1, 3]), { out: first.out });
    const tensors = (out: string): Promise<Buffer> => readFile(join(out, 'adapter_model.safetensors'));
    expect(await tensors(again.out)).to.deep.equal(await tensors(first.out));
    expect(into.out).to.equal(first.out);
    const outcome = await round.owner().records.outcome(round.plan.fingerprint);
    expect(outcome).to.have.property('updates').with.length(3);
    round.end();
  });

  it('refuses another set under the same plan, whatever answers there are for it', async () => {
    const round = await start({ clients: 4 });
    const updates = await round.sealAll([1, 2, 3, 4]);
    const three = await round.aggregate(updates.slice(0, 3));
    await round.open(three, await round.answers(three, [1, 2]));
    const four = await round.aggregate(updates);
    const out = round.path('-average');
    await expectRefusal('open.another-set', () => round.open(four, [], { out }));
    expect(await pathsBelow(out)).to.deep.equal([]);
    round.end();
  });

  it('refuses answers that are too few, twice the same, or for another set', async () => {
    const round = await start({ clients: 4 });
    const updates = await round.sealAll([1, 2, 3, 4]);
    const three = await round.aggregate(updates.slice(0, 3));
    const answers = await round.answers(three, [1, 2]);
    const four = await round.aggregate(updates);
    const out = round.path('-average');
    const [first = ''] = answers;
    await expectRefusal('open.too-few-answers', () => round.open(three, [first], { out }));
    await expectRefusal('open.duplicate-answer', () => round.open(three, [first, first], { out }));
    await expectRefusal('answer.wrong-set', () => round.open(four, answers, { out }));
    expect(await pathsBelow(out)).to.deep.equal([]);
    expect(await round.owner().records.outcome(round.plan.fingerprint)).to.equal(undefined);
    round.end();
  });

  it('writes no average where the directory holds something else, and opens once it is named another', async () => {
    const round = await start();
    const aggregate = await round.aggregate(await round.sealAll());
    const answers = await round.answers(aggregate, [1, 2]);
    await expectRefusal('adapter.directory-not-empty', () =>
      round.open(aggregate, answers, { out: round.directory }),
    );
    await round.open(aggregate, answers);
    round.end();
  });
});

describe('verifying the sum', () => {
  it('accepts an honest aggregate, in whatever order the updates are given', async () => {
    const round = await start();
    const updates = await round.sealAll();
    const aggregate = await round.aggregate(updates);
    const { verified } = await round.open(aggregate, await round.answers(aggregate, [1, 2]), {
      verify: [...updates].reverse(),
    });
    expect(verified).to.equal(true);
    round.end();
  });
});
