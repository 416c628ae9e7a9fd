import { createHash } from 'node:crypto';
import { expect } from 'chai';
import fc from 'fast-check';
import { encodeCbor } from '../../lib/package/cbor-encoding.js';
import {
  algorithmsSchema,
  keyIdOf,
  PUBLIC_KEY_BYTES,
  type PublicKeys,
  publicKeysSchema,
  SIGNATURE_BYTES,
  type SignatureAlgorithm,
} from '../../lib/package/keys.js';
import {
  decodeSignatureBlock,
  payloadType,
  preAuthenticationEncoding,
  type SignatureBlock,
  type SignedHeader,
  signHeader,
  verifySignatures,
} from '../../lib/package/signatures.js';
import { createSigningKey, importSecret, type SigningKey } from '../../lib/package/signing-key.js';
import { bytes32, codeOf, ed25519Key, filled, hybridKey, otherKey } from './fixtures.js';

const headerBytes = Uint8Array.of(1, 2, 3);

function signed(by: SigningKey, algs: readonly SignatureAlgorithm[] = by.algorithms): SignedHeader {
  return { kind: 'plan', headerBytes, algs, signer: by.keyId };
}

async function blockOf(by: SigningKey): Promise<SignatureBlock> {
  return decodeSignatureBlock(await signHeader('plan', headerBytes, by));
}

describe('the pre-authentication encoding', () => {
  it("gives the bytes of the DSSE specification's example", () => {
    const encoded = preAuthenticationEncoding('http://example.com/HelloWorld', Buffer.from('hello world'));
    expect(Buffer.from(encoded).toString('latin1')).to.equal(
      'DSSEv1 29 http://example.com/HelloWorld 11 hello world',
    );
  });

  it('counts bytes, not characters, and passes binary through', () => {
    const encoded = preAuthenticationEncoding('\u00fc', Uint8Array.of(0, 255));
    expect(encoded).to.deep.equal(
      Uint8Array.from(Buffer.from('4453534576312032 20c3bc 2032 2000ff'.replaceAll(' ', ''), 'hex')),
    );
  });

  it('handles an empty body', () => {
    expect(Buffer.from(preAuthenticationEncoding('a', new Uint8Array())).toString()).to.equal(
      'DSSEv1 1 a 0 ',
    );
  });

  it('names the kind in the payload type', () => {
    expect(payloadType('update')).to.equal('application/vnd.tensorguard.update+cbor');
  });
});

