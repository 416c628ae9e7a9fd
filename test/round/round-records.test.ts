import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { type OpenedRound, RoundRecords } from '../../lib/round/round-records.js';
import { bytes32 } from '../custody/support/bytes.js';
import { expectRefusal } from '../support/refusals.js';
import { temporaryDirectory } from '../support/temporary-directory.js';

function opened(set: string, openedAtMs = 1, heads: readonly [string, string][] = []): OpenedRound {
  return {
    plan: bytes32('plan'),
    set: bytes32(set),
    updates: [bytes32(`${set} 1`), bytes32(`${set} 2`)],
    openedAtMs,
    ledgerHeads: heads.map(([custodian, head]) => ({ custodian, head: bytes32(head) })),
  };
}

describe('the owner’s records', () => {
  let directory: string;
  let records: RoundRecords;

  beforeEach(async () => {
    directory = await temporaryDirectory();
    records = new RoundRecords(directory);
  });

  it('know nothing of a round before it was opened or closed', async () => {
    expect(await records.outcome(bytes32('plan'))).to.equal(undefined);
    expect(await records.closed(bytes32('plan'))).to.equal(undefined);
    expect(await records.ledgerHeads()).to.deep.equal([]);
    await records.requireOpenable(bytes32('plan'), bytes32('any set'));
  });

  it('give back what was opened, as it was first recorded', async () => {
    const first = opened('set', 5, [['c1', 'head']]);
    await records.recordOpened(first);
    await records.recordOpened({ ...first, openedAtMs: 9 });
    expect(await new RoundRecords(directory).outcome(bytes32('plan'))).to.deep.equal({
      outcome: 'opened',
      ...first,
    });
  });

  it('hold one set a plan, also where two are recorded at once', async () => {
    const outcomes = await Promise.allSettled(
      ['a', 'b', 'c', 'd'].map((set) => new RoundRecords(directory).recordOpened(opened(set))),
    );
    const refused = outcomes.filter(({ status }) => status === 'rejected') as PromiseRejectedResult[];
    expect(refused.map(({ reason }) => (reason as { code: string }).code)).to.deep.equal([
      'open.another-set',
      'open.another-set',
      'open.another-set',
    ]);
    const winner = ['a', 'b', 'c', 'd'][outcomes.findIndex(({ status }) => status === 'fulfilled')] as string;
    expect((await records.outcome(bytes32('plan')))?.set).to.deep.equal(bytes32(winner));
    await expectRefusal('open.another-set', () =>
      records.requireOpenable(bytes32('plan'), bytes32(`not ${winner}`)),
    );
    expect(await readdir(join(directory, 'rounds'))).to.have.length(1);
  });

  it('hold one outcome a round, opened or not, also where both are recorded at once', async () => {
    for (let attempt = 0; attempt < 20; attempt += 1) {
      const plan = bytes32(`plan ${attempt}`);
      const [open, end] = await Promise.allSettled([
        new RoundRecords(directory).recordOpened({ ...opened('set'), plan }),
        new RoundRecords(directory).endUnopened({ plan, reason: 'late' }),
      ]);
      const outcome = await records.outcome(plan);
      // Closing always learns what stands; opening is refused where closing came first.
      expect(end).to.have.deep.property('value', outcome);
      expect(open.status).to.equal(outcome?.outcome === 'opened' ? 'fulfilled' : 'rejected');
      if (open.status === 'rejected') expect(open.reason).to.have.property('code', 'open.round-closed');
    }
  });

  it('take the start of another ledger for a custodian’s newest head, until it is seen to go on from there', async () => {
    await records.recordOpened(
      opened('set', 5, [
        ['c1', 'old'],
        ['c2', 'head'],
      ]),
    );
    await records.recordLedgerStart({ custodian: 'c1', head: bytes32('restored'), atMs: 7 });
    const heads = async () =>
      new Map(
        (await new RoundRecords(directory).ledgerHeads()).map(({ custodian, head }) => [custodian, head]),
      );
    expect((await heads()).get('c1')).to.deep.equal(bytes32('restored'));
    expect((await heads()).get('c2')).to.deep.equal(bytes32('head'));
    await records.recordOpened({ ...opened('next', 9, [['c1', 'newer']]), plan: bytes32('next plan') });
    expect((await heads()).get('c1')).to.deep.equal(bytes32('newer'));
    await records.recordLedgerStart({ custodian: 'c1', head: bytes32('again'), atMs: 11 });
    expect((await heads()).get('c1')).to.deep.equal(bytes32('again'));
  });

  it('end a round without an average for good', async () => {
    const ended = { plan: bytes32('plan'), set: bytes32('set'), reason: 'an outlier' };
    await records.endUnopened(ended);
    const again = await records.endUnopened({ plan: bytes32('plan'), reason: 'another' });
    expect(again).to.deep.equal({ outcome: 'none', ...ended });
    await expectRefusal('open.round-closed', () => records.recordOpened(opened('set')));
    expect(await records.ledgerHeads()).to.deep.equal([]);
  });

  it('keep the first close record, which is what every later one becomes', async () => {
    const candidates = ['a', 'b', 'c'].map((name) => Buffer.from(`close record ${name}`));
    const kept = await Promise.all(
      candidates.map((candidate) => new RoundRecords(directory).recordClosed(bytes32('plan'), candidate)),
    );
    const texts = new Set(kept.map((record) => Buffer.from(record).toString()));
    expect(texts.size).to.equal(1);
    const later = await records.recordClosed(bytes32('plan'), Buffer.from('close record d'));
    expect([...texts]).to.deep.equal([Buffer.from(later).toString()]);
    expect(await records.closed(bytes32('plan'))).to.deep.equal(Buffer.from(later));
    expect(await records.closed(bytes32('another plan'))).to.equal(undefined);
  });

  it('give of each custodian the head that was seen last, whatever plan it came with', async () => {
    const rounds: [string, OpenedRound][] = [
      ['x', opened('x', 20, [['c1', 'second']])],
      [
        'y',
        opened('y', 10, [
          ['c1', 'first'],
          ['c2', 'only'],
        ]),
      ],
      ['z', opened('z', 30, [['c3', 'late']])],
    ];
    for (const [plan, round] of rounds) await records.recordOpened({ ...round, plan: bytes32(plan) });
    const heads = (await records.ledgerHeads()).sort((a, b) => (a.custodian < b.custodian ? -1 : 1));
    expect(heads).to.deep.equal([
      { custodian: 'c1', head: bytes32('second') },
      { custodian: 'c2', head: bytes32('only') },
      { custodian: 'c3', head: bytes32('late') },
    ]);
  });
});
