import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { shareInfo } from '../../lib/custody/bindings.js';
import { answerRound, type CustodianIdentity } from '../../lib/custody/custodian.js';
import { noEpochKey } from '../../lib/custody/custodian-directory.js';
import { sealTo } from '../../lib/custody/hpke.js';
import { createLedger } from '../../lib/custody/ledger.js';
import { sealedShareSlot } from '../../lib/custody/sharing.js';
import { openContainer } from '../../lib/package/reader.js';
import { craftUpdate, signAgain } from '../round/support/forgery.js';
import { TestRound } from '../round/support/round.js';
import { expectRefusal } from '../support/refusals.js';
import { temporaryDirectory } from '../support/temporary-directory.js';
import { bytes32 } from './support/bytes.js';
import { craftAggregate } from './support/crafted-aggregate.js';
import type { RecordedAct } from './support/identities.js';

describe('a custodian', () => {
  let round: TestRound;
  let updates: string[];
  let aggregate: string;

  before(async () => {
    round = await TestRound.start(await temporaryDirectory(), { clients: 5 });
    updates = await round.sealAll([1, 2, 3, 4]);
    aggregate = await round.aggregate(updates.slice(0, 3));
  });

  /** Custodian 1 with a ledger that has answered nothing. */
  async function fresh(changes: Partial<CustodianIdentity> = {}): Promise<CustodianIdentity> {
    const ledger = await createLedger(join(await temporaryDirectory(), 'ledger.sqlite'));
    return { ...(await round.custodianIdentity(1)), ledger, ...changes };
  }

  async function ask(custodian: CustodianIdentity, path: string | Uint8Array, plan = round.plan) {
    const container = await openContainer(path, 'aggregate');
    try {
      return await answerRound(custodian, plan, container);
    } finally {
      await container.close();
    }
  }

  async function crafted(number: number, update: Parameters<typeof craftUpdate>[2] = {}): Promise<string> {
    return round.file('.tgu', await craftUpdate(round.plan, round.client(number), update));
  }

  it('gives identical bytes when it is asked again, though sealing is randomized', async () => {
    const custodian = await fresh();
    const first = await ask(custodian, aggregate);
    const again = await ask(custodian, aggregate);
    expect([first.replayed, again.replayed]).to.deep.equal([false, true]);
    expect(Buffer.from(again.answer)).to.deep.equal(Buffer.from(first.answer));
    expect(first.contributors).to.equal(3);
    const elsewhere = await ask(await fresh(), aggregate);
    expect(Buffer.from(elsewhere.answer)).not.to.deep.equal(Buffer.from(first.answer));
  });

  it('signs what it answered for: plan, set, itself and its ledger', async () => {
    const custodian = await fresh();
    const { answer } = await ask(custodian, aggregate);
    const container = await openContainer(answer, 'answer');
    await container.verify(custodian.signing.publicKeys, ['ed25519']);
    expect(container.body).to.deep.include({ custodian: 'custodian-1', index: 1, epoch: 1, round: 1 });
    expect(container.body.plan).to.deep.equal(round.plan.fingerprint);
    expect(custodian.ledger.hasHead(container.body.ledgerHead)).to.equal(true);
  });

  it('records that it answers before its ledger does, and every refusal with its code', async () => {
    const acts: RecordedAct[] = [];
    const custodian = await fresh();
    const start = custodian.ledger.head();
    const recording: Pick<CustodianIdentity, 'record' | 'refuse'> = {
      record: async (detail) => {
        expect(custodian.ledger.head()).to.deep.equal(start);
        acts.push({ act: 'answer', detail });
      },
      refuse: async (detail) => void acts.push({ act: 'refuse', detail }),
    };
    await ask({ ...custodian, ...recording }, aggregate);
    const other = await round.aggregate(updates.slice(1, 4));
    await expectRefusal('ledger.round-already-answered', () => ask({ ...custodian, ...recording }, other));
    expect(acts.map(({ act }) => act)).to.deep.equal(['answer', 'refuse']);
    expect(acts[0]?.detail).to.include({
      contributors: 3,
      plan: Buffer.from(round.plan.fingerprint).toString('hex'),
    });
    expect(acts[1]?.detail).to.include({ code: 'ledger.round-already-answered' });
  });

  it('unlocks no key for a set that its ledger refuses', async () => {
    const custodian = await fresh();
    await ask(custodian, aggregate);
    const other = await round.aggregate(updates.slice(1, 4));
    const epochKey: CustodianIdentity['epochKey'] = async () => {
      throw new Error('a key was unlocked');
    };
    await expectRefusal('ledger.round-already-answered', () => ask({ ...custodian, epochKey }, other));
  });

  it('does not answer where the act cannot be recorded', async () => {
    const custodian = await fresh({
      record: async () => {
        throw new Error('the disk is full');
      },
    });
    const before = custodian.ledger.head();
    await ask(custodian, aggregate).then(
      () => expect.fail('it answered'),
      (error: Error) => expect(error.message).to.equal('the disk is full'),
    );
    expect(custodian.ledger.head()).to.deep.equal(before);
  });

  it('answers for one set of a round, ever', async () => {
    const custodian = await fresh();
    await ask(custodian, aggregate);
    const other = await round.aggregate([updates[0], updates[1], updates[3]] as string[]);
    const head = custodian.ledger.head();
    await expectRefusal('ledger.round-already-answered', () => ask(custodian, other));
    expect(custodian.ledger.head()).to.deep.equal(head);
    await ask(custodian, aggregate);
  });

  it('answers for one plan of a round, ever', async () => {
    const custodian = await fresh();
    await ask(custodian, aggregate);
    const other = await round.next({ round: 1, seed: bytes32('another seed') });
    const paths: string[] = [];
    for (const number of [1, 2, 3]) {
      paths.push(await round.file('.tgu', await craftUpdate(other.plan, round.client(number))));
    }
    const second = await other.aggregate(paths);
    await expectRefusal('ledger.round-has-another-plan', () => ask(custodian, second, other.plan));
  });

  it('names the client whose share does not open, claims nothing, and answers for the set without it', async () => {
    const custodian = await fresh();
    const bad = await crafted(5, { noiseFor: [1] });
    const withBad = await round.aggregate([...updates.slice(0, 3), bad]);
    const head = custodian.ledger.head();
    const error = await expectRefusal('custodian.bad-share', () => ask(custodian, withBad));
    expect(error.message).to.include('"client-5"').and.not.to.include('"client-1"');
    expect(custodian.ledger.head()).to.deep.equal(head);
    expect((await ask(custodian, aggregate)).replayed).to.equal(false);
  });

  it('names every such client, not the first alone', async () => {
    const paths = [...updates.slice(0, 2)];
    for (const number of [3, 5]) paths.push(await crafted(number, { noiseFor: [1, 2] }));
    const withBad = await round.aggregate(paths);
    const error = await expectRefusal('custodian.bad-share', async () => ask(await fresh(), withBad));
    expect(error.message).to.include('"client-3"').and.to.include('"client-5"');
  });

  it('opens no seal that was copied from another client’s update', async () => {
    const victim = await openContainer(updates[0] as string, 'update');
    const sections = {
      ciphertext: await victim.readSection('ciphertext'),
      shares: await victim.readSection('shares'),
    };
    await victim.close();
    // Were it opened, the sum would hold the victim's secret twice, and the attacker knows all others.
    const pasted = await round.aggregate([...updates.slice(1, 3), await crafted(5, { sections })]);
    const error = await expectRefusal('custodian.bad-share', async () => ask(await fresh(), pasted));
    expect(error.message).to.include('"client-5"');
  });

  it('refuses a residue that is not below q, as it would a share that does not open', async () => {
    const lone = await TestRound.start(await temporaryDirectory());
    const { fleet, policy, cohort, round: number, keyEpoch } = lone.plan.body;
    const { id, signing } = lone.client(3);
    const info = shareInfo({
      fleet,
      policy,
      cohort,
      round: number,
      plan: lone.plan.fingerprint,
      client: id,
      clientKeyId: signing.keyId,
      custodian: 'custodian-3',
      custodianIndex: 3,
      keyEpoch,
    });
    const honest = await openContainer(await craftUpdate(lone.plan, lone.client(3)), 'update');
    const shares = await honest.readSection('shares');
    const { offset } = sealedShareSlot(lone.plan.body, 3);
    shares.set(await sealTo(lone.custodian(3).kemPublicKey, info, new Uint8Array(3328).fill(0xff)), offset);
    const bad = await lone.file(
      '.tgu',
      await craftUpdate(lone.plan, lone.client(3), { sections: { shares } }),
    );
    const sum = await lone.aggregate([...(await lone.sealAll([1, 2])), bad]);
    const error = await expectRefusal('custodian.bad-share', () => lone.answerBytes(3, sum));
    expect(error.message).to.include('"client-3"');
    lone.end();
  });

  it('answers nothing for an update that it summed in another round', async () => {
    // An update names its plan, so that this takes a plan under two round numbers: the ledger refuses it all the same.
    const custodian = await fresh();
    await ask(custodian, aggregate);
    const first = await openContainer(aggregate, 'aggregate');
    const used = first.body.accepted.map(({ update }) => update);
    await first.close();
    await expectRefusal('ledger.update-already-used', () =>
      custodian.ledger.answerOnce(
        {
          fleet: 'acme',
          policy: 'pick',
          cohort: 'all',
          round: 2,
          plan: bytes32('plan'),
          set: bytes32('set'),
          updates: used,
        },
        async () => new Uint8Array(1),
      ),
    );
  });

  it('stops where the plan names a state that its ledger does not know', async () => {
    const ledgerHeads = [{ custodian: 'custodian-1', head: bytes32('a later head') }];
    const ahead = await round.next({ round: 1, ledgerHeads });
    const paths: string[] = [];
    for (const number of [1, 2, 3]) {
      paths.push(await round.file('.tgu', await craftUpdate(ahead.plan, round.client(number))));
    }
    const sum = await ahead.aggregate(paths);
    await expectRefusal('custodian.ledger-behind', async () => ask(await fresh(), sum, ahead.plan));
    // What the plan says of another custodian is no concern of this one.
    const second = { ...(await round.custodianIdentity(2)), ledger: (await fresh()).ledger };
    expect((await ask(second, sum, ahead.plan)).contributors).to.equal(3);
  });

  it('answers nothing once the epoch’s key is destroyed, and claims nothing', async () => {
    const custodian = await fresh({
      epochKey: async (epoch) => {
        throw noEpochKey('custodian-1', epoch);
      },
    });
    const head = custodian.ledger.head();
    await expectRefusal('custodian.no-epoch-key', () => ask(custodian, aggregate));
    expect(custodian.ledger.head()).to.deep.equal(head);
  });

  it('answers as nobody but itself', async () => {
    await expectRefusal('roster.unknown-custodian', async () =>
      ask(await fresh({ id: 'client-1' }), aggregate),
    );
    await expectRefusal('roster.not-this-key', async () =>
      ask(await fresh({ id: 'custodian-2' }), aggregate),
    );
  });

  it('refuses an aggregate that no aggregator of the roster signed, and claims nothing', async () => {
    const custodian = await fresh();
    const head = custodian.ledger.head();
    const forged = await signAgain('aggregate', await readFile(aggregate), round.client(1).signing);
    await expectRefusal('container.wrong-signer', () => ask(custodian, forged));
    expect(custodian.ledger.head()).to.deep.equal(head);
  });

  it('answers for no set in which a client has more than its part of the weight, and claims nothing', async () => {
    const custodian = await fresh();
    const head = custodian.ledger.head();
    const weighted = (...weights: number[]): Promise<Uint8Array> =>
      Promise.all(
        weights.map((own, i) => craftUpdate(round.plan, round.client(i + 1), { body: { weights: [own] } })),
      ).then((crafted) => craftAggregate(round, crafted));
    // 2/3 of the weight is allowed, and no more: the average would be its own.
    await expectRefusal('weights.overweight-client', async () =>
      ask(custodian, await weighted(40_001, 10_000, 10_000)),
    );
    await expectRefusal('weights.below-quorum', async () => ask(custodian, await weighted(5000, 5000, 0, 0)));
    expect(custodian.ledger.head()).to.deep.equal(head);
    expect((await ask(custodian, await weighted(40_000, 10_000, 10_000))).contributors).to.equal(3);
  });

  it('needs nothing of the ciphertext: a shifted sum has the same secrets', async () => {
    const custodian = await fresh();
    const first = await openContainer(aggregate, 'aggregate');
    const length = first.sectionLength('ciphertext');
    await first.close();
    const shifted = await signAgain('aggregate', aggregate, round.members.aggregator.signing, {
      sections: { ciphertext: new Uint8Array(length) },
    });
    const { answer } = await ask(custodian, aggregate);
    const again = await ask(custodian, shifted);
    expect(again.replayed).to.equal(true);
    expect(Buffer.from(again.answer)).to.deep.equal(Buffer.from(answer));
  });
});
