import { mkdir, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import type { TrustedRoster } from '../../../lib/custody/roster.js';
import type { EnrolmentBody } from '../../../lib/package/messages/enrolment.js';
import type { RosterClient } from '../../../lib/package/messages/roster.js';
import {
  enrolmentPath,
  readEnrolledKem,
  requireOwnKemKeys,
  storeEnrolment,
} from '../../../lib/round/enrolment/enrolment-files.js';
import { readEnrolment } from '../../../lib/round/enrolment/requests.js';
import { expectRefusal } from '../../support/refusals.js';
import { temporaryDirectory } from '../../support/temporary-directory.js';
import { clientFile, custodian, numberedRoster, realKem, signingKey } from './support/enrolments.js';

function rosterOf(...clients: RosterClient[]): TrustedRoster {
  const body = numberedRoster({ clients });
  return { body, fingerprint: new Uint8Array(32), ownerKeyId: new Uint8Array(32) };
}

function listed(id: string, key = id, status: RosterClient['status'] = 'active'): RosterClient {
  return { id, keys: signingKey(key).publicKeys, status };
}

describe("the owner's copies of enrolments", () => {
  let directory = '';
  beforeEach(async () => {
    directory = join(await temporaryDirectory(), 'owner');
  });

  const store = async (
    name: string,
    changes: Partial<EnrolmentBody> = {},
    key = name,
  ): Promise<EnrolmentBody> => {
    const read = await readEnrolment(await clientFile(name, changes, signingKey(key)), 'acme');
    await storeEnrolment(directory, read);
    return read.body;
  };

  it('give the KEM key of a client that the roster lists, from a file for the owner only', async () => {
    await store('r1');
    expect(await readEnrolledKem(directory, rosterOf(listed('r1')), 'r1')).to.deep.equal(await realKem('r1'));
    expect((await stat(enrolmentPath(directory, listed('r1')))).mode & 0o777).to.equal(0o600);
    expect((await stat(join(directory, 'enrolments'))).mode & 0o777).to.equal(0o700);
  });

  it('give no key of one that is suspended, revoked, or not listed', async () => {
    await store('r1');
    for (const status of ['suspended', 'revoked'] as const) {
      await expectRefusal(`roster.client-${status}`, () =>
        readEnrolledKem(directory, rosterOf(listed('r1', 'r1', status)), 'r1'),
      );
    }
    await expectRefusal('roster.unknown-client', () => readEnrolledKem(directory, rosterOf(), 'r1'));
    await expectRefusal('roster.unknown-client', () =>
      readEnrolledKem(directory, rosterOf(listed('r1')), '../r1'),
    );
    await expectRefusal('enrolment.missing', () => readEnrolledKem(directory, rosterOf(listed('r2')), 'r2'));
  });

  it('are kept for each key of a client, so that each roster finds its own', async () => {
    await store('r1');
    await store('r1', { kem: await realKem('anew') }, 'anew');
    expect(await readdir(join(directory, 'enrolments'))).to.have.length(2);
    expect(await readEnrolledKem(directory, rosterOf(listed('r1')), 'r1')).to.deep.equal(await realKem('r1'));
    expect(await readEnrolledKem(directory, rosterOf(listed('r1', 'anew')), 'r1')).to.deep.equal(
      await realKem('anew'),
    );
  });

  it('are refused where they were exchanged', async () => {
    await store('r1');
    const roster = rosterOf(listed('r1'));
    const path = enrolmentPath(directory, listed('r1'));
    await writeFile(path, await clientFile('r1', { kem: await realKem('thief') }, signingKey('thief')));
    await expectRefusal('container.wrong-signer', () => readEnrolledKem(directory, roster, 'r1'));
    for (const changes of [{ id: 'r2' }, { fleet: 'emca' }]) {
      await writeFile(path, await clientFile('r1', changes));
      await expectRefusal('enrolment.other-client', () => readEnrolledKem(directory, roster, 'r1'));
    }
    await rm(path);
    await mkdir(path);
    await expectRefusal('container.not-a-file', () => readEnrolledKem(directory, roster, 'r1'));
  });

  it('show a KEM key that another member has, a revoked one among them', async () => {
    const { kem } = await store('r1');
    const copied = await readEnrolment(await clientFile('r2', { kem: kem as Uint8Array }), 'acme');
    const error = await expectRefusal('enrolment.duplicate-key', () =>
      requireOwnKemKeys(directory, [{ enrolment: copied.body, replace: true }]),
    );
    expect(error.message).to.include('client "r2" has the KEM key of client "r1"');
    await expectRefusal('enrolment.duplicate-key', () =>
      requireOwnKemKeys(directory, [{ enrolment: custodian('r1', 5, 1, { kem: kem as Uint8Array }) }]),
    );
    const own = await readEnrolment(await clientFile('r1'), 'acme');
    await requireOwnKemKeys(directory, [{ enrolment: own.body }]);
  });

  it("change a client's KEM key only where the owner says so", async () => {
    await store('r1');
    const renewed = await readEnrolment(await clientFile('r1', { kem: await realKem('renewed') }), 'acme');
    await expectRefusal('enrolment.already-enrolled', () =>
      requireOwnKemKeys(directory, [{ enrolment: renewed.body }]),
    );
    await requireOwnKemKeys(directory, [{ enrolment: renewed.body, replace: true }]);
  });
});
