import { expect } from 'chai';
import {
  custodiansByIndex,
  requireAggregator,
  requireClient,
  requireCustodian,
  requireOwnKey,
  requireSameFleet,
} from '../../lib/custody/roster.js';
import { withSignatureChanged } from '../round/support/forgery.js';
import {
  createMembers,
  type Members,
  rosterBody,
  signRoster,
  trustRosters,
} from '../round/support/members.js';
import { expectRefusal } from '../support/refusals.js';
import { temporaryDirectory } from '../support/temporary-directory.js';

describe('a trusted roster', () => {
  let members: Members;
  let first: Uint8Array;
  let second: Uint8Array;

  before(async () => {
    members = await createMembers({ clients: 3, custodians: 3 });
    first = await signRoster(members, rosterBody(members));
    second = await signRoster(members, rosterBody(members, { version: 2 }));
  });

  it('only grows: the older one is refused once the newer one was seen', async () => {
    const trusted = await trustRosters(await temporaryDirectory(), first, second);
    expect(trusted.body.version).to.equal(2);
    const directory = await temporaryDirectory();
    await expectRefusal('roster.older', () => trustRosters(directory, second, first));
    expect((await trustRosters(directory, second)).body.version).to.equal(2);
  });

  it('is refused where another one has its version', async () => {
    const other = await signRoster(members, rosterBody(members, { quorumFloor: 2 }));
    const directory = await temporaryDirectory();
    await expectRefusal('roster.equivocation', () => trustRosters(directory, first, other));
  });

  it('is refused where another owner signed it, even a newer one', async () => {
    const strangers = await createMembers({
      clients: 3,
      custodians: 3,
      seedOf: (name) => Uint8Array.from({ length: 32 }, (_, i) => name.charCodeAt(i % name.length) ^ i),
    });
    const foreign = await signRoster(strangers, rosterBody(strangers, { version: 5 }));
    const directory = await temporaryDirectory();
    await expectRefusal('roster.other-owner', () => trustRosters(directory, first, foreign));
  });

  it('is refused where somebody but its owner signed it, and moves no pin', async () => {
    const { coordinator, owner } = members;
    const usurped = { ...members, owner: { ...owner, signing: coordinator.signing } };
    const forged = await signRoster(usurped, rosterBody(members, { version: 9 }));
    const directory = await temporaryDirectory();
    await expectRefusal('container.wrong-signer', () => trustRosters(directory, first, forged));
    expect((await trustRosters(directory, first)).body.version).to.equal(1);
  });

  it('is refused where its signature was changed', async () => {
    const changed = await withSignatureChanged(first);
    await expectRefusal('container.bad-signature', async () =>
      trustRosters(await temporaryDirectory(), changed),
    );
  });

  it('gives active members, and says of others what they are', async () => {
    const body = rosterBody(members);
    const statuses = ['active', 'suspended', 'revoked'] as const;
    const clients = body.clients.map((client, i) => ({ ...client, status: statuses[i] ?? 'active' }));
    const roster = await trustRosters(
      await temporaryDirectory(),
      await signRoster(members, { ...body, clients }),
    );
    expect(requireClient(roster, 'client-1').keys).to.deep.equal(members.clients[0]?.signing.publicKeys);
    await expectRefusal('roster.client-suspended', () => requireClient(roster, 'client-2'));
    await expectRefusal('roster.client-revoked', () => requireClient(roster, 'client-3'));
    await expectRefusal('roster.unknown-client', () => requireClient(roster, 'client-4'));
    expect(requireCustodian(roster, 'custodian-2').index).to.equal(2);
    await expectRefusal('roster.unknown-custodian', () => requireCustodian(roster, 'client-1'));
    expect(requireAggregator(roster, 'aggregator').id).to.equal('aggregator');
    await expectRefusal('roster.unknown-aggregator', () => requireAggregator(roster, 'owner'));
    expect(custodiansByIndex(roster).map(({ index }) => index)).to.deep.equal([1, 2, 3]);
  });

  it('lists the key that a role holds, or the role is refused', async () => {
    const [one, two] = members.clients;
    const listed = one?.signing.publicKeys as NonNullable<typeof one>['signing']['publicKeys'];
    requireOwnKey(listed, listed, 'client "client-1"');
    await expectRefusal('roster.not-this-key', () =>
      requireOwnKey(listed, two?.signing.publicKeys as typeof listed, 'client "client-1"'),
    );
  });

  it('is of one fleet', async () => {
    const roster = await trustRosters(await temporaryDirectory(), first);
    requireSameFleet(roster, 'acme', 'plan');
    const error = await expectRefusal('roster.other-fleet', () => requireSameFleet(roster, 'other', 'plan'));
    expect(error.message).to.include('plan').and.to.include('other').and.to.include('acme');
  });
});
