/** Updates that arrive at a round. */
import { expect } from 'chai';
import { MAX_LISTED_REFUSALS, sentUpdates } from '../../../lib/round/machine/state.js';
import { clients, DEADLINE_MS, fingerprint, OPENS_MS, TestRound } from './support/test-round.js';

function sentBy(round: TestRound): string[] {
  return sentUpdates(round.state).map(({ client }) => client);
}

describe('a round that takes updates', () => {
  it('refuses them until it opens, and says when that is', () => {
    const round = new TestRound();
    const { refusal } = round.receive('client-1');
    expect(refusal?.code).to.equal('round.not-open');
    expect(refusal?.message).to.contain(new Date(OPENS_MS).toISOString());
    expect(round.state.refusals).to.deep.equal([]);
  });

  it('opens for the first update that comes in time, if no timer has opened it', () => {
    const round = new TestRound();
    round.nowMs = OPENS_MS;
    expect(round.receive('client-1').outcome).to.equal('applied');
    expect(round.state.phase).to.equal('open');
  });

  it('opens earlier where the operator says so', () => {
    const round = new TestRound();
    round.send({ type: 'open', atMs: round.nowMs });
    expect(round.receive('client-1').outcome).to.equal('applied');
    expect(round.send({ type: 'open', atMs: round.nowMs }).outcome).to.equal('repeated');
  });

  it('acknowledges the same update again and again, and changes nothing', () => {
    const round = TestRound.opened();
    round.receive('client-1');
    const { state } = round;
    round.nowMs += 5;
    expect(round.receive('client-1')).to.deep.include({ outcome: 'repeated', effects: [] });
    expect(round.state).to.deep.equal(state);
  });

  it('acknowledges an update of its set again after the sealing-off, and after the end', () => {
    const round = TestRound.summed();
    expect(round.receive('client-1').outcome).to.equal('repeated');
    round.send(round.closedOpened());
    expect(round.receive('client-1').outcome).to.equal('repeated');
  });

  it('keeps when an update came, how stale it is and what it says of itself', () => {
    const round = TestRound.opened();
    round.send({
      type: 'update-received',
      atMs: OPENS_MS + 3,
      client: 'client-2',
      fingerprint: fingerprint('update'),
      stalenessRounds: 2,
      statistics: { gradientNormMax: 1.5 },
    });
    expect(sentUpdates(round.state)).to.deep.equal([
      {
        client: 'client-2',
        update: {
          fingerprint: fingerprint('update'),
          receivedAtMs: OPENS_MS + 3,
          stalenessRounds: 2,
          statistics: { gradientNormMax: 1.5 },
        },
      },
    ]);
  });

  it('refuses a client that is not among its own', () => {
    const round = TestRound.opened();
    expect(round.refusal(round.received('stranger'))).to.equal('round.client-not-eligible');
    // A name that every object has is a name like another.
    expect(round.refusal(round.received('constructor'))).to.equal('round.client-not-eligible');
    expect(sentBy(round)).to.deep.equal([]);
  });

  it('refuses a delta that is later than the plan allows, and takes one that is just as late', () => {
    const round = TestRound.opened();
    const event = { ...round.received('client-1'), stalenessRounds: 5 };
    expect(round.refusal(event)).to.equal('round.too-stale');
    expect(round.send({ ...event, stalenessRounds: 4 }).outcome).to.equal('applied');
  });

  it('takes a delta of any staleness where the plan has no bound', () => {
    const { maxStalenessRounds: _, ...unbounded } = new TestRound().state.settings;
    const round = TestRound.opened();
    round.state = { ...round.state, settings: unbounded };
    expect(round.send({ ...round.received('client-1'), stalenessRounds: 99 }).outcome).to.equal('applied');
  });

  it('refuses the update of one client from another one', () => {
    const round = TestRound.opened();
    round.receive('client-1', 'update');
    expect(round.refusal(round.received('client-2', 'update'))).to.equal('round.fingerprint-taken');
  });

  describe('from a client that has sent before', () => {
    it('refuses a second update where the policy says so', () => {
      const round = TestRound.opened();
      round.receive('client-1', 'first');
      expect(round.refusal(round.received('client-1', 'second'))).to.equal('round.second-update');
      expect(sentUpdates(round.state)[0]?.update.fingerprint).to.equal(fingerprint('first'));
    });

    it('replaces the first one where the policy says so, and does not go back to it', () => {
      const round = TestRound.opened({ secondUpdate: 'replace' });
      round.receive('client-1', 'first');
      expect(round.receive('client-1', 'second').outcome).to.equal('applied');
      expect(round.refusal(round.received('client-1', 'first'))).to.equal('round.update-replaced');
      expect(sentUpdates(round.state)[0]?.update.fingerprint).to.equal(fingerprint('second'));
    });

    it('bounds how often', () => {
      const round = TestRound.opened({ secondUpdate: 'replace' });
      for (const update of ['a', 'b', 'c', 'd']) round.receive('client-1', update);
      expect(round.refusal(round.received('client-1', 'e'))).to.equal('round.too-many-replacements');
      expect(sentUpdates(round.state)[0]?.update.fingerprint).to.equal(fingerprint('d'));
    });

    it('refuses a second update after the sealing-off, whatever the policy says', () => {
      const round = TestRound.sealedOff(4, { secondUpdate: 'replace' });
      expect(round.refusal(round.received('client-1', 'second'))).to.equal('round.late');
    });
  });

  describe('that ends its reception', () => {
    it('seals off at once when all of its clients have sent', () => {
      const round = TestRound.opened();
      for (const client of clients(4)) round.receive(client);
      expect(round.state.phase).to.equal('open');
      round.receive('client-5');
      expect(round.state.phase).to.equal('sealed-off');
    });

    it('seals off at once when it is full, and turns the others away without a stain', () => {
      const round = TestRound.opened({ maxClients: 3, reservesFromMs: OPENS_MS });
      for (const client of ['client-1', 'client-2', 'client-4']) round.receive(client);
      expect(round.state.phase).to.equal('sealed-off');
      expect(round.refusal(round.received('client-3'))).to.equal('round.full');
      expect(round.state.members[2]).to.deep.equal({ client: 'client-3', mark: 'turned-away' });
    });

    it('tells a late client to wait for the close record, and takes note of it', () => {
      const round = TestRound.sealedOff();
      const { refusal } = round.receive('client-5');
      expect(refusal?.code).to.equal('round.late');
      expect(refusal?.message).to.contain('close record');
      expect(round.state.members[4]).to.deep.equal({ client: 'client-5', mark: 'late' });
      expect(round.state.refusals).to.have.lengthOf(1);
      expect(round.state.refusals[0]).to.include({ client: 'client-5', code: 'round.late' });
    });

    it('is late for an update that comes at the deadline, though no timer has fired', () => {
      const round = TestRound.opened();
      for (const client of clients(3)) round.receive(client);
      round.nowMs = DEADLINE_MS;
      expect(round.refusal(round.received('client-4'))).to.equal('round.late');
      expect(round.state.phase).to.equal('sealed-off');
      expect(sentBy(round)).to.deep.equal(clients(3));
    });

    it('takes nothing, and keeps no note, once it has failed', () => {
      const round = TestRound.opened();
      round.passTo(DEADLINE_MS);
      const { state } = round;
      expect(round.refusal(round.received('client-1'))).to.equal('round.ended');
      expect(round.state).to.deep.equal(state);
    });
  });

  describe('that holds fewer than may send', () => {
    it('lets reserves wait for half of the time, and then takes them', () => {
      const round = TestRound.opened({ maxClients: 3 });
      const { refusal } = round.receive('client-4');
      expect(refusal?.code).to.equal('round.reserve-not-yet');
      expect(refusal?.message).to.contain(new Date((OPENS_MS + DEADLINE_MS) / 2).toISOString());
      round.nowMs = (OPENS_MS + DEADLINE_MS) / 2;
      expect(round.receive('client-4').outcome).to.equal('applied');
    });
  });

  describe('that takes note of refused uploads', () => {
    const bad = (round: TestRound, client: string | undefined, name = 'bad') =>
      round.send({
        type: 'update-refused',
        atMs: round.nowMs,
        ...(client !== undefined && { client }),
        fingerprint: fingerprint(name),
        code: 'update.digest-mismatch',
        reason: 'the chunk 3 is "not"\nwhat the header says: ü',
      });

    it('lists them once, with a reason that fits a line', () => {
      const round = TestRound.opened();
      bad(round, 'client-1');
      expect(bad(round, 'client-1').outcome).to.equal('repeated');
      expect(round.state.refusals.map(({ reason }) => reason)).to.deep.equal([
        "the chunk 3 is 'not' what the header says: ?",
      ]);
      expect(round.state.members[0]?.mark).to.equal('rejected');
    });

    it('takes the update that follows', () => {
      const round = TestRound.opened();
      bad(round, 'client-1');
      expect(round.receive('client-1').outcome).to.equal('applied');
    });

    it('lists two of a client, and counts the rest', () => {
      const round = TestRound.opened();
      for (const name of ['a', 'b', 'c', 'd']) bad(round, 'client-1', name);
      expect(round.state.refusals).to.have.lengthOf(2);
      expect(round.state.unlistedRefusals).to.equal(2);
    });

    it('lists a bounded number, and counts the rest', () => {
      const round = TestRound.opened();
      for (let i = 0; i < MAX_LISTED_REFUSALS + 3; i++) bad(round, undefined, `bad ${i}`);
      expect(round.state.refusals).to.have.lengthOf(MAX_LISTED_REFUSALS);
      expect(round.state.unlistedRefusals).to.equal(3);
    });
  });
});
