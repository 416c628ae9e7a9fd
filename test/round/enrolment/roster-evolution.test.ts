import { expect } from 'chai';
import fc from 'fast-check';
import { RefusedError } from '../../../lib/errors.js';
import type { EnrolmentBody } from '../../../lib/package/messages/enrolment.js';
import { type RosterBody, rosterSchema } from '../../../lib/package/messages/roster.js';
import { evolveRoster, type RosterChanges } from '../../../lib/round/enrolment/roster-evolution.js';
import { expectRefusal } from '../../support/refusals.js';
import { client, custodian, numberedKem, numberedKeys, numberedRoster, other } from './support/enrolments.js';

const one = (enrolment: EnrolmentBody, replace = false): RosterChanges => ({
  enrol: [{ enrolment, replace }],
});
const all = (...enrolments: EnrolmentBody[]): RosterChanges => ({
  enrol: enrolments.map((enrolment) => ({ enrolment })),
});
const rotation = (epoch: number): EnrolmentBody[] =>
  [1, 2, 3].map((index) => custodian(`c${index}`, 20 + index, epoch));

function statusIn(roster: RosterBody, id: string): string | undefined {
  return roster.clients.find((entry) => entry.id === id)?.status;
}

describe('the next roster', () => {
  it('has the next version, and nothing else that is new where nothing is asked for', () => {
    const roster = numberedRoster();
    expect(evolveRoster(roster, {})).to.deep.equal({ ...roster, version: 8 });
    expect(roster).to.deep.equal(numberedRoster());
  });

  describe('and its clients', () => {
    it('takes a new one, active', () => {
      const next = evolveRoster(numberedRoster(), one(client('r9', 39)));
      expect(next.clients.at(-1)).to.deep.equal({ id: 'r9', keys: numberedKeys(39), status: 'active' });
      expect(next.clients.slice(0, 3)).to.deep.equal(numberedRoster().clients);
    });

    it('says the same of one that is enrolled again with its keys', () => {
      const again = evolveRoster(numberedRoster(), all(client('r1', 31), client('r2', 32)));
      expect(again.clients).to.deep.equal(numberedRoster().clients);
    });

    it('gives one other keys only where the owner says so, and keeps a suspension', async () => {
      for (const [id, status] of [
        ['r1', 'active'],
        ['r2', 'suspended'],
      ] as const) {
        const message = await expectRefusal('enrolment.already-enrolled', () =>
          evolveRoster(numberedRoster(), one(client(id, 40))),
        );
        expect(message.message).to.include(`client "${id}"`).and.to.include('--replace');
        const next = evolveRoster(numberedRoster(), one(client(id, 40), true));
        expect(next.clients.find((entry) => entry.id === id)).to.deep.equal({
          ...{ id, status, keys: numberedKeys(40) },
        });
      }
    });

    it('lists a revoked one as it was for ever, with the keys that verify its past updates', async () => {
      const revoked = evolveRoster(numberedRoster(), { status: [{ id: 'r1', to: 'revoked' }] });
      expect(revoked.clients[0]).to.deep.equal({ id: 'r1', keys: numberedKeys(31), status: 'revoked' });
      for (const to of ['active', 'suspended'] as const) {
        await expectRefusal('roster.status-final', () =>
          evolveRoster(revoked, { status: [{ id: 'r1', to }] }),
        );
      }
      for (const keys of [31, 40]) {
        await expectRefusal('enrolment.revoked', () => evolveRoster(revoked, one(client('r1', keys), true)));
      }
      await expectRefusal('enrolment.duplicate-key', () => evolveRoster(revoked, one(client('r9', 31))));
    });

    it('suspends and reinstates', () => {
      const suspended = evolveRoster(numberedRoster(), { status: [{ id: 'r1', to: 'suspended' }] });
      expect(statusIn(suspended, 'r1')).to.equal('suspended');
      expect(statusIn(evolveRoster(suspended, { status: [{ id: 'r1', to: 'active' }] }), 'r1')).to.equal(
        'active',
      );
    });

    it('knows no other client', async () => {
      await expectRefusal('roster.unknown-client', () =>
        evolveRoster(numberedRoster(), { status: [{ id: 'c1', to: 'revoked' }] }),
      );
    });
  });

  describe('and its custodians', () => {
    it('moves them to the next epoch together', () => {
      const next = evolveRoster(numberedRoster(), all(...rotation(2)));
      expect(next.custodians.map(({ epoch }) => epoch)).to.deep.equal([2, 2, 2]);
      expect(next.custodians.map(({ kem }) => kem)).to.deep.equal([2021, 2022, 2023].map(numberedKem));
      expect(next.custodians.map(({ id, index }) => [id, index])).to.deep.equal([
        ['c1', 1],
        ['c2', 2],
        ['c3', 3],
      ]);
      expect(evolveRoster(next, all(...rotation(2))).custodians).to.deep.equal(next.custodians);
    });

    it('names those whose enrolments are missing', async () => {
      const error = await expectRefusal('enrolment.custodians-missing', () =>
        evolveRoster(numberedRoster(), one(custodian('c2', 22, 2))),
      );
      expect(error.message).to.include('"c1", "c3"').and.to.include('epoch 2').and.not.to.include('"c2"');
    });

    it('leaves an epoch out where all do: somebody may have lost its key for it', async () => {
      const next = evolveRoster(numberedRoster(), all(...rotation(3)));
      expect(next.custodians.map(({ epoch }) => epoch)).to.deep.equal([3, 3, 3]);
      const [first] = rotation(3) as [EnrolmentBody];
      const [, ...others] = rotation(2);
      const error = await expectRefusal('enrolment.custodians-missing', () =>
        evolveRoster(numberedRoster(), all(first, ...others)),
      );
      expect(error.message).to.include('"c2", "c3"').and.to.include('epoch 3');
    });

    it('refuses another key of the epoch that is in force', async () => {
      const enrolments = rotation(1).map((enrolment) => ({ ...enrolment, kem: numberedKem(99) }));
      await expectRefusal('enrolment.wrong-epoch', () =>
        evolveRoster(numberedRoster(), one(enrolments[0] as EnrolmentBody)),
      );
    });

    it("takes no KEM key into another epoch, its own as little as a colleague's", async () => {
      const [first, ...rest] = rotation(2) as [EnrolmentBody, ...EnrolmentBody[]];
      for (const number of [1021, 1022]) {
        await expectRefusal('enrolment.duplicate-key', () =>
          evolveRoster(numberedRoster(), all({ ...first, kem: numberedKem(number) }, ...rest)),
        );
      }
    });

    it('replaces a machine only in the next epoch, and where the owner says so', async () => {
      const [, second, third] = rotation(2) as [EnrolmentBody, EnrolmentBody, EnrolmentBody];
      const anew = custodian('c1', 51, 2);
      await expectRefusal('enrolment.already-enrolled', () =>
        evolveRoster(numberedRoster(), all(anew, second, third)),
      );
      await expectRefusal('enrolment.wrong-epoch', () =>
        evolveRoster(numberedRoster(), one(custodian('c1', 51, 1), true)),
      );
      const next = evolveRoster(numberedRoster(), {
        enrol: [{ enrolment: anew, replace: true }, { enrolment: second }, { enrolment: third }],
      });
      expect(next.custodians[0]).to.deep.include({ id: 'c1', index: 1, keys: numberedKeys(51), epoch: 2 });
    });

    it('appends a new one in the epoch of the others, or with them in the next', async () => {
      const next = evolveRoster(numberedRoster(), one(custodian('c4', 24, 1)));
      expect(next.custodians.at(-1)).to.deep.include({ id: 'c4', index: 4, epoch: 1 });
      expect(next.threshold).to.equal(2);
      const both = evolveRoster(numberedRoster(), {
        ...all(...rotation(2), custodian('c4', 24, 2)),
        threshold: 3,
      });
      expect(both.custodians.map(({ epoch }) => epoch)).to.deep.equal([2, 2, 2, 2]);
      expect(both.threshold).to.equal(3);
      await expectRefusal('enrolment.custodians-missing', () =>
        evolveRoster(numberedRoster(), one(custodian('c4', 24, 2))),
      );
      await expectRefusal('enrolment.wrong-epoch', () => evolveRoster(both, one(custodian('c5', 25, 1))));
    });

    it('takes a restored one only with a key of a new epoch', async () => {
      await expectRefusal('enrolment.wrong-epoch', () =>
        evolveRoster(numberedRoster(), one(custodian('c1', 21, 1, { restored: true }))),
      );
      const [first, ...rest] = rotation(2) as [EnrolmentBody, ...EnrolmentBody[]];
      const next = evolveRoster(numberedRoster(), all({ ...first, restored: true }, ...rest));
      expect(next.custodians[0]?.epoch).to.equal(2);
    });

    it('says which epochs are over, and never takes that back', async () => {
      const rotated = evolveRoster(numberedRoster(), { ...all(...rotation(2)), oldestOpenEpoch: 1 });
      expect(rotated.oldestOpenEpoch).to.equal(1);
      const retired = evolveRoster(rotated, { oldestOpenEpoch: 2 });
      expect(evolveRoster(retired, {}).oldestOpenEpoch).to.equal(2);
      await expectRefusal('roster.epoch-back', () => evolveRoster(retired, { oldestOpenEpoch: 1 }));
      await expectRefusal('roster.invalid-change', () => evolveRoster(retired, { oldestOpenEpoch: 3 }));
    });

    it('keeps the threshold within their number', async () => {
      const error = await expectRefusal('roster.invalid-change', () =>
        evolveRoster(numberedRoster(), { threshold: 4 }),
      );
      expect(error.message).to.include('threshold is 4, with 3 custodians');
    });
  });

  it('takes and replaces aggregators and the coordinator', async () => {
    const roster = numberedRoster();
    const second = evolveRoster(roster, one(other('aggregator', 61, 'site-b')));
    expect(second.aggregators.map(({ id }) => id)).to.deep.equal(['aggregator', 'site-b']);
    for (const role of ['aggregator', 'coordinator'] as const) {
      await expectRefusal('enrolment.already-enrolled', () => evolveRoster(roster, one(other(role, 62))));
    }
    const next = evolveRoster(roster, {
      enrol: [
        { enrolment: other('aggregator', 62), replace: true },
        { enrolment: other('coordinator', 63), replace: true },
      ],
    });
    expect(next.aggregators).to.deep.equal([{ id: 'aggregator', keys: numberedKeys(62) }]);
    expect(next.coordinator).to.deep.equal({ keys: numberedKeys(63) });
    const same = evolveRoster(roster, all(other('aggregator', 12), other('coordinator', 11, 'anything')));
    expect(same).to.deep.equal({ ...roster, version: 8 });
  });

  it('takes, replaces and withdraws gateways, and lists none where there is none', async () => {
    const roster = numberedRoster();
    const listed = evolveRoster(roster, one(other('gateway', 61, 'site-a')));
    expect(listed.gateways).to.deep.equal([{ id: 'site-a', keys: numberedKeys(61) }]);
    await expectRefusal('enrolment.already-enrolled', () =>
      evolveRoster(listed, one(other('gateway', 62, 'site-a'))),
    );
    const replaced = evolveRoster(listed, one(other('gateway', 62, 'site-a'), true));
    expect(replaced.gateways).to.deep.equal([{ id: 'site-a', keys: numberedKeys(62) }]);
    expect(evolveRoster(listed, { withdrawGateways: ['site-a'] })).to.deep.equal({ ...roster, version: 9 });
    await expectRefusal('roster.unknown-gateway', () =>
      evolveRoster(listed, { withdrawGateways: ['site-b'] }),
    );
    await expectRefusal('enrolment.duplicate-key', () => evolveRoster(listed, one(client('r9', 61))));
  });

  for (const [what, changes] of [
    ["another client's signing key", one(client('r9', 31))],
    ["a custodian's signing key", one(client('r9', 21))],
    ["the owner's signing key", one(client('r9', 10))],
    ["a custodian's KEM key", one(client('r9', 39, { kem: numberedKem(1021) }))],
    ["the owner's KEM key", one(client('r9', 39, { kem: numberedKem(10) }))],
    ['one signing key for two new clients', all(client('r8', 39), client('r9', 39, { kem: numberedKem(1) }))],
    ['one KEM key for two new clients', all(client('r8', 38), client('r9', 39, { kem: numberedKem(38) }))],
    [
      'a key that the same change takes from another client',
      {
        enrol: [
          { enrolment: client('r1', 70), replace: true },
          { enrolment: client('r9', 31), replace: false },
        ],
      },
    ],
  ] as const) {
    it(`refuses ${what}, and says whose it is`, async () => {
      const error = await expectRefusal('enrolment.duplicate-key', () =>
        evolveRoster(numberedRoster(), changes),
      );
      expect(error.message).to.match(
        /^client "r9" has the (ed25519|KEM) key of (client|custodian|the owner)/,
      );
    });
  }

  it('refuses two enrolments of one machine', async () => {
    await expectRefusal('enrolment.listed-twice', () =>
      evolveRoster(numberedRoster(), all(client('r9', 39), client('r9', 40))),
    );
    await expectRefusal('enrolment.listed-twice', () =>
      evolveRoster(numberedRoster(), all(other('coordinator', 61, 'a'), other('coordinator', 62, 'b'))),
    );
  });

  it('refuses a machine without a key of an algorithm that the fleet requires', async () => {
    const keys = (number: number) => ({
      ...numberedKeys(number),
      'ml-dsa-65': new Uint8Array(1952).fill(number),
    });
    const { owner, coordinator, aggregators, custodians } = numberedRoster();
    const hybrid = numberedRoster({
      owner: { ...owner, keys: keys(10) },
      coordinator: { ...coordinator, keys: keys(11) },
      aggregators: aggregators.map((member) => ({ ...member, keys: keys(12) })),
      custodians: custodians.map((member, i) => ({ ...member, keys: keys(21 + i) })),
      clients: [],
      signatureAlgorithms: ['ed25519', 'ml-dsa-65'],
    });
    await expectRefusal('enrolment.algorithm-missing', () => evolveRoster(hybrid, one(client('r9', 39))));
    const next = evolveRoster(hybrid, one(client('r9', 39, { keys: keys(39) })));
    expect(next.clients).to.have.length(1);
  });

  it('keeps to its rules in every sequence of changes', () => {
    const id = fc.constantFrom('m1', 'm2', 'm3', 'm4');
    const number = fc.integer({ min: 100, max: 110 });
    const replace = fc.boolean();
    const ahead = fc.integer({ min: -1, max: 2 });
    type Step = (roster: RosterBody) => RosterChanges;
    const epochOf = (roster: RosterBody): number => Math.max(...roster.custodians.map(({ epoch }) => epoch));
    const rotate: fc.Arbitrary<Step> = fc
      .record({
        ahead: fc.constantFrom(1, 1, 1, 1, 0, -1, 2),
        spared: fc.constantFrom(0, 0, 0, 1, 4),
        anew: fc.option(number),
        replace,
      })
      .map((step) => (roster) => ({
        enrol: roster.custodians
          .filter(({ index }) => index !== step.spared)
          .map(({ id: name, keys, index }) => {
            const epoch = Math.max(1, epochOf(roster) + step.ahead);
            const listed = custodian(name, 200 + index, epoch);
            const renewed = step.anew !== null && index === 1 ? numberedKeys(step.anew) : keys;
            return { enrolment: { ...listed, keys: renewed }, replace: step.replace };
          }),
      }));
    const step: fc.Arbitrary<Step> = fc.oneof(
      fc.record({ id, number, replace }).map(
        (s): Step =>
          () =>
            one(client(s.id, s.number), s.replace),
      ),
      fc.record({ id, to: fc.constantFrom('active' as const, 'suspended' as const, 'revoked' as const) }).map(
        (change): Step =>
          () => ({ status: [change] }),
      ),
      rotate,
      fc.record({ id, number, ahead, replace }).map(
        (s): Step =>
          (roster) =>
            one(custodian(s.id, s.number, Math.max(1, epochOf(roster) + s.ahead)), s.replace),
      ),
      fc.record({ id, number, replace }).map(
        (s): Step =>
          () =>
            one(other('aggregator', s.number, s.id), s.replace),
      ),
      fc.record({ number, replace }).map(
        (s): Step =>
          () =>
            one(other('coordinator', s.number), s.replace),
      ),
      fc.integer({ min: 1, max: 6 }).map(
        (threshold): Step =>
          () => ({ threshold }),
      ),
      fc.integer({ min: 1, max: 5 }).map(
        (oldestOpenEpoch): Step =>
          () => ({ oldestOpenEpoch }),
      ),
    );
    let [accepted, refused, rotated] = [0, 0, 0];
    fc.assert(
      fc.property(fc.array(step, { minLength: 1, maxLength: 25 }), (steps) => {
        let roster = numberedRoster();
        for (const changes of steps) {
          const before = structuredClone(roster);
          let next: RosterBody;
          try {
            next = evolveRoster(roster, changes(roster));
          } catch (error) {
            if (!(error instanceof RefusedError)) throw error;
            refused += 1;
            expect(roster).to.deep.equal(before);
            continue;
          }
          accepted += 1;
          expect(roster).to.deep.equal(before);
          expect(rosterSchema.safeParse(next).success).to.equal(true);
          expect(next.version).to.equal(roster.version + 1);
          expect(new Set(next.custodians.map(({ epoch }) => epoch)).size).to.equal(1);
          expect(epochOf(next) - epochOf(roster)).to.be.at.least(0);
          if (epochOf(next) > epochOf(roster)) {
            rotated += 1;
            const earlier = new Set(roster.custodians.map(({ kem }) => Buffer.from(kem).toString('hex')));
            for (const { kem } of next.custodians) {
              expect(earlier.has(Buffer.from(kem).toString('hex'))).to.equal(false);
            }
          }
          expect(next.oldestOpenEpoch ?? 0).to.be.at.least(roster.oldestOpenEpoch ?? 0);
          for (const then of roster.clients) {
            const now = next.clients.find((entry) => entry.id === then.id);
            expect(now, then.id).not.to.equal(undefined);
            if (then.status === 'revoked') expect(now).to.deep.equal(then);
          }
          for (const then of roster.custodians) {
            expect(next.custodians[then.index - 1]?.id).to.equal(then.id);
          }
          roster = next;
        }
      }),
      { numRuns: 150 },
    );
    // Neither of them is all there was.
    expect(Math.min(accepted, refused, rotated)).to.be.above(5);
  });
});
