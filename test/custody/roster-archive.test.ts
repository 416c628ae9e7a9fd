import { readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import {
  readTrustedRoster,
  requireClient,
  requireGateway,
  type TrustedRoster,
} from '../../lib/custody/roster.js';
import {
  acceptRoster,
  archivedRosterPath,
  archiveRoster,
  ROSTER_FILE,
  supersededRoster,
  underCurrentStanding,
} from '../../lib/custody/roster-archive.js';
import { openRosterPin, pinOwner } from '../../lib/custody/roster-pin.js';
import type { RosterBody } from '../../lib/package/messages/roster.js';
import {
  createMembers,
  derivedSeed,
  type Members,
  rosterBody,
  signRoster,
} from '../round/support/members.js';
import { expectRefusal } from '../support/refusals.js';
import { temporaryDirectory } from '../support/temporary-directory.js';
import { withBitFlipped } from './support/bytes.js';
import { atEveryKillPoint, ended, startChild } from './support/child.js';

const CREATED = 1_764_000_000_000;

/** The block ends with the signature and the key id, 32 bytes. */
function withBrokenSignature(file: Uint8Array): Uint8Array {
  return withBitFlipped(file, file.length - 60);
}

describe('the roster archive', () => {
  let members: Members;
  let directory = '';
  /** Versions 1 to 3, and another version 2. */
  let first: Uint8Array;
  let second: Uint8Array;
  let otherSecond: Uint8Array;
  let third: Uint8Array;

  before(async () => {
    members = await createMembers({ clients: 3, custodians: 2 });
    const sign = (changes: Partial<RosterBody>) => signRoster(members, rosterBody(members, changes), CREATED);
    first = await sign({ version: 1 });
    second = await sign({ version: 2, quorumFloor: 4 });
    otherSecond = await sign({ version: 2, quorumFloor: 2 });
    third = await sign({ version: 3 });
  });

  beforeEach(async () => {
    directory = await temporaryDirectory();
  });

  const inForce = async (): Promise<TrustedRoster> => {
    const pin = await openRosterPin(directory);
    try {
      return await readTrustedRoster(join(directory, ROSTER_FILE), pin);
    } finally {
      pin.close();
    }
  };

  it('keeps every roster that was accepted, for its user only', async () => {
    for (const file of [first, second, third]) await acceptRoster(directory, file);
    expect((await readdir(join(directory, 'rosters'))).sort()).to.deep.equal(['1.tgo', '2.tgo', '3.tgo']);
    expect((await stat(archivedRosterPath(directory, 2))).mode & 0o777).to.equal(0o600);
    expect(new Uint8Array(await readFile(archivedRosterPath(directory, 2)))).to.deep.equal(second);
    expect((await inForce()).body.version).to.equal(3);
  });

  it('takes the same roster again, and tells of it once', async () => {
    const told: number[] = [];
    const accepting = async ({ body }: TrustedRoster): Promise<void> => {
      told.push(body.version);
    };
    for (const file of [first, first, second, second]) await acceptRoster(directory, file, { accepting });
    expect(told).to.deep.equal([1, 2]);
  });

  it('accepts nothing where it could not be recorded', async () => {
    await acceptRoster(directory, first);
    const failing = { accepting: () => Promise.reject(new Error('the trail is full')) };
    const error = await acceptRoster(directory, second, failing).catch((thrown: unknown) => thrown);
    expect((error as Error).message).to.equal('the trail is full');
    expect(await readdir(join(directory, 'rosters'))).to.deep.equal(['1.tgo']);
    expect((await inForce()).body.version).to.equal(1);
  });

  it('refuses older ones, a second of one version, and those of others, and stays as it is', async () => {
    await acceptRoster(directory, second);
    await expectRefusal('roster.older', () => acceptRoster(directory, first));
    await expectRefusal('roster.equivocation', () => acceptRoster(directory, otherSecond));
    await expectRefusal('roster.other-fleet', () => acceptRoster(directory, third, { fleet: 'emca' }));
    const seedOf = (name: string) => derivedSeed(`thief ${name}`);
    const thieves = await createMembers({ clients: 3, custodians: 2, seedOf });
    const stolen = await signRoster(thieves, rosterBody(thieves, { version: 9 }));
    await expectRefusal('roster.other-owner', () => acceptRoster(directory, stolen));
    await expectRefusal('container.bad-signature', () => acceptRoster(directory, withBrokenSignature(third)));
    expect(await readdir(join(directory, 'rosters'))).to.deep.equal(['2.tgo']);
    expect((await inForce()).body.version).to.equal(2);
  });

  it('refuses the first roster of an owner that the machine was not told of', async () => {
    await pinOwner(directory, new Uint8Array(32).fill(7));
    await expectRefusal('roster.other-owner', () => acceptRoster(directory, first));
    expect(await readdir(directory)).not.to.include.members(['rosters', ROSTER_FILE]);
  });

  it('keeps one roster of a version, whoever signed the second', async () => {
    await archiveRoster(directory, 2, second);
    await archiveRoster(directory, 2, second);
    await expectRefusal('roster.equivocation', () => archiveRoster(directory, 2, otherSecond));
    await expectRefusal('roster.equivocation', () => acceptRoster(directory, otherSecond));
    expect(new Uint8Array(await readFile(archivedRosterPath(directory, 2)))).to.deep.equal(second);
  });

  it('gives a superseded roster back to who knows its fingerprint', async () => {
    const { fingerprint, ownerKeyId } = await acceptRoster(directory, first);
    await acceptRoster(directory, second);
    const then = await supersededRoster(directory, ownerKeyId, 1, fingerprint);
    expect(then?.body.version).to.equal(1);
    expect(await supersededRoster(directory, ownerKeyId, 1, new Uint8Array(32))).to.equal(undefined);
    expect(await supersededRoster(directory, ownerKeyId, 5, fingerprint)).to.equal(undefined);
    await expectRefusal('roster.other-owner', () =>
      supersededRoster(directory, new Uint8Array(32), 1, fingerprint),
    );
  });

  it('gives nothing back that was changed in its place', async () => {
    const { fingerprint, ownerKeyId } = await acceptRoster(directory, first);
    await writeFile(archivedRosterPath(directory, 1), withBrokenSignature(first));
    await expectRefusal('container.bad-signature', () =>
      supersededRoster(directory, ownerKeyId, 1, fingerprint),
    );
    await writeFile(archivedRosterPath(directory, 1), first.subarray(0, 100));
    await expectRefusal('container.truncated', () => supersededRoster(directory, ownerKeyId, 1, fingerprint));
  });

  it('sees the clients of an earlier roster as the newest does', async () => {
    const { body } = await acceptRoster(directory, first);
    const [one, two, three] = body.clients as [
      RosterBody['clients'][number],
      RosterBody['clients'][number],
      RosterBody['clients'][number],
    ];
    const trusted = (clients: RosterBody['clients']): TrustedRoster => ({
      body: { ...body, clients },
      fingerprint: new Uint8Array(32),
      ownerKeyId: new Uint8Array(32),
    });
    const merged = underCurrentStanding(
      trusted([one, { ...two, status: 'suspended' }, three]),
      trusted([{ ...one, status: 'revoked' }, two, { ...three, status: 'suspended' }]),
    );
    await expectRefusal('roster.client-revoked', () => requireClient(merged, one.id));
    await expectRefusal('roster.client-suspended', () => requireClient(merged, two.id));
    await expectRefusal('roster.client-suspended', () => requireClient(merged, three.id));
    const replaced = underCurrentStanding(
      trusted([one, two, three]),
      trusted([{ ...one, keys: { ed25519: new Uint8Array(32).fill(9) } }, two]),
    );
    await expectRefusal('roster.client-revoked', () => requireClient(replaced, one.id));
    expect(requireClient(replaced, two.id).keys).to.deep.equal(two.keys);
    await expectRefusal('roster.client-revoked', () => requireClient(replaced, three.id));
    expect(replaced.body.version).to.equal(1);
  });

  it('sees the gateways of an earlier roster as the newest does: one that was withdrawn or replaced is none', async () => {
    const { body } = await acceptRoster(directory, first);
    const key = (byte: number) => ({ ed25519: new Uint8Array(32).fill(byte) });
    const trusted = (...gateways: NonNullable<RosterBody['gateways']>): TrustedRoster => ({
      body: { ...body, ...(gateways.length > 0 && { gateways }) },
      fingerprint: new Uint8Array(32),
      ownerKeyId: new Uint8Array(32),
    });
    const [one, two] = [
      { id: 'site-a', keys: key(1) },
      { id: 'site-b', keys: key(2) },
    ];
    const replaced = underCurrentStanding(trusted(one, two), trusted({ ...one, keys: key(3) }, two));
    expect(replaced.body.gateways).to.deep.equal([two]);
    expect(underCurrentStanding(trusted(one), trusted()).body).to.not.have.property('gateways');
    await expectRefusal('roster.unknown-gateway', () => requireGateway(replaced, one.id));
  });

  it('has the newer roster back where another process accepted that one meanwhile', async () => {
    await acceptRoster(directory, first);
    const file = Buffer.from(third).toString('base64');
    // Between the check of the pin and the pin: all that comes after was decided under version 1.
    const accepting = async (): Promise<void> => {
      await ended(startChild('accept-child', { directory, file }));
    };
    await expectRefusal('roster.older', () => acceptRoster(directory, second, { accepting }));
    expect(new Uint8Array(await readFile(join(directory, ROSTER_FILE)))).to.deep.equal(third);
    expect((await stat(join(directory, ROSTER_FILE))).mode & 0o777).to.equal(0o600);
    expect((await inForce()).body.version).to.equal(3);
  });

  it('opens with the earlier roster or the new one after a kill between any two writes, and goes on', async () => {
    const versions = new Set<number>();
    const points = await atEveryKillPoint(async (killAt) => {
      directory = await temporaryDirectory();
      await acceptRoster(directory, first);
      const file = Buffer.from(second).toString('base64');
      const { killed } = await ended(startChild('accept-child', { directory, file }, killAt));
      versions.add((await inForce()).body.version);
      await acceptRoster(directory, second);
      expect((await inForce()).body.version).to.equal(2);
      await expectRefusal('roster.older', () => acceptRoster(directory, first));
      await expectRefusal('roster.equivocation', () => acceptRoster(directory, otherSecond));
      return killed;
    });
    expect(points).to.be.above(6);
    expect([...versions].sort()).to.deep.equal([1, 2]);
  }).timeout(120_000);
});
