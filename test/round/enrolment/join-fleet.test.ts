import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { openRole } from '../../../lib/custody/role-directory.js';
import type { RosterBody } from '../../../lib/package/messages/roster.js';
import { readEnrolledKem } from '../../../lib/round/enrolment/enrolment-files.js';
import {
  type AskedChanges,
  type IssuedRoster,
  issueRoster,
} from '../../../lib/round/enrolment/issue-roster.js';
import { joinFleet } from '../../../lib/round/enrolment/join-fleet.js';
import { readEnrolment } from '../../../lib/round/enrolment/requests.js';
import { type NewMember, setUpMember } from '../../../lib/round/enrolment/set-up-member.js';
import { createFleet } from '../../../lib/round/fleet.js';
import { expectRefusal } from '../../support/refusals.js';
import { temporaryDirectory } from '../../support/temporary-directory.js';

describe('a machine that joins a fleet', () => {
  let place = '';
  let ownerKeyId: Uint8Array;
  const at = (...parts: string[]): string => join(place, ...parts);

  before(async () => {
    place = await temporaryDirectory();
    ({ ownerKeyId } = await createFleet({
      ...{ directory: at('fleet'), name: 'acme', clients: 3, custodians: 1, threshold: 1 },
      ...{
        parameterSet: 'lwe-128',
        quorumFloor: 3,
        maxUpdateBytes: 1 << 20,
        signatureAlgorithms: ['ed25519'],
      },
      ...{ policyFile: { name: 'policy.json', text: '{"preset": "balanced"}\n' }, defaults: {} },
    }));
  });

  const setUp = (id: string, role: NewMember['role'], changes: Partial<NewMember> = {}) =>
    setUpMember({
      ...{ directory: at(id), role, id, fleet: 'acme', epoch: 1, ownerKeyId },
      ...{ algorithms: ['ed25519'], wrapper: { kind: 'none' } },
      ...changes,
    });
  const issue = async (changes: AskedChanges): Promise<IssuedRoster> => {
    const owner = await openRole(at('fleet', 'owner'), 'owner');
    try {
      return await issueRoster({ ownerDirectory: at('fleet', 'owner'), signing: owner.signing, changes });
    } finally {
      owner.close();
    }
  };
  const firstRoster = () => readFile(at('fleet', 'roster.tgo'));

  it('has a custodian key that nobody seals to before the roster lists it, and active from then on', async () => {
    const { enrolment } = await setUp('custodian-2', 'custodian');
    const { body } = await readEnrolment(enrolment, 'acme', ownerKeyId);
    expect(body).to.deep.include({ role: 'custodian', epoch: 1, ownerKeyId });
    const early = await joinFleet({ directory: at('custodian-2'), file: await firstRoster() });
    expect(early).to.deep.include({ standing: 'not-listed', ownerTrustedOnFirstUse: false });
    const { bytes } = await issue({ enrol: [{ file: enrolment }] });
    expect((await joinFleet({ directory: at('custodian-2'), file: bytes })).standing).to.equal('listed');
    const role = await openRole(at('custodian-2'), 'custodian');
    try {
      expect(role.store.newestKem()?.state).to.equal('active');
      expect(role.roster.body.custodians[1]?.kem).to.deep.equal(role.store.newestKem()?.publicKey);
      const rosters = role.store.vault.trail.entries().filter(({ kind }) => kind === 'roster');
      expect(rosters.map(({ detail }) => detail['version'])).to.deep.equal([1, 2]);
    } finally {
      role.close();
    }
  });

  it('is told where the roster lists other keys, and is listed once they are replaced', async () => {
    const first = await setUp('robot', 'client');
    await issue({ enrol: [{ file: first.enrolment }] });
    const anew = await setUp('robot', 'client', { directory: at('robot-anew') });
    expect(anew.keyId).not.to.deep.equal(first.keyId);
    await expectRefusal('enrolment.already-enrolled', () => issue({ enrol: [{ file: anew.enrolment }] }));
    const { bytes: unchanged } = await issue({});
    const other = await joinFleet({ directory: at('robot-anew'), file: unchanged });
    expect(other.standing).to.equal('other-keys');
    const { bytes } = await issue({ enrol: [{ file: anew.enrolment, replace: true }] });
    expect((await joinFleet({ directory: at('robot'), file: bytes })).standing).to.equal('other-keys');
    const { roster, standing } = await joinFleet({ directory: at('robot-anew'), file: bytes });
    expect(standing).to.equal('active');
    const { body } = await readEnrolment(anew.enrolment, 'acme');
    expect(await readEnrolledKem(at('fleet', 'owner'), roster, 'robot')).to.deep.equal(body.kem);
  });

  it('has an owner who keeps the enrolments of the clients that it began with', async () => {
    const owner = await openRole(at('fleet', 'owner'), 'owner');
    const client = await openRole(at('fleet', 'clients', 'client-02'), 'client');
    try {
      const kem = await readEnrolledKem(at('fleet', 'owner'), owner.roster, 'client-02');
      expect(kem).to.deep.equal(client.store.newestKem()?.publicKey);
    } finally {
      owner.close();
      client.close();
    }
  });

  it('trusts the first roster only where it was told of no owner, and says so', async () => {
    await setUp('trusting', 'client', { ownerKeyId: undefined });
    const joined = await joinFleet({ directory: at('trusting'), file: await firstRoster() });
    expect(joined.ownerTrustedOnFirstUse).to.equal(true);
    expect(
      (await joinFleet({ directory: at('trusting'), file: await firstRoster() })).ownerTrustedOnFirstUse,
    ).to.equal(false);
    await setUp('misled', 'client', { ownerKeyId: new Uint8Array(32).fill(1) });
    await expectRefusal('roster.other-owner', async () =>
      joinFleet({ directory: at('misled'), file: await firstRoster() }),
    );
    await setUp('elsewhere', 'client', { fleet: 'emca' });
    await expectRefusal('roster.other-fleet', async () =>
      joinFleet({ directory: at('elsewhere'), file: await firstRoster() }),
    );
  });

  it('is not set up over another', async () => {
    await setUp('once', 'client');
    await expectRefusal('key.exists', () => setUp('once', 'client'));
  });

  it('is not in a roster that a member of this fleet signed', async () => {
    const coordinator = await openRole(at('fleet', 'coordinator'), 'coordinator');
    const { body }: { body: RosterBody } = coordinator.roster;
    coordinator.close();
    await expectRefusal('roster.not-this-key', async () => {
      await issueRoster({
        ownerDirectory: at('fleet', 'owner'),
        signing: coordinator.signing,
        changes: { threshold: body.threshold },
      });
    });
  });
});