describe('signing keys', () => {
  it('signs as RFC 8032 section 7.1 says, test 2', async () => {
    const key = importSecret({
      ed25519: Buffer.from('4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb', 'hex'),
    });
    expect(Buffer.from(key.publicKeys.ed25519).toString('hex')).to.equal(
      '3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c',
    );
    const signature = await key.sign('ed25519', Uint8Array.of(0x72));
    expect(Buffer.from(signature).toString('hex')).to.equal(
      '92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00',
    );
  });

  it('has keys and signatures of the lengths that the format fixes', async () => {
    for (const algorithm of hybridKey.algorithms) {
      expect(hybridKey.publicKeys[algorithm]).to.have.length(PUBLIC_KEY_BYTES[algorithm]);
      expect(await hybridKey.sign(algorithm, headerBytes)).to.have.length(SIGNATURE_BYTES[algorithm]);
    }
  });

  it('signs the same message with the same bytes, ML-DSA-65 too', async () => {
    for (const algorithm of hybridKey.algorithms) {
      expect(await hybridKey.sign(algorithm, headerBytes)).to.deep.equal(
        await hybridKey.sign(algorithm, headerBytes),
      );
    }
  });

  it('makes another key each time', () => {
    expect(createSigningKey().keyId).to.not.deep.equal(createSigningKey().keyId);
  });

  it('signs with Ed25519 alone unless asked for more', () => {
    expect(createSigningKey().algorithms).to.deep.equal(['ed25519']);
    expect(createSigningKey().publicKeys).to.have.all.keys('ed25519');
    expect(createSigningKey(['ed25519', 'ml-dsa-65']).publicKeys).to.have.all.keys('ed25519', 'ml-dsa-65');
  });

  it('is the same key after its secret was exported and imported', async () => {
    for (const key of [ed25519Key, hybridKey, createSigningKey(['ed25519', 'ml-dsa-65'])]) {
      const again = importSecret(key.exportSecret());
      expect(again.keyId).to.deep.equal(key.keyId);
      expect(again.publicKeys).to.deep.equal(key.publicKeys);
      expect(await again.sign('ed25519', headerBytes)).to.deep.equal(await key.sign('ed25519', headerBytes));
    }
  });

  it('exports a copy of the secret, which the caller may wipe', () => {
    ed25519Key.exportSecret().ed25519.fill(0);
    expect(ed25519Key.exportSecret().ed25519).to.deep.equal(bytes32(1));
  });

  it('does not show its secret when it is printed or serialized', () => {
    const key = importSecret({ ed25519: filled(32, 0xab) });
    expect(JSON.stringify(key)).to.not.include('171,171').and.to.not.include('abab');
    expect(Object.keys(key)).to.have.members(['keyId', 'publicKeys', 'algorithms']);
  });

  it('refuses secrets that are no seeds', async () => {
    const bad: unknown[] = [
      {},
      { ed25519: filled(31, 1) },
      { ed25519: filled(33, 1) },
      { ed25519: 'a'.repeat(32) },
      { 'ml-dsa-65': bytes32(1) },
      { ed25519: bytes32(1), 'ml-dsa-65': filled(64, 1) },
      { ed25519: bytes32(1), rsa: bytes32(1) },
    ];
    for (const secret of bad) {
      expect(await codeOf(() => importSecret(secret as { ed25519: Uint8Array }))).to.equal('key.bad-secret');
    }
  });

  it('refuses algorithm lists without Ed25519, out of order, or with repetitions', async () => {
    for (const algorithms of [
      [],
      ['ml-dsa-65'],
      ['ml-dsa-65', 'ed25519'],
      ['ed25519', 'ed25519'],
      ['ed25519', 'rsa'],
    ]) {
      expect(await codeOf(() => createSigningKey(algorithms as SignatureAlgorithm[]))).to.equal(
        'key.bad-algorithms',
      );
      expect(algorithmsSchema.safeParse(algorithms).success).to.equal(false);
    }
  });

  it('refuses to sign with an algorithm that it has no key of', async () => {
    expect(await codeOf(() => ed25519Key.sign('ml-dsa-65', headerBytes))).to.equal('key.algorithm-missing');
  });
});

describe('key ids', () => {
  it('are the labelled SHA-256 of the keys in deterministic CBOR', () => {
    const cbor = Buffer.concat([Buffer.from('a167656432353531395820', 'hex'), bytes32(5)]);
    const expected = createHash('sha256').update('tensorguard-native v1 key id\0').update(cbor).digest();
    expect(Buffer.from(keyIdOf({ ed25519: bytes32(5) })).equals(expected)).to.equal(true);
  });

  it('change with every byte of every key', () => {
    const keys: PublicKeys = { ed25519: bytes32(1), 'ml-dsa-65': filled(1952, 2) };
    const id = keyIdOf(keys);
    fc.assert(
      fc.property(
        fc.constantFrom('ed25519', 'ml-dsa-65'),
        fc.nat(),
        fc.integer({ min: 1, max: 255 }),
        (alg, at, flip) => {
          const changed = Uint8Array.from(keys[alg] as Uint8Array);
          changed[at % changed.length] = (changed[at % changed.length] as number) ^ flip;
          expect(keyIdOf({ ...keys, [alg]: changed })).to.not.deep.equal(id);
        },
      ),
    );
  });

  it('change when a key is dropped', () => {
    const { ed25519 } = hybridKey.publicKeys;
    expect(keyIdOf({ ed25519 })).to.not.deep.equal(hybridKey.keyId);
  });

  it('are of keys of exact length only', () => {
    for (const keys of [
      {},
      { ed25519: filled(31, 1) },
      { ed25519: filled(33, 1) },
      { 'ml-dsa-65': filled(1952, 1) },
      { ed25519: bytes32(1), 'ml-dsa-65': filled(1951, 1) },
      { ed25519: bytes32(1), rsa: bytes32(1) },
      { ed25519: 'x'.repeat(32) },
    ]) {
      expect(publicKeysSchema.safeParse(keys).success).to.equal(false);
    }
  });
});

