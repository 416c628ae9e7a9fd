import { createHash } from 'node:crypto';
import { expect } from 'chai';
import fc from 'fast-check';
import { fingerprintOf, isStrictlyAscending, setDigest } from '../../lib/package/fingerprint.js';
import { bytes32, codeOf, filled } from './fixtures.js';

describe('fingerprints', () => {
  it('are the SHA-256 of the header', () => {
    expect(Buffer.from(fingerprintOf(Buffer.from('abc'))).toString('hex')).to.equal(
      'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad',
    );
  });

  it('ascend strictly when they are sorted bytewise and none repeats', () => {
    expect(isStrictlyAscending([])).to.equal(true);
    expect(isStrictlyAscending([bytes32(1), bytes32(2), bytes32(200)])).to.equal(true);
    expect(isStrictlyAscending([bytes32(2), bytes32(1)])).to.equal(false);
    expect(isStrictlyAscending([bytes32(1), bytes32(1)])).to.equal(false);
  });
});

describe('the digest of a set', () => {
  it('is SHA-256 of the label, the count and the fingerprints in bytewise order', () => {
    const expected = createHash('sha256')
      .update('tensorguard-native v1 set\0')
      .update(Uint8Array.of(2, 0, 0, 0))
      .update(bytes32(1))
      .update(bytes32(200))
      .digest();
    expect(Buffer.from(setDigest([bytes32(200), bytes32(1)])).equals(expected)).to.equal(true);
  });

  it('does not depend on the order, and leaves the list as it was', () => {
    const prints = fc.uniqueArray(fc.uint8Array({ minLength: 32, maxLength: 32 }), {
      minLength: 1,
      selector: (print) => Buffer.from(print).toString('hex'),
    });
    fc.assert(
      fc.property(
        prints.chain((list) =>
          fc.tuple(fc.constant(list), fc.shuffledSubarray(list, { minLength: list.length })),
        ),
        ([list, shuffled]) => {
          const before = [...shuffled];
          expect(setDigest(shuffled)).to.deep.equal(setDigest(list));
          expect(shuffled).to.deep.equal(before);
        },
      ),
    );
  });

  it('differs for a subset', () => {
    expect(setDigest([bytes32(1), bytes32(2)])).to.not.deep.equal(setDigest([bytes32(1)]));
  });

  it('refuses an update that stands there twice', async () => {
    expect(await codeOf(() => setDigest([bytes32(1), bytes32(2), bytes32(1)]))).to.equal('set.duplicate');
  });

  it('refuses an empty set and fingerprints of another length', async () => {
    expect(await codeOf(() => setDigest([]))).to.equal('set.empty');
    expect(await codeOf(() => setDigest([filled(31, 1)]))).to.equal('set.bad-fingerprint');
  });
});
