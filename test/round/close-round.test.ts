import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { openContainer } from '../../lib/package/reader.js';
import { closeRound } from '../../lib/round/close-round.js';
import { openRound } from '../../lib/round/open-round.js';
import {
  type OpenedRound,
  type RoundOutcome,
  RoundRecords,
  type UnopenedRound,
} from '../../lib/round/round-records.js';
import { expectRefusal } from '../support/refusals.js';
import { temporaryDirectory } from '../support/temporary-directory.js';
import { pathsBelow } from './support/directories.js';
import { TestRound, type TestRoundOptions } from './support/round.js';

async function start(options: TestRoundOptions = {}): Promise<TestRound> {
  return TestRound.start(await temporaryDirectory(), options);
}

describe('closing a round', () => {
  it('lists what was opened, and gives the same record for ever', async () => {
    const round = await start();
    const aggregate = await round.aggregate(await round.sealAll());
    await round.open(aggregate, await round.answers(aggregate, [1, 2]));
    const { record, body } = await closeRound(round.owner(), round.plan, aggregate, undefined);
    const container = await openContainer(aggregate, 'aggregate');
    expect(body.opened).to.deep.equal(container.body.accepted.map(({ update }) => update));
    await container.close();
    const { owner } = round.members;
    await (await openContainer(record, 'close')).verify(owner.signing.publicKeys, ['ed25519']);
    const again = await closeRound(round.owner(), round.plan, undefined, 'another reason');
    expect(Buffer.from(again.record)).to.deep.equal(Buffer.from(record));
    // What was opened may be written again.
    await round.open(aggregate, await round.answers(aggregate, [1, 2]));
    round.end();
  });

  it('with none opened says why, and the round is opened no more', async () => {
    const round = await start();
    const aggregate = await round.aggregate(await round.sealAll());
    const answers = await round.answers(aggregate, [1, 2]);
    const { body, record } = await closeRound(round.owner(), round.plan, aggregate, 'an outlier');
    expect(body.opened).to.deep.equal([]);
    expect(body.reason).to.equal('an outlier');
    const out = round.path('-average');
    await expectRefusal('open.round-closed', () => round.open(aggregate, answers, { out }));
    expect(await pathsBelow(out)).to.deep.equal([]);
    expect((await round.owner().records.outcome(round.plan.fingerprint))?.outcome).to.equal('none');
    const again = await closeRound(round.owner(), round.plan, undefined, undefined);
    expect(Buffer.from(again.record)).to.deep.equal(Buffer.from(record));
    round.end();
  });

  it('refuses an aggregate that is not the one that was opened', async () => {
    const round = await start({ clients: 4 });
    const updates = await round.sealAll([1, 2, 3, 4]);
    const three = await round.aggregate(updates.slice(0, 3));
    const four = await round.aggregate(updates);
    await round.open(three, await round.answers(three, [1, 2]));
    await expectRefusal('close.another-set', () => closeRound(round.owner(), round.plan, four, undefined));
    expect(await round.owner().records.closed(round.plan.fingerprint)).to.equal(undefined);
    round.end();
  });

  it('with none opened while an average is being opened keeps the average from being written', async () => {
    const round = await start();
    const aggregate = await round.aggregate(await round.sealAll());
    const answers = await round.answers(aggregate, [1, 2]);
    const out = round.path('-average');
    const owner = round.owner();
    class ClosedMeanwhile extends RoundRecords {
      override async recordOpened(opened: OpenedRound): Promise<void> {
        await closeRound(owner, round.plan, aggregate, 'in a hurry');
        await super.recordOpened(opened);
      }
    }
    const records = new ClosedMeanwhile(join(round.directory, 'owner'));
    await expectRefusal('open.round-closed', () =>
      openRound({ owner: { ...owner, records }, plan: round.plan, aggregate, answers, out }),
    );
    expect(await pathsBelow(out)).to.deep.equal([]);
    round.end();
  });

  it('lists what is opened while it is being closed, after it had looked', async () => {
    const round = await start();
    const aggregate = await round.aggregate(await round.sealAll());
    const answers = await round.answers(aggregate, [1, 2]);
    class OpenedMeanwhile extends RoundRecords {
      override async endUnopened(unopened: UnopenedRound): Promise<RoundOutcome> {
        await round.open(aggregate, answers);
        return super.endUnopened(unopened);
      }
    }
    const owner = { ...round.owner(), records: new OpenedMeanwhile(join(round.directory, 'owner')) };
    const { body } = await closeRound(owner, round.plan, aggregate, 'in a hurry');
    expect(body.opened).to.have.length(3);
    expect(body.reason).to.equal(undefined);
    round.end();
  });

  it('refuses a reason that no record can carry, before anything is decided', async () => {
    const round = await start();
    await expectRefusal('close.bad-reason', () =>
      closeRound(round.owner(), round.plan, undefined, 'two\nlines'),
    );
    expect(await round.owner().records.outcome(round.plan.fingerprint)).to.equal(undefined);
    round.end();
  });

  it('takes a damaged record of the owner for an error, never for a round that was not opened', async () => {
    const round = await start();
    const aggregate = await round.aggregate(await round.sealAll());
    const answers = await round.answers(aggregate, [1, 2]);
    await round.open(aggregate, answers);
    const records = join(round.directory, 'owner', 'rounds');
    const [name = ''] = await pathsBelow(records);
    await writeFile(join(records, name), '{}');
    await expectRefusal('owner.record-malformed', () => round.open(aggregate, answers));
    await expectRefusal('owner.record-malformed', () =>
      closeRound(round.owner(), round.plan, undefined, undefined),
    );
    round.end();
  });

  it('gives the next plan the newest ledger heads, which the custodians know', async () => {
    const round = await start();
    const aggregate = await round.aggregate(await round.sealAll());
    await round.open(aggregate, await round.answers(aggregate, [1, 3]));
    const heads = await round.owner().records.ledgerHeads();
    expect(heads.map(({ custodian }) => custodian).sort()).to.deep.equal(['custodian-1', 'custodian-3']);
    for (const { custodian, head } of heads) {
      const { ledger } = await round.custodianIdentity(Number(custodian.at(-1)));
      expect(ledger.hasHead(head)).to.equal(true);
    }
    round.end();
  });
});