describe('signatures over a header', () => {
  it('hold for the signer, with one algorithm and with two', async () => {
    await verifySignatures(signed(ed25519Key), await blockOf(ed25519Key), ed25519Key.publicKeys, ['ed25519']);
    await verifySignatures(signed(hybridKey), await blockOf(hybridKey), hybridKey.publicKeys, [
      'ed25519',
      'ml-dsa-65',
    ]);
    await verifySignatures(signed(hybridKey), await blockOf(hybridKey), hybridKey.publicKeys, ['ed25519']);
  });

  it('do not hold for another header, kind or key', async () => {
    const block = await blockOf(ed25519Key);
    const header = signed(ed25519Key);
    const { publicKeys } = ed25519Key;
    const verify =
      (changes: Partial<SignedHeader>, keys = publicKeys) =>
      () =>
        verifySignatures({ ...header, ...changes }, block, keys, ['ed25519']);
    expect(await codeOf(verify({ headerBytes: Uint8Array.of(1, 2, 4) }))).to.equal('container.bad-signature');
    expect(await codeOf(verify({ kind: 'close' }))).to.equal('container.bad-signature');
    expect(await codeOf(verify({}, otherKey.publicKeys))).to.equal('container.wrong-signer');
    expect(await codeOf(verify({ signer: otherKey.keyId }))).to.equal('container.wrong-signer');
  });

  it('are refused where one of the two is forged', async () => {
    for (const alg of hybridKey.algorithms) {
      const block = (await blockOf(hybridKey)).map((entry) =>
        entry.alg === alg ? { ...entry, sig: filled(entry.sig.length, 1) } : entry,
      );
      const verify = () => verifySignatures(signed(hybridKey), block, hybridKey.publicKeys, ['ed25519']);
      expect(await codeOf(verify)).to.equal('container.bad-signature');
    }
  });

  it('are refused where one has the wrong length', async () => {
    for (const length of [0, 63, 65]) {
      const block = [{ alg: 'ed25519', keyId: ed25519Key.keyId, sig: filled(length, 1) }];
      const verify = () => verifySignatures(signed(ed25519Key), block, ed25519Key.publicKeys, ['ed25519']);
      expect(await codeOf(verify)).to.equal('container.bad-signature');
    }
  });

  it('are refused where the ML-DSA-65 one has the wrong length', async () => {
    for (const length of [0, 64, 3308, 3310]) {
      const block = (await blockOf(hybridKey)).map((entry) =>
        entry.alg === 'ml-dsa-65' ? { ...entry, sig: filled(length, 1) } : entry,
      );
      const verify = () => verifySignatures(signed(hybridKey), block, hybridKey.publicKeys, ['ed25519']);
      expect(await codeOf(verify)).to.equal('container.bad-signature');
    }
  });

  it('are refused where one was stripped from the block', async () => {
    const block = (await blockOf(hybridKey)).slice(0, 1);
    const verify = () => verifySignatures(signed(hybridKey), block, hybridKey.publicKeys, ['ed25519']);
    expect(await codeOf(verify)).to.equal('container.signature-stripped');
    const none = () => verifySignatures(signed(hybridKey), [], hybridKey.publicKeys, ['ed25519']);
    expect(await codeOf(none)).to.equal('container.signature-stripped');
  });

  it('are refused where a required algorithm is not announced, even if the block has it', async () => {
    const verify = async () =>
      verifySignatures(signed(hybridKey, ['ed25519']), await blockOf(hybridKey), hybridKey.publicKeys, [
        'ed25519',
        'ml-dsa-65',
      ]);
    expect(await codeOf(verify)).to.equal('container.algorithm-missing');
  });

  it('are refused where the block has more than the header announces', async () => {
    const block = await blockOf(hybridKey);
    const unannounced = () =>
      verifySignatures(signed(hybridKey, ['ed25519']), block, hybridKey.publicKeys, ['ed25519']);
    expect(await codeOf(unannounced)).to.equal('container.unexpected-signature');
    const [first] = await blockOf(ed25519Key);
    for (const extra of [
      first,
      { ...first, alg: 'rsa' },
      { ...first, alg: '__proto__' },
      { ...first, keyId: otherKey.keyId },
    ]) {
      const verify = () =>
        verifySignatures(signed(ed25519Key), [first, extra] as SignatureBlock, ed25519Key.publicKeys, [
          'ed25519',
        ]);
      expect(await codeOf(verify)).to.equal('container.unexpected-signature');
    }
  });

  it('are refused in another order, so that a file has one encoding', async () => {
    const block = (await blockOf(hybridKey)).reverse();
    const verify = () => verifySignatures(signed(hybridKey), block, hybridKey.publicKeys, ['ed25519']);
    expect(await codeOf(verify)).to.equal('container.not-canonical');
  });

  it('are refused where an entry names another key', async () => {
    const block = (await blockOf(ed25519Key)).map((entry) => ({ ...entry, keyId: otherKey.keyId }));
    const verify = () => verifySignatures(signed(ed25519Key), block, ed25519Key.publicKeys, ['ed25519']);
    expect(await codeOf(verify)).to.equal('container.wrong-signer');
  });

  it('are refused where the expected keys lack one that the header announces', async () => {
    const { ed25519 } = hybridKey.publicKeys;
    const verify = async () =>
      verifySignatures(signed(hybridKey), await blockOf(hybridKey), { ed25519 }, ['ed25519']);
    expect(await codeOf(verify)).to.equal('container.wrong-signer');
    // Even a signer that announces ML-DSA-65 under the id of an Ed25519 key alone gets nowhere.
    const header = signed({ ...ed25519Key, keyId: keyIdOf({ ed25519 }), sign: ed25519Key.sign }, [
      'ed25519',
      'ml-dsa-65',
    ]);
    const block = (await blockOf(hybridKey)).map((entry) => ({ ...entry, keyId: header.signer }));
    const forged = () => verifySignatures(header, block, { ed25519 }, ['ed25519']);
    expect(await codeOf(forged)).to.equal('container.bad-signature');
  });

  it('need keys of the right length and at least one known algorithm to be verified with', async () => {
    const block = await blockOf(ed25519Key);
    const verify = (keys: PublicKeys, required: string[]) => () =>
      verifySignatures(signed(ed25519Key), block, keys, required as SignatureAlgorithm[]);
    expect(await codeOf(verify({ ed25519: filled(31, 1) }, ['ed25519']))).to.equal('key.bad-public-key');
    expect(await codeOf(verify(ed25519Key.publicKeys, []))).to.equal('key.bad-algorithms');
    expect(await codeOf(verify(ed25519Key.publicKeys, ['rsa']))).to.equal('key.bad-algorithms');
  });

  it('are checked once as they are made, so that a failing key store is found there', async () => {
    const faulty: SigningKey = { ...publicHalf(ed25519Key), sign: async () => filled(64, 7) };
    expect(await codeOf(() => signHeader('plan', headerBytes, faulty))).to.equal('container.bad-signature');
    const misnamed: SigningKey = {
      ...publicHalf(ed25519Key),
      keyId: otherKey.keyId,
      sign: (...of) => ed25519Key.sign(...of),
    };
    expect(await codeOf(() => signHeader('plan', headerBytes, misnamed))).to.equal('key.wrong-id');
  });

  it('come from any key store behind the interface', async () => {
    const remote: SigningKey = { ...publicHalf(hybridKey), sign: (...of) => hybridKey.sign(...of) };
    expect(await signHeader('plan', headerBytes, remote)).to.deep.equal(
      await signHeader('plan', headerBytes, hybridKey),
    );
  });

  it('stand in a block of nothing but {alg, keyId, sig}', async () => {
    const entry = { alg: 'ed25519', keyId: bytes32(1), sig: filled(64, 1) };
    expect(decodeSignatureBlock(encodeCbor([entry]))).to.deep.equal([entry]);
    const { sig: _, ...incomplete } = entry;
    const bad: unknown[] = [
      {},
      [1],
      [incomplete],
      [{ ...entry, more: 1 }],
      [{ ...entry, keyId: filled(31, 1) }],
      [{ ...entry, sig: 'x' }],
      Array.from({ length: 17 }, () => entry),
    ];
    for (const block of bad) {
      expect(await codeOf(() => decodeSignatureBlock(encodeCbor(block)))).to.equal(
        'container.bad-signature-block',
      );
    }
  });
});

function publicHalf({ keyId, publicKeys, algorithms }: SigningKey): Omit<SigningKey, 'sign'> {
  return { keyId, publicKeys, algorithms };
}
