import { expect } from 'chai';
import { recoveryTermsDigest } from '../../../lib/custody/break-glass/recovery-description.js';
import {
  equalInConstantTime,
  shareCommitment,
  shareTags,
} from '../../../lib/custody/break-glass/share-checks.js';
import { hex } from '../../../lib/custody/fields.js';
import { SecretBytes } from '../../../lib/custody/secret-bytes.js';

const setId = '00112233445566778899aabbccddeeff';
const terms = recoveryTermsDigest(
  {
    fleet: 'fleet-a',
    role: 'custodian',
    id: 'custodian-1',
    setId,
    threshold: 2,
    kemPublicKey: new Uint8Array(1216).fill(7),
  },
  ['ada', 'grace'],
);
const checked = {
  terms,
  officer: 'ada',
  share: new SecretBytes(Uint8Array.from({ length: 33 }, (_, i) => i + 1)),
};

// Shares outlive versions of this program. The values were computed with another implementation of SHA-256 and HMAC.
describe('checks of shares', () => {
  it('are over terms that never change', () => {
    expect(hex(terms)).to.equal('d1ea6e91dac7eb222d23d30455241d0c2f8586305c26732f14b32a50f46eae9b');
  });

  it('commit to a share as they always did', () => {
    expect(hex(shareCommitment(checked))).to.equal(
      '7ccc4a1c893f4bc43122eb7742cec17d42b4e7b1c446e321a49bbf6ae157abd8',
    );
  });

  it('tag a share as they always did', () => {
    const [tag, ...others] = shareTags(new SecretBytes(new Uint8Array(32).fill(9)), setId, [checked]);
    expect(others).to.have.length(0);
    expect(hex(tag as Uint8Array)).to.equal(
      '4e510947c6e54d23efddfd6b58547d075bfe036d9dbc82d8cafe0affe4e971b4',
    );
  });

  it('compare bytes of equal and of other lengths', () => {
    expect(equalInConstantTime(Uint8Array.of(1, 2), Uint8Array.of(1, 2))).to.equal(true);
    expect(equalInConstantTime(Uint8Array.of(1, 2), Uint8Array.of(1, 3))).to.equal(false);
    expect(equalInConstantTime(Uint8Array.of(1, 2), Uint8Array.of(1))).to.equal(false);
  });
});
