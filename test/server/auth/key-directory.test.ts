import { expect } from 'chai';
import { keyIdOf } from '../../../lib/package/keys.js';
import { hex } from '../../../lib/package/messages/common.js';
import { RosterKeyDirectory } from '../../../lib/server/auth/key-directory.js';
import { createMembers, rosterBody } from '../../round/support/members.js';

describe('the directory of keys', () => {
  it('lists nobody without a roster, and its members with one', async () => {
    const members = await createMembers({ clients: 3, custodians: 3 });
    const clientKey = hex(members.clients[0]?.signing.keyId ?? new Uint8Array());
    const directory = new RosterKeyDirectory();
    expect(directory.find(clientKey)).to.equal(undefined);
    directory.replace(rosterBody(members));
    expect(directory.find(clientKey)).to.include({ role: 'client', id: 'client-1', standing: 'active' });
    expect(directory.find(hex(members.owner.signing.keyId))).to.include({ role: 'owner', id: 'owner' });
    expect(directory.find(hex(members.coordinator.signing.keyId))).to.include({
      role: 'owner',
      id: 'coordinator',
    });
    // An aggregator makes no requests of another one.
    expect(directory.find(hex(keyIdOf(members.aggregator.signing.publicKeys)))).to.equal(undefined);
  });

  it('forgets who is not in the next roster', async () => {
    const members = await createMembers({ clients: 3, custodians: 3 });
    const directory = new RosterKeyDirectory(rosterBody(members));
    directory.replace(rosterBody(members, { clients: rosterBody(members).clients.slice(1) }));
    expect(directory.find(hex(members.clients[0]?.signing.keyId ?? new Uint8Array()))).to.equal(undefined);
    expect(directory.find(hex(members.clients[1]?.signing.keyId ?? new Uint8Array()))?.id).to.equal(
      'client-2',
    );
  });
});
