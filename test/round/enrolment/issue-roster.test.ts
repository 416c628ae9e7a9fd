import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { readTrustedRoster, type TrustedRoster } from '../../../lib/custody/roster.js';
import { acceptRoster, archivedRosterPath, ROSTER_FILE } from '../../../lib/custody/roster-archive.js';
import { openRosterPin } from '../../../lib/custody/roster-pin.js';
import { readEnrolledKem } from '../../../lib/round/enrolment/enrolment-files.js';
import { type AskedChanges, issueRoster } from '../../../lib/round/enrolment/issue-roster.js';
import { atEveryKillPoint, ended, startChild } from '../../custody/support/child.js';
import { expectRefusal } from '../../support/refusals.js';
import { temporaryDirectory } from '../../support/temporary-directory.js';
import { createMembers, type Members, rosterBody, signRoster } from '../support/members.js';
import { clientFile, realKem } from './support/enrolments.js';

describe('the owner', () => {
  let members: Members;
  let first: Uint8Array;
  let robot: Uint8Array;
  let ownerDirectory = '';

  before(async () => {
    members = await createMembers({ clients: 3, custodians: 2 });
    first = await signRoster(members, rosterBody(members));
    robot = await clientFile('robot-09', owned());
  });

  const begin = async (): Promise<void> => {
    ownerDirectory = await temporaryDirectory();
    await acceptRoster(ownerDirectory, first);
  };
  beforeEach(begin);

  /** Of a machine that was told whose fleet it is. */
  const owned = () => ({ ownerKeyId: members.owner.signing.keyId });
  const issue = (changes: AskedChanges) =>
    issueRoster({ ownerDirectory, signing: members.owner.signing, changes });
  const inForce = async (): Promise<TrustedRoster> => {
    const pin = await openRosterPin(ownerDirectory);
    try {
      return await readTrustedRoster(join(ownerDirectory, ROSTER_FILE), pin);
    } finally {
      pin.close();
    }
  };
  const enrolling = (): AskedChanges => ({ enrol: [{ file: robot }] });
  const revoking: AskedChanges = { status: [{ id: 'client-1', to: 'revoked' }] };

  it('issues a roster that members accept, and keeps what was enrolled', async () => {
    const issued = await issue(enrolling());
    expect(issued).to.deep.include({ changed: true }).and.to.have.nested.property('body.version', 2);
    const member = await temporaryDirectory();
    await acceptRoster(member, first);
    const accepted = await acceptRoster(member, issued.bytes);
    expect(accepted.fingerprint).to.deep.equal(issued.fingerprint);
    expect(await readEnrolledKem(ownerDirectory, accepted, 'robot-09')).to.deep.equal(
      await realKem('robot-09'),
    );
    expect((await readdir(join(ownerDirectory, 'rosters'))).sort()).to.deep.equal(['1.tgo', '2.tgo']);
    expect((await inForce()).fingerprint).to.deep.equal(issued.fingerprint);
  });

  it('issues nothing where everything is so already, and gives the roster that says so', async () => {
    const issued = await issue(enrolling());
    for (const changes of [enrolling(), {}]) {
      const again = await issue(changes);
      expect(again.changed).to.equal(false);
      expect(again.bytes).to.deep.equal(issued.bytes);
    }
    expect(await readdir(join(ownerDirectory, 'rosters'))).to.have.length(2);
  });

  it('refuses a change that the rules refuse, and writes nothing of it', async () => {
    const other = await clientFile('robot-09', { fleet: 'emca' });
    // Without what SQLite keeps beside an open file: a connection lives until its memory is collected.
    const paths = async () =>
      (await readdir(ownerDirectory, { recursive: true })).filter((path) => !/-(wal|shm)$/.test(path)).sort();
    const before = await paths();
    await expectRefusal('roster.other-fleet', () => issue({ enrol: [{ file: other }] }));
    const owner = new Uint8Array(32);
    const misled = await clientFile('robot-09', { ownerKeyId: owner });
    await expectRefusal('enrolment.other-owner', () => issue({ enrol: [{ file: misled }] }));
    const untold = await clientFile('robot-09');
    await expectRefusal('enrolment.no-owner', () => issue({ enrol: [{ file: untold }] }));
    const kem = members.custodians[0]?.kemPublicKey as Uint8Array;
    const copied = await clientFile('robot-10', { ...owned(), kem });
    await expectRefusal('enrolment.duplicate-key', () =>
      issue({ enrol: [{ file: robot }, { file: copied }] }),
    );
    await expectRefusal('roster.unknown-client', () =>
      issue({ ...enrolling(), status: [{ id: 'x', to: 'revoked' }] }),
    );
    expect(await paths()).to.deep.equal(before);
  });

  it('refuses a KEM key that an enrolled client has, though no roster shows it', async () => {
    await issue(enrolling());
    const copied = await clientFile('robot-10', { ...owned(), kem: await realKem('robot-09') });
    await expectRefusal('enrolment.duplicate-key', () => issue({ enrol: [{ file: copied }] }));
    expect((await inForce()).body.version).to.equal(2);
  });

  it('is not somebody with another key', async () => {
    await expectRefusal('roster.not-this-key', () =>
      issueRoster({ ownerDirectory, signing: members.coordinator.signing, changes: revoking }),
    );
  });

  it('never signs two rosters of one version', async () => {
    const { bytes } = await issue(enrolling());
    // As after a crash: kept, and not in force.
    await begin();
    await writeFile(archivedRosterPath(ownerDirectory, 2), bytes);
    const error = await expectRefusal('roster.pending-change', () => issue(revoking));
    expect(error.message).to.include('version 2');
    expect((await inForce()).body.version).to.equal(1);
    const finished = await issue({});
    expect(finished.bytes).to.deep.equal(bytes);
    expect(finished.changed).to.equal(true);
    expect((await issue(revoking)).body.version).to.equal(3);
  });

  it('finishes nothing that somebody else put there', async () => {
    const thief = { ...members, owner: { ...members.owner, signing: members.coordinator.signing } };
    const planted = await signRoster(thief, rosterBody(members, { version: 2, quorumFloor: 2 }));
    await writeFile(archivedRosterPath(ownerDirectory, 2), planted);
    await expectRefusal('container.wrong-signer', () => issue({}));
    expect((await inForce()).body.version).to.equal(1);
  });

  it('issues one of two changes that are asked for at once', async () => {
    const outcomes = await Promise.allSettled([issue(enrolling()), issue(revoking)]);
    const refused = outcomes.filter((outcome) => outcome.status === 'rejected');
    for (const { reason } of refused)
      expect((reason as { code: string }).code).to.equal('roster.pending-change');
    const kept = (await readdir(join(ownerDirectory, 'rosters'))).sort();
    expect(kept).to.have.length(3 - refused.length);
    expect((await inForce()).body.version).to.equal(3 - refused.length);
  });

  it('goes on after a kill between any two writes: one roster a version, enrolments before rosters', async () => {
    const seen = new Set<string>();
    const points = await atEveryKillPoint(async (killAt) => {
      await begin();
      const file = Buffer.from(robot).toString('base64');
      const { killed } = await ended(
        startChild('../../round/enrolment/support/issue-child', { ownerDirectory, file }, killAt),
      );
      const kept = await readFile(archivedRosterPath(ownerDirectory, 2)).catch(() => undefined);
      const before = await inForce();
      seen.add(`${kept === undefined ? 'nothing' : 'signed'}, version ${before.body.version}`);
      if (before.body.version === 2) await readEnrolledKem(ownerDirectory, before, 'robot-09');
      if (kept !== undefined && before.body.version === 1) {
        await expectRefusal('roster.pending-change', () => issue(revoking));
      }
      const { bytes, body } = await issue(enrolling());
      if (kept !== undefined) expect(bytes).to.deep.equal(new Uint8Array(kept));
      expect(body.version).to.equal(2);
      const after = await inForce();
      expect(after.body.clients.at(-1)?.id).to.equal('robot-09');
      await readEnrolledKem(ownerDirectory, after, 'robot-09');
      return killed;
    });
    expect(points).to.be.above(12);
    expect([...seen].sort()).to.deep.equal(['nothing, version 1', 'signed, version 1', 'signed, version 2']);
  }).timeout(120_000);
});
