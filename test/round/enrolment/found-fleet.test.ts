import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { openRole } from '../../../lib/custody/role-directory.js';
import { readSignedRoster } from '../../../lib/custody/roster.js';
import { readEnrolledKem } from '../../../lib/round/enrolment/enrolment-files.js';
import { type FoundOptions, foundFleet, readFounders } from '../../../lib/round/enrolment/found-fleet.js';
import { joinFleet } from '../../../lib/round/enrolment/join-fleet.js';
import { readEnrolment } from '../../../lib/round/enrolment/requests.js';
import { type NewMember, setUpMember } from '../../../lib/round/enrolment/set-up-member.js';
import { RoundRecords } from '../../../lib/round/round-records.js';
import { ended, startChild } from '../../custody/support/child.js';
import { expectRefusal } from '../../support/refusals.js';
import { temporaryDirectory } from '../../support/temporary-directory.js';
import { pathsBelow } from '../support/directories.js';
import { clientFile, realKem } from './support/enrolments.js';
import { foundingSettings } from './support/founding.js';

describe('a fleet that is founded from enrolments', () => {
  let place = '';
  const at = (...parts: string[]): string => join(place, ...parts);

  beforeEach(async () => {
    place = await temporaryDirectory();
  });

  /** Sets a member up below its id; returns the path of its enrolment. */
  const setUp = async (id: string, role: NewMember['role'], changes: Partial<NewMember> = {}) =>
    (
      await setUpMember({
        ...{ directory: at(id), role, id, fleet: 'acme', algorithms: ['ed25519'] },
        wrapper: { kind: 'none' },
        ...changes,
      })
    ).enrolment;
  const found = async (files: readonly string[], changes: Partial<FoundOptions> = {}) =>
    foundFleet({
      ...foundingSettings,
      directory: at('fleet'),
      founders: await readFounders(files, 'acme'),
      ...changes,
    });
  const founders = async (): Promise<string[]> => [
    await setUp('second', 'custodian'),
    await setUp('robot', 'client'),
    await setUp('first', 'custodian'),
  ];
  const roster = () => readSignedRoster(at('fleet', 'roster.tgo'));

  it('lists its members in the order given, and makes beside the owner only what none of them is', async () => {
    const { made, ownerKeyId, rosterFingerprint } = await found(await founders(), { threshold: 2 });
    expect(made).to.deep.equal(['owner', 'coordinator', 'aggregator']);
    const names = await readdir(at('fleet'));
    expect(names).to.have.members(['fleet.json', 'roster.tgo', 'owner', 'coordinator', 'aggregator']);
    const { body, fingerprint, ownerKeyId: signedBy } = await roster();
    expect(signedBy).to.deep.equal(ownerKeyId);
    expect(fingerprint).to.deep.equal(rosterFingerprint);
    expect(body).to.deep.include({ fleet: 'acme', version: 1, threshold: 2, parameterSets: ['lwe-128'] });
    const listed = body.custodians.map(({ id, index, epoch }) => ({ id, index, epoch }));
    expect(listed).to.deep.equal([
      { id: 'second', index: 1, epoch: 1 },
      { id: 'first', index: 2, epoch: 1 },
    ]);
    expect(JSON.parse(await readFile(at('fleet', 'fleet.json'), 'utf8'))).to.deep.equal({
      ...{ format: 'tensorguard-native fleet', version: 1, fleet: 'acme', bits: 8 },
    });
    for (const role of made) {
      (await openRole(at('fleet', role), role)).close();
      expect(await readFile(at('fleet', role, 'policy.json'), 'utf8')).to.equal(
        foundingSettings.policyFile.text,
      );
    }
  });

  it('makes the owner alone where machines bring a coordinator and aggregators', async () => {
    const others = [
      await setUp('planner', 'coordinator'),
      await setUp('sum-1', 'aggregator'),
      await setUp('sum-2', 'aggregator'),
    ];
    const { made } = await found([...(await founders()), ...others]);
    expect(made).to.deep.equal(['owner']);
    expect(await readdir(at('fleet'))).to.have.members(['fleet.json', 'roster.tgo', 'owner']);
    const { body } = await roster();
    expect(body.aggregators.map(({ id }) => id)).to.deep.equal(['sum-1', 'sum-2']);
    const { body: planner } = await readEnrolment(others[0] as string, 'acme');
    expect(body.coordinator.keys).to.deep.equal(planner.keys);
    expect(planner).to.not.have.any.keys('kem', 'epoch', 'ledgerHead');
    const file = await readFile(at('fleet', 'roster.tgo'));
    for (const directory of ['planner', 'sum-2']) {
      expect((await joinFleet({ directory: at(directory), file })).standing).to.equal('listed');
    }
  });

  it('keeps what the roster does not say: KEM keys of clients, and where ledgers begin', async () => {
    const files = await founders();
    await found(files);
    const bodies = (await readFounders(files, 'acme')).map(({ body }) => body);
    const robot = bodies.find(({ id }) => id === 'robot');
    expect(await readEnrolledKem(at('fleet', 'owner'), await roster(), 'robot')).to.deep.equal(robot?.kem);
    const heads = await new RoundRecords(at('fleet', 'owner')).ledgerHeads();
    const expected = bodies.flatMap(({ id: custodian, ledgerHead: head }) => head && { custodian, head });
    expect(heads).to.have.deep.members(expected.filter((head) => head !== undefined));
    expect(heads).to.have.length(2);
  });

  it('refuses enrolments that make no fleet together, before it makes anything', async () => {
    const files = await founders();
    const ownerKeyId = new Uint8Array(32).fill(7);
    const refused = {
      'enrolment.wrong-epoch': await setUp('late', 'custodian', { epoch: 2 }),
      'roster.other-fleet': await setUp('foreign', 'client', { fleet: 'emca' }),
      'enrolment.listed-twice': await setUp('robot', 'client', { directory: at('robot-again') }),
      'enrolment.other-owner': await setUp('told', 'client', { ownerKeyId }),
    };
    for (const [code, file] of Object.entries(refused))
      await expectRefusal(code, () => found([...files, file]));
    const planners = [await setUp('a', 'coordinator'), await setUp('b', 'coordinator')];
    await expectRefusal('enrolment.listed-twice', () => found([...files, ...planners]));
    const stolen = await clientFile('thief', { kem: await realKem('victim') });
    const victim = await clientFile('victim');
    await expectRefusal('enrolment.duplicate-key', () => readFounders([victim, stolen], 'acme'));
    await expectRefusal('enrolment.algorithm-missing', () =>
      found(files, { signatureAlgorithms: ['ed25519', 'ml-dsa-65'] }),
    );
    expect(await readdir(place)).to.not.include('fleet');
  });

  it('is not finished with a threshold above the custodians, nor without one', async () => {
    const files = await founders();
    const { message } = await expectRefusal('container.invalid-body', () => found(files, { threshold: 3 }));
    expect(message).to.include('threshold');
    const robot = files.slice(1, 2);
    await expectRefusal('container.invalid-body', () => found(robot, { directory: at('alone') }));
    for (const directory of ['fleet', 'alone']) {
      expect(await readdir(at(directory))).to.not.include.members(['fleet.json', 'roster.tgo']);
    }
  });

  it('is not made over another', async () => {
    const files = await founders();
    await found(files);
    const before = await pathsBelow(at('fleet'));
    await expectRefusal('fleet.directory-not-empty', () => found(files));
    expect(await pathsBelow(at('fleet'))).to.deep.equal(before);
  });

  it('has fleet.json last of all, wherever it was killed: without it the fleet was not finished', async () => {
    // The other roles are enrolled, so that the owner is all that is made.
    const files = [
      await setUp('custodian', 'custodian'),
      await setUp('robot', 'client'),
      await setUp('planner', 'coordinator'),
      await setUp('sum', 'aggregator'),
    ];
    const seen = new Set<string>();
    const finishedThough = new Set<number>();
    /** Whether the child was killed. */
    const trial = async (killAt: number): Promise<boolean> => {
      const directory = join(await temporaryDirectory(), 'fleet');
      const child = startChild('../../round/enrolment/support/found-child', { directory, files }, killAt);
      const { killed } = await ended(child);
      const names = (await readdir(directory)).filter((name) => !name.startsWith('.'));
      seen.add(names.join());
      if (names.includes('roster.tgo')) {
        const owner = await openRole(join(directory, 'owner'), 'owner');
        owner.close();
        await readEnrolledKem(join(directory, 'owner'), owner.roster, 'robot');
        expect(await readdir(join(directory, 'owner'))).to.include('policy.json');
      }
      if (!killed) return false;
      if (names.includes('fleet.json')) finishedThough.add(killAt);
      await expectRefusal('fleet.directory-not-empty', async () =>
        foundFleet({ ...foundingSettings, directory, founders: await readFounders(files, 'acme') }),
      );
      return true;
    };
    // Most of the writes are the key store's, which has tests of its own: some of those, and each of the last.
    let [last, beyond] = [1, 256];
    expect(await trial(last)).to.equal(true);
    while (beyond - last > 1) {
      const middle = Math.floor((last + beyond) / 2);
      if (await trial(middle)) last = middle;
      else beyond = middle;
    }
    expect(last).to.be.above(60).and.below(255);
    for (let killAt = last - 7; killAt < last; killAt += 1) await trial(killAt);
    // There it is in place, and only its directory is not flushed.
    expect([...finishedThough]).to.deep.equal([last]);
    expect([...seen].sort((a, b) => a.length - b.length)).to.deep.equal([
      'owner',
      'owner,roster.tgo',
      'fleet.json,owner,roster.tgo',
    ]);
  }).timeout(180_000);
});
