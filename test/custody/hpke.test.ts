import { createCipheriv, createDecipheriv, createHash, createHmac } from 'node:crypto';
import { ml_kem768_x25519 as xWing } from '@noble/post-quantum/hybrid.js';
import { expect } from 'chai';
import { hex } from '../../lib/custody/fields.js';
import { generateKemKey, kemPublicKey, openSealed, sealTo } from '../../lib/custody/hpke.js';
import { VerificationError } from '../../lib/errors.js';
import { expectRefusal } from '../support/refusals.js';
import { withBitFlipped } from './support/bytes.js';

const info = Buffer.from('what the message is bound to');
const plaintext = Buffer.from('a share');

/**
 * draft-connolly-cfrg-xwing-kem-08 and later, appendix C: seeds and shared secrets as published, the long public keys
 * and ciphertexts by the SHA-256 of their bytes.
 */
const publishedVectors = [
  {
    seed: '7f9c2ba4e88f827d616045507605853ed73b8093f6efbc88eb1a6eacfa66ef26',
    encapsulationSeed:
      '3cb1eea988004b93103cfb0aeefd2a686e01fa4a58e8a3639ca8a1e3f9ae57e2' +
      '35b8cc873c23dc62b8d260169afa2f75ab916a58d974918835d25e6a435085b2',
    publicKeySha256: '2e816deebcd76c5c80d0cd2d174478871658e8e2ff42bc9d4a6e486372e856bb',
    ciphertextSha256: '17cd532d657e44c897ca6583e548a5424fc70bf54f99515a4d2bcf99e3469f33',
    sharedSecret: 'd2df0522128f09dd8e2c92b1e905c793d8f57a54c3da25861f10bf4ca613e384',
  },
  {
    seed: 'badfd6dfaac359a5efbb7bcc4b59d538df9a04302e10c8bc1cbf1a0b3a5120ea',
    encapsulationSeed:
      '17cda7cfad765f5623474d368ccca8af0007cd9f5e4c849f167a580b14aabdef' +
      'aee7eef47cb0fca9767be1fda69419dfb927e9df07348b196691abaeb580b32d',
    publicKeySha256: 'c42ba5f8430d7d2c83739338203819f090e8303ce9c8b02107c272bfa5376916',
    ciphertextSha256: '1661ea86d608a1924ba30840cb0a65f13ae051e3aec9cf0f064efc0bc92f2154',
    sharedSecret: 'f2e86241c64d60f6649fbc6c5b7d17180b780a3f34355e64a85749949c45f150',
  },
  {
    seed: 'ef58538b8d23f87732ea63b02b4fa0f4873360e2841928cd60dd4cee8cc0d4c9',
    encapsulationSeed:
      '22a96188d032675c8ac850933c7aff1533b94c834adbb69c6115bad4692d8619' +
      'f90b0cdf8a7b9c264029ac185b70b83f2801f2f4b3f70c593ea3aeeb613a7f1b',
    publicKeySha256: '6b080d6b84f095342092fa7a22423e58bd681397ad0ef00eac92bd254db4fa95',
    ciphertextSha256: 'd3ca5578500344b5896cffc4fd740c9311946b82951df155e6fd86a7966b43c6',
    sharedSecret: '953f7f4e8c5b5049bdc771d1dffada0dd961477d1a2ae0988baa7ea6898d893f',
  },
];

function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

