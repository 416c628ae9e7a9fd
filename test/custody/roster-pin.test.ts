import { readdir, stat, truncate } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import fc from 'fast-check';
import { openRosterPin, pinOwner, type RosterPin } from '../../lib/custody/roster-pin.js';
import { RefusedError } from '../../lib/errors.js';
import { expectRefusal, outcomeOf } from '../support/refusals.js';
import { temporaryDirectory } from '../support/temporary-directory.js';
import { bytes32 } from './support/bytes.js';
import { atEveryKillPoint, ended, startChild } from './support/child.js';

const owner = bytes32('owner');

describe('the roster pin', () => {
  let directory: string;
  let pin: RosterPin;

  beforeEach(async () => {
    directory = join(await temporaryDirectory(), 'client-01');
    pin = await openRosterPin(directory);
  });
  afterEach(() => pin.close());

  it('has nothing at first and remembers the newest roster', async () => {
    expect(pin.current()).to.equal(undefined);
    pin.pin(owner, 3, bytes32('three'));
    pin.pin(owner, 5, bytes32('five'));
    pin.close();
    pin = await openRosterPin(directory);
    expect(pin.current()).to.deep.equal({ ownerKeyId: owner, version: 5, fingerprint: bytes32('five') });
  });

  it('accepts the pinned roster again', () => {
    pin.pin(owner, 3, bytes32('three'));
    pin.pin(owner, 3, bytes32('three'));
    expect(pin.current()?.version).to.equal(3);
  });

  it('refuses an older roster, even one that was pinned once', async () => {
    pin.pin(owner, 3, bytes32('three'));
    pin.pin(owner, 5, bytes32('five'));
    const error = await expectRefusal('roster.older', () => pin.pin(owner, 3, bytes32('three')));
    expect(error).to.be.instanceOf(RefusedError);
    expect(error.message).to.contain('version 3').and.to.contain('version 5');
    expect(pin.current()?.version).to.equal(5);
  });

  it('refuses another roster with the same version, and keeps the first', async () => {
    pin.pin(owner, 3, bytes32('three'));
    await expectRefusal('roster.equivocation', () => pin.pin(owner, 3, bytes32('other three')));
    expect(pin.current()?.fingerprint).to.deep.equal(bytes32('three'));
  });

  it('refuses every roster of another owner', async () => {
    pin.pin(owner, 3, bytes32('three'));
    for (const version of [2, 3, 4]) {
      await expectRefusal('roster.other-owner', () => pin.pin(bytes32('thief'), version, bytes32('three')));
    }
    expect(pin.current()?.ownerKeyId).to.deep.equal(owner);
  });

  it('is told whose rosters count before it has seen one', async () => {
    pin.pinOwner(owner);
    pin.close();
    pin = await openRosterPin(directory);
    expect(pin.owner()).to.deep.equal(owner);
    expect(pin.current()).to.equal(undefined);
    await expectRefusal('roster.other-owner', () => pin.pin(bytes32('thief'), 1, bytes32('one')));
    expect(pin.current()).to.equal(undefined);
    pin.pin(owner, 1, bytes32('one'));
    expect(pin.current()).to.deep.equal({ ownerKeyId: owner, version: 1, fingerprint: bytes32('one') });
  });

  it('is told of one owner only, again and again if need be', async () => {
    await pinOwner(directory, owner);
    await pinOwner(directory, owner);
    pin.pin(owner, 3, bytes32('three'));
    await pinOwner(directory, owner);
    expect(pin.current()?.version).to.equal(3);
    await expectRefusal('roster.other-owner', () => pinOwner(directory, bytes32('thief')));
    await expectRefusal('field.bad-bytes', () => pinOwner(directory, new Uint8Array(31)));
    expect(pin.owner()).to.deep.equal(owner);
  });

  it('says what it would refuse, and changes nothing', async () => {
    pin.check(owner, 3, bytes32('three'));
    expect(pin.owner()).to.equal(undefined);
    pin.pin(owner, 3, bytes32('three'));
    pin.check(owner, 4, bytes32('four'));
    expect(pin.current()?.version).to.equal(3);
    await expectRefusal('roster.older', () => pin.check(owner, 2, bytes32('two')));
    await expectRefusal('roster.equivocation', () => pin.check(owner, 3, bytes32('other three')));
    await expectRefusal('roster.other-owner', () => pin.check(bytes32('thief'), 4, bytes32('four')));
  });

  for (const [what, ownerKeyId, version, fingerprint, code] of [
    ['a short owner key id', new Uint8Array(31), 1, bytes32('one'), 'field.bad-bytes'],
    ['a fraction of a version', owner, 1.5, bytes32('one'), 'field.bad-integer'],
    ['a negative version', owner, -1, bytes32('one'), 'field.bad-integer'],
    ['a long fingerprint', owner, 1, new Uint8Array(33), 'field.bad-bytes'],
  ] as const) {
    it(`refuses ${what}`, async () => {
      await expectRefusal(code, () => pin.pin(ownerKeyId, version, fingerprint));
      expect(pin.current()).to.equal(undefined);
    });
  }

  it('is one file for its user only', async () => {
    expect((await stat(join(directory, 'roster-pin.sqlite'))).mode & 0o777).to.equal(0o600);
    expect((await readdir(directory)).every((name) => name.startsWith('roster-pin.sqlite'))).to.equal(true);
  });

  it('is refused when it was emptied', async () => {
    pin.close();
    await truncate(join(directory, 'roster-pin.sqlite'), 0);
    await expectRefusal('roster.pin-corrupt', () => openRosterPin(directory));
    directory = join(await temporaryDirectory(), 'another');
    pin = await openRosterPin(directory);
  });

  it('is always at the newest roster that it accepted, in every sequence', async () => {
    const offer = fc.record({
      version: fc.nat(4),
      fingerprint: fc.constantFrom('a', 'b'),
      restart: fc.boolean(),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(offer, { maxLength: 12 }), async (offers) => {
        const place = join(await temporaryDirectory(), 'pin');
        let tested = await openRosterPin(place);
        let newest: { version: number; fingerprint: string } | undefined;
        for (const { version, fingerprint, restart } of offers) {
          if (restart) {
            tested.close();
            tested = await openRosterPin(place);
          }
          const expected =
            newest === undefined || version > newest.version
              ? 'accepted'
              : version < newest.version
                ? 'roster.older'
                : fingerprint === newest.fingerprint
                  ? 'accepted'
                  : 'roster.equivocation';
          const outcome = await outcomeOf(async () => tested.pin(owner, version, bytes32(fingerprint)));
          expect(outcome === undefined ? 'accepted' : outcome.code).to.equal(expected);
          if (expected === 'accepted') newest = { version, fingerprint };
          expect(tested.current()?.version).to.equal(newest?.version);
        }
        tested.close();
      }),
      { numRuns: 25 },
    );
  });

  it('is the old or the new one after a process was killed between any two writes', async () => {
    const versions = new Set<number | undefined>();
    await atEveryKillPoint(async (killAt) => {
      const place = join(await temporaryDirectory(), 'pin');
      const before = await openRosterPin(place);
      before.pin(owner, 1, bytes32('roster 1'));
      before.close();
      const { killed } = await ended(startChild('pin-child', { directory: place, versions: [2] }, killAt));
      const after = await openRosterPin(place);
      const current = after.current();
      expect(current?.fingerprint).to.deep.equal(bytes32(`roster ${current?.version}`));
      versions.add(current?.version);
      after.close();
      return killed;
    });
    expect([...versions].sort()).to.deep.equal([1, 2]);
  }).timeout(120_000);

  it('never goes back while several processes pin at once', async () => {
    const place = join(await temporaryDirectory(), 'pin');
    const ascending = Array.from({ length: 30 }, (_, index) => index);
    const children = [0, 1, 2].map((offset) =>
      startChild('pin-child', {
        directory: place,
        versions: ascending.map((version) => version * 3 + offset),
      }),
    );
    const results = await Promise.all(children.map(ended));
    expect(results.map((result) => result.message)).to.deep.equal(['monotonic', 'monotonic', 'monotonic']);
    const after = await openRosterPin(place);
    expect(after.current()?.version).to.equal(89);
    after.close();
  });
});
