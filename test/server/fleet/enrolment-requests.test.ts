import { join } from 'node:path';
import { expect } from 'chai';
import type { EnrolledRole } from '../../../lib/package/messages/enrolment.js';
import { type EnrolmentRecord, EnrolmentRequests } from '../../../lib/server/fleet/enrolment-requests.js';
import { openStore } from '../../../lib/store/open-store.js';
import type { Store } from '../../../lib/store/store.js';
import { createMembers, rosterBody } from '../../round/support/members.js';
import { expectRefusal } from '../../support/refusals.js';
import { temporaryDirectory } from '../../support/temporary-directory.js';

const HOUR_MS = 3_600_000;
const LIMITS = { maxPending: 3, pendingMs: 24 * HOUR_MS };
const NOW_MS = 1_800_000_000_000;

function record(role: EnrolledRole, id: string, atMs = NOW_MS): EnrolmentRecord {
  const digits = Buffer.from(`${role} ${id} ${atMs}`).toString('hex').padEnd(64, '0').slice(0, 64);
  return { role, id, atMs, keyId: digits, fingerprint: digits, file: [] };
}

describe('machines that ask to be enrolled', () => {
  let store: Store;
  let requests: EnrolmentRequests;
  let members: string[];

  beforeEach(async () => {
    store = await openStore({ kind: 'embedded', directory: join(await temporaryDirectory(), 'store') });
    const fleet = await createMembers({ clients: 2, custodians: 1 });
    const { id, signing } = fleet.gateway;
    const roster = rosterBody(fleet, { gateways: [{ id, keys: signing.publicKeys }] });
    members = roster.clients.map((member) => member.id);
    requests = new EnrolmentRequests(store.state, () => roster, LIMITS);
  });
  afterEach(() => store.close());

  async function ids(): Promise<string[]> {
    return (await requests.list()).map(({ id }) => id).sort();
  }

  it('are kept until there are too many, and then refused: in number, not in what one asks', async () => {
    for (const id of ['a', 'b', 'c']) await requests.keep(record('client', id));
    await expectRefusal('enrolment.too-many', () => requests.keep(record('client', 'd')));
    await expectRefusal('enrolment.too-many', () => requests.keep(record('custodian', 'a')));
    expect(await ids()).to.deep.equal(['a', 'b', 'c']);
    // Who has asked may ask again, and the last request counts.
    await requests.keep(record('client', 'b', NOW_MS + 1));
    expect((await requests.list()).find(({ id }) => id === 'b')?.atMs).to.equal(NOW_MS + 1);
  });

  it('are taken from members of the fleet, however many strangers wait, and do not count among these', async () => {
    for (const id of members) await requests.keep(record('client', id));
    for (const id of ['a', 'b', 'c']) await requests.keep(record('client', id));
    await requests.keep(record('custodian', 'custodian-1'));
    await requests.keep(record('coordinator', 'coordinator'));
    await requests.keep(record('aggregator', 'aggregator'));
    await requests.keep(record('gateway', 'gateway'));
    await expectRefusal('enrolment.too-many', () => requests.keep(record('gateway', 'aggregator')));
    await expectRefusal('enrolment.too-many', () => requests.keep(record('client', 'd')));
  });

  it('give way to new ones after a while, members’ excepted', async () => {
    const later = NOW_MS + LIMITS.pendingMs;
    await requests.keep(record('client', members[0] as string));
    for (const id of ['a', 'b']) await requests.keep(record('client', id));
    await requests.keep(record('client', 'c', NOW_MS + HOUR_MS));
    await requests.keep(record('client', 'd', later));
    expect(await ids()).to.deep.equal(['c', members[0], 'd'].sort());
  });
});