/** RFC 9180, sections 4 and 5.1, base mode, written a second time: X-Wing, HKDF-SHA256, AES-256-GCM. */
function keySchedule(sharedSecret: Uint8Array): { key: Buffer; nonce: Buffer } {
  const suiteId = Buffer.concat([Buffer.from('HPKE'), Buffer.from('647a00010002', 'hex')]);
  const version = Buffer.from('HPKE-v1');
  const labeledExtract = (salt: Uint8Array, label: string, input: Uint8Array) =>
    createHmac('sha256', salt)
      .update(Buffer.concat([version, suiteId, Buffer.from(label), input]))
      .digest();
  const none = new Uint8Array();
  const context = Buffer.concat([
    Buffer.of(0),
    labeledExtract(none, 'psk_id_hash', none),
    labeledExtract(none, 'info_hash', info),
  ]);
  const secret = labeledExtract(sharedSecret, 'secret', none);
  const labeledExpand = (label: string, sizeBytes: number) => {
    const length = Buffer.alloc(2);
    length.writeUInt16BE(sizeBytes);
    let output = Buffer.alloc(0);
    let block = Buffer.alloc(0);
    for (let counter = 1; output.length < sizeBytes; counter += 1) {
      block = createHmac('sha256', secret)
        .update(Buffer.concat([block, length, version, suiteId, Buffer.from(label), context]))
        .update(Buffer.of(counter))
        .digest();
      output = Buffer.concat([output, block]);
    }
    return output.subarray(0, sizeBytes);
  };
  return { key: labeledExpand('key', 32), nonce: labeledExpand('base_nonce', 12) };
}

describe('HPKE seals', () => {
  for (const [number, vector] of publishedVectors.entries()) {
    const seed = Buffer.from(vector.seed, 'hex');
    const { cipherText, sharedSecret } = xWing.encapsulate(
      xWing.keygen(seed).publicKey,
      Buffer.from(vector.encapsulationSeed, 'hex'),
    );

    it(`derive the public key of X-Wing test vector ${number + 1}`, async () => {
      expect(sha256(await kemPublicKey(seed))).to.equal(vector.publicKeySha256);
    });

    it(`open a message under the shared secret of X-Wing test vector ${number + 1}`, async () => {
      expect(sha256(cipherText)).to.equal(vector.ciphertextSha256);
      expect(hex(sharedSecret)).to.equal(vector.sharedSecret);
      const { key, nonce } = keySchedule(Buffer.from(vector.sharedSecret, 'hex'));
      const cipher = createCipheriv('aes-256-gcm', key, nonce);
      const encrypted = Buffer.concat([cipher.update(plaintext), cipher.final()]);
      const sealed = Buffer.concat([cipherText, encrypted, cipher.getAuthTag()]);
      expect(Buffer.from(await openSealed(seed, info, sealed)).toString()).to.equal('a share');
    });
  }

  it('are opened by a second implementation of RFC 9180 and X-Wing', async () => {
    const key = await generateKemKey();
    const sealed = await sealTo(key.publicKey, info, plaintext);
    const schedule = keySchedule(
      key.seed.use((seed) => xWing.decapsulate(sealed.subarray(0, 1120), xWing.keygen(seed).secretKey)),
    );
    const decipher = createDecipheriv('aes-256-gcm', schedule.key, schedule.nonce);
    decipher.setAuthTag(sealed.subarray(-16));
    const opened = Buffer.concat([decipher.update(sealed.subarray(1120, -16)), decipher.final()]);
    expect(opened.toString()).to.equal('a share');
  });

  it('have 1136 bytes more than the plaintext, and open to it', async () => {
    const key = await generateKemKey();
    for (const size of [0, 1, 7680]) {
      const message = new Uint8Array(size).fill(5);
      const sealed = await sealTo(key.publicKey, info, message);
      expect(sealed.length).to.equal(1136 + size);
      const opened = await key.seed.use((seed) => openSealed(seed, info, sealed));
      expect(hex(opened)).to.equal(hex(message));
    }
  });

  it('differ every time', async () => {
    const key = await generateKemKey();
    const [first, second] = [
      await sealTo(key.publicKey, info, plaintext),
      await sealTo(key.publicKey, info, plaintext),
    ];
    expect(hex(first.subarray(0, 1120))).to.not.equal(hex(second.subarray(0, 1120)));
  });

  describe('that are wrong', () => {
    let key: Awaited<ReturnType<typeof generateKemKey>>;
    let sealed: Uint8Array;
    let messages: Set<string>;

    before(async () => {
      key = await generateKemKey();
      sealed = await sealTo(key.publicKey, info, plaintext);
      messages = new Set();
    });

    async function refuse(binding: Uint8Array, message: Uint8Array): Promise<void> {
      const error = await expectRefusal('hpke.open-failed', () =>
        key.seed.use((seed) => openSealed(seed, binding, message)),
      );
      expect(error).to.be.instanceOf(VerificationError);
      expect(error.cause).to.equal(undefined);
      messages.add(error.message);
    }

    for (const [region, index] of [
      ['the ML-KEM ciphertext, first byte', 0],
      ['the ML-KEM ciphertext, last byte', 1087],
      ['the X25519 key, first byte', 1088],
      ['the X25519 key, last byte', 1119],
      ['the ciphertext', 1120],
      ['the tag', 1127],
      ['the tag, last byte', 1142],
    ] as const) {
      it(`do not open with a bit flipped in ${region}`, async () => {
        await refuse(info, withBitFlipped(sealed, index));
      });
    }

    it('do not open with the top bit of the X25519 key flipped, which X25519 itself ignores', async () => {
      const changed = Uint8Array.from(sealed);
      changed[1119] = (changed[1119] ?? 0) ^ 0x80;
      await refuse(info, changed);
    });

    it('do not open with an X25519 point of small order', async () => {
      const changed = Uint8Array.from(sealed);
      changed.fill(0, 1088, 1120);
      await refuse(info, changed);
    });

    it('do not open under another info', async () => {
      await refuse(Buffer.from('something else'), sealed);
      await refuse(new Uint8Array(), sealed);
    });

    it('do not open with another key', async () => {
      const other = await generateKemKey();
      await refuse(info, await sealTo(other.publicKey, info, plaintext));
    });

    it('do not open when truncated or extended', async () => {
      for (const length of [0, 1119, 1120, 1135, sealed.length - 1]) {
        await refuse(info, sealed.subarray(0, length));
      }
      await refuse(info, Buffer.concat([sealed, Buffer.of(0)]));
    });

    it('all fail with the same words, which name no cause', () => {
      expect(messages.size).to.equal(1);
    });
  });

  it('are refused for what is no public key', async () => {
    const { publicKey } = await generateKemKey();
    const unreduced = Uint8Array.from(publicKey).fill(0xff, 0, 2);
    const smallOrder = Uint8Array.from(publicKey).fill(0, 1184);
    for (const wrong of [
      publicKey.subarray(1),
      Buffer.concat([publicKey, Buffer.of(0)]),
      unreduced,
      smallOrder,
    ]) {
      await expectRefusal('hpke.bad-public-key', () => sealTo(wrong, info, plaintext));
    }
  });

  it('are refused for a private key of another length', async () => {
    await expectRefusal('hpke.bad-private-key', () =>
      openSealed(new Uint8Array(31), info, new Uint8Array(2000)),
    );
    await expectRefusal('hpke.bad-private-key', () => kemPublicKey(new Uint8Array(64)));
  });

  it('leave the seed as it was, and open even if it is wiped meanwhile', async () => {
    const key = await generateKemKey();
    const sealed = await sealTo(key.publicKey, info, plaintext);
    const seed = key.seed.use((bytes) => Uint8Array.from(bytes));
    const copy = hex(seed);
    await openSealed(seed, info, sealed);
    await kemPublicKey(seed);
    expect(hex(seed)).to.equal(copy);
    const opening = openSealed(seed, info, sealed);
    seed.fill(0);
    expect(Buffer.from(await opening).toString()).to.equal('a share');
  });

  it('generate a new key every time', async () => {
    const [first, second] = [await generateKemKey(), await generateKemKey()];
    expect(first.publicKey.length).to.equal(1216);
    expect(hex(first.publicKey)).to.not.equal(hex(second.publicKey));
    expect(hex(await first.seed.use(kemPublicKey))).to.equal(hex(first.publicKey));
  });
});
